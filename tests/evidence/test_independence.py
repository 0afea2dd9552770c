"""A query's evidence depends on nothing but the query: not on order, neighbors, blocks, hostile values."""

import random

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, evidence_of, reports, telemetry_table_of
from hypothesis import given
from hypothesis import strategies as st
from kit.examples import examples

from monsoon.transforms.evidence import measure as measuring
from monsoon.transforms.evidence.features import FEATURES
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.pane_aggregation import panes_of

BATCH_FEATURES = {"claim_burst_rank", "peer_divergence"}


def _storm(riders: int, seed: int) -> list[dict]:
    generator = random.Random(seed)
    rows = []
    for rider in range(riders):
        count = generator.choice([1, 3, 40, 130, 500, 500])
        for row in reports(f"w{rider:02d}", count, end_ms=NOW_MS + generator.randint(-400_000, 400_000)):
            lat, lon = CENTER[0] + generator.gauss(0, 7e-4), CENTER[1] + generator.gauss(0, 7e-4)
            row |= {"lat": lat, "lon": lon, "device": f"d{rider}", "event_id": f"{rider}-{len(rows)}"}
            for name, low, high in (
                ("accuracy_m", 3, 60),
                ("accel_var", 0, 3),
                ("pressure_hpa", 990, 991),
                ("cn0_dbhz", 20, 40),
                ("agc_db", 40, 46),
                ("battery_pct", 20, 80),
            ):
                row[name] = generator.uniform(low, high) if generator.random() < 0.8 else None
            for name, off_ms in (("gnss_time_ms", generator.choice([-900, 0, -60_000])), ("network_time_ms", 0)):
                row[name] = row["event_time_ms"] + off_ms if generator.random() < 0.8 else None
            row["speed_mps"] = generator.choice([0.1, 0.2, 0.3, 8.0, None])
            row["mock"] = generator.choice([0, 0, 1, None])
            row["mock_setting"] = generator.choice([0, 1, None])
            row["charging"] = generator.choice([0, 0, 0, None])
            row["cell"] = generator.choice(["LTE-404-45-1-1", "LTE-404-45-1-2", None])
            row["bssids"] = generator.sample(["a", "b", "c", "d"], generator.randint(0, 3))
            row["app_state"] = generator.choice(["offline", "online", "on_trip", None])
            row["orders_completed"] = generator.choice([0, 0, 1, None])
            row["platform"] = "zepto"
            rows.append(row)
    return rows


def _queries(telemetry, seed: int) -> Queries:
    generator = np.random.default_rng(seed)
    worker = np.concatenate((np.arange(len(telemetry.workers)), [-1], np.arange(len(telemetry.workers))))
    confirmed = NOW_MS - generator.integers(0, 600_000, len(worker))
    rescored = generator.integers(0, 2, len(worker))
    return Queries.of(
        9,
        worker,
        [ZONE] * len(worker),
        confirmed,
        decided_at_ms=confirmed + rescored * 300_000,
        rescored=rescored,
        asked_at_ms=np.where(generator.random(len(worker)) < 0.1, confirmed - 200_000, -1),
        batch=[0] * len(worker),
        orders_per_hour=generator.uniform(0.5, 3, len(worker)),
    )


def _references() -> References:
    points = np.array([CENTER[0], CENTER[0] + 0.01, np.nan, CENTER[0]])
    cells = np.array([CENTER[0], CENTER[0] + 0.05])
    lon = np.full(2, CENTER[1])
    return References(cells, lon, np.full(2, 800.0), points, np.full(4, CENTER[1]))


@pytest.fixture(scope="module")
def storm():
    telemetry = telemetry_table_of(_storm(24, seed=3))
    return telemetry, panes_of(telemetry), _references(), _queries(telemetry, 4)


def _same(left, right, where, names):
    for name in names:
        assert left.values[name][where].tobytes() == right.values[name].tobytes(), name
        assert left.reports[name][where].tobytes() == right.reports[name].tobytes(), name


def test_every_feature_but_the_graph_is_measured_somewhere(storm):
    evidence = measuring.measure(*storm)
    # The storm is too short for weeks of habits and hours of battery.
    rare = {"shift_pattern", "battery_drain_z"} | {f.name for f in FEATURES if f.group in ("graph", "policy")}
    for name in {feature.name for feature in FEATURES} - rare:
        assert np.isfinite(evidence.values[name]).any(), name


def test_alone_as_in_company_to_the_bit(storm):
    telemetry, panes, references, queries = storm
    together = measuring.measure(telemetry, panes, references, queries)
    names = [feature.name for feature in FEATURES if feature.name not in BATCH_FEATURES]
    for which in ([5], [30, 2, 2], list(range(len(queries)))[::-1], []):
        part = measuring.measure(telemetry, panes, references, queries.take(np.array(which, dtype=np.int64)))
        _same(together, part, which, names)


def test_batch_features_do_not_depend_on_the_order_of_claims(storm):
    telemetry, panes, references, queries = storm
    together = measuring.measure(telemetry, panes, references, queries)
    which = np.random.default_rng(1).permutation(len(queries))
    _same(together, measuring.measure(telemetry, panes, references, queries.take(which)), which, BATCH_FEATURES)


def test_blocks_do_not_show(storm, monkeypatch):
    whole = measuring.measure(*storm)
    monkeypatch.setattr(measuring, "_BLOCK_ROWS", 50)
    _same(whole, measuring.measure(*storm), slice(None), [feature.name for feature in FEATURES])


def test_order_of_rows_does_not_show(storm):
    rows = _storm(24, seed=3)
    random.Random(9).shuffle(rows)
    telemetry = telemetry_table_of(rows)
    shuffled = measuring.measure(telemetry, panes_of(telemetry), storm[2], storm[3])
    _same(measuring.measure(*storm), shuffled, slice(None), [feature.name for feature in FEATURES])


_DOUBLES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_MEASURES = st.none() | st.floats(0, allow_nan=False, allow_infinity=False)


@examples(60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "worker": st.sampled_from(["w", "x", "y", "z"]),
                "event_time_ms": st.integers(NOW_MS - 4_000_000, NOW_MS + 100_000),
                "lat": st.floats(-90, 90) | st.just(CENTER[0]),
                "lon": st.floats(-180, 180) | st.just(CENTER[1]),
                "accuracy_m": _MEASURES,
                "speed_mps": _MEASURES,
                "accel_var": _MEASURES,
                "pressure_hpa": st.none() | st.floats(300, 1100),
                "cn0_dbhz": _DOUBLES,
                "agc_db": _DOUBLES,
                "battery_pct": st.none() | st.floats(0, 100),
                "gnss_time_ms": _DOUBLES,
                "network_time_ms": _DOUBLES,
                "charging": st.sampled_from([None, 0, 1]),
                "mock": st.sampled_from([None, 0, 1]),
                "mock_setting": st.sampled_from([None, 0, 1]),
                "bssids": st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
                "cell": st.none() | st.just("LTE-404-45-1-1"),
                "received_time_ms": st.none() | st.integers(NOW_MS - 4_000_000, NOW_MS + 100_000),
                "orders_completed": st.none() | st.integers(0, 2**63 - 1),
                "app_state": st.sampled_from([None, "online", "on_trip"]),
                "platform": st.sampled_from([None, "zepto"]),
            }
        ),
        max_size=40,
    )
)
def test_whatever_is_reported_values_stay_in_their_range(rows):
    workers = ["w", "x", "y", "z", "nobody"]
    evidence = evidence_of(rows, workers=workers, batch=[1] * 5, orders_per_hour=[2.0] * 5, rescored=[0, 0, 1, 1, 0])
    assert evidence.values.keys() == evidence.reports.keys() == {feature.name for feature in FEATURES}
    for feature in FEATURES:
        values = evidence.values[feature.name]
        known = values[~np.isnan(values)]
        assert np.isfinite(known).all()
        assert ((known >= feature.low) & (known <= feature.high)).all(), feature.name
        assert (evidence.reports[feature.name][np.isnan(values)] == 0).all()
