"""Policies that cannot be judged like others: a platform nobody speaks of, plans that are none, figures not stated."""

import json

import pytest
from kit import at, reading_record
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()


def run(tmp_path, product, readings, *policies, telemetry=()):
    """Claims by worker (their last revision), dead letters and the summary."""
    subscriptions = [policy_record(worker, f"p-{worker}", product=product, **fields) for worker, fields in policies]
    streams = {"telemetry": list(telemetry), "oracle_readings": readings, "subscriptions": subscriptions}
    summary = replay(write_streams(tmp_path / "in", streams), tmp_path / "out", PRODUCTS, [product], load_scorer())
    lines = {
        stream: [json.loads(line) for line in (tmp_path / "out" / stream / "part-00000.jsonl").read_text().splitlines()]
        for stream in ("claims", "dead_letters")
    }
    return {claim["worker_id"]: claim for claim in lines["claims"]}, lines["dead_letters"], summary


def test_a_platform_that_no_reading_names(tmp_path):
    down = [reading_record("platform_down", 1, minutes, platform="zepto") for minutes in range(0, 181, 30)]
    claims, dead, _ = run(tmp_path, "kawaach", down, ("named", {"platform": "zepto"}), ("other", {"platform": "dunzo"}))
    assert set(claims) == {"named"}
    assert dead == []


@pytest.mark.parametrize(
    ("product", "plan"),
    [
        ("jugaad", "basic:heat,hail"),
        ("jugaad", "basic:heat,heat"),
        ("jugaad", "basic:heat,rain,fog,aqi"),
        ("jugaad", "basic:"),
        ("jugaad", "standard:rain"),
        ("offshift", "lifetime"),
        ("nexora", ""),
    ],
)
def test_a_plan_that_the_product_has_not(tmp_path, product, plan):
    claims, dead, summary = run(tmp_path, product, [], ("rider", {"plan": plan}))
    assert claims == {}
    assert [letter["reason"] for letter in dead] == ["unknown_plan"]
    assert summary["streams"]["subscriptions"]["dead"] == 1


def heavy(minutes, value=40):
    return [reading_record("rain_mm_h", value, each) for each in range(0, minutes, 15)]


def test_without_a_mean_nobody_knows_a_drop(tmp_path):
    reports = [report("rider", minutes, orders_completed=0) for minutes in range(-120, 120, 5)]
    figures = {"orders_per_hour": None, "orders_per_hour_sd": None, "shift_baseline_inr": None, "platform": "zepto"}
    claims, _, _ = run(tmp_path, "gic", heavy(121), ("rider", figures), telemetry=reports)
    assert (claims["rider"]["status"], claims["rider"]["reasons"]) == ("manual_review", ["activity_not_measured"])


def test_alone_in_the_zone_a_drop_is_held_and_never_paid_at_once(tmp_path):
    reports = [report("rider", minutes, orders_completed=0, platform="zepto") for minutes in range(-120, 120, 5)]
    figures = {"orders_per_hour": 4.0, "orders_per_hour_sd": 1.0, "platform": "zepto"}
    claims, _, _ = run(tmp_path, "gic", heavy(121), ("rider", figures), telemetry=reports)
    assert claims["rider"]["status"] == "manual_review"
    assert claims["rider"]["reasons"][0] == "too_few_peers"
    assert claims["rider"]["payout_terms"]["activity"]["peers"] == 0
    assert claims["rider"]["decided_at"] == at(120)


def test_shift_earnings_that_are_not_stated_are_a_daily_wage(tmp_path):
    policies = [("stated", {"shift_baseline_inr": 300.0}), ("silent", {"shift_baseline_inr": None})]
    named = [(worker, {**figures, "plan": "standard", "daily_wage_inr": 500.0}) for worker, figures in policies]
    rain = [reading_record("rain_mm_h", 40, each, provider=name) for each in range(0, 121, 15) for name in ("a", "b")]
    claims, _, _ = run(tmp_path, "jugaad", rain, *named)
    assert {worker: claim["payout_inr"] for worker, claim in claims.items()} == {"stated": 210.0, "silent": 350.0}


def test_who_trusts_nobody_measured_is_paid(tmp_path):
    """A rider without any telemetry: of trust's parts only when the policy was bought is known. Nothing speaks against
    it, so it waits once and is paid."""
    rain = [reading_record("rain_mm_h", 80, 0, provider=name) for name in ("a", "b")]
    claims, _, _ = run(tmp_path, "offshift", rain, ("rider", {"plan": "shift_pass"}))
    assert (claims["rider"]["status"], claims["rider"]["trust_score"]) == ("approved", 0.55)
    assert claims["rider"]["decided_at"] == at(15)
