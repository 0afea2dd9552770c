"""A ledger's book as tests see it."""

from monsoon.sinks.ledger.book import Instruction, Terms

CELL = "85608013fffffff"
OTHER_CELL = "85600063fffffff"
JUNE_28_MS = 1_719_513_000_000
"""2024-06-28T00:00+05:30, in week 2024-W26."""


def instruction(number=1, **changed):
    fields = {
        "reference_id": f"p{number:032x}",
        "claim_id": f"c{number:032x}",
        "instalment": 0,
        "policy_id": "policy-1",
        "worker_id": "rider-1",
        "fund_account_id": "fa_1",
        "amount_paise": 40_000,
        "created_at_ms": JUNE_28_MS + 1,
    }
    return Instruction(**(fields | changed))


def terms(event="e1", **changed):
    fields = {
        "policy_id": "policy-1",
        "event_id": event,
        "event_time_ms": JUNE_28_MS - 86_400_000,
        "coverage_start_ms": JUNE_28_MS - 86_400_000,
        "product": "kawaach",
        "cell": CELL,
        "premium_paise": 4_900,
    }
    return Terms(**(fields | changed))


def balances(connection):
    """Of the accounts that are not zero."""
    rows = connection.execute("SELECT account, balance_paise FROM ledger.balances WHERE balance_paise <> 0")
    return {row["account"]: row["balance_paise"] for row in rows}


def entries(connection):
    """The keys of entries, sorted."""
    return [row["entry_key"] for row in connection.execute("SELECT entry_key FROM ledger.entries ORDER BY entry_key")]
