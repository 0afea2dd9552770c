"""The dispatcher dies at each of its lines in turn: nothing is lost, and nothing is paid twice.

After the exception its connection is closed in the middle of whatever it was doing, as the end of a process would.
"""

import sys
from pathlib import Path

import pytest
from kit.book import instruction
from kit.examples import mostly_slow

from monsoon.sinks.dispatcher import dispatcher, store
from monsoon.sinks.ledger import book
from monsoon.sinks.provider_simulator.script import Misbehavior

FILES = {str(Path(module.__file__).resolve()) for module in (dispatcher, store, book)}
FATE = Misbehavior(seed=2, settle_ms=5_000, faults=0.3, failed=0.2, reversed=0.3)
LEASE_MS = 30_000
AMOUNT = 40_000


class Died(BaseException):
    """Not to be caught by any handler of errors."""


class At:
    """Raises at the given line of those that are run in the dispatcher's modules, counted from 0."""

    def __init__(self, at):
        self.at, self.count, self.where = at, 0, None

    def __call__(self, frame, event, argument):
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            if self.count == self.at:
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                sys.settrace(None)
                raise Died(self.where)
            self.count += 1
        return self


def live(counter, number, at):
    """The life of one payment in an instance that dies at a line, then in another; the line, None past the last."""
    doomed = counter.new_store(lease_ms=LEASE_MS)
    trace = At(at)
    sys.settrace(trace)
    try:
        doomed.take_in([instruction(number)])
        instance = counter.instance(doomed)
        for _ in range(4):
            instance.work_once()
            counter.now_ms += 20_000
    except Died:
        pass
    finally:
        sys.settrace(None)
        doomed.connection.close()
    counter.connections.remove(doomed.connection)
    # The topic tells of it again, since its offset was not committed.
    counter.instruct(number)
    return trace.where


@pytest.mark.parametrize(("fate", "step"), mostly_slow([(FATE, 4), (Misbehavior(), 1)]), ids=["misbehaves", "behaves"])
def test_a_death_at_any_line(counter, fate, step):
    """With a provider that misbehaves at every fourth line: it makes the same lines run some six times each."""
    counter = counter(fate, lease_ms=LEASE_MS)
    places = []
    for number, at in enumerate(range(0, 10_000, step)):
        where = live(counter, number, at)
        if where is None:
            break
        places.append(where)
    # Until every lease has ended and every payment is settled.
    counter.work(6 * 3_600_000, 900_000)
    states = counter.states()
    assert set(states) == set(range(number + 1)), "one is lost"
    assert set(states.values()) <= {"paid", "failed", "reversed"}
    paid = {number: AMOUNT for number, state in states.items() if state == "paid"}
    assert counter.paid_by_provider() == paid
    owed = AMOUNT * len(states) - sum(paid.values())
    assert counter.balances().get("cash", 0) == -sum(paid.values())
    assert counter.balances().get("claims_payable", 0) == -owed
    assert counter.anomalies() == []
    twice = [key for key, sums in counter.book.debits.items() if len(sums) > 1]
    assert twice == []
    assert len(places) > 150
    assert {place.partition(":")[0] for place in places} == {"dispatcher.py", "store.py", "book.py"}
