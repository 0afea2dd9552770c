"""What the guard never does, on whatever riders' phones report."""

import dataclasses
import random

import numpy as np
from evidence.conftest import CENTER, NOW_MS, ZONE, north, telemetry_table_of
from hypothesis import event, given
from hypothesis import strategies as st

from monsoon.transforms.evidence.measure import measure
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.guard.signals import SIGNALS, STRONG, signals_of
from monsoon.transforms.guard.verdicts import PASS, REVIEW, VERIFY, verdicts_of
from monsoon.transforms.pane_aggregation import panes_of

SENSORS = (
    ("mock",), ("mock_setting",), ("speed_mps",), ("accel_var",), ("pressure_hpa",), ("cn0_dbhz",), ("agc_db",),
    ("gnss_time_ms",), ("network_time_ms",), ("bssids",), ("cell",), ("battery_pct", "charging"),
)  # fmt: skip
"""What a phone may not have, or withhold. How accurate a fix is belongs to the fix."""


def _signals(rows):
    telemetry = telemetry_table_of(rows)
    located = {"a": 0.0, "b": 100.0, "far": 9000.0, "farther": 9100.0}
    towers = {"LTE-404-45-1-1": 500.0, "LTE-404-45-1-2": 40_000.0}
    references = References(
        np.array([north(towers[cell]) for cell in telemetry.cells]),
        np.full(len(telemetry.cells), CENTER[1]),
        np.full(len(telemetry.cells), 900.0),
        np.array([north(located[bssid]) for bssid in telemetry.bssids]),
        np.full(len(telemetry.bssids), CENTER[1]),
    )
    queries = Queries.of(9, [0], [ZONE], [NOW_MS])
    evidence = measure(telemetry, panes_of(telemetry), references, queries)
    return signals_of(evidence, np.array([np.nan]), np.array([np.nan]))


@st.composite
def riders(draw):
    """A rider's last half hour and the weeks before, as a scheme that is drawn; most schemes have something wrong."""
    choice = random.Random(draw(st.integers(0, 2**32 - 1)))
    ways = {name: draw(st.booleans()) for name in ("mock", "line", "still", "loud", "clock", "cell", "wifi", "jumps")}
    count, step_m = draw(st.integers(1, 60)), draw(st.sampled_from([0.0, 3.0, 60.0, 120.0]))
    rows, meters = [], 0.0
    for index in range(count + 30):
        before = index < 30
        at_ms = NOW_MS - (count + 29 - index) * 15_000 - before * 40 * 60_000
        meters += step_m * (1 if ways["line"] else choice.choice((-1, 0, 1, 1.3)))
        away_m = 60_000.0 if ways["jumps"] and choice.random() < 0.2 and not before else 0.0
        row = {
            "worker": "w",
            "event_id": f"{index:03d}",
            "event_time_ms": at_ms,
            "lat": north(meters + away_m),
            "lon": CENTER[1],
            "accuracy_m": choice.choice((5.0, 20.0, 60.0, None)),
            "mock": choice.choice((0, int(ways["mock"]), None)),
            "mock_setting": choice.choice((0, 1, None)),
            "speed_mps": choice.choice((step_m / 15, None, step_m / 15 + choice.random())),
            "accel_var": 5e-5 if ways["still"] and choice.random() < 0.9 else choice.choice((0.8, None)),
            "pressure_hpa": 1000.0 + choice.random(),
            "cn0_dbhz": 30.0 + (9.0 if ways["loud"] and not before else 0.0) * choice.random(),
            "agc_db": 44.0 - (5.0 if ways["loud"] and not before else 0.0) * choice.random(),
            "network_time_ms": at_ms,
            "gnss_time_ms": at_ms - (9_000 if ways["clock"] else 0) - choice.choice((0, 40_000)),
            "battery_pct": 60.0 - index / 9,
            "charging": choice.choice((0, 0, 0, None)),
            "cell": choice.choice((None, "LTE-404-45-1-1", f"LTE-404-45-1-{1 + ways['cell']}")),
            "bssids": choice.choice(([], ["a", "b"], ["far", "farther"] if ways["wifi"] else ["a", "b"])),
        }
        rows.append(row)
    return rows


@given(riders(), st.sets(st.sampled_from(SENSORS), min_size=1))
def test_withholding_sensors_never_makes_a_signal_strong(rows, withheld):
    names = {name for sensor in withheld for name in sensor}
    whole = _signals(rows)
    part = _signals([{name: value for name, value in row.items() if name not in names} for row in rows])
    for name in SIGNALS:
        if whole[name].status[0] == STRONG:
            event(f"{name} strong")
        assert part[name].status[0] != STRONG or whole[name].status[0] == STRONG, name


@given(riders(), st.integers(0, 99))
def test_the_order_of_reports_does_not_matter(rows, seed):
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    signals, others = _signals(rows), _signals(shuffled)
    for name in SIGNALS:
        for column in ("status", "condition", "value", "threshold", "reports"):
            assert getattr(signals[name], column).tobytes() == getattr(others[name], column).tobytes(), name


def test_every_signal_of_a_phone_is_met_by_the_riders_drawn():
    """Else the properties above would say nothing."""
    base = {"worker": "w", "lon": CENTER[1], "accuracy_m": 5.0}
    rows = [
        base
        | {"event_time_ms": NOW_MS - (80 - index) * 15_000 - (index < 40) * 3_600_000, "lat": north(60.0 * index)}
        | {"cn0_dbhz": 30.0 + 9.0 * (index >= 40), "agc_db": 44.0 - 5.0 * (index >= 40)}
        | {"mock": 1, "accel_var": 5e-5, "cell": "LTE-404-45-1-2", "bssids": ["far", "farther"]}
        for index in range(81)
    ]
    strong = {name for name, signal in _signals(rows).items() if signal.status[0] == STRONG}
    assert strong == set(SIGNALS) - {"ring", "device"}


@given(
    st.lists(
        st.fixed_dictionaries(dict.fromkeys(SIGNALS, st.sampled_from([-1, 0, 1]))),
        min_size=1,
        max_size=8,
    )
)
def test_one_strong_signal_never_goes_beyond_verification(claims):
    signals = _signals([{"worker": "w", "event_time_ms": NOW_MS, "lat": 1.0, "lon": 1.0}])
    for name in SIGNALS:
        status = np.array([claim[name] for claim in claims], dtype=np.int8)
        signals[name] = dataclasses.replace(signals[name], status=status)
    verdicts = verdicts_of(signals)
    for claim, action, reasons in zip(claims, verdicts.action.tolist(), verdicts.reasons, strict=True):
        strong = [name for name in SIGNALS if claim[name] == STRONG]
        if not strong:
            assert (action, reasons) == (PASS, ())
        elif len(strong) == 1 and strong != ["ring"]:
            assert (action, reasons) == (VERIFY, (f"verify:{strong[0]}",))
        else:
            assert (action, reasons) == (REVIEW, tuple(strong))
