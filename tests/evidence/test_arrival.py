"""When reports were received: what came after a decision is no part of it, what came too late is no history."""

import math
import random

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, reports, telemetry_table_of
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.evidence.arrival import received_rows, rows_received_later
from monsoon.transforms.evidence.features import FEATURES
from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.pane_aggregation import panes_of

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DELAYS_MS = (None, None, 0, 2_000, 10 * MINUTE_MS, 40 * MINUTE_MS, 5 * HOUR_MS, 6 * HOUR_MS + 1, 3 * DAY_MS)
BATCH = ("barometric_delta_match", "claim_burst_rank", "peer_divergence")


def _history(seed: int) -> list[dict]:
    """Ten riders on seven phones over nine days, the last hours close together; received in every way."""
    generator = random.Random(seed)
    rows = []
    for rider in range(10):
        ends = [NOW_MS - day * DAY_MS - generator.randint(0, 3) * HOUR_MS for day in range(1, 9)]
        mine = [row for end_ms in ends for row in reports("", 12, end_ms=end_ms, step_ms=4 * MINUTE_MS)]
        mine += reports("", 90, end_ms=NOW_MS + 20 * MINUTE_MS, step_ms=2 * MINUTE_MS)
        lag_ms = generator.choice((0, 0, 35 * MINUTE_MS))
        for number, row in enumerate(mine):
            delay_ms = generator.choice(DELAYS_MS)
            row |= {
                "worker": f"w{rider}",
                "event_id": f"{rider}-{number}",
                "device": f"d{generator.choice((rider, rider, rider % 7))}",
                "lat": CENTER[0] + generator.gauss(0, 7e-4),
                "lon": CENTER[1] + generator.gauss(0, 7e-4),
                "accel_var": generator.uniform(0, 3),
                "pressure_hpa": generator.uniform(990, 991),
                "cn0_dbhz": generator.uniform(25, 40),
                "agc_db": generator.uniform(38, 46),
                "battery_pct": generator.uniform(20, 80),
                "charging": 0,
                "speed_mps": generator.choice((0.1, 4.0, None)),
                "gnss_time_ms": row["event_time_ms"] - generator.choice((0, 0, 900_000)),
                "network_time_ms": row["event_time_ms"],
                "mock": generator.choice((0, 0, 1, None)),
                "bssids": generator.sample(["a", "b"], 1),
                "cell": "LTE-404-45-1-1",
                "app_state": generator.choice(("online", "on_trip", "offline")),
                "orders_completed": generator.choice((0, 1, None)),
                "platform": "zepto",
                "received_time_ms": None if delay_ms is None else row["event_time_ms"] + delay_ms + lag_ms,
            }
        rows += mine
    return rows


def _measured(rows: list[dict], confirmed_ms: int, decided_ms: int, rescored: int = 0):
    telemetry = telemetry_table_of(rows)
    workers = [f"w{rider}" for rider in range(10)]
    codes = [telemetry.workers.index(worker) if worker in telemetry.workers else -1 for worker in workers]
    count = len(codes)
    queries = Queries.of(
        9, codes, [ZONE] * count, [confirmed_ms] * count,
        decided_at_ms=[decided_ms] * count, rescored=[rescored] * count, batch=[0] * count,
        orders_per_hour=[2.0] * count,
    )  # fmt: skip
    points, cells = np.full(len(telemetry.bssids), CENTER[0]), np.full(len(telemetry.cells), CENTER[0] + 0.02)
    references = References(
        cells, np.full(len(cells), CENTER[1]), np.full(len(cells), 800.0), points, np.full(len(points), CENTER[1])
    )
    return measure(telemetry, panes_of(telemetry), references, queries)


def _same(left, right, names):
    for name in names:
        assert left.values[name].tobytes() == right.values[name].tobytes(), name
        assert left.reports[name].tobytes() == right.reports[name].tobytes(), name


def _received_by(rows: list[dict], at_ms: int) -> list[dict]:
    return [row for row in rows if row["received_time_ms"] is None or row["received_time_ms"] <= at_ms]


def _anchors(rows: list[dict]) -> list[dict]:
    """Each rider's report by which presence at NOW_MS is established."""
    present = [row for row in _received_by(rows, NOW_MS + 15 * MINUTE_MS) if row["event_time_ms"] <= NOW_MS]
    of_riders = {row["worker"]: row for row in sorted(present, key=lambda row: (row["event_time_ms"], row["event_id"]))}
    return list(of_riders.values())


@pytest.mark.parametrize("seed", range(6))
def test_what_is_received_after_a_decision_changes_nothing_of_it_but_for_the_anchor(seed):
    rows = _history(seed)
    in_time = _received_by(rows, NOW_MS)
    before = [*in_time, *(row for row in _anchors(rows) if row not in in_time)]
    assert len(in_time) < len(before) < len(rows)
    evidence = _measured(rows, NOW_MS, NOW_MS)
    _same(evidence, _measured(before, NOW_MS, NOW_MS), [feature.name for feature in FEATURES])
    measured = {name for name, values in evidence.values.items() if np.isfinite(values).any()}
    assert {"shift_pattern", "gnss_cn0_agc_anomaly", "battery_drain_z", "riders_on_device_28d", *BATCH[:1]} <= measured


@pytest.mark.parametrize("seed", range(3))
def test_a_rescore_uses_what_came_by_then_but_the_batch_is_closed(seed):
    rows, later_ms = _history(seed), NOW_MS + 15 * MINUTE_MS
    rescored = _measured(rows, NOW_MS, later_ms, rescored=1)
    by_then = _received_by(rows, later_ms)
    own = [feature.name for feature in FEATURES if feature.name not in BATCH[1:]]
    _same(rescored, _measured(by_then, NOW_MS, later_ms, rescored=1), own)
    _same(rescored, _measured(rows, NOW_MS, NOW_MS), BATCH[1:])
    window = [row["worker"] for row in by_then if later_ms - 30 * MINUTE_MS < row["event_time_ms"] <= later_ms]
    counts = [window.count(f"w{rider}") for rider in range(10)]
    assert sum(counts) > 60
    assert all(
        not count or count == found
        for count, found in zip(counts, rescored.reports["accelerometer_variance"], strict=True)
    )


@pytest.mark.parametrize(("delay_ms", "counts"), [(0, 2), (1, 1)])
def test_received_at_the_decision_is_evidence_for_it(one, delay_ms, counts):
    rows = reports("w", 2, accel_var=[1.0, 3.0], received_time_ms=[NOW_MS + delay_ms, NOW_MS])
    assert one(rows, "accelerometer_variance")[1] == counts
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 1])[1] == 2


def test_the_features_of_a_window_leave_out_what_lay_between(one):
    """A report that was not received is no neighbor of the others: no jump to it and back."""
    away = [CENTER[0], CENTER[0] + 1.0, CENTER[0]]
    rows = reports("w", 3, lat=away, accuracy_m=5.0, received_time_ms=[None, NOW_MS + 1, None])
    assert one(rows, "max_implied_speed_mps") == (0.0, 1)
    assert one(rows, "max_implied_speed_mps", decided_at_ms=[NOW_MS + 1])[0] > 1000
    first = reports("w", 1, end_ms=NOW_MS, device="a") + reports("w", 1, end_ms=NOW_MS, device="b")
    first[1] |= {"received_time_ms": NOW_MS + 1, "event_id": "z"}
    first[0] |= {"event_id": "a"}
    assert one(first, "riders_on_device_28d") == (1.0, 1)


def _weeks(delay_ms: int) -> list[dict]:
    """Ten days of an hour's work at this time, each report received so long after its event_time."""
    rows = []
    for day in range(1, 11):
        rows += reports("w", 30, end_ms=NOW_MS - day * DAY_MS, step_ms=2 * MINUTE_MS, agc_db=44.0, cn0_dbhz=30.0)
    for row in rows:
        row["received_time_ms"] = row["event_time_ms"] + delay_ms
    return rows + reports("w", 4, agc_db=38.0, cn0_dbhz=40.0)


@pytest.mark.parametrize(("delay_ms", "builds"), [(6 * HOUR_MS, True), (6 * HOUR_MS + 1, False), (30 * DAY_MS, False)])
def test_what_came_more_than_six_hours_late_builds_no_baseline_and_no_habit(one, delay_ms, builds):
    for feature, expected in (("shift_pattern", (1.0, 300)), ("gnss_cn0_agc_anomaly", (1.0, 4))):
        value, count = one(_weeks(delay_ms), feature)
        assert (value, count) == expected if builds else (math.isnan(value) and count == 0)


@pytest.mark.parametrize(("delay_ms", "blocks"), [(6 * HOUR_MS, True), (6 * HOUR_MS + 1, False)])
def test_nor_a_baseline_of_the_battery(one, delay_ms, blocks):
    before = reports(
        "w", 241, end_ms=NOW_MS - 12 * HOUR_MS, step_ms=MINUTE_MS, charging=0,
        battery_pct=[90 - index / 6 for index in range(241)],
    )  # fmt: skip
    for row in before:
        row["received_time_ms"] = row["event_time_ms"] + delay_ms
    now = reports("w", 30, step_ms=MINUTE_MS, charging=0, battery_pct=[40 - index / 4 for index in range(30)])
    assert math.isnan(one(before + now, "battery_drain_z")[0]) is not blocks


def test_who_used_a_phone_is_no_habit(one):
    """A report that came too late for a baseline still says that its rider was on the phone."""
    other = reports("other", 1, end_ms=NOW_MS - 2 * DAY_MS, device="shared", received_time_ms=NOW_MS - DAY_MS)
    rows = other + reports("w", 3, device="shared")
    assert one(rows, "riders_on_device_28d")[0] == 2.0
    other[0]["received_time_ms"] = NOW_MS + 1
    assert one(rows, "riders_on_device_28d")[0] == 1.0


def test_a_phones_fix_before_the_window_must_have_been_received_too(one):
    before = reports("w", 2, end_ms=NOW_MS - 31 * MINUTE_MS, gnss_time_ms=[NOW_MS - 100_000, NOW_MS])
    before[1]["received_time_ms"] = NOW_MS + 1
    now = reports("w", 1, gnss_time_ms=NOW_MS - 2_000, network_time_ms=NOW_MS)
    assert one(before + now, "gnss_network_time_delta_s") == (2.0, 1)
    assert math.isnan(one(before + now, "gnss_network_time_delta_s", decided_at_ms=[NOW_MS + 1])[0])


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "worker": st.sampled_from(["a", "b", "c"]),
                "event_time_ms": st.integers(0, 50),
                "received_time_ms": st.none() | st.integers(0, 100),
                "lat": st.just(1.0),
                "lon": st.just(1.0),
            }
        ),
        max_size=30,
    ),
    st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 60), st.integers(0, 60), st.integers(0, 110)), max_size=6),
)
def test_rows_by_arrival_are_those_that_a_plain_search_finds(rows, questions):
    telemetry = telemetry_table_of(rows)
    questions = [each for each in questions if each[0] < len(telemetry.workers)]
    code, start, length, by = np.array(questions, dtype=np.int64).reshape(-1, 4).T
    lo, hi = telemetry.rows_between(code, start, start + length)
    known, (query, later) = received_rows(telemetry, lo, hi, by), rows_received_later(telemetry, lo, hi, by)
    for number in range(len(questions)):
        inside = range(lo[number], hi[number])
        plain = [row for row in inside if telemetry.received_time_ms[row] <= by[number]]
        assert known.rows[known.query == number].tolist() == plain
        assert sorted(later[query == number].tolist()) == sorted(set(inside) - set(plain))
        assert known.lengths[number] == len(plain)
        assert known.last[number] == (plain[-1] if plain else -1)
        assert [known.row(np.array([number]), np.array([place]))[0] for place in range(len(plain))] == plain
