"""Holds the book against the provider's statement: what differs becomes an entry, never an edit.

What the statement knows and the book has not heard of, since a webhook was lost, is first taken in as what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from monsoon.sinks.dispatcher.provider import ProviderPayout, Transaction
from monsoon.sinks.dispatcher.store import Store, query
from monsoon.sinks.ledger import book

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
    """Between the two on one instruction and side; of a payout that the book does not know, the `subject` is its
    transaction."""

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
    ConnectionError."""
    by_payout: dict[str, dict[Side, int]] = {}
    first_line: dict[str, str] = {}
    lines = others = 0
    for line in provider.statement(from_s - MARGIN_S, to_s + MARGIN_S):
        lines += 1
        if line.provider_id is None:
            others += 1
            continue
        side: Side = "debit" if line.paise < 0 else "credit"
        sums = by_payout.setdefault(line.provider_id, {})
        sums[side] = sums.get(side, 0) + line.paise
        first_line.setdefault(line.provider_id, line.transaction_id)
    references = _references(store, by_payout)
    caught_up = set()
    for provider_id in sorted(by_payout):
        if provider_id not in references and (payout := provider.payout(provider_id)) is not None:
            noted = store.observe(payout, "statement")
            if noted in ("noted", "known"):
                caught_up.add(payout.key)
    references = _references(store, by_payout)
    said = _by_reference(by_payout, references, first_line)
    ledger = _cash(store, said, references, from_s, to_s)
    behind = {difference.subject for difference in compare(said, ledger)}
    for provider_id, reference in sorted(references.items()):
        payout = provider.payout(provider_id) if reference in behind else None
        if payout is not None and store.observe(payout, "statement") == "noted":
            caught_up.add(payout.key)
    ledger = _cash(store, said, references, from_s, to_s)
    differences = compare(said, ledger)
    _write(store, differences, set(first_line.values()), to_s)
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


def _references(store: Store, provider_ids: Iterable[str]) -> dict[str, str]:
    """The instructions of payouts, by the provider's id."""
    asked = {"provider_ids": list(provider_ids)}
    rows = store.connection.execute(query("references_of_payouts"), asked)
    return {row["provider_id"]: row["reference_id"] for row in rows}


def _by_reference(
    by_payout: Mapping[str, Mapping[Side, int]], references: Mapping[str, str], first_line: Mapping[str, str]
) -> dict[tuple[str, Side], int]:
    sums: dict[tuple[str, Side], int] = {}
    for provider_id, sides in by_payout.items():
        subject = references.get(provider_id, first_line[provider_id])
        for side, paise in sides.items():
            sums[subject, side] = sums.get((subject, side), 0) + paise
    return sums


def _cash(
    store: Store, said: Sums, references: Mapping[str, str], from_s: int, to_s: int
) -> dict[tuple[str, Side], int]:
    """What the book has of all that the statement tells of, and of its own entries of that time.

    A statement has but one side of what was paid long before it was returned.
    """
    asked = {"references": list(references.values()), "from_ms": 1_000 * from_s, "to_ms": 1_000 * to_s}
    rows = store.connection.execute(query("cash_of_references"), asked)
    cash: dict[tuple[str, Side], int] = {
        (row["reference_id"], row["side"]): row["paise"]
        for row in rows
        if row["is_within"] or (row["reference_id"], row["side"]) in said
    }
    keys = {f"difference/{subject}/{side}": (subject, side) for subject, side in said}
    for row in store.connection.execute(query("cash_of_entries"), {"keys": list(keys)}):
        cash[keys[row["entry_key"]]] = row["amount_paise"]
    return cash


def _write(store: Store, differences: Iterable[Difference], transactions: set[str], to_s: int) -> None:
    """Of an instruction there may be several over time; of a payout that nobody knows one."""
    with store.connection.transaction():
        for each in differences:
            is_ours = each.subject not in transactions
            key = f"{each.subject}/{each.side}/{to_s}" if is_ours else f"{each.subject}/{each.side}"
            reference = each.subject if is_ours else None
            book.record_difference(store.connection, key, each.paise, 1_000 * to_s, each.side, reference)
