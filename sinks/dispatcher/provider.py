"""The payment provider: what is asked of it, and what its answers can mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode

import urllib3

from monsoon.transforms.payments import STATUSES
from monsoon.transforms.validation.raw_identifiers import MASK, is_raw_identifier

_PAGE = 100
_MAX_RETRY_AFTER_S = 3_600
_NAME = re.compile("[!-~]{1,64}")
"""Ids and references: what is longer, or of other characters, is none of ours."""
_PERSONAL = re.compile(r"\S*@\S*|\d{6,}")
"""In a provider's words: accounts, telephone numbers, UPI addresses."""


@dataclass(frozen=True, slots=True)
class ProviderPayout:
    """What the provider says of a payout."""

    provider_id: str
    key: str
    status: str
    amount_paise: int
    currency: str = "INR"

    def masked(self) -> ProviderPayout:
        """For a log or a table of what does not fit. Of others who use the same account a reference may be a person's
        number or address."""
        words = (self.provider_id, self.key, self.currency)
        provider_id, key, currency = (MASK if is_raw_identifier(word) else word for word in words)
        return replace(self, provider_id=provider_id, key=key, currency=currency)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call.

    - `payout`: what the provider says of it.
    - `refused`: nothing was made, and nothing will be by this request.
    - `unknown`: asked for, the provider has no such payout.
    - `denied`: the provider does not let us in.
    - `unclear`: no answer, or none that says whether a payout was made.
    """

    kind: Literal["payout", "refused", "unknown", "denied", "unclear"]
    payout: ProviderPayout | None = None
    detail: str = ""
    retry_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class Transaction:
    """A line of the provider's statement. `paise`: in is positive. `provider_id`: of the payout; None: of none."""

    transaction_id: str
    provider_id: str | None
    paise: int
    at_ms: int


class Provider(Protocol):
    """What a dispatcher calls; none of it raises."""

    def create(self, key: str, body: bytes) -> Reply: ...

    def fetch(self, key: str, provider_id: str | None) -> Reply: ...


def payout_of(document: Any) -> ProviderPayout | None:
    """What a payout's document says; None: it is none."""
    if not isinstance(document, Mapping):
        return None
    names = [document.get(name) for name in ("id", "reference_id", "status", "currency")]
    words = [each for each in names if isinstance(each, str) and _NAME.fullmatch(each)]
    amount = document.get("amount")
    if type(amount) is not int or len(words) < len(names):
        return None
    provider_id, key, status, currency = words
    return ProviderPayout(provider_id, key, status, amount, currency) if status in STATUSES else None


def request_body(key: str, fund_account_id: str, amount_paise: int, account_number: str) -> str:
    """The body of a request to pay; it is written down, and sent as it was written in every retry."""
    asked = {
        "account_number": account_number,
        "fund_account_id": fund_account_id,
        "amount": amount_paise,
        "currency": "INR",
        "mode": "UPI",
        "purpose": "payout",
        "queue_if_low_balance": True,
        "reference_id": key,
    }
    return json.dumps(asked, separators=(",", ":"))


class HttpProvider:
    """Razorpay's interface, or one that behaves like it. Its connections are kept, and shared by threads."""

    def __init__(
        self,
        url: str,
        key_id: str,
        key_secret: str,
        account_number: str,
        *,
        connections: int = 16,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 10.0,
    ) -> None:
        token = base64.b64encode(f"{key_id}:{key_secret}".encode()).decode()
        self._url, self._account = url.rstrip("/"), account_number
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=False,
            retries=False,  # whether to call again is the dispatcher's to decide
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s),
            headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
        )

    def create(self, key: str, body: bytes) -> Reply:
        """Asks to pay, with an idempotency key and a body."""
        reply = self._call("POST", "/v1/payouts", key, body)
        return Reply("unclear", detail="an answer to another question") if reply.kind == "unknown" else reply

    def fetch(self, key: str, provider_id: str | None) -> Reply:
        """Asks what has become of a payout, by its id where that is known."""
        if provider_id is not None:
            return self._call("GET", f"/v1/payouts/{quote(provider_id, safe='')}", key)
        asked = urlencode({"account_number": self._account, "reference_id": key})
        return self._call("GET", f"/v1/payouts?{asked}", key)

    def statement(self, from_s: int, to_s: int) -> Iterator[Transaction]:
        """Every line of the statement in [from_s, to_s], once: pages shift while new lines come. Raises
        ConnectionError where the provider does not answer, or with what is no statement."""
        skip, seen = 0, set[str]()
        while True:
            asked = {"account_number": self._account, "from": from_s, "to": to_s, "count": _PAGE, "skip": skip}
            page = _transactions_of(self._read(f"/v1/transactions?{urlencode(asked)}"))
            fresh = [each for each in page if each.transaction_id not in seen]
            if page and not fresh:
                raise ConnectionError("the provider gives the same page of its statement again and again")
            seen.update(each.transaction_id for each in fresh)
            yield from fresh
            if len(page) < _PAGE:
                return
            skip += _PAGE

    def payout(self, provider_id: str) -> ProviderPayout | None:
        """One payout by its id; None: there is none, or it is none of ours. Raises ConnectionError where the provider
        does not answer."""
        return payout_of(self._read(f"/v1/payouts/{quote(provider_id, safe='')}", absent=(400, 404)))

    def _read(self, place: str, absent: tuple[int, ...] = ()) -> Any:
        try:
            response = self._pool.request("GET", self._url + place)
            if response.status in absent:
                return None
            if response.status != 200:
                raise ConnectionError(f"the provider answers {response.status} to {place.partition('?')[0]}")
            return json.loads(response.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise ConnectionError(f"the provider does not answer: {error}") from error

    def _call(self, method: str, place: str, key: str, body: bytes | None = None) -> Reply:
        headers = {**self._pool.headers, "X-Payout-Idempotency": key} if body is not None else None
        try:
            response = self._pool.request(method, self._url + place, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            return Reply("unclear", detail=type(error).__name__)
        try:
            document = json.loads(response.data)
        except ValueError:
            return Reply("unclear", detail=f"{response.status}, and no JSON")
        return reply_of(response.status, document, key, response.headers.get("Retry-After"))


def _transactions_of(document: Any) -> list[Transaction]:
    """A page of the statement. Raises ConnectionError."""
    lines = []
    try:
        for item in document["items"]:
            source = item.get("source") or {}
            provider_id = source.get("id") if source.get("entity") == "payout" else source.get("payout_id")
            numbers = [item["credit"], item["debit"], item["created_at"]]
            if not all(type(each) is int for each in numbers):
                raise TypeError
            if provider_id is not None and _NAME.fullmatch(provider_id) is None:
                raise TypeError
            if item.get("currency", "INR") != "INR":
                raise TypeError
            line = Transaction(str(item["id"]), provider_id, numbers[0] - numbers[1], 1_000 * numbers[2])
            lines.append(line)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConnectionError("the provider's answer is no statement in rupees") from error
    return lines


def reply_of(status: int, document: Any, key: str, retry_after: str | None = None) -> Reply:
    """What an answer means. One that is of another payout than the key's is unclear."""
    if status == 200:
        documents: Any = [document]
        if isinstance(document, Mapping) and document.get("entity") == "collection":
            documents = document.get("items")
            if documents == []:
                return Reply("unknown")
        for each in documents if isinstance(documents, list) else ():
            payout = payout_of(each)
            if payout is not None and payout.key == key:
                return Reply("payout", payout)
        return Reply("unclear", detail="an answer that is no payout of this key")
    error = document.get("error") if isinstance(document, Mapping) else None
    described = str(error.get("description", "")) if isinstance(error, Mapping) else ""
    detail = f"{status}: {_PERSONAL.sub('...', described)}"[:200]
    if status in (401, 403):
        return Reply("denied", detail=detail)
    if status in (408, 425, 429) or status >= 500:
        after_s = int(retry_after) if retry_after is not None and retry_after.isdecimal() else 0
        return Reply("unclear", detail=detail, retry_after_ms=1_000 * min(after_s, _MAX_RETRY_AFTER_S))
    if 400 <= status < 500:
        return Reply("refused", detail=detail)
    return Reply("unclear", detail=detail)
