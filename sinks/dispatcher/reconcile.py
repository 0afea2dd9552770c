"""Holds the book against the provider's statement: what differs becomes an entry, never an edit.

What the statement knows and the book has not heard of, since a webhook was lost, is first taken in as what it is. What
the book heard of long after it happened is looked for where the statement has it: days before its entry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from monsoon.sinks.dispatcher.provider import ProviderPayout, Transaction
from monsoon.sinks.dispatcher.store import Store, query
from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.errors import LedgerError

Side = Literal["debit", "credit"]
Sums = Mapping[tuple[str, Side], int]
"""Paise by instruction and side; debits are negative."""

MARGIN_S = 86_400
"""By which the statement is read beyond the time that is reconciled: clocks differ, and banks are slow."""


class Statement(Protocol):
    """What reconciliation asks of a provider; both raise ConnectionError."""

    def statement(self, from_s: int, to_s: int) -> Iterable[Transaction]: ...

    def payout(self, provider_id: str) -> ProviderPayout | None: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the two on one instruction and side; of a payout that the book does not know, the `subject` is the
    provider's id of it."""

    subject: str
    side: Side
    provider_paise: int
    ledger_paise: int

    @property
    def paise(self) -> int:
        """By how much the book's cash changes to agree."""
        return self.provider_paise - self.ledger_paise


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found. `caught_up`: instructions of which the statement told what no webhook had."""

    from_s: int
    to_s: int
    lines: int
    lines_of_others: int
    """Which are of no payout, such as money that was added."""
    caught_up: tuple[str, ...]
    provider_paise: int
    ledger_paise: int
    differences: tuple[Difference, ...]

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        differences = [{**asdict(each), "paise": each.paise} for each in self.differences]
        return {**asdict(self), "differences": differences, "agrees": not self.differences}


def compare(provider: Sums, ledger: Sums) -> list[Difference]:
    """What differs, in order."""
    found = []
    for subject, side in sorted(provider.keys() | ledger.keys()):
        said, booked = provider.get((subject, side), 0), ledger.get((subject, side), 0)
        if said != booked:
            found.append(Difference(subject, side, said, booked))
    return found


def reconcile(store: Store, provider: Statement, from_s: int, to_s: int) -> Report:
    """Reconciles the entries in [from_s, to_s), in seconds since 1970, and writes what differs. Raises
    ConnectionError, and LedgerError while another reconciliation is under way."""
    with _alone(store):
        return _reconcile(store, provider, from_s, to_s)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Two at once would write each difference twice."""
    lock = store.connection.execute(query("reconciliation_lock")).fetchone()
    if lock is None or not lock["is_mine"]:
        raise LedgerError("another reconciliation of this ledger is under way; try again when it has ended")
    try:
        yield
    finally:
        if not store.connection.closed:
            store.connection.execute(query("reconciliation_unlock"))


def _reconcile(store: Store, provider: Statement, from_s: int, to_s: int) -> Report:
    by_payout: dict[str, Counter[Side]] = {}
    lines = others = 0
    for line in provider.statement(from_s - MARGIN_S, to_s + MARGIN_S):
        lines += 1
        if line.provider_id is None:
            others += 1
            continue
        by_payout.setdefault(line.provider_id, Counter())[_side_of(line)] += line.paise
    references = _references(store, by_payout)
    caught_up = set()
    for provider_id in sorted(by_payout):
        if provider_id not in references and (payout := provider.payout(provider_id)) is not None:
            noted = store.observe(payout, "statement")
            if noted in ("noted", "known"):
                caught_up.add(payout.key)
    references = _references(store, by_payout)
    said = _by_reference(by_payout, references)
    ledger = _cash(store, said, by_payout, references, from_s, to_s)
    behind = {difference.subject for difference in compare(said, ledger)}
    for provider_id, reference in sorted(references.items()):
        payout = provider.payout(provider_id) if reference in behind else None
        if payout is not None and store.observe(payout, "statement") == "noted":
            caught_up.add(payout.key)
    ledger = _cash(store, said, by_payout, references, from_s, to_s)
    earlier = _said_earlier(store, provider, ledger.keys() - said.keys(), from_s)
    if earlier:
        said = {**said, **earlier}
        ledger = _cash(store, said, by_payout, references, from_s, to_s)
    differences = compare(said, ledger)
    _write(store, differences, by_payout.keys() - references.keys(), to_s)
    return Report(
        from_s,
        to_s,
        lines,
        others,
        tuple(sorted(caught_up)),
        sum(said.values()),
        sum(ledger.values()),
        tuple(differences),
    )


def _side_of(line: Transaction) -> Side:
    return "debit" if line.paise < 0 else "credit"


def _references(store: Store, provider_ids: Iterable[str]) -> dict[str, str]:
    """The instructions of payouts, by the provider's id."""
    asked = {"provider_ids": list(provider_ids)}
    rows = store.connection.execute(query("references_of_payouts"), asked)
    return {row["provider_id"]: row["reference_id"] for row in rows}


def _by_reference(
    by_payout: Mapping[str, Mapping[Side, int]], references: Mapping[str, str]
) -> dict[tuple[str, Side], int]:
    sums = Counter[tuple[str, Side]]()
    for provider_id, sides in by_payout.items():
        for side, paise in sides.items():
            sums[references.get(provider_id, provider_id), side] += paise
    return sums


def _said_earlier(
    store: Store, provider: Statement, missing: Set[tuple[str, Side]], from_s: int
) -> Mapping[tuple[str, Side], int]:
    """Of what the book has and the statement from `from_s` on lacks: what the statement said before, since it was
    intended. An entry is of when the book heard of it: weeks later, where a webhook was lost."""
    said = Counter[tuple[str, Side]]()
    rows = store.connection.execute(
        query("payouts_of_references"), {"references": sorted({reference for reference, _ in missing})}
    ).fetchall()
    earlier_s = [row["intended_at_ms"] // 1_000 for row in rows if row["intended_at_ms"] < 1_000 * from_s]
    if earlier_s:
        references = {row["provider_id"]: row["reference_id"] for row in rows}
        for line in provider.statement(min(earlier_s) - MARGIN_S, from_s - MARGIN_S - 1):
            key = (references.get(line.provider_id or "", ""), _side_of(line))
            if key in missing:
                said[key] += line.paise
    return said


def _cash(
    store: Store,
    said: Sums,
    by_payout: Mapping[str, Mapping[Side, int]],
    references: Mapping[str, str],
    from_s: int,
    to_s: int,
) -> dict[tuple[str, Side], int]:
    """What the book has of all that the statement tells of, and of its own entries of that time.

    A statement has but one side of what was paid long before it was returned.
    """
    asked = {"references": list(references.values()), "from_ms": 1_000 * from_s, "to_ms": 1_000 * to_s}
    rows = store.connection.execute(query("cash_of_references"), asked)
    cash: Counter[tuple[str, Side]] = Counter(
        {
            (row["reference_id"], row["side"]): row["paise"]
            for row in rows
            if row["is_within"] or (row["reference_id"], row["side"]) in said
        }
    )
    # Differences of payouts that nobody knew, also where an instruction was found for one since.
    payouts = [(provider_id, side) for provider_id, sides in by_payout.items() for side in sides]
    number = 0
    while payouts:
        keys = {f"difference/{_numbered(*payout, number)}": payout for payout in payouts}
        payouts = []
        for row in store.connection.execute(query("cash_of_strangers"), {"keys": list(keys)}):
            provider_id, side = keys[row["entry_key"]]
            cash[references.get(provider_id, provider_id), side] += row["amount_paise"]
            payouts.append((provider_id, side))
        number += 1
    return cash


def _numbered(subject: str, side: Side, number: int) -> str:
    return f"{subject}/{side}/{number}"


def _write(store: Store, differences: Iterable[Difference], strangers: Set[str], to_s: int) -> None:
    """Of a subject and side there may be several over time."""
    with store.connection.transaction():
        for each in differences:
            number, reference = 0, None if each.subject in strangers else each.subject
            while not book.record_difference(
                store.connection,
                _numbered(each.subject, each.side, number),
                each.paise,
                1_000 * to_s,
                each.side,
                reference,
            ):
                number += 1
