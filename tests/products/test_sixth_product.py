"""A sixth product is one new file: the cyclone product, replayed from its file by the command itself."""

import json
from pathlib import Path

import pytest
from kit import LAT, LON, at
from kit.graph import by_both_engines, same

from monsoon.cli.main import main
from monsoon.sources.product_files import load_product_file, load_products
from monsoon.testing import Clock, Scenario

CYCLONE = Path(__file__).parent / "cyclone.yaml"


RIDERS = {"small": "coast", "big": "coast_plus", "late": "coast_plus", "away": "coast_plus"}
FAR = (13.05, 80.27)
WIND_KMH = dict.fromkeys(range(0, 91, 15), 94.5) | {105: 20.0}
RAIN_MM = {30: 120.0, 60: 210.0, 120: 10.0}


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """Wind of 94.5 km/h for 90 min by one official station; rain by two, very heavy and then extremely heavy. An alert
    at two at night; riders report from ten on, minute 0 is noon."""
    scenario = Scenario(CYCLONE, Clock("2024-06-28 02:00"), place=(LAT, LON))
    scenario.reading("imd", "red_alert", 1)
    for rider, plan in [*RIDERS.items(), ("wrong", "coast_ultra")]:
        bought = "100 min" if rider == "late" else "7 d"
        scenario.policy(rider, plan, bought, daily_wage_inr=800)
    scenario.clock.advance("8 h")
    for moment_ms in scenario.clock.every("5 min", times=54):
        minute = (moment_ms - at(0)) // 60_000
        for rider in RIDERS:
            scenario.report(rider, at=FAR if rider == "away" else None)
        if minute in WIND_KMH:
            scenario.reading("imd", "wind_kmh", WIND_KMH[minute])
        if minute in RAIN_MM:
            for provider in ("imd", "skymet"):
                scenario.reading(provider, "rain_mm_24h", RAIN_MM[minute])
    return scenario.write(tmp_path_factory.mktemp("storm"))


def lines(folder, stream):
    return [json.loads(line) for path in sorted((folder / stream).glob("*.jsonl")) for line in path.open()]


@pytest.fixture(scope="module")
def output(storm):
    out = storm.parent / f"{storm.name}-out"
    words = ["replay", "--input", storm, "--output", out, "--products", "cyclone", "--product-file", CYCLONE]
    assert main([str(word) for word in words]) == 0
    return out


def last(records, identity):
    return {record[identity]: record for record in sorted(records, key=lambda record: record["revision"])}.values()


def test_its_triggers_confirm(output):
    disruptions = list(last(lines(output, "disruptions"), "disruption_id"))
    assert {(each["trigger"], each["level"]) for each in disruptions} == {("wind", None), ("rain", "extremely_heavy")}
    assert {each["product"] for each in disruptions} == {"cyclone"}
    confirmed = {each["trigger"]: each["confirmed_at"] for each in disruptions}
    assert confirmed == {"wind": at(60), "rain": at(30)}


def test_its_plans_pay_by_its_formulas_within_its_caps(output):
    """wind: share x 800 x 94.5/63, within 100 and the plan's max_payout, which is the cap too; rain overlaps it."""
    claims = last(lines(output, "claims"), "claim_id")
    trigger = {each["disruption_id"]: each["trigger"] for each in lines(output, "disruptions")}
    gross = {(c["worker_id"], trigger[c["disruption_id"]]): c["payout_terms"]["gross_inr"] for c in claims}
    assert gross["small", "wind"] == 600
    assert gross["big", "wind"] == 1200
    assert gross["big", "rain"] == 800
    assert not [worker for worker, _ in gross if worker in ("away", "wrong")]
    paid = {}
    for payout in lines(output, "payouts"):
        paid[payout["worker_id"]] = paid.get(payout["worker_id"], 0) + payout["amount_paise"]
    assert (paid["small"], paid["big"]) == (60_000, 120_000)


def test_its_lockout_and_plans_exclude(output):
    trigger = {each["disruption_id"]: each["trigger"] for each in lines(output, "disruptions")}
    claims = [(c["worker_id"], trigger[c["disruption_id"]], c["status"], c["reasons"]) for c in lines(output, "claims")]
    assert {(reasons[0], status) for worker, _, status, reasons in claims if worker == "late"} == {
        ("lockout", "ineligible")
    }
    assert {tuple(reasons) for worker, name, _, reasons in claims if (worker, name) == ("small", "rain")} <= {
        ("plan_lacks_trigger",)
    }


def test_its_version_is_in_every_decision(output):
    version = load_product_file(CYCLONE).version
    assert {claim["product_version"] for claim in lines(output, "claims")} == {version}


def test_a_policy_with_a_plan_it_lacks_is_a_dead_letter(output):
    assert [each["reason"] for each in lines(output, "dead_letters")] == ["unknown_plan"]


def test_without_the_file_its_policies_are_unknown(storm, tmp_path, capsys):
    assert main(["replay", "--input", str(storm), "--output", str(tmp_path / "out"), "--products", "nexora"]) == 0
    assert {each["reason"] for each in lines(tmp_path / "out", "dead_letters")} == {"unknown_product"}


def test_the_steps_decide_as_the_local_engine_does(storm):
    expected, outcome = by_both_engines(storm, load_products(["cyclone"], [CYCLONE]))
    assert expected.payouts
    same(outcome, expected)
