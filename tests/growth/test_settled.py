"""What a rider's news cost where others have settled claims: nothing is read of these, nor at a restart."""

from kit import ScriptedScores, at, kawaach, terms, update
from kit.growth import CONSTANT, growth

from monsoon.pipelines.operators.rider_machines import RiderMachines, restore_machines
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.transforms.adjudication.driver import run_rider

DAY = 24 * 60


def run(machines, worker, minutes):
    item = update("d1", minutes, terms=terms(worker_id=worker), end_ms=at(minutes + 60))
    decided = run_rider(machines.machine(worker), [item], at(minutes))
    machines.save(worker)
    return decided


def refuse(name):
    raise AssertionError(f"{name} is read")


def test_settled_claims_of_other_riders():
    """A claim, and the hourly look for what is settled by now."""

    def prepare(count):
        machines = RiderMachines(kawaach(), "m1", ScriptedScores(), StateWriter(cold=refuse))
        for number in range(count):
            run(machines, f"w{number}", 0)
        machines.settle(at(DAY))
        before = {name: payload for name, payload in machines._state.drain().items() if payload is not None}
        assert len(machines._state.drain_cold()) == len(before) == count
        restored = RiderMachines(kawaach(), "m1", ScriptedScores(), StateWriter(cold=refuse))
        restore_machines({"kawaach": restored}, before)

        def work():
            claims, payouts = run(restored, "new", 2 * DAY)
            assert len(claims) == len(payouts) == 1
            restored.settle(at(2 * DAY + 30))

        return work

    assert growth(prepare, 30) < CONSTANT
