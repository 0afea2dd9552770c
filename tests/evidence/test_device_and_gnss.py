"""Mock locations, acceleration, battery, signal strength and clock, by hand-computed values."""

import math

import pytest

from tests.evidence.conftest import NOW_MS, reports

HALF_HOUR_MS = 30 * 60_000


def test_mock_share_is_of_reports_that_state_it(one):
    rows = reports("w", 6, mock=[1, 0, 0, 1, None, None])
    assert one(rows, "mock_location_share") == (0.5, 4)
    value, count = one(reports("w", 3), "mock_location_share")
    assert math.isnan(value)
    assert count == 0


def test_window_excludes_its_start_and_includes_its_end(one):
    rows = [
        *reports("w", 1, end_ms=NOW_MS - HALF_HOUR_MS, accel_var=100.0),
        *reports("w", 1, end_ms=NOW_MS - HALF_HOUR_MS + 1, accel_var=1.0),
        *reports("w", 1, end_ms=NOW_MS, accel_var=3.0),
        *reports("w", 1, end_ms=NOW_MS + 1, accel_var=100.0),
    ]
    assert one(rows, "accelerometer_variance") == (2.0, 2)


def test_a_rescore_sees_what_came_until_its_decision(one):
    rows = [*reports("w", 1, accel_var=1.0), *reports("w", 1, end_ms=NOW_MS + 7_200_000, accel_var=9.0)]
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 7_199_999]) == (1.0, 1)
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 7_200_000]) == (5.0, 2)


def _signal(agc: float, cn0: float, history: int = 20) -> list[dict]:
    before = reports("w", history, end_ms=NOW_MS - HALF_HOUR_MS - 600_000, agc_db=44.0, cn0_dbhz=30.0)
    return before + reports("w", 4, agc_db=[44.0, 44.0, 44.0, agc], cn0_dbhz=[30.0, 30.0, 30.0, cn0])


@pytest.mark.parametrize(
    ("agc", "cn0", "flagged"),
    [
        (41.0, 33.1, True),  # power up 3 dB: C/N0 above mean + 3
        (41.0, 33.0, False),
        (38.0, 30.1, True),  # up 6 dB: above mean + 3 - 3
        (38.0, 30.0, False),
        (30.0, 26.1, True),  # up 14 dB: above mean - 8, but 26 is the floor
        (30.0, 26.0, False),
        (42.0, 36.1, True),  # within 2 dB: above mean + 6
        (42.0, 36.0, False),
        (46.0, 36.1, True),
        (41.9, 36.1, False),  # between the rules
        (44.0, 23.0, False),  # blocked sky
        (50.0, 40.0, False),  # power down
    ],
)
def test_signal_stronger_than_the_sky(one, agc, cn0, flagged):
    assert one(_signal(agc, cn0), "gnss_cn0_agc_anomaly") == (0.25 if flagged else 0.0, 4)


def test_signal_needs_a_baseline_of_the_same_phone(one):
    assert math.isnan(one(_signal(38.0, 40.0, history=19), "gnss_cn0_agc_anomaly")[0])
    rows = _signal(38.0, 40.0)
    for row in rows:
        row["device"] = "old" if row["event_time_ms"] < NOW_MS - HALF_HOUR_MS else "new"
    assert math.isnan(one(rows, "gnss_cn0_agc_anomaly")[0])


def test_clock_on_fresh_fixes_only(one):
    # The third and fourth report the second's fix again: GNSS time stands still while 15 s pass.
    delta = [2000.0, -3000.0, -18_000.0, -33_000.0, 4000.0]
    assert one(reports("w", 5, gnss_delta_ms=delta), "gnss_network_time_delta_s") == (3.0, 3)
    assert math.isnan(one(reports("w", 5), "gnss_network_time_delta_s")[0])


def _drain(rate_pct_h: float, history_blocks: int = 8, **columns) -> list[dict]:
    """History drains 10 %/h; the window drains `rate_pct_h`."""
    count = history_blocks * 30 + 1
    before = reports(
        "w", count, end_ms=NOW_MS - HALF_HOUR_MS, step_ms=60_000, charging=0,
        battery_pct=[90 - 10 * index / 60 for index in range(count)],
    )  # fmt: skip
    level = [40 - rate_pct_h * index / 60 for index in range(30)]
    return before + reports("w", 30, step_ms=60_000, **{"charging": 0, "battery_pct": level} | columns)


def test_battery_drain_against_own_half_hours(one):
    rows = _drain(16.0)
    # Every half hour before drains 10 %/h; the gauge's own 2 %/h is the least standard deviation.
    value, count = one(rows, "battery_drain_z")
    assert value == pytest.approx((16 - 10) / 2, abs=0.02)
    assert count == 30


@pytest.mark.parametrize(
    "rows",
    [
        _drain(16.0, history_blocks=5),
        _drain(16.0, charging=[0] * 29 + [1]),
        _drain(16.0, charging=None),
        _drain(16.0, battery_pct=None),
    ],
    ids=["little history", "charged", "charging not stated", "no gauge"],
)
def test_battery_drain_not_measured(one, rows):
    assert math.isnan(one(rows, "battery_drain_z")[0])
