"""Evidence at an old anchor: a job keeps what it looks back on; and messages from before there were anchors."""

import polars as pl
from kit import LAT, LON, at, reading_record
from kit.graph import Scripted, same
from kit.streams import policy_record, report

from monsoon.pipelines.operators.adjudicate_claims import _EVIDENCE, _of_present
from monsoon.transforms.evidence.features import FEATURE_NAMES


def test_a_job_measures_an_anchor_of_89_min_before_and_90_min_back_from_it(tmp_path):
    """One mock-flagged report from the zone, then silence until after the confirmation."""
    there = {"lat": LAT, "lon": LON, "orders_completed": 1, "app_state": "online"}
    sent = [report("w", minutes, mock_location=False, **there) for minutes in range(-185, -89)]
    sent += [report("w", -89, mock_location=True, **there)]
    sent += [report("w", minutes, mock_location=False, lat=LAT + 1, lon=LON) for minutes in range(1, 60)]
    rain = [
        reading_record("rain_mm_24h", 110.0, 0, provider=name, reading_id=name, radius_km=50)
        for name in ("imd", "skymet")
    ]
    source = Scripted(tmp_path / "in")
    policy = policy_record("w", "p", home_lat=LAT + 0.05)
    source.play([(None, {"telemetry": sent, "oracle_readings": rain, "subscriptions": [policy]})])
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    claim = outcome.claims[0]
    assert claim["decided_at"] == at(0)
    assert claim["features"]["mock_location_share"] == round(1 / 30, 6)
    assert claim["feature_reports"]["mock_location_share"] == 30
    assert claim["features"]["recent_activity_in_zone"] == 90
    assert claim["feature_reports"]["riders_on_device_28d"] >= 1


def test_a_message_of_an_earlier_release_stands_for_a_first_score_and_for_a_rescore():
    new = ("bssid_fix_match", "speed_cv")
    measured = {name: pl.Series([0.5]) for name in FEATURE_NAMES if name not in new}
    counts = {f"{name}/reports": pl.Series([3], dtype=pl.Int32) for name in measured}
    message = pl.DataFrame(
        {"disruption_id": "d", "confirmed_at_ms": at(0), "worker_id": "w", "zone": "z", "policy_id": "p"}
        | {"decided_at_ms": at(120)}
    ).with_columns(**measured, **counts)
    read = _of_present(message)
    assert read.columns == list(_EVIDENCE)
    assert read["rescored"].to_list() == [False, True]
    assert read["window_start_ms"].to_list() == [at(-30)] * 2
    assert read["window_end_ms"].to_list() == [at(120)] * 2
    assert read["mock_location_share"].to_list() == [0.5, 0.5]
    assert read["bssid_fix_match"].is_nan().all()
    assert read["bssid_fix_match/reports"].to_list() == [0, 0]
    assert _of_present(read).equals(read)
    assert _of_present(read.drop("speed_cv", "speed_cv/reports")).columns == list(_EVIDENCE)
