"""Mock locations, acceleration, battery, signal strength and clock, by hand-computed values."""

import math

import pytest
from evidence.conftest import NOW_MS, reports

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
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 7_199_999], rescored=[1]) == (1.0, 1)
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 7_200_000], rescored=[1]) == (9.0, 1)
    assert one(rows, "accelerometer_variance", decided_at_ms=[NOW_MS + 7_200_000]) == (1.0, 1)


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


def clocked(*moments: tuple[float | None, float], worker: str = "w", **columns) -> list[dict]:
    """Reports every 15 s up to NOW_MS, each (GNSS time, network time) in s after NOW_MS."""
    gnss = [None if at is None else NOW_MS + 1000 * at for at, _ in moments]
    network = [None if at is None else NOW_MS + 1000 * at for _, at in moments]
    return reports(worker, len(moments), gnss_time_ms=gnss, network_time_ms=network, **columns)


def delta_of(one, rows) -> tuple[float, int]:
    return one(rows, "gnss_network_time_delta_s")


def test_clock_on_fresh_fixes_only(one):
    # The third and fourth report the second's fix again; the first has none before it.
    rows = clocked((-58, -60), (-42, -45), (-42, -30), (-42, -15), (4, 0))
    assert delta_of(one, rows) == (3.5, 2)
    assert math.isnan(delta_of(one, reports("w", 5))[0])


def test_a_fix_that_stays_the_same_is_never_fresh_whatever_comes_between(one):
    gaps = clocked((-2400, -60), (None, -45), (-2400, -30), (None, -15), (-2400, 0))
    assert math.isnan(delta_of(one, gaps)[0])
    # A fix of before the window says of the window's first that it is a repeat ...
    before = reports("w", 1, end_ms=NOW_MS - HALF_HOUR_MS - 60_000, gnss_time_ms=NOW_MS - 2_400_000)
    assert math.isnan(delta_of(one, before + clocked((-2400, -15), (-2400, 0)))[0])
    # ... or that it is not.
    earlier = reports("w", 1, end_ms=NOW_MS - HALF_HOUR_MS - 60_000, gnss_time_ms=NOW_MS - 2_500_000)
    assert delta_of(one, earlier + clocked((-2400, -15), (-2400, 0))) == (2385.0, 1)


@pytest.mark.parametrize("silent", [0, 3, 40])
def test_the_fix_before_the_window_is_the_phones_last_that_states_a_time(one, silent):
    start_ms = NOW_MS - HALF_HOUR_MS
    before = reports("w", 1, end_ms=start_ms - 20 * 60_000, gnss_time_ms=start_ms)
    between = reports("w", silent, end_ms=start_ms) if silent else []
    other = reports("w", 1, end_ms=start_ms, device="other", gnss_time_ms=NOW_MS + 10**9)
    for row in before + between:
        row["device"] = "mine"
    now = clocked((1, 0), device="mine")
    assert delta_of(one, before + between + other + now) == (1.0, 1)
    assert math.isnan(delta_of(one, between + other + now)[0])


def test_two_phones_in_turn_have_clocks_of_their_own(one):
    rows = clocked((-60, -60), (-3045, -45), (-30, -30), (-3045, -15), (0, 0))
    for place, row in enumerate(rows):
        row["device"] = "cached" if place % 2 else "good"
    assert delta_of(one, rows) == (0.0, 2)


def test_a_clock_that_was_set_back_is_not_fresh_until_it_goes_on(one):
    assert delta_of(one, clocked((-45, -45), (-30, -30), (-615, -15), (-600, 0))) == (300.0, 2)


WEEKS_S = 1024 * 7 * 86_400


@pytest.mark.parametrize(
    ("off_s", "measured"),
    [
        (-WEEKS_S, False),
        (WEEKS_S, False),
        (-2 * WEEKS_S, False),
        (86_400 - WEEKS_S, False),
        (-86_400 - WEEKS_S, False),
        (86_401 - WEEKS_S, True),
        (-86_401 - WEEKS_S, True),
        (86_400, True),  # within a day of 0 weeks: a wrong clock
        (-1.0, True),
    ],
)
def test_an_old_phones_weeks_are_not_measured(one, off_s, measured):
    value, count = delta_of(one, clocked(*((at + off_s, at) for at in (-45, -30, -15, 0))))
    assert (value, count) == (abs(off_s), 3) if measured else (math.isnan(value) and count == 0)


def test_one_wrong_week_among_good_fixes_says_nothing(one):
    assert delta_of(one, clocked((-45, -45), (-28, -30), (-15 - WEEKS_S, -15), (2, 0))) == (2.0, 2)


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
