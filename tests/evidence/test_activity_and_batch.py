"""Work in the zone, habits, and a claim among the claims of its disruption, by hand-computed values."""

import math

import h3.api.basic_int as h3
import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, evidence_of, north, reports

DAY_MS = 24 * 3_600_000
OUTSIDE_LAT = north(1000)


def test_recent_activity_counts_orders_and_trips_in_the_zone(one):
    rows = reports("w", 4, app_state=["on_trip", "online", "on_trip", None], orders_completed=[0, 2, 1, None])
    rows += reports("w", 1, end_ms=NOW_MS - 3_600_000, lat=OUTSIDE_LAT, app_state="on_trip")
    rows += reports("w", 1, end_ms=NOW_MS - 5_400_000, app_state="on_trip")  # 90 min ago: too old
    assert one(rows, "recent_activity_in_zone") == (5.0, 4)
    assert math.isnan(one(reports("w", 4), "recent_activity_in_zone")[0])
    assert one(reports("w", 4, app_state="online"), "recent_activity_in_zone") == (0.0, 4)


@pytest.mark.filterwarnings("error")
def test_a_hostile_count_of_orders_does_not_wrap_around(one):
    rows = reports("w", 3, app_state="on_trip", orders_completed=2**63 - 1)
    assert one(rows, "recent_activity_in_zone") == (3 * 2.0**63, 3)


def test_in_the_zone_is_what_h3_says():
    generator = np.random.default_rng(5)
    lat = CENTER[0] + generator.uniform(-0.004, 0.004, 400)
    lon = CENTER[1] + generator.uniform(-0.004, 0.004, 400)
    rows = reports("w", 400, step_ms=10, lat=lat.tolist(), lon=lon.tolist(), app_state="on_trip")
    inside = sum(h3.latlng_to_cell(*place, 9) == ZONE for place in zip(lat, lon, strict=True))
    assert 0 < inside < 400
    assert evidence_of(rows).values["recent_activity_in_zone"][0] == inside


def _days(*days_ago: int, hours_off: int = 0, lat: float = CENTER[0]) -> list[dict]:
    ends = (NOW_MS - day * DAY_MS - hours_off * 3_600_000 for day in days_ago)
    return [row for end_ms in ends for row in reports("w", 2, end_ms=end_ms, lat=lat)]


def test_shift_pattern(one):
    usual = _days(0, 1, 2, 7, 14)
    assert one(usual, "shift_pattern") == (1.0, 8)
    # Four days worked: this hour on three of them, this neighborhood on two, this weekday on one of two.
    mixed = [*_days(1), *_days(3, hours_off=5), *_days(7, lat=north(20_000)), *_days(15, lat=north(20_000))]
    assert one(mixed, "shift_pattern")[0] == pytest.approx((2 / 4 + 3 / 4 + 1 / 2) / 3)
    assert math.isnan(one(_days(0, 1, 2, 6), "shift_pattern")[0])
    assert math.isnan(one(_days(0, 29), "shift_pattern")[0])


def test_policy_features():
    evidence = evidence_of(
        [],
        workers=["a", "b"],
        activated_at_ms=[NOW_MS, None],
        first_alert_ms=[NOW_MS + 90_000, NOW_MS],
        account_created_at_ms=[NOW_MS - 3 * DAY_MS // 2, NOW_MS + 5],
        claims_7d=[2, None],
    )
    assert evidence.values["subscription_alert_gap_s"][0] == -90.0
    assert evidence.values["account_age_d"].tolist() == [1.5, 0.0]
    assert evidence.values["claims_7d"][0] == 2.0
    assert np.isnan([evidence.values[name][1] for name in ("subscription_alert_gap_s", "claims_7d")]).all()


def test_no_telemetry_means_nothing_measured():
    evidence = evidence_of(reports("other", 200, mock=1), workers=["silent"])
    assert all(math.isnan(values[0]) for values in evidence.values.values())
    assert all(counts[0] == 0 for counts in evidence.reports.values())


def _arrivals(minutes_ago: list[int]) -> list[dict]:
    """Riders who came from outside so long ago, after a history of riders who stay 10 min."""
    rows = []
    for day in range(40):
        rows += reports("history", 11, end_ms=NOW_MS - 7_200_000 - day * 5_400_001, step_ms=60_000)
    for index, minutes in enumerate(minutes_ago):
        arrival_ms = NOW_MS - minutes * 60_000
        rows += reports(f"w{index}", 5, end_ms=arrival_ms - 60_000, step_ms=60_000, lat=OUTSIDE_LAT)
        rows += reports(f"w{index}", minutes + 1, step_ms=60_000)
    return rows


def test_claim_burst_rank_is_higher_where_arrivals_crowd():
    minutes = [42, 42, 42, 42, 12, 22, 32]
    evidence = evidence_of(_arrivals(minutes), workers=[f"w{index}" for index in range(7)], batch=[3] * 7)
    rank = evidence.values["claim_burst_rank"]
    # Nobody in the history stayed 40 min: three of the six others came when w0 did.
    assert rank[:4].tolist() == [0.5] * 4
    assert (rank[4:] <= 0).all()
    assert evidence.reports["claim_burst_rank"].tolist() == [43, 43, 43, 43, 13, 23, 33]


@pytest.mark.parametrize(("riders", "batch"), [(4, 3), (7, -1)])
def test_claim_burst_rank_needs_five_riders_and_a_batch(riders, batch):
    evidence = evidence_of(
        _arrivals([12] * riders), workers=[f"w{index}" for index in range(riders)], batch=[batch] * riders
    )
    assert np.isnan(evidence.values["claim_burst_rank"]).all()


def _peers(orders: list[int | None], platform: list[str | None]) -> list[dict]:
    return [
        row
        for index, (count, name) in enumerate(zip(orders, platform, strict=True))
        for row in reports(f"w{index}", 2, orders_completed=[count, 0 if count is not None else None], platform=name)
    ]


def test_peer_divergence():
    rows = _peers([0, 4, 2, 2, 1, 8, 0], ["zepto"] * 6 + [None])
    workers = [f"w{index}" for index in range(7)]
    evidence = evidence_of(rows, workers=workers, batch=[0] * 7, orders_per_hour=[4.0] * 7)
    # Drops 1, 0, 0.5, 0.5, 0.75, 0 of the mean 4.
    divergence = evidence.values["peer_divergence"]
    assert divergence[:6].tolist() == [0.5, -0.5, 0.0, 0.0, 0.25, -0.5]
    assert math.isnan(divergence[6])
    fewer = evidence_of(rows, workers=workers[:5], batch=[0] * 5, orders_per_hour=[4.0] * 5)
    assert np.isnan(fewer.values["peer_divergence"]).all()
