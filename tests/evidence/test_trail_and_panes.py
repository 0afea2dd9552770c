"""The trail's lookups, distances, and panes against a plain reading of their definition."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.geo.sphere import EARTH_RADIUS_M, distance_m
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import AGGREGATES, LIMIT, PANE_MS, Aggregate, Panes
from monsoon.transforms.telemetry_table import DTYPES, TelemetryTable

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "worker": st.sampled_from(["a", "b", "c"]),
            "event_time_ms": st.integers(0, 3 * PANE_MS),
            "received_time_ms": st.none()
            | st.sampled_from([0, PANE_MS, PANE_MS + 1, 2 * PANE_MS, 21_600_000, 22_000_000]),
            "lat": st.floats(-90, 90),
            "lon": st.floats(-180, 180),
            "device": st.sampled_from(["p", "q"]),
            "agc_db": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "cn0_dbhz": st.none() | st.integers(0, 6000).map(lambda value: value / 100),
            "pressure_hpa": st.none() | st.floats(300, 1100),
            "battery_pct": st.none() | st.floats(0, 100),
            "charging": st.sampled_from([None, 0, 1]),
            "app_state": st.sampled_from([None, "offline", "online", "on_trip"]),
            "orders_completed": st.none() | st.integers(0, 2**63 - 1),
        }
    ),
    max_size=30,
)


def _telemetry(rows):
    names = sorted({name for row in rows for name in row} | {"worker", "event_time_ms", "lat", "lon"})
    return TelemetryTable.from_columns(**{name: [row.get(name) for row in rows] for name in names})


@given(ROWS, st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 3 * PANE_MS), st.integers(-1, PANE_MS))))
def test_lookups_find_what_a_plain_search_finds(rows, questions):
    telemetry = _telemetry(rows)
    questions = [(worker, start, length) for worker, start, length in questions if worker < len(telemetry.workers)]
    code, start, length = np.array(questions, dtype=np.int64).reshape(-1, 3).T
    lo, hi = telemetry.rows_between(code, start, start + length)
    last = telemetry.last_at_or_before(code, start)
    for question, (worker, after, span) in enumerate(questions):
        times = telemetry.event_time_ms
        mine = [row for row in range(len(telemetry)) if telemetry.worker[row] == worker]
        wanted = [row for row in mine if after < times[row] <= after + span]
        assert list(range(lo[question], hi[question])) == wanted
        assert last[question] == max((row for row in mine if times[row] <= after), default=-1)


def test_of_one_moment_the_greater_event_id_is_last():
    telemetry = TelemetryTable.from_columns(
        worker=["w"] * 3, event_time_ms=[5] * 3, lat=[1.0, 2.0, 3.0], lon=[0.0] * 3, event_id=["b", "c", "a"]
    )
    assert telemetry.lat[telemetry.last_at_or_before(0, 5)] == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": np.zeros(2, np.int32)}, "a code outside cells"),
        ({"lat": np.zeros(2, np.float32)}, "lat: float32"),
        ({"event_time_ms": np.array([2, 1])}, "not sorted"),
        ({"worker_starts": np.array([0, 1])}, "worker_starts"),
        ({"bssid_offsets": np.array([0, 2, 1])}, "bssid_offsets"),
    ],
)
def test_validate_names_the_column(change, message):
    telemetry = TelemetryTable.from_columns(worker=["w", "w"], event_time_ms=[1, 2], lat=[1.0, 2.0], lon=[0.0, 0.0])
    with pytest.raises(ValueError, match=message):
        TelemetryTable(**{**vars(telemetry), **change}).validate()


def test_from_columns_refuses_what_it_does_not_know():
    good = {"worker": ["w"], "event_time_ms": [1], "lat": [0.0], "lon": [0.0]}
    with pytest.raises(ValueError, match="unknown columns: speed"):
        TelemetryTable.from_columns(**good, speed=[1])
    with pytest.raises(ValueError, match="missing columns: lon"):
        TelemetryTable.from_columns(**{name: values for name, values in good.items() if name != "lon"})
    with pytest.raises(ValueError, match="not of length 1: lat"):
        TelemetryTable.from_columns(**good | {"lat": []})


def test_distances():
    quarter = math.pi / 2 * EARTH_RADIUS_M
    assert distance_m(0, 0, 0, 90) == pytest.approx(quarter, rel=1e-12)
    assert distance_m(90, 17, 0, 3) == pytest.approx(quarter, rel=1e-12)
    assert distance_m(0, 179.5, 0, -179.5) == pytest.approx(quarter / 90, rel=1e-9)
    assert distance_m(12.5, 77.25, 12.5, 77.25) == 0.0
    assert distance_m([0, 0], [0, 0], 0, [1, 180]).shape == (2,)


def _plainly(aggregate: Aggregate, telemetry: TelemetryTable, rows: list[int]) -> int:
    """The definition read literally, row by row, with Python's integers."""
    taken = []
    for row in rows:
        value = getattr(telemetry, aggregate.column)[row]
        absent = math.isnan(value) if DTYPES[aggregate.column] is np.float64 else value < 0
        if absent or any(getattr(telemetry, column)[row] != wanted for column, wanted in aggregate.where):
            continue
        if DTYPES[aggregate.column] is np.float64:
            term = math.floor(min(max(float(value) * aggregate.scale + 0.5, -LIMIT), LIMIT))
        else:
            term = min(int(value) * aggregate.scale, LIMIT)
        taken.append(term)
    if aggregate.kind == "count":
        return len(taken)
    if aggregate.kind == "sum":
        return sum(taken)
    if aggregate.kind == "distinct":
        return len(set(taken))
    if not taken:
        return aggregate.empty
    return {"min": min, "max": max, "last": lambda values: values[-1]}[aggregate.kind](taken)


def _received(event_ms: int, received_ms: int) -> tuple[int, bool]:
    over_ms = event_ms // PANE_MS * PANE_MS + PANE_MS
    if received_ms < 0:
        return over_ms, True
    return max(over_ms, math.ceil(received_ms / PANE_MS) * PANE_MS), received_ms - event_ms <= 6 * 3_600_000


@given(ROWS)
def test_panes_are_the_definition(rows):
    telemetry = _telemetry(rows)
    panes = panes_of(telemetry)
    rows_of = {}
    for row, times in enumerate(
        zip(telemetry.event_time_ms.tolist(), telemetry.received_time_ms.tolist(), strict=True)
    ):
        rows_of.setdefault((int(telemetry.worker[row]), times[0] // PANE_MS * PANE_MS, *_received(*times)), []).append(
            row
        )
    keys = (panes.worker, panes.pane_start_ms, panes.known_from_ms, panes.history)
    assert list(zip(*(key.tolist() for key in keys), strict=True)) == sorted(rows_of)
    for place, (_, inside) in enumerate(sorted(rows_of.items())):
        for aggregate in AGGREGATES:
            assert panes[aggregate.name][place] == _plainly(aggregate, telemetry, inside), aggregate.name


def test_panes_come_in_any_order_but_once():
    telemetry = _telemetry(
        [{"worker": "ab"[i % 2], "event_time_ms": i * PANE_MS, "lat": 1.0, "lon": 1.0} for i in range(9)]
    )
    panes = panes_of(telemetry)
    order = list(range(len(panes)))
    random.Random(1).shuffle(order)
    columns = {name: values[order] for name, values in panes.values.items()}
    keys = (panes.worker, panes.pane_start_ms, panes.known_from_ms, panes.history)
    again = Panes.of(*(key[order] for key in keys), values=columns, workers=2)
    assert again.pane_start_ms.tolist() == panes.pane_start_ms.tolist()
    assert again.worker_starts.tolist() == [0, 5, 9]
    twice = [0, *order]
    columns = {name: values[twice] for name, values in panes.values.items()}
    with pytest.raises(ValueError, match="occurs twice"):
        Panes.of(*(key[twice] for key in keys), values=columns, workers=2)


def test_an_aggregate_names_columns_of_the_trail():
    with pytest.raises(ValueError, match="no column altitude"):
        Aggregate("height", "max", "altitude")
