"""Subtasks whose watermarks differ, bundles that hold a watermark back, restarts anywhere: the replay's records."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit import LAT, LON, at, golden, reading_record
from kit.graph import StillPhoneScorer, locally, same, settings_of
from kit.reserves import RESERVES, answer
from kit.streams import in_order, policy_record, report, small_storm, write_streams
from operators import test_guard
from operators.test_received import work
from operators.test_witness import outage_day

from monsoon.pipelines.flink.file_splits import intervals_of, plan
from monsoon.pipelines.runtime.intervals import FixedIntervals
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS
from monsoon.pipelines.topology import OPERATORS, operators_of

pytestmark = pytest.mark.flink  # for its process functions; no JVM is started
PART_BYTES = 8_000


def on_and_off():
    """A curfew that begins and ends every ten minutes."""
    curfew = [reading_record("curfew", int(m // 5 % 2), m, reading_id=f"c{m}") for m in range(-40, 60, 5)]
    return small_storm(every_min=2.0) | {"oracle_readings": curfew}


def places_apart():
    """Short curfews one after another in eight places, so that several triggers and neighborhoods work at once."""
    telemetry, readings, policies = [], [], []
    for n in range(32):
        lat, lon = LAT + 0.02 * (n % 4), LON + 0.02 * (n // 4 % 2)
        telemetry += [report(f"w{n}", minutes, lat=lat, lon=lon) for minutes in range(-60, 70, 5)]
        policies.append(policy_record(f"w{n}", f"p{n}", home_lat=lat, home_lon=lon))
        for value, minutes in ((1, -35 + 10 * n), (0, -15 + 10 * n)) if n < 8 else ():
            where = {"lat": lat, "lon": lon, "radius_km": 1.0}
            readings.append(reading_record("curfew", value, minutes, reading_id=f"c{n}-{minutes}", **where))
    return {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": policies}


def of_reserves_and_answers():
    return golden.storm() | {"reserves": RESERVES, "confirmations": [answer("a", 100)]}


def guarded():
    """Riders whom the guard asks, their answers, and what their phones report since."""
    with TemporaryDirectory() as folder:
        return test_guard.answered(Path(folder))


STORMS = {
    "golden": (of_reserves_and_answers, StillPhoneScorer),
    "on-and-off": (on_and_off, None),
    "small": (lambda: small_storm(every_min=1.0), None),
    "places": (places_apart, None),
    "work": (lambda: work(small_storm(every_min=2.0)), None),
    "outage": (outage_day, None),
    "guard": (guarded, StillPhoneScorer),
}


def written(tmp_path, storm):
    """The storm's folder, and its scorer."""
    records, scorer = STORMS[storm]
    write = test_guard.written if storm == "guard" else write_streams
    return write(tmp_path / "in", in_order(records())), scorer and scorer()


def check(tmp_path, storm, seed, parallelism=2):
    from kit.cluster import Job

    source, scorer = written(tmp_path, storm)
    chance = random.Random(seed)
    parts, _ = plan(source, PART_BYTES)
    planned = intervals_of(parts, PART_BYTES)
    intervals = {"planned": planned, "short": FixedIntervals()}[chance.choice(["planned", "short"])]
    job = Job(settings_of(source, 4, intervals=intervals), parts, chance, parallelism, scorer)
    while not job.ended:
        job.run(chance.randint(500, 6000))
        if not job.ended:
            job.restart()
    collected = job.collected()
    same(collected.outcome, locally(source, scorer)[1])
    assert not collected.late


@pytest.mark.parametrize("storm", ["golden", "on-and-off"])
def test_the_replays_records(tmp_path, storm):
    check(tmp_path, storm, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(("storm", "seed"), [(storm, 1 + number % 2) for number, storm in enumerate(STORMS)])
def test_the_replays_records_however_subtasks_stray(tmp_path, storm, seed):
    check(tmp_path, storm, seed, parallelism=1 + seed)


class InOrder:
    """No chance: the first of those that can go on."""

    def random(self):
        return 1.0

    def choice(self, some):
        return some[0]


QUARTER_MS = 900_000
UIDS = [operator.uid for operator in OPERATORS]


def one_goes_ahead(tmp_path, storm, uid, first, restarts):
    """Of two watermarks one subtask of the operator hears of the second only, and has sent all up to it when the
    operators after it hear of the first, from the other subtask."""
    from kit.cluster import Job

    source, scorer = written(tmp_path, storm)
    settings = settings_of(source, 4)
    job = Job(settings, plan(source, 1_000_000)[0], InOrder(), 2, scorer)
    for _ in job.parts:
        job.give()
    job.settle()
    later = job.subtasks_of([each.uid for each in operators_of(settings) if UIDS.index(each.uid) > UIDS.index(uid)])
    ahead, other = (uid, first), (uid, 1 - first)
    # The curfew at 0 and the rain at 30 lie between a second and a first: claims are decided where one goes ahead.
    marks = [at(-45) - 1 + QUARTER_MS * number for number in range(4 * 8)]
    for one, next_ in zip(marks[::2], marks[1::2], strict=True):
        job.mark(one)
        job.settle(later, busy=[ahead])
        job.mark(next_)
        job.settle([other, *later], busy=[ahead])
        job.settle([other, *later])
        if restarts:
            job.restart()
        job.settle([other])
        job.settle()
    job.mark(END_OF_TIME_MS)
    job.settle()
    same(job.collected().outcome, locally(source, scorer)[1])


@pytest.mark.parametrize("restarts", [False, True])
def test_riders_of_one_subtask_go_ahead(tmp_path, restarts):
    one_goes_ahead(tmp_path, "golden", "riders-evidence", 0, restarts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uid", "first"),
    [("deduplicate-records", 0), ("riders-evidence", 1), ("compare-neighbors", 0), ("adjudicate-claims", 1)],
)
def test_one_subtask_on_the_way_of_answers_goes_ahead(tmp_path, uid, first):
    one_goes_ahead(tmp_path, "guard", uid, first, restarts=bool(first))


@pytest.mark.slow
@pytest.mark.parametrize(("uid", "first"), [(uid, number % 2) for number, uid in enumerate(UIDS)])
def test_one_subtask_of_any_operator_goes_ahead(tmp_path, uid, first):
    storm = "outage" if "witness" in uid else "golden"
    one_goes_ahead(tmp_path, storm, uid, first, restarts=bool(first))
