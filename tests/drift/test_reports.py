"""Chance raises no alarm, a shift does, and a report is a function of the claims alone."""

import json
import random

import numpy as np
import pytest
from drift.drawn import NOON_MS, ZONES, claim
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monsoon.sinks.parquet_records import parquet_of
from monsoon.transforms.drift.report import MIN_RIDERS

DAY_MS = 24 * 3_600_000
SEEDS = st.integers(0, 1_000_000)


@pytest.fixture(scope="module")
def contract(root):
    schema = json.loads((root / "contracts" / "drift_report.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema | {"additionalProperties": False})


@given(count=st.integers(1, 1_500), seed=SEEDS)
def test_a_day_like_training_raises_no_alarm(honest, count, seed):
    for report in honest.reports(honest.records(count, seed)):
        assert report["alerts"] == []


@given(count=st.integers(200, 1_500), seed=SEEDS, held_of_100=st.integers(0, 60))
def test_holds_by_chance_raise_no_alarm(honest, count, seed, held_of_100):
    rng = random.Random(seed)
    records = [
        each
        | {
            "status": "soft_hold" if rng.randrange(100) < held_of_100 else "approved",
            "product": rng.choice(["gic", "jugaad", "kawaach"]),
            "zone": rng.choice(ZONES),
        }
        for each in honest.records(count, seed)
    ]
    assert [each for each in honest.alerts(records) if each[0] == "hold_rate"] == []


@given(seed=SEEDS)
def test_a_shifted_feature_is_an_alert_of_that_feature(honest, seed):
    records = honest.records(200, seed)
    for record in records:
        if record["features"]["gps_jitter_m"] is not None:
            record["features"]["gps_jitter_m"] *= 0.9
    found = honest.alerts(records)
    assert {about for kind, about in found if kind == "psi"} == {"gps_jitter_m"}


@given(seed=SEEDS)
def test_a_sensor_that_falls_silent_is_an_alert(honest, seed):
    records = honest.records(100, seed)
    for record in records:
        record["features"]["accelerometer_variance"] = None
    (report, _) = honest.reports(records)
    assert ("missing", "accelerometer") in [(each["kind"], each["about"]) for each in report["alerts"]]
    (feature,) = [each for each in report["features"] if each["name"] == "accelerometer_variance"]
    assert feature == {
        "name": "accelerometer_variance", "measured": 0, "psi": None, "null_psi": None, "drifted": False,
        "shifted": False,
    }  # fmt: skip


@given(seed=SEEDS)
def test_many_anomalous_claims_are_an_alert_of_the_p_values(honest, seed):
    records = honest.records(60, seed)
    for record in records[::2]:
        record["features"] |= {"mock_location_share": 1.0, "cell_tower_zone_match": 0.0, "bssid_zone_match": 0.0}
    assert ("p_values", "p_value") in honest.alerts(records)


def test_a_slice_that_is_held_more_is_an_alert_of_that_slice_alone(honest):
    records = honest.records(400, 1)
    for number, record in enumerate(records):
        record["product"] = ("gic", "kawaach", "nexora", "offshift")[number % 4]
        if record["product"] == "gic" and number % 8 == 0:
            record["status"] = "step_up"
    (report, _) = honest.reports(records)
    assert report["hold_rate"] == 0.125
    assert [each["about"] for each in report["alerts"]] == ["product:gic"]
    (alert,) = report["alerts"]
    assert (alert["value"], alert["limit"], alert["claims"]) == (0.5, 0.25, 100)


def test_slices_by_platform_and_cell(honest):
    records = honest.records(100, 1)
    for record in records[:50]:
        record |= {"disruption_id": "d2", "zone": ZONES[1]}
    (everywhere, *cells) = honest.reports(records, platforms={"d1": None, "d2": "zomato"})
    found = {(each["dimension"], each["value"]): each["claims"] for each in everywhere["slices"]}
    assert found["platform", "zomato"] == 50
    assert ("platform", "") not in found
    assert sum(each["claims"] for each in cells) == 100
    assert {each["cell"] for each in cells} == {value for dimension, value in found if dimension == "cell"}


@pytest.mark.parametrize(
    "fields",
    [
        {"guard": [{"signal": "mock", "status": "strong"}]},
        {"reread": {"guard": [{"signal": "cell", "status": "strong"}]}},
        {"ring_id": "r1", "reasons": ["ring"]},
        {"status": "ineligible"},
    ],
    ids=["guard", "reread", "ring", "ineligible"],
)
def test_who_does_not_look_honest_is_in_no_hold_rate(honest, fields):
    report = honest.reports(honest.records(30, 1, **({"status": "manual_review"} | fields)))[0]
    assert (report["honest_looking_claims"], report["held_claims"], report["slices"]) == (0, 0, [])


def test_who_is_attached_to_a_ring_by_one_edge_may_be_honest(honest):
    report = honest.reports(honest.records(30, 1, status="step_up", ring_id="r1", reasons=["verify:ring"]))[0]
    assert (report["honest_looking_claims"], report["held_claims"]) == (30, 30)


@pytest.mark.parametrize("reason", ["too_few_peers", "activity_not_measured", "nothing_measured", "score_missing"])
def test_a_hold_without_suspicion_is_no_hold(honest, reason):
    report = honest.reports(honest.records(30, 1, status="manual_review", reasons=[reason]))[0]
    assert (report["honest_looking_claims"], report["held_claims"]) == (30, 0)


def test_a_hold_of_any_revision_counts_on_the_day_of_the_first(honest):
    records = honest.records(30, 1)
    later = [each | {"revision": 1, "status": "soft_hold", "decided_at": NOON_MS + DAY_MS} for each in records[:3]]
    reports = honest.reports([*records, *later])
    assert {report["day"] for report in reports} == {"2024-06-28"}
    assert (reports[0]["claims"], reports[0]["held_claims"]) == (30, 3)


def test_a_riders_claims_are_one_piece_of_evidence(honest):
    records = honest.records(1, 1)
    repeated = [records[0] | {"claim_id": f"c{number}", "product": f"p{number % 5}"} for number in range(500)]
    report = honest.reports(repeated)[0]
    assert (report["claims"], report["riders"], report["riders_with_evidence"]) == (500, 1, 1)
    assert report["alerts"] == []


@given(seed=SEEDS)
def test_few_riders_raise_no_alarm_whatever_they_send(honest, seed):
    records = honest.records(MIN_RIDERS - 1, seed, status="manual_review")
    for record in records:
        record["features"] = dict.fromkeys(record["features"], 1e6)
    assert all(report["alerts"] == [] for report in honest.reports(records))


def test_days_are_those_of_india_and_a_day_without_claims_has_no_report(honest):
    midnight_ms = NOON_MS + DAY_MS // 2
    records = honest.records(3, 1)
    for record, at_ms in zip(records, (midnight_ms - 1, midnight_ms, midnight_ms + 5 * DAY_MS), strict=True):
        record["decided_at"] = at_ms
    assert [report["day"] for report in honest.reports(records) if report["cell"] is None] == [
        "2024-06-28", "2024-06-29", "2024-07-04"
    ]  # fmt: skip


def test_no_claims_no_reports(honest):
    assert honest.reports([]) == []


def test_claims_without_evidence(honest, contract):
    silent = [claim(number, dict.fromkeys(honest.scorer.features), feature_reports={}) for number in range(30)]
    report = honest.reports(silent)[0]
    contract.validate(report)
    assert (report["claims"], report["riders_with_evidence"], report["p_values"]["p_value"]) == (30, 0, 1.0)
    assert all(each["missing_share"] is None for each in report["groups"])
    assert report["alerts"] == []


@given(seed=SEEDS, rng=st.randoms(use_true_random=False))
def test_order_and_repeats_change_nothing(honest, seed, rng):
    records = honest.records(120, seed)
    for record in records:
        record |= {"zone": rng.choice(ZONES), "decided_at": NOON_MS + rng.randrange(3) * DAY_MS}
    # A later revision is of another day, another claim of a rider has other features.
    later = {
        "revision": 1,
        "status": "soft_hold",
        "decided_at": NOON_MS + 9 * DAY_MS,
        "features": records[0]["features"],
    }
    records += [each | later for each in records[::3]]
    records += [
        each | {"claim_id": f"d{number}", "decided_at": each["decided_at"] + 1, "features": records[1]["features"]}
        for number, each in enumerate(records[:60])
    ]
    expected = json.dumps(honest.reports(records))
    shuffled = [*records, *rng.sample(records, 20)]
    rng.shuffle(shuffled)
    assert json.dumps(honest.reports(shuffled)) == expected


def test_reports_satisfy_their_contract(honest, contract):
    records = honest.records(300, 1)
    for record in records[::3]:
        record |= {"status": "step_up", "product": "gic", "zone": ZONES[1]}
        record["features"]["mock_location_share"] = 1.0
    reports = honest.reports(records)
    for report in reports:
        contract.validate(report)
    assert {each["kind"] for each in reports[0]["alerts"]} >= {"psi", "hold_rate"}
    assert len({report["report_id"] for report in reports}) == len(reports) == 3
    assert len(parquet_of("drift_report", reports)) > 1_000


def test_numbers_beyond_float32_are_counted(honest):
    records = honest.records(50, 1)
    for record in records:
        record["features"]["speed_variance_30min"] = 1e300
    assert ("psi", "speed_variance_30min") in honest.alerts(records)
    assert np.isfinite([each["psi"] for each in honest.reports(records)[0]["features"] if each["psi"]]).all()
