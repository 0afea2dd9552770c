"""The provider's own book: payouts by idempotency key, and the account's statement. Thread-safe."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monsoon.sinks.provider_simulator.journal import Journal
from monsoon.sinks.provider_simulator.script import Course, Misbehavior

_KEY = re.compile(r"[A-Za-z0-9_\- ]{4,36}")
_MODES = ("UPI", "IMPS", "NEFT", "RTGS")
_MIN_PAISE = 100
ACCOUNT = "7878780080316316"
MAX_COUNT = 100
"""Of a page."""

Document = dict[str, Any]


@dataclass(slots=True)
class Payout:
    """One payout. `reached`: how many statuses of its course it has had."""

    key: str
    body: bytes
    made_ms: int
    course: Course
    document: Document
    reached: int = 0
    requests: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """A status that a payout has reached."""

    key: str
    status: str
    document: Document = field(hash=False)


class ProviderBook:
    """Its time is the caller's: `clock_ms`."""

    def __init__(
        self,
        misbehavior: Misbehavior,
        clock_ms: Callable[[], int],
        account: str = ACCOUNT,
        journal: Journal | None = None,
    ) -> None:
        """With a `journal` it goes on as the book that wrote it; webhooks of what was reached before are not sent
        again."""
        self.misbehavior, self.account = misbehavior, account
        self.keeps_events = False
        """For who sends webhooks: `events` hands them out."""
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._payouts: dict[str, Payout] = {}
        self._by_id: dict[str, Payout] = {}
        self._by_reference: dict[str, list[Payout]] = {}
        self._under_way: dict[str, Payout] = {}
        self._transactions: list[Document] = []
        self._events: list[Event] = []
        self._requests: dict[str, int] = {}
        self._journal: Journal | None = None
        for made in () if journal is None else journal.read():
            self._apply(made)
        self._journal = journal

    def request_number(self, key: str) -> int:
        """How many requests to make a payout came with this key before this one."""
        with self._lock:
            number = self._requests.get(key, 0)
            self._requests[key] = number + 1
            return number

    def create(self, key: str | None, body: bytes) -> tuple[int, Document]:
        """Makes a payout, or finds the one that was made with the key: a status of HTTP and a document.

        The same key with another body is refused; the same again is answered with the payout as it is now.
        """
        if key is None or not _KEY.fullmatch(key):
            return _refusal("The idempotency key must be 4-36 characters.", "X-Payout-Idempotency")
        with self._lock:
            self._advance()
            made = self._payouts.get(key)
            if made is not None:
                made.requests += 1
                if made.body != body:
                    return _refusal("Different request body sent for the same Idempotency Header", None)
                return 200, dict(made.document)
            try:
                asked = json.loads(body)
            except ValueError:
                return _refusal("The request body is not JSON.", None)
            fault = self._fault_of(asked)
            if fault is not None:
                return _refusal(f"The {fault} field is invalid.", fault)
            now_ms = self._clock_ms()
            self._write({"key": key, "made_ms": now_ms, "body": body.decode("latin-1")})
            payout = self._make(key, body, asked, now_ms)
            self._advance()
            return 200, dict(payout.document)

    def fetch(self, provider_id: str) -> Document | None:
        """A payout by its id, as it is now."""
        with self._lock:
            self._advance()
            payout = self._by_id.get(provider_id)
            return None if payout is None else dict(payout.document)

    def by_reference(self, reference_id: str) -> list[Document]:
        """The payouts of a reference, as they are now."""
        with self._lock:
            self._advance()
            return [dict(each.document) for each in self._by_reference.get(reference_id, ())]

    def transactions(self, from_s: int, to_s: int, count: int, skip: int) -> list[Document]:
        """The account's statement in [from_s, to_s], newest first, a page of it."""
        with self._lock:
            self._advance()
            within = [each for each in reversed(self._transactions) if from_s <= each["created_at"] <= to_s]
            return within[skip : skip + min(count, MAX_COUNT)]

    def events(self) -> list[Event]:
        """What payouts have reached since this was last called."""
        with self._lock:
            self._advance()
            events, self._events = self._events, []
            return events

    def inject(self, key: str, status: str) -> None:
        """Lets a payout reach a status out of its course."""
        with self._lock:
            self._reach(self._payouts[key], status, self._clock_ms())

    @property
    def paid_paise(self) -> dict[str, int]:
        """What has left the account and not come back, by the reference of the payout; none of 0."""
        with self._lock:
            sums: dict[str, int] = {}
            for each in self._transactions:
                reference = each["reference_id"]
                sums[reference] = sums.get(reference, 0) + each["debit"] - each["credit"]
            return {reference: paise for reference, paise in sums.items() if paise}

    @property
    def debits(self) -> dict[str, list[int]]:
        """Every debit, by the reference of the payout, come back or not."""
        with self._lock:
            found: dict[str, list[int]] = {}
            for each in self._transactions:
                if each["debit"]:
                    found.setdefault(each["reference_id"], []).append(each["debit"])
            return found

    def _fault_of(self, asked: Any) -> str | None:
        """The first field that a payout cannot be made with."""
        if not isinstance(asked, dict):
            return "body"
        amount = asked.get("amount")
        for name, is_valid in (
            ("account_number", asked.get("account_number") == self.account),
            ("fund_account_id", str(asked.get("fund_account_id") or "").startswith("fa_")),
            ("amount", type(amount) is int and amount >= _MIN_PAISE),
            ("currency", asked.get("currency") == "INR"),
            ("mode", asked.get("mode") in _MODES),
            ("purpose", bool(asked.get("purpose"))),
            ("reference_id", len(str(asked.get("reference_id") or "")) <= 40),
        ):
            if not is_valid:
                return name
        return None

    def _make(self, key: str, body: bytes, asked: Mapping[str, Any], now_ms: int) -> Payout:
        document = {
            "id": "pout_" + hashlib.blake2b(key.encode(), digest_size=7).hexdigest(),
            "entity": "payout",
            "fund_account_id": asked["fund_account_id"],
            "amount": asked["amount"],
            "currency": "INR",
            "notes": asked.get("notes", {}),
            "fees": 0,
            "tax": 0,
            "status": "",
            "purpose": asked["purpose"],
            "utr": None,
            "mode": asked["mode"],
            "reference_id": asked.get("reference_id"),
            "narration": asked.get("narration"),
            "status_details": None,
            "created_at": self._stated_s(now_ms),
        }
        payout = Payout(key, body, now_ms, self.misbehavior.course(key), document)
        self._payouts[key] = self._by_id[payout.document["id"]] = self._under_way[key] = payout
        self._by_reference.setdefault(payout.document["reference_id"] or "", []).append(payout)
        return payout

    def _apply(self, entry: Mapping[str, Any]) -> None:
        """One of the journal."""
        key = entry["key"]
        if "made_ms" in entry:
            body = entry["body"].encode("latin-1")
            self._make(key, body, json.loads(body), entry["made_ms"])
        else:
            payout = self._payouts[key]
            payout.reached = entry["reached"]
            self._reach(payout, entry["status"], entry["at_ms"])

    def _write(self, entry: Document) -> None:
        if self._journal is not None:
            self._journal.write(entry)

    def _advance(self) -> None:
        now_ms = self._clock_ms()
        for key, payout in list(self._under_way.items()):
            while payout.reached < len(payout.course):
                after_ms, status = payout.course[payout.reached]
                if payout.made_ms + after_ms > now_ms:
                    break
                payout.reached += 1
                self._reach(payout, status, now_ms)
            else:
                del self._under_way[key]

    def _reach(self, payout: Payout, status: str, at_ms: int) -> None:
        self._write({"key": payout.key, "status": status, "at_ms": at_ms, "reached": payout.reached})
        before = payout.document["status"]
        payout.document = {**payout.document, "status": status}
        if status == "processed" or (status == "reversed" and before != "processed"):
            payout.document["utr"] = payout.document["id"][-12:]
            self._book(payout, at_ms, debit=payout.document["amount"])
        if status == "reversed":
            self._book(payout, at_ms, credit=payout.document["amount"])
        if status in ("failed", "reversed"):
            reason = {"reason": "beneficiary_bank_offline", "source": "beneficiary_bank"}
            payout.document["status_details"] = {**reason, "description": "The beneficiary's bank is offline."}
        if self.keeps_events:
            self._events.append(Event(payout.key, status, dict(payout.document)))

    def _book(self, payout: Payout, at_ms: int, debit: int = 0, credit: int = 0) -> None:
        entity = "payout" if debit else "reversal"
        source = {"id": payout.document["id"], "entity": "payout"}
        if credit:
            source = {"id": payout.document["id"].replace("pout_", "rvrsl_"), "entity": entity}
            source["payout_id"] = payout.document["id"]
        self._transactions.append(
            {
                "id": f"txn_{len(self._transactions):014d}",
                "entity": "transaction",
                "account_number": self.account,
                "amount": debit or credit,
                "currency": "INR",
                "credit": credit,
                "debit": debit,
                "source": {**source, "amount": debit or credit},
                "created_at": self._stated_s(at_ms),
                # Not among the documented fields: for `paid_paise`, and left out by the server.
                "reference_id": payout.document["reference_id"],
            }
        )

    def _stated_s(self, at_ms: int) -> int:
        return at_ms // 1000 + self.misbehavior.clock_skew_s


def _refusal(description: str, at_field: str | None) -> tuple[int, Document]:
    error = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "field": at_field}
    return 400, {"error": {**error, "step": None, "reason": "input_validation_failed", "metadata": {}}}
