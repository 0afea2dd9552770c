"""Settled claims are in cold state: whatever asks for one later finds it as if it had stayed in memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import ScriptedScores, at, product_of, reading_record, subscription_record, terms, update
from kit.graph import Scripted, same
from kit.streams import report
from msgspec import structs

from monsoon.pipelines.operators.rider_machines import RiderMachines, restore_machines
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.transforms.adjudication.claims import Answer
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.identifiers import claim_id

HOUR = 60
DAY = 24 * HOUR
DAY_MS = DAY * 60_000


class Stored:
    """Machines with their state entries; `restart` makes them anew from these."""

    def __init__(self, product, scores):
        self.product, self.scores = product, scores
        self.entries, self.cold, self.read = {}, {}, []
        self._start()

    def _start(self):
        self.writer = StateWriter(cold=self._read_cold)
        self.machines = RiderMachines(self.product, "m1", self.scores, self.writer)

    def _read_cold(self, name):
        self.read.append(name)
        return self.cold.get(name)

    def save(self):
        for kept, changes in ((self.entries, self.writer.drain()), (self.cold, self.writer.drain_cold())):
            for name, payload in changes.items():
                kept.pop(name, None)
                if payload is not None:
                    kept[name] = payload
        assert not self.entries.keys() & self.cold.keys(), "a claim is in one place"

    def restart(self):
        self.save()
        self._start()
        restore_machines({self.product.name: self.machines}, self.entries)

    def run(self, worker, items, upto_ms):
        machine = self.machines.machine(worker)
        before = machine.published_statuses
        decided = run_rider(machine, items, upto_ms)
        refused = machine.take_refused()
        self.machines.save(worker)
        return before, decided, refused


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["end", "end", "end", "again", "answer", "withdraw"]),
        st.integers(0, 2),
        st.sampled_from([1, 1, 7 * HOUR, 7 * HOUR, 4 * DAY, 12 * DAY]),
        st.booleans(),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from(["kawaach/curfew", "jugaad/bandh"]))
def test_cold_claims_change_no_decision(events, risk, trigger):
    """Against a machine that keeps all claims in memory: what is decided, refused, and dropped when it is too old."""
    name, trigger = trigger.split("/")
    product = product_of(name)
    plain = RiderMachine(product, "m1", ScriptedScores(default=risk))
    stored = Stored(product, ScriptedScores(default=risk))
    now, last = 0, {}
    for what, number, gap, restarts in events:
        now += gap
        old = last.get(f"d{number}")
        item = updated(what, update(f"d{number}", now, trigger), now, old)
        if not isinstance(item, Answer):
            last[f"d{number}"] = item
        for items, upto_ms in (([], at(now) - 1), ([item], at(now))):
            stored.machines.settle(upto_ms)
            due = stored.machines.take_due(upto_ms)
            if items or due:
                before = plain.published_statuses
                decided = run_rider(plain, items, upto_ms)
                assert stored.run("w1", items, upto_ms) == (before, decided, plain.take_refused())
            assert plain.next_due_ms is None or plain.next_due_ms > upto_ms, "no timer is missed"
        plain.take_changed()
        dropped = plain.expire(at(now) - 20 * DAY_MS)
        assert stored.machines.expire(at(now) - 20 * DAY_MS) == dropped
        stored.machines.settle(at(now))
        if restarts:
            stored.restart()
    stored.save()
    kept = {name.rpartition("/")[2] for name in [*stored.entries, *stored.cold] if name.startswith("claim/")}
    assert kept == {claim.claim_id for claim in plain.claims}
    assert bool(stored.machines) == bool(plain.claims)


def updated(what, new, minutes, old):
    """An input of the machine: `new` where it has none of the disruption."""
    if old is None:
        return new
    if what == "answer":
        claim = claim_id("p1", new.disruption_id)
        return Answer(at(minutes), f"a{minutes}", "p1", claim, confirms=bool(minutes % 2))
    change = {
        "end": {"end_ms": max(at(minutes) - 30 * 60_000, old.start_ms + 1)},
        "withdraw": {"withdrawn": True},
        "again": {"terms": terms(), "withdrawn": False},
    }
    return structs.replace(old, at_ms=at(minutes), **change[what])


def test_what_is_not_asked_for_is_not_read():
    """Of two riders with a settled claim: neither at a restart, nor when the claims are dropped; one when asked."""
    stored = Stored(product_of("kawaach"), ScriptedScores())
    for worker in ("w1", "w2"):
        stored.run(worker, [update("d1", 0, terms=terms(worker_id=worker), end_ms=at(60))], at(60))
    stored.machines.settle(at(5 * HOUR))
    stored.save()
    assert not stored.cold
    stored.machines.settle(at(8 * HOUR))
    stored.restart()
    assert len(stored.cold) == 2
    assert sorted(stored.entries) == ["settled/w1/kawaach", "settled/w2/kawaach"]
    assert stored.read == []
    stored.run("w1", [update("d2", DAY)], at(DAY))
    assert [name.split("/")[2] for name in stored.read] == ["w1"]
    stored.machines.expire(at(12 * HOUR))
    stored.save()
    assert [name for name in [*stored.entries, *stored.cold] if "w2" in name] == []
    assert len(stored.read) == 1


def test_claims_of_a_product_that_does_not_run_are_refused():
    """Cold or not: state with them is of another job."""
    stored = Stored(product_of("kawaach"), ScriptedScores())
    stored.run("w1", [update("d1", 0, end_ms=at(60))], at(60))
    for _ in range(2):
        stored.save()
        with pytest.raises(KeyError):
            restore_machines({}, stored.entries)
        stored.machines.settle(at(DAY))


POLICY = {"policy_id": "p1", "device_id": "d1x", "payout_account": "u1x"}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_correction_of_a_settled_claim(tmp_path, restarts):
    """Two days later the rain is corrected: the level falls, what was paid stays paid and is listed for review."""
    source = Scripted(tmp_path / "in", buckets=1)
    rain = [
        reading_record("rain_mm_24h", value, minutes, reading_id=f"{provider}-{minutes}", provider=provider)
        for minutes, value in ((0, 130.0), (60, 10.0))
        for provider in ("imd", "skymet")
    ]
    corrected = rain[0] | {"value": 70.0, "revision": 1, "issued_time": at(2 * DAY)}
    source.play([(None, {"subscriptions": [subscription_record("activated", -10, -10, 30 * DAY, **POLICY)]})])
    source.play([(-60, {"telemetry": [report("w1", minutes) for minutes in range(-60, 90)]})])
    source.play([(0, {"oracle_readings": rain})])
    source.play([(hour * HOUR, {}) for hour in range(2, 48)])
    assert kinds(source) == {"progress", "settled", "claim", "compared", "wages"}
    assert not [name for name in source.graph.state["adjudicate-claims"][0] if name.startswith("claim/")]
    if restarts:
        source.restore()
    source.play([(2 * DAY, {"oracle_readings": [corrected]}), (2 * DAY + 60, {})])
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    assert len(outcome.payouts) == 1
    assert max(claim["revision"] for claim in outcome.claims) == 1


def kinds(source):
    return {kind for uid, kind, _, _ in source.graph.entries() if uid == "adjudicate-claims"}
