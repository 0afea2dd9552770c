"""The book against the provider's statement: lost webhooks are made up for, differences become entries, once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.book import JUNE_28_MS, instruction
from kit.examples import examples
from kit.payments import DAY_MS, PAYOUT_OF_ONE

from monsoon.sinks.dispatcher.provider import Transaction, payout_of
from monsoon.sinks.dispatcher.reconcile import compare, reconcile
from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.provider_simulator.script import Misbehavior

HOUR_MS = 3_600_000
DAY = (JUNE_28_MS // 1000, JUNE_28_MS // 1000 + 86_400)
REFERENCE = instruction(1).reference_id


def run(counter, provider=None):
    return reconcile(counter.store, provider or counter.provider, *DAY)


def test_a_day_that_agrees(counter):
    counter = counter(Misbehavior(seed=4, faults=0.3, reversed=0.2, failed=0.1, settle_ms=5_000))
    counter.instruct(*range(15))
    counter.work(6 * HOUR_MS, 900_000)
    report = run(counter)
    assert report.differences == ()
    assert (
        report.provider_paise
        == report.ledger_paise
        == counter.balances()["cash"]
        == -sum(counter.paid_by_provider().values())
    )
    assert json.loads(json.dumps(report.document()))["agrees"] is True


def test_what_no_webhook_told_is_taken_in(counter):
    """Payouts whose answers were lost, and one that was reversed afterwards."""
    counter = counter()
    counter.instruct(1, 2, 3)
    counter.work(60_000)
    counter.book.inject(REFERENCE, "reversed")
    counter.instruct(4)
    lost = counter.store.claim("dies")
    counter.book.create(lost[0].key, lost[0].body)
    report = run(counter)
    assert report.caught_up == (REFERENCE, instruction(4).reference_id)
    assert report.differences == ()
    assert counter.states() == {1: "reversed", 2: "paid", 3: "paid", 4: "paid"}
    assert run(counter).caught_up == ()


def test_what_is_paid_meanwhile_is_no_difference(counter):
    """Between the statement and the book an instance pays, and a bank returns what was paid before."""
    counter = counter()
    counter.instruct(1, 2)
    counter.work(60_000)
    until_s = counter.now_ms // 1000

    def meanwhile(lines):
        counter.instruct(3)
        counter.instance().work_once()
        counter.book.inject(REFERENCE, "reversed")
        counter.store.observe(counter.provider.payout(counter.book.by_reference(REFERENCE)[0]["id"]), "webhook")
        return lines

    report = reconcile(counter.store, Statement(counter.provider, meanwhile), DAY[0], until_s)
    assert report.differences == ()
    assert counter.states() == {1: "reversed", 2: "paid", 3: "paid"}
    assert counter.balances() == {"claims_incurred": 120_000, "claims_payable": -40_000, "cash": -80_000}
    assert reconcile(counter.store, counter.provider, *DAY).differences == ()


class Statement:
    """A provider's statement with some lines changed."""

    def __init__(self, provider, change):
        self.provider, self.change = provider, change
        self.payout = provider.payout

    def statement(self, from_s, to_s):
        return self.change(list(self.provider.statement(from_s, to_s)))


def changed(line, **fields):
    return Transaction(*(fields.get(name, getattr(line, name)) for name in Transaction.__slots__))


def differing(counter, change):
    """The difference that a statement makes, and that it makes it once."""
    counter.instruct(1, 2)
    counter.work(60_000)
    before = counter.balances()["cash"]
    report = run(counter, Statement(counter.provider, change))
    assert run(counter, Statement(counter.provider, change)).differences == ()
    (difference,) = report.differences
    assert counter.balances()["cash"] - before == difference.paise
    assert counter.balances()["provider_differences"] == -difference.paise
    return difference


def test_the_provider_paid_another_amount(counter):
    difference = differing(counter(), lambda lines: [changed(lines[0], paise=-50_000), *lines[1:]])
    assert (difference.provider_paise, difference.ledger_paise, difference.paise) == (-50_000, -40_000, -10_000)


def test_the_provider_paid_twice(counter):
    difference = differing(counter(), lambda lines: [*lines, changed(lines[0], transaction_id="txn_again")])
    assert difference.paise == -40_000


def test_the_statement_lacks_a_payment(counter):
    difference = differing(counter(), lambda lines: lines[1:])
    assert (difference.provider_paise, difference.paise) == (0, 40_000)


def test_a_payout_that_nobody_instructed(counter):
    difference = differing(counter(), lambda lines: [*lines, Transaction("txn_x", "pout_x", -7_000, JUNE_28_MS)])
    assert (difference.subject, difference.paise) == ("pout_x", -7_000)


def test_money_that_was_added_is_no_difference(counter):
    counter = counter()
    counter.instruct(1)
    counter.work(60_000)
    report = run(counter, Statement(counter.provider, lambda lines: [*lines, Transaction("t", None, 10**9, 0)]))
    assert (report.differences, report.lines_of_others) == ((), 1)


def test_a_statement_that_comes_right_again(counter):
    """The line that was missing is there the next day: a further entry takes back the first."""
    counter = counter()
    differing(counter, lambda lines: lines[1:])
    report = reconcile(counter.store, counter.provider, DAY[0], DAY[1] + 1)
    assert [each.paise for each in report.differences] == [-40_000]
    assert counter.balances() == {"claims_incurred": 80_000, "cash": -80_000}


def test_a_reversal_days_after_the_payment(counter):
    """The statement of that day has one side of it alone."""
    counter = counter()
    counter.instruct(1)
    counter.work(60_000)
    counter.now_ms += 10 * DAY_MS
    counter.book.inject(REFERENCE, "reversed")
    counter.store.observe(counter.provider.payout(counter.book.by_reference(REFERENCE)[0]["id"]), "webhook")
    day_s = counter.now_ms // 1000
    assert reconcile(counter.store, counter.provider, day_s - 3_600, day_s + 3_600).differences == ()


@pytest.mark.parametrize("skew_s", [-600, 600])
def test_a_clock_that_is_ten_minutes_off(counter, skew_s):
    """The provider's: a payment just before midnight stands on its statement of the next day, or the other way."""
    counter = counter(Misbehavior(clock_skew_s=skew_s))
    counter.now_ms = 1_000 * DAY[1] - 300_000
    counter.instruct(1)
    counter.work(60_000)
    assert run(counter).differences == ()
    assert reconcile(counter.store, counter.provider, DAY[1], DAY[1] + 86_400).differences == ()


SUMS = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from(["debit", "credit"])), st.integers(-99, 99))


@examples(100)
@given(provider=SUMS, ledger=SUMS)
def test_differences_are_what_makes_both_equal(provider, ledger):
    mended = dict(ledger)
    for each in compare(provider, ledger):
        assert each.paise
        mended[each.subject, each.side] = mended.get((each.subject, each.side), 0) + each.paise
    assert {key: paise for key, paise in mended.items() if paise} == {
        key: paise for key, paise in provider.items() if paise
    }


def test_the_book_itself_keeps_differences_apart(counter):
    counter = counter()
    assert book.record_difference(counter.store.connection, "x/debit", -5, 1, "debit")
    assert not book.record_difference(counter.store.connection, "x/debit", -5, 1, "debit")
    assert counter.balances() == {"cash": -5, "provider_differences": 5}


def lost(counter):
    """A payment that the provider made, and of whose answer nobody heard."""
    counter.instruct(1)
    (work,) = counter.store.claim("dies")
    counter.book.create(work.key, work.body)


def test_what_was_caught_up_with_weeks_later_is_no_difference_the_next_day(counter):
    """Its entry is of the day on which the book heard of it, its line on the statement of weeks before."""
    counter = counter()
    lost(counter)
    counter.now_ms += 20 * DAY_MS
    now_s = counter.now_ms // 1000
    assert reconcile(counter.store, counter.provider, now_s - 30 * 86_400, now_s + 1).caught_up == (REFERENCE,)
    counter.now_ms += HOUR_MS
    report = reconcile(counter.store, counter.provider, now_s + 3_600 - 86_400, now_s + 3_600)
    assert (report.differences, report.provider_paise, report.ledger_paise) == ((), -40_000, -40_000)


def test_dispatchers_that_were_down_for_days(counter):
    counter = counter()
    lost(counter)
    counter.now_ms += 3 * DAY_MS
    counter.work(60_000)
    now_s = counter.now_ms // 1000
    assert reconcile(counter.store, counter.provider, now_s - 86_400, now_s).differences == ()
    assert counter.states() == {1: "paid"}


def test_what_the_statement_never_had_is_a_difference_however_late_the_book_heard(counter):
    counter = counter()
    lost(counter)
    counter.now_ms += 3 * DAY_MS
    counter.work(60_000)
    now_s = counter.now_ms // 1000
    report = reconcile(counter.store, Lines([]), now_s - 86_400, now_s)
    assert [(each.subject, each.paise) for each in report.differences] == [(REFERENCE, 40_000)]


class Lines:
    """A statement of these lines, whose payouts the provider does not show."""

    def __init__(self, lines):
        self.lines = lines

    def statement(self, from_s, to_s):
        return [line for line in self.lines if from_s <= line.at_ms // 1000 <= to_s]

    def payout(self, provider_id):
        return None


def test_a_payout_that_nobody_instructed_and_that_came_back_days_later(counter):
    """Its sides are differences of two days; a longer reconciliation finds both in the book."""
    counter, begin_s = counter(), DAY[0]
    statement = Lines(
        [
            Transaction("txn_1", "pout_x", -7_000, JUNE_28_MS),
            Transaction("txn_2", "pout_x", 7_000, JUNE_28_MS + 4 * DAY_MS),
        ]
    )
    for first, last in ((0, 1), (4, 5)):
        found = reconcile(counter.store, statement, begin_s + first * 86_400, begin_s + last * 86_400)
        assert len(found.differences) == 1
    assert reconcile(counter.store, statement, begin_s, begin_s + 5 * 86_400).differences == ()
    assert counter.balances() == {}


def test_a_payout_of_nobody_that_grows(counter):
    counter = counter()
    lines = [Transaction(f"txn_{number}", "pout_x", -7_000, JUNE_28_MS) for number in range(3)]
    found = [run(counter, Lines(lines[:number])).differences for number in (1, 2, 3, 3)]
    assert [[each.paise for each in differences] for differences in found] == [[-7_000], [-7_000], [-7_000], []]
    assert counter.balances()["cash"] == -21_000


def test_an_instruction_that_becomes_known_after_its_payout(counter):
    """Of a ledger that is behind after a failover: reconciled first, and paid by the same key afterwards."""
    counter = counter()
    lines = [Transaction("txn_1", "pout_1", -40_000, JUNE_28_MS)]
    assert len(run(counter, Lines(lines)).differences) == 1
    counter.instruct(1)
    counter.store.claim("any")
    assert counter.store.observe(payout_of(PAYOUT_OF_ONE), "call") == "noted"
    assert [(each.subject, each.paise) for each in run(counter, Lines(lines)).differences] == [(REFERENCE, 40_000)]
    assert run(counter, Lines(lines)).differences == ()
    assert counter.balances() == {"claims_incurred": 40_000, "cash": -40_000}


def test_the_same_time_reconciled_again_with_another_statement(counter):
    """The line that was missing is there: the difference is taken back, also by a report up to the same moment."""
    counter = counter()
    differing(counter, lambda lines: lines[1:])
    assert [each.paise for each in run(counter).differences] == [-40_000]
    assert run(counter).differences == ()
    assert counter.balances() == {"claims_incurred": 80_000, "cash": -80_000}


def test_two_reconciliations_at_once(counter):
    """Each would write the differences that the other has found too."""
    counter = counter()
    counter.instruct(1)
    counter.work(60_000)

    def meanwhile(lines):
        with pytest.raises(LedgerError, match="another reconciliation"):
            reconcile(counter.new_store(), counter.provider, *DAY)
        return lines[1:]

    assert len(run(counter, Statement(counter.provider, meanwhile)).differences) == 1
    assert len(reconcile(counter.new_store(), counter.provider, *DAY).differences) == 1
    assert counter.balances() == {"claims_incurred": 40_000, "cash": -40_000}
