"""Delhi's 52.9 C of 29 May 2024, retracted three days later as about 3 C too high: replayed.

The peak, its correction and the day of the retraction (1 June) are published; the hours around the peak are modeled.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from kit.graph import Graph, same
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.local.replay import claim_evidence, read_inputs, replay, run_products
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.feeds.readings import read_feed
from monsoon.sources.files import FilePart
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.provider_files import parse_provider
from monsoon.transforms.product import content_version, parse_product

MUNGESHPUR = {"home_lat": 28.8180, "home_lon": 76.9790}

IMD = b"""
name: imd_mungeshpur
provider: imd
title: India Meteorological Department, automatic station at Mungeshpur
quality: official
clock: {field: time, format: "%Y-%m-%d %H:%M", zone: Asia/Kolkata, stamps: moment, issued: issued}
area: {lat: 28.8180, lon: 76.9790}
quantities:
  - {field: t, quantity: temperature, unit: C}
"""
HOURS = {11: 47.9, 12: 50.1, 13: 51.4, 14: 52.4, 15: 52.9, 16: 51.2, 17: 49.0}
TOO_HIGH_C = 3.0
RETRACTED = "2024-06-01 12:00"

HEAT = """
name: heat
title: a day's wage in extreme heat
zone_resolution: 7
plans: {standard: {}}
triggers:
  - name: heat
    peril: heat
    metric: temperature_c
    breach: "> 50"
    sustained: 2 h
    consensus: [{providers: 1, quality: [official]}, {providers: 2}]
    pays: 1.0 * daily_wage
decision:
  scores: {anomaly: {model: claim_anomaly}}
  rules:
    - {when: not measured(anomaly) or anomaly < 0.40, then: approve}
    - {when: anomaly <= 0.72, then: rescore_hold}
    - {then: asked}
  holds:
    rescore_hold:
      status: soft_hold
      wait: 2 h
      rules:
        - {when: not measured(anomaly) or anomaly < 0.40, then: approve}
        - {then: asked}
    asked:
      status: step_up
      wait: 4 h
      answered: approve
      rules: [{then: manual_review}]
"""
"""A product with a temperature trigger that the retraction takes away; above 45 C, it would leave it standing."""


def product(threshold_c):
    text = HEAT.replace("> 50", f"> {threshold_c}")
    return parse_product(yaml.safe_load(text), version=content_version(text.encode()), where="heat.yaml")


def ms(local):
    moment = datetime.strptime(local, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) - timedelta(minutes=330)
    return int(moment.timestamp()) * 1000


def thermometer(tmp_path, *, retracted):
    """What the station said, as its feed came."""
    rows = ["time,t,issued"]
    for hour, celsius in HOURS.items():
        time = f"2024-05-29 {hour}:00"
        rows.append(f"{time},{celsius},2024-05-29 {hour}:10")
        if retracted:
            rows.append(f"{time},{celsius - TOO_HIGH_C:.1f},{RETRACTED}")
    path = tmp_path / "mungeshpur.csv"
    path.write_text("\n".join(rows))
    return read_feed(parse_provider(IMD, where="imd.yaml"), [path]).readings


def held_reports(worker):
    """Three hours of a phone at home that claims to ride: a mock location, no motion, one place to the meter."""
    start = ms("2024-05-29 11:30")
    return [
        report(
            worker, 0, event_id=f"{worker}-{n}", event_time=start + 15_000 * n, lat=28.818, lon=76.979, speed_mps=9.0,
            mock_location=True, mock_setting=True, accel_var=1e-5, gnss_time=start, network_time=start + 15_000 * n,
            app_state="online", orders_completed=0,
        )
        for n in range(720)
    ]  # fmt: skip


def storm(tmp_path, *, retracted):
    """The streams: a rider who says nothing, one whose phone lies, one far away."""
    before = {"event_time": ms("2024-05-01 00:00"), "coverage_start": ms("2024-05-01 00:00"),
              "coverage_end": ms("2024-07-01 00:00"), "product": "heat"}  # fmt: skip
    return {
        "oracle_readings": thermometer(tmp_path, retracted=retracted),
        "telemetry": held_reports("held"),
        "subscriptions": [
            policy_record("paid", "p-paid", **MUNGESHPUR, **before),
            policy_record("held", "p-held", **MUNGESHPUR, **before),
            policy_record("elsewhere", "p-elsewhere", home_lat=28.40, home_lon=77.30, **before),
        ],
    }


def run(tmp_path, name, threshold_c, *, retracted):
    """The replay's records by stream, its lines, and its summary."""
    streams = storm(tmp_path, retracted=retracted)
    source, output = write_streams(tmp_path / f"{name}-in", streams), tmp_path / f"{name}-out"
    summary = replay(source, output, {"heat": product(threshold_c)}, ["heat"], load_scorer())
    records = {
        stream: (output / stream / "part-00000.jsonl").read_text().splitlines()
        for stream in ("disruptions", "claims", "payouts")
    }
    return {stream: [json.loads(line) for line in lines] for stream, lines in records.items()}, records, summary


def test_the_feed_says_52_9_and_takes_it_back_three_days_later(tmp_path):
    readings = thermometer(tmp_path, retracted=True)
    said = [
        (r["revision"], r["value"], r["issued_time"]) for r in readings if r["event_time"] == ms("2024-05-29 15:00")
    ]
    assert said == [(0, 52.9, ms("2024-05-29 15:10")), (1, 49.9, ms(RETRACTED))]


def test_what_was_unpaid_is_withdrawn_and_what_was_paid_stays_paid(tmp_path):
    plain, plain_lines, _ = run(tmp_path, "plain", 50, retracted=False)
    got, lines, summary = run(tmp_path, "retracted", 50, retracted=True)
    states = [(record["state"], record["revised_at"]) for record in got["disruptions"]]
    assert states[0] == ("confirmed", ms("2024-05-29 14:00")), "above 50 C since noon"
    assert states[-1] == ("withdrawn", ms(RETRACTED))
    assert plain["disruptions"][0]["severity"] == 52.4

    by_worker = {worker: [r for r in got["claims"] if r["worker_id"] == worker] for worker in ("paid", "held")}
    assert {record["worker_id"] for record in got["claims"]} == {"paid", "held"}
    assert by_worker["paid"][0]["status"] == "approved"
    assert by_worker["paid"][-1]["status"] == "approved"
    assert by_worker["paid"][-1]["payout_inr"] == 500
    held = [record["status"] for record in by_worker["held"]]
    assert held == ["step_up", "manual_review", "withdrawn"]
    assert by_worker["held"][-1]["decided_at"] == ms(RETRACTED)

    assert [(record["worker_id"], record["amount_paise"]) for record in got["payouts"]] == [("paid", 50_000)]
    assert summary["products"]["heat"]["for_review"] == [by_worker["paid"][0]["claim_id"]]
    for stream in plain_lines:
        assert lines[stream][: len(plain_lines[stream])] == plain_lines[stream], "published records are never edited"


def test_a_retraction_that_leaves_the_trigger_breached_takes_nothing_away(tmp_path):
    """Each corrected hour is still above Nexora's threshold of 43 C."""
    plain, _, _ = run(tmp_path, "plain", 43, retracted=False)
    got, _, summary = run(tmp_path, "retracted", 43, retracted=True)
    assert got["payouts"] == plain["payouts"] != []
    assert {record["state"] for record in got["disruptions"]} == {"confirmed", "ended"}
    assert summary["products"]["heat"]["for_review"] == []


def test_a_retraction_that_moves_the_start_pays_nobody_twice(tmp_path):
    """Above OffShift's 45 C it began at 11:00 with 47.9 C; corrected, at 12:00."""
    plain, _, _ = run(tmp_path, "plain", 45, retracted=False)
    got, _, summary = run(tmp_path, "retracted", 45, retracted=True)
    starts = {record["start"]: record["state"] for record in got["disruptions"]}
    assert starts == {ms("2024-05-29 11:00"): "withdrawn", ms("2024-05-29 12:00"): "ended"}
    assert got["payouts"] == plain["payouts"] != []
    second = [r for r in got["claims"] if r["worker_id"] == "paid" and r["status"] == "ineligible"]
    assert [record["reasons"][0] for record in second] == ["overlap"]
    paid = next(record["claim_id"] for record in got["claims"] if record["status"] == "approved")
    assert paid in summary["products"]["heat"]["for_review"]


@pytest.mark.parametrize("threshold_c", [50, 45, 43])
def test_a_running_job_that_hears_of_it_three_days_later_says_the_same(tmp_path, threshold_c):
    """The correction arrives when the watermark is three days on and everything was long decided."""
    streams = storm(tmp_path, retracted=True)
    corrections = [reading for reading in streams["oracle_readings"] if reading["revision"]]
    streams["oracle_readings"] = [reading for reading in streams["oracle_readings"] if not reading["revision"]]
    source = write_streams(tmp_path / "in", streams)
    heat = {"heat": product(threshold_c)}
    graph = Graph(JobConfig(heat, heat, source / "reference", None, 2))
    for stream in ("subscriptions", "oracle_readings", "telemetry"):
        graph.read(stream, FilePart(source / stream / "part-0.jsonl"))
    graph.advance(ms("2024-06-01 11:59"))
    decided = {record["claim_id"]: record["status"] for record in graph.collected().outcome.claims}
    assert sorted(decided.values()) == ["approved", "manual_review"]
    late = source / "oracle_readings" / "part-1.jsonl"
    late.write_text("".join(json.dumps(reading) + "\n" for reading in corrections))
    graph.read("oracle_readings", FilePart(late))
    inputs = read_inputs(source, heat)
    same(graph.finish().outcome, run_products(heat, inputs, claim_evidence(inputs, source, load_scorer())))


@pytest.mark.parametrize(
    ("name", "plan", "paise", "starts"),
    [
        ("offshift", "monthly_pro", 400_000, {"2024-05-29 11:00": "withdrawn", "2024-05-29 12:00": "ended"}),
        ("nexora", "standard", 30_000, {"2024-05-29 11:00": "ended"}),
    ],
)
def test_the_products_that_insure_heat(tmp_path, name, plan, paise, starts):
    """47.9 C at eleven confirms Nexora's at once; corrected it is still above 43. OffShift's three hours begin anew."""
    streams = storm(tmp_path, retracted=True)
    streams["subscriptions"] = [record | {"product": name, "plan": plan} for record in streams["subscriptions"]]
    source, output = write_streams(tmp_path / "in", streams), tmp_path / "out"
    summary = replay(source, output, load_products(), [name], load_scorer())
    lines = {
        stream: (output / stream / "part-00000.jsonl").read_text().splitlines() for stream in ("disruptions", "payouts")
    }
    records = {stream: [json.loads(line) for line in found] for stream, found in lines.items()}
    assert {record["start"]: record["state"] for record in records["disruptions"]} == {
        ms(start): state for start, state in starts.items()
    }
    assert [r["amount_paise"] for r in records["payouts"] if r["worker_id"] == "paid"] == [paise]
    assert len(summary["products"][name]["for_review"]) == ("withdrawn" in starts.values())
