"""What is told of premiums, reserves and payouts becomes balanced entries, whatever is told again and in what order."""

from contextlib import nullcontext
from decimal import Decimal
from itertools import permutations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.book import CELL, JUNE_28_MS, OTHER_CELL, balances, entries, instruction, terms
from kit.examples import examples
from kit.postgres import new_ledger

from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.connection import connect

WEEK_MS = 7 * 86_400_000


@pytest.fixture
def ledger(address):
    with connect(address, "monsoon_dispatcher") as connection:
        yield connection


def test_a_premium_comes_in_once(ledger):
    assert book.record_terms(ledger, terms())
    assert not book.record_terms(ledger, terms())
    assert balances(ledger) == {"cash": 4_900, "premium_income": -4_900}


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_period_costs_what_its_last_event_states_whatever_their_order(ledger, order):
    """Bought, upgraded, cancelled, which states none; and another period."""
    told = [
        terms("e1"),
        terms("e2", event_time_ms=JUNE_28_MS, premium_paise=7_900),
        terms("e3", event_time_ms=JUNE_28_MS + 1, premium_paise=None),
        terms("e4", event_time_ms=JUNE_28_MS + 2, coverage_start_ms=JUNE_28_MS, premium_paise=100),
    ]
    for number in order:
        with ledger.transaction():
            assert book.record_terms(ledger, told[number])
    assert balances(ledger) == {"cash": 8_000, "premium_income": -8_000}
    assert sum(row["premium_paise"] for row in ledger.execute("SELECT * FROM ledger.loss_ratio")) == 8_000


def test_an_event_without_a_premium_has_no_entry(ledger):
    assert book.record_terms(ledger, terms(premium_paise=0))
    assert entries(ledger) == []


def test_a_reserve_is_what_was_told_last(ledger):
    reserve = {"product": "kawaach", "day": "2024-06-28", "cell": CELL, "event_time": JUNE_28_MS}
    assert book.record_reserve(ledger, reserve | {"reserve_id": "r1", "amount_paise": 1_000})
    assert book.record_reserve(ledger, reserve | {"reserve_id": "r2", "amount_paise": 400})
    assert not book.record_reserve(ledger, reserve | {"reserve_id": "r2", "amount_paise": 400})
    assert book.record_reserve(ledger, reserve | {"reserve_id": "r3", "amount_paise": 7, "day": "2024-06-29"})
    assert balances(ledger) == {"capital_committed": 407, "reserves": -407}


def test_a_payout_is_owed_then_paid_then_standing(ledger):
    assert book.record_instruction(ledger, instruction()) is None
    assert balances(ledger) == {"claims_incurred": 40_000, "claims_payable": -40_000}
    reference = instruction().reference_id
    assert book.record_paid(ledger, reference, 40_000, JUNE_28_MS)
    assert balances(ledger) == {"claims_incurred": 40_000, "cash": -40_000}
    assert not book.record_paid(ledger, reference, 40_000, JUNE_28_MS + 5)
    assert book.record_reversed(ledger, reference, 40_000, JUNE_28_MS)
    assert balances(ledger) == {"claims_incurred": 40_000, "claims_payable": -40_000}


@pytest.mark.parametrize(
    "told",
    [
        instruction(),
        instruction(amount_paise=90_000),
        instruction(fund_account_id="fa_2"),
        instruction(2, claim_id=instruction().claim_id),
    ],
    ids=["again", "of another amount", "to another account", "of the instalment by another reference"],
)
def test_an_instalment_is_instructed_once(ledger, told):
    """The first stands."""
    book.record_instruction(ledger, instruction())
    assert book.record_instruction(ledger, told) == instruction()
    assert balances(ledger) == {"claims_incurred": 40_000, "claims_payable": -40_000}


def test_the_loss_ratio_is_of_the_book_by_product_week_and_cell(ledger):
    for number, (product, cell) in enumerate([("kawaach", CELL), ("kawaach", OTHER_CELL), ("gic", CELL)]):
        policy = f"policy-{number}"
        book.record_terms(ledger, terms(policy_id=policy, product=product, cell=cell, premium_paise=10_000))
        book.record_instruction(ledger, instruction(number, policy_id=policy, amount_paise=3_000 * (number + 1)))
        book.record_paid(ledger, instruction(number).reference_id, 3_000 * (number + 1), JUNE_28_MS)
    book.record_reversed(ledger, instruction(1).reference_id, 6_000, JUNE_28_MS)
    book.record_terms(ledger, terms("e2", policy_id="policy-0", coverage_start_ms=JUNE_28_MS + WEEK_MS))
    rows = ledger.execute("SELECT * FROM ledger.loss_ratio ORDER BY product, iso_week, cell").fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("gic", "2024-W26", CELL, 10_000, 9_000, Decimal("0.9")),
        ("kawaach", "2024-W26", OTHER_CELL, 10_000, 0, 0),
        ("kawaach", "2024-W26", CELL, 10_000, 3_000, Decimal("0.3")),
        ("kawaach", "2024-W27", CELL, 4_900, 0, 0),
    ]


@pytest.mark.parametrize(
    ("at_ms", "week"),
    [(1_735_497_000_000 - 1, "2024-W52"), (1_735_497_000_000, "2025-W01")],
    ids=["2024-12-29T23:59:59.999+05:30", "2024-12-30T00:00+05:30"],
)
def test_weeks_of_the_loss_ratio_are_local_and_of_the_iso_year(ledger, at_ms, week):
    book.record_terms(ledger, terms(event_time_ms=at_ms, coverage_start_ms=at_ms, premium_paise=10_000))
    book.record_instruction(ledger, instruction(created_at_ms=at_ms, amount_paise=2_500))
    book.record_paid(ledger, instruction().reference_id, 2_500, at_ms)
    rows = ledger.execute("SELECT iso_week, premium_paise, payout_paise, loss_ratio FROM ledger.loss_ratio").fetchall()
    assert [tuple(row.values()) for row in rows] == [(week, 10_000, 2_500, Decimal("0.25"))]


def test_a_policy_that_moved_counts_where_it_was(ledger):
    book.record_terms(ledger, terms())
    book.record_terms(ledger, terms("e2", event_time_ms=JUNE_28_MS + 2, cell=OTHER_CELL))
    book.record_instruction(ledger, instruction())
    book.record_paid(ledger, instruction().reference_id, 40_000, JUNE_28_MS)
    rows = ledger.execute("SELECT cell, payout_paise FROM ledger.loss_ratio WHERE payout_paise > 0").fetchall()
    assert rows == [{"cell": CELL, "payout_paise": 40_000}]


ACTS = st.lists(st.tuples(st.sampled_from(["terms", "instruct", "paid", "reversed"]), st.integers(0, 2)), max_size=25)


@examples(15)
@given(acts=ACTS)
def test_the_book_follows_from_what_was_told(server, acts):
    """In any order, with repeats; what the schema refuses leaves nothing."""
    done = {act: set() for act in ("terms", "instruct", "paid", "reversed")}
    owed, paid = done["instruct"], done["paid"]
    with connect(new_ledger(server), "monsoon_dispatcher") as ledger:
        for act, number in acts:
            reference, amount = instruction(number).reference_id, 1_000 + number
            possible = {"paid": number in owed, "reversed": number in paid}.get(act, True)
            with nullcontext() if possible else pytest.raises(psycopg.IntegrityError):
                if act == "terms":
                    book.record_terms(ledger, terms(f"e{number}", coverage_start_ms=number, premium_paise=amount))
                elif act == "instruct":
                    book.record_instruction(ledger, instruction(number, amount_paise=amount))
                elif act == "paid":
                    book.record_paid(ledger, reference, amount, JUNE_28_MS)
                else:
                    book.record_reversed(ledger, reference, amount, JUNE_28_MS)
            if possible:
                done[act].add(number)
        standing = sum(1_000 + number for number in done["paid"] - done["reversed"])
        premiums = sum(1_000 + number for number in done["terms"])
        owed_paise = sum(1_000 + number for number in done["instruct"])
        assert balances(ledger).get("cash", 0) == premiums - standing
        assert balances(ledger).get("claims_payable", 0) == standing - owed_paise
