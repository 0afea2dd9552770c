"""Writes entries: each by a key, so that what is told again changes nothing.

Every function runs inside the caller's transaction, whose end checks that entries are balanced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from monsoon.sinks.ledger.connection import Connection
from monsoon.sinks.ledger.sql_files import query
from monsoon.transforms.calendar import local_day


@dataclass(frozen=True, slots=True)
class Instruction:
    """A payout instruction, as the contract `payout` has it."""

    reference_id: str
    claim_id: str
    instalment: int
    policy_id: str
    worker_id: str
    fund_account_id: str | None
    amount_paise: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription event says for the book. `cell`: of resolution 5, in hexadecimal. `premium_paise`: of the
    whole period that begins at `coverage_start_ms`; None: it states none, as a cancellation."""

    policy_id: str
    event_id: str
    event_time_ms: int
    coverage_start_ms: int
    product: str
    cell: str
    premium_paise: int | None


def post(
    connection: Connection,
    key: str,
    kind: str,
    event_time_ms: int,
    postings: Mapping[str, int],
    *,
    reference_id: str | None = None,
    policy_id: str | None = None,
    event_id: str | None = None,
    note: str | None = None,
) -> bool:
    """Writes an entry of these amounts in paise by account, debits positive; False where its key is there already."""
    entry = {
        "entry_key": key,
        "kind": kind,
        "reference_id": reference_id,
        "policy_id": policy_id,
        "event_id": event_id,
        "event_time_ms": event_time_ms,
        "note": note,
        "accounts": list(postings),
        "amounts": list(postings.values()),
    }
    return connection.execute(query("post_entry"), entry).fetchone() is not None


def record_terms(connection: Connection, terms: Terms) -> bool:
    """Takes in a subscription event, and what it changes of its period's premium; False where it is there already.

    Of a period the premium of the last event stands, as its terms do; so the sum of its entries is the same in
    whatever order events come.
    """
    fields = asdict(terms)
    with connection.transaction():
        connection.execute(query("lock_policy"), fields)
        before = _standing_premium(connection, fields)
        inserted = connection.execute(query("insert_terms"), fields).rowcount == 1
        change = _standing_premium(connection, fields) - before
        if change:
            post(
                connection,
                f"premium/{terms.policy_id}/{terms.event_id}",
                "premium",
                terms.event_time_ms,
                {"cash": change, "premium_income": -change},
                policy_id=terms.policy_id,
                event_id=terms.event_id,
            )
    return inserted


def _standing_premium(connection: Connection, fields: Mapping[str, Any]) -> int:
    """In paise, of the period of an event's policy that begins when its cover does."""
    row = connection.execute(query("standing_premium"), fields).fetchone()
    return int(row["premium_paise"]) if row else 0


def record_reserve(connection: Connection, record: Mapping[str, Any]) -> bool:
    """Sets aside what a reserve record says for its product, day and cell; False where that is there already.

    Reserves of one place are told in the order of their event times: the caller is one reader of one partition.
    """
    place = "/".join((record["product"], record["day"], record["cell"]))
    before = connection.execute(query("reserve"), {"place": place}).fetchone()
    change = record["amount_paise"] - (before["amount_paise"] if before else 0)
    if not change:
        return False
    return post(
        connection,
        f"reserve/{place}/{record['reserve_id']}",
        "reserve",
        record["event_time"],
        {"capital_committed": change, "reserves": -change},
        note=place,
    )


def record_instruction(connection: Connection, instruction: Instruction) -> Instruction | None:
    """Takes in a payout instruction: a claim becomes payable. Returns the one that stands in its place where there is
    one, of the same reference or of the same instalment; it may be equal."""
    fields = asdict(instruction)
    fields["local_day"] = local_day(instruction.created_at_ms)
    if connection.execute(query("insert_instruction"), fields).fetchone() is None:
        standing = connection.execute(query("instruction"), fields).fetchone()
        assert standing is not None
        return Instruction(**standing)
    return None


def record_paid(connection: Connection, reference_id: str, amount_paise: int, at_ms: int, key: str = "") -> bool:
    """The provider has paid an instalment by a key, its reference where none is given; False where that is there.

    By a second key it is money that went out by error, and no payment of the instalment: a difference.
    """
    entry_key = f"paid/{key or reference_id}"
    standing = connection.execute(query("payment"), {"reference_id": reference_id}).fetchone()
    is_second = standing is not None and standing["entry_key"] != entry_key
    return post(
        connection,
        entry_key,
        "difference" if is_second else "paid",
        at_ms,
        {"provider_differences" if is_second else "claims_payable": amount_paise, "cash": -amount_paise},
        reference_id=reference_id,
        note="paid by a second key" if is_second else None,
    )


def record_reversed(connection: Connection, reference_id: str, amount_paise: int, at_ms: int, key: str = "") -> bool:
    """The provider has returned what it paid by a key: the claim is payable again; False where that is there."""
    standing = connection.execute(query("payment"), {"reference_id": reference_id}).fetchone()
    is_second = standing is not None and standing["entry_key"] != f"paid/{key or reference_id}"
    return post(
        connection,
        f"reversed/{key or reference_id}",
        "difference" if is_second else "reversed",
        at_ms,
        {"cash": amount_paise, "provider_differences" if is_second else "claims_payable": -amount_paise},
        reference_id=reference_id,
        note="returned of a second key" if is_second else None,
    )


def record_difference(
    connection: Connection, key: str, cash_paise: int, at_ms: int, side: str, reference_id: str | None = None
) -> bool:
    """Cash moved at the provider by so much (in: positive) otherwise than the book says, on the side of debits or of
    credits; False where that is there already."""
    return post(
        connection,
        f"difference/{key}",
        "difference",
        at_ms,
        {"cash": cash_paise, "provider_differences": -cash_paise},
        reference_id=reference_id,
        note=side,
    )
