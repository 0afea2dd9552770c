"""Honest riders whose phones have a known fault, or whose towers are listed wrongly: paid, on both engines.

The inputs are made after `../shared/cases`: one rider in the rain of Delhi, wage Rs 800.
"""

import json

import pytest
from kit import LAT, LON, at, reading_record
from kit.graph import by_both_engines, same
from kit.streams import policy_record, write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

KAWAACH = load_products(["kawaach"])
WEEKS_MS = 1024 * 7 * 86_400_000
RAIN = [reading_record("rain_mm_24h", 110.0, 0, provider=name, reading_id=f"{name}-1") for name in ("imd", "skymet")]
NAMES = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
HERE = f"LTE,404,10,5123,20481,0,{LON},{LAT},2000,250,1,1693584000,1719504000,0\n"


def rider(minutes, every_min=0.25, **fields):
    """An hour or less of reports up to the confirmation; a field may be a function of the minute."""
    rows = []
    for step in range(round(minutes / every_min)):
        minute = every_min * step - minutes
        fixed = {name: value(minute) if callable(value) else value for name, value in fields.items()}
        rows.append(
            {
                "event_id": f"e{step}", "worker_id": "w1", "device_id": "dw1x", "event_time": at(minute),
                "lat": round(LAT + 0.00001 * step, 6), "lon": LON, "accuracy_m": 6.0, "speed_mps": 3.0,
                "mock_location": False, "accel_var": 1.1, "platform": "zepto", "app_state": "online",
                "orders_completed": 0,
            } | {name: value for name, value in fixed.items() if value is not None}
        )  # fmt: skip
    return rows


def outcome(tmp_path, telemetry, towers=None):
    """The claims, what was paid (Rs) and the summary of a replay, whose engines must agree."""
    policy = policy_record("w1", "p1", daily_wage_inr=800, platform="zepto")
    policy = {name: value for name, value in policy.items() if value is not None}
    readings = [{name: value for name, value in each.items() if value is not None} for each in RAIN]
    streams = {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": [policy]}
    source = write_streams(tmp_path / "in", streams)
    if towers is not None:
        (source / "reference").mkdir()
        (source / "reference" / "cell_towers.csv").write_text(towers)
    expected, stepped = by_both_engines(source, KAWAACH)
    same(stepped, expected)
    summary = replay(source, tmp_path / "out", KAWAACH, ["kawaach"], load_scorer())
    paid = [json.loads(line) for line in (tmp_path / "out" / "payouts" / "part-00000.jsonl").read_text().splitlines()]
    return expected.claims, sum(each["amount_paise"] for each in paid) / 100, summary


@pytest.mark.parametrize("weeks", [-1, 1])
def test_a_phone_whose_weeks_rolled_over_is_paid(tmp_path, weeks):
    telemetry = rider(3, gnss_time=lambda m: at(m) + weeks * WEEKS_MS, network_time=at)
    claims, paid_inr, _ = outcome(tmp_path, telemetry)
    assert (claims[-1]["status"], paid_inr) == ("approved", 800.0)
    assert claims[-1]["features"]["gnss_network_time_delta_s"] is None


@pytest.mark.parametrize("gaps", [False, True])
def test_a_cached_fix_says_nothing_of_the_clock(tmp_path, gaps):
    def gnss(minute):
        return None if gaps and minute % 5 == 0 else at(min(minute, -40))

    claims, paid_inr, _ = outcome(tmp_path, rider(60, gnss_time=gnss, network_time=at))
    assert (claims[-1]["status"], paid_inr) == ("approved", 800.0)
    assert claims[-1]["features"]["gnss_network_time_delta_s"] is None


def test_a_clock_that_is_off_still_shows(tmp_path):
    claims, _, _ = outcome(tmp_path, rider(60, gnss_time=lambda m: at(m) - 615_000, network_time=at))
    assert claims[0]["features"]["gnss_network_time_delta_s"] == 615.0
    assert claims[0]["feature_reports"]["gnss_network_time_delta_s"] == 120


@pytest.mark.parametrize("headed", [True, False])
def test_an_old_row_of_another_city_does_not_move_a_tower(tmp_path, headed):
    stale = "LTE,404,10,5123,20481,0,72.87,19.07,2000,1,1,1451606400,1451606400,0\n"
    telemetry = rider(60, cell="LTE-404-10-5123-20481")
    claims, paid_inr, summary = outcome(tmp_path, telemetry, NAMES * headed + HERE + stale)
    assert (claims[-1]["status"], paid_inr) == ("approved", 800.0)
    assert claims[-1]["features"]["cell_tower_zone_match"] == 1.0
    assert summary["reference_rows_skipped"] == {}


def test_a_tower_of_which_nobody_knows_where_it_stands_says_nothing(tmp_path):
    other = "LTE,404,10,5123,20481,0,72.87,19.07,2000,200,1,1451606400,1719504000,0\n"
    claims, paid_inr, summary = outcome(tmp_path, rider(60, cell="LTE-404-10-5123-20481"), NAMES + HERE + other)
    assert (claims[-1]["status"], paid_inr) == ("approved", 800.0)
    assert claims[-1]["features"]["cell_tower_zone_match"] is None
    assert summary["reference_rows_skipped"] == {"cell_towers.csv": 2}


@pytest.mark.parametrize(
    "case",
    [
        "gps-week-rollover", "gps-no-clock", "cached-fix", "cached-fix-with-gaps", "tower-in-two-rows",
        "towers-headerless", "towers-floats",
    ],
)  # fmt: skip
def test_the_cases_that_people_met_are_paid(shared, tmp_path, case):
    source = shared / "cases" / case
    expected, stepped = by_both_engines(source, KAWAACH)
    same(stepped, expected)
    summary = replay(source, tmp_path / "out", KAWAACH, ["kawaach"], load_scorer())
    assert sum(payout["amount_paise"] for payout in expected.payouts) == 80_000
    features = expected.claims[-1]["features"]
    if case in ("gps-week-rollover", "cached-fix", "cached-fix-with-gaps"):
        assert features["gnss_network_time_delta_s"] is None
    if "tower" in case:
        assert features["cell_tower_zone_match"] == 1.0
    assert not summary.get("reference_rows_skipped")
