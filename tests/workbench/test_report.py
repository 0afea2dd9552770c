"""The report's numbers are those of the records, its map shows them in time; it needs no network, and goes by mouse and
keys."""

import base64
import json
import shutil
from collections import Counter

import h3
import numpy as np
import polars as pl
import pytest
from kit.chromium import Chromium

from monsoon.cli.main import main
from monsoon.workbench import load
from monsoon.workbench.report.map_layers import TimeAxis, maps_of, riders_in_cells
from monsoon.workbench.report.story import HELD, reserves_by_day, story_of

MAX_BYTES = 8_000_000
ARROW_RIGHT = ("ArrowRight", 39)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A storm with rings and held claims, its output and its page."""
    folder = tmp_path_factory.mktemp("delhi")
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", "120", "--seed", "1"]
    assert main([*words, "--output", str(folder / "in")]) == 0
    assert main(["replay", "--input", str(folder / "in"), "--output", str(folder / "out")]) == 0
    assert main(["report", "--input", str(folder / "in"), "--output", str(folder / "out")]) == 0
    return folder


def records_of(folder, stream):
    return [json.loads(line) for line in (folder / stream / "part-00000.jsonl").read_text().splitlines()]


def last_of(records, identity):
    return {record[identity]: record for record in sorted(records, key=lambda each: each["revision"])}


def test_every_number_is_that_of_the_records(small_outputs):
    """Counted here from the lines, without tables."""
    folder = small_outputs["jsonl"]
    claims, payouts, disruptions = (records_of(folder, each) for each in ("claims", "payouts", "disruptions"))
    last, paid = last_of(claims, "claim_id"), {payout["claim_id"] for payout in payouts}
    story = story_of(load(folder), {})
    assert story["numbers"] == {
        "lines_read": 255,
        "disruptions": sum(each["state"] != "withdrawn" for each in last_of(disruptions, "disruption_id").values()),
        "claims": len(last),
        "riders_with_claims": len({claim["worker_id"] for claim in claims}),
        "riders_paid": len({payout["worker_id"] for payout in payouts}),
        "payouts": len(payouts),
        "paid_paise": sum(payout["amount_paise"] for payout in payouts),
        "held_claims": sum(claim["status"] in HELD for claim in last.values()),
        "queued_paise": 0,
        "dead_letters": len(records_of(folder, "dead_letters")),
    }
    eligible = [each for each in last.values() if each["status"] not in ("ineligible", "withdrawn")]
    scored = {claim["claim_id"] for claim in claims if claim["anomaly_score"] is not None}
    assert dict(story["funnel"]) == {
        "candidates": len(last),
        "eligible": len(eligible),
        "scored": sum(claim["claim_id"] in scored for claim in eligible),
        "held at some time": len({claim["claim_id"] for claim in claims if claim["status"] in HELD}),
        "paid": len(paid),
    }
    modes = Counter((metric, mode) for each in disruptions for metric, mode in each["oracle_modes"].items())
    assert {(m, mode): n for m, counts in story["oracle_modes"].items() for mode, n in counts.items()} == modes
    (delays,) = story["delays"]
    confirmed = {each["disruption_id"]: each["confirmed_at"] for each in disruptions if each["revision"] == 0}
    minutes = [
        (payout["created_at"] - confirmed[last[payout["claim_id"]]["disruption_id"]]) / 60_000
        for payout in payouts
        if payout["instalment"] == 0
    ]
    assert delays["claims"] == sum(delays["counts"]) == len(minutes)
    assert delays["counts"][0] == sum(each < 1 for each in minutes)
    (money,) = story["money"]
    assert (money["paid_paise"], money["payouts"]) == (story["numbers"]["paid_paise"], len(payouts))


def test_held_claims_and_rings(simulated):
    claims = last_of(records_of(simulated / "out", "claims"), "claim_id")
    held = [claim for claim in claims.values() if claim["status"] in HELD]
    story = story_of(load(simulated / "out"), {})
    assert {claim["claim_id"] for claim in story["held"]["claims"]} == {claim["claim_id"] for claim in held} != set()
    assert dict(story["held"]["reasons"]) == Counter(reason for claim in held for reason in claim["reasons"])
    for shown in story["held"]["claims"]:
        record = claims[shown["claim_id"]]
        assert shown["payout_terms"] == record["payout_terms"]
        assert shown["features"] == {name: value for name, value in record["features"].items() if value is not None}


def test_rings(small_outputs, tmp_path):
    """The last raised alert of each, with its claims' cells; a ring that is lifted later is still told."""
    folder = shutil.copytree(small_outputs["jsonl"], tmp_path / "out")
    claims = [each for each in records_of(folder, "claims") if each["revision"] == 0][:4]
    alert = {
        "product": "kawaach",
        "trigger": "rain",
        "members": ["w0", "w1", "w2"],
        "held_claim_ids": [],
        "evidence": [],
        "ring_id": "r1",
    }
    alerts = [
        alert
        | {"state": state, "alert_id": f"a{at}", "event_time": at, "claim_ids": [c["claim_id"] for c in claims[:n]]}
        for at, state, n in ((1, "raised", 3), (2, "raised", 4), (3, "lifted", 0))
    ]
    (folder / "ring_alerts" / "part-00000.jsonl").write_text("".join(json.dumps(each) + "\n" for each in alerts))
    (ring,) = story_of(load(folder), {})["rings"]
    assert len(ring["claim_ids"]) == 4
    (shown,) = maps_of(load(folder), {}, [])["products"].values()
    names = [cell["name"] for cell in shown["cells"]]
    assert [names[cell] for cell in shown["rings"]["r1"]] == [claim["zone"] for claim in claims]


def test_the_map_at_each_step_is_what_the_records_say(small_outputs):
    folder = small_outputs["jsonl"]
    maps = maps_of(load(folder), {"kawaach": ["rain partial", "rain full"]}, [])
    (shown,) = maps["products"].values()
    names = [cell["name"] for cell in shown["cells"]]
    disruptions = records_of(folder, "disruptions")
    assert maps["steps"] > 5
    for step in range(maps["steps"]):
        until = maps["from_ms"] + step * maps["step_ms"]
        zones = Counter()
        for at, cell, level, by in shown["changes"]:
            if at <= step:
                zones[names[cell], shown["levels"][level]] += by
        now = last_of([each for each in disruptions if each["revised_at"] <= until], "disruption_id").values()
        expected = Counter(
            (each["zone"], " ".join(filter(None, (each["trigger"], each["level"]))))
            for each in now
            if each["state"] == "confirmed"
        )
        assert +zones == expected, step
    paid = sum(paise for *_, paise in shown["paid"])
    assert paid == sum(payout["amount_paise"] for payout in records_of(folder, "payouts"))
    assert sum(count for _, _, count, _ in shown["claims"]) == len(last_of(records_of(folder, "claims"), "claim_id"))


def test_riders_are_counted_where_and_when_they_reported():
    """Each rider once a step and cell, in the step at whose end the report had come; in other cells not at all."""
    axis, cells = TimeAxis([600_000, 1_800_000]), [h3.latlng_to_cell(28.6, 77.2, 8), h3.latlng_to_cell(28.7, 77.1, 8)]
    reports = [
        ("a", 600_000, 28.6, 77.2),
        ("a", 600_001, 28.6, 77.2),
        ("a", 900_000, 28.6, 77.2),
        ("b", 900_000, 28.6, 77.2),
        ("b", 900_000, 28.7, 77.1),
        ("c", 900_000, 12.9, 77.6),
        ("c", 9_900_000, 28.6, 77.2),
        ("c", 300_000, 28.6, 77.2),
    ]
    telemetry = pl.DataFrame(reports, ["worker_id", "event_time", "lat", "lon"], orient="row")
    counts = np.frombuffer(base64.b64decode(riders_in_cells(axis, cells, telemetry)), "<u2").reshape(axis.count, 2)
    assert axis.step_ms == 300_000
    assert counts.tolist() == [[1, 0], [2, 1], [0, 0], [0, 0], [0, 0]]


def test_money_beside_what_caps_left(small_outputs, tmp_path):
    """Of each rider who was paid, what his tightest cap left at the day's first decision; and the claims that caps
    cut."""
    folder = shutil.copytree(small_outputs["jsonl"], tmp_path / "out")
    claims = records_of(folder, "claims")
    paid = {payout["worker_id"] for payout in records_of(folder, "payouts")}
    for claim in claims:
        used = 50 if claim["revision"] else 20
        cap = {"period": "", "used_inr": used}
        claim["payout_terms"] = {"local_day": cap | {"limit_inr": 300}, "iso_week": cap | {"limit_inr": 170.5}}
    claims[0]["reasons"] = ["cap_reached"]
    (folder / "claims" / "part-00000.jsonl").write_text("".join(json.dumps(each) + "\n" for each in claims))
    (money,) = story_of(load(folder), {})["money"]
    first = {claim["worker_id"] for claim in claims if claim["revision"] == 0} & paid
    assert money["caps_paise"] == len(first) * 15_050 > 0
    assert money["capped_claims"] == 1


def test_reserves_are_those_stated_last():
    reserve = {"product": "gic", "day": "2024-06-28", "cell": "853da10bfffffff", "event_time": 0, "reserve_id": "a"}
    records = [
        {**reserve, "amount_paise": 100},
        {**reserve, "amount_paise": 70, "event_time": 5, "cell": "853DA10BFFFFFFF"},
        {**reserve, "amount_paise": 30, "cell": "853da10ffffffff"},
    ]
    assert reserves_by_day(records) == {("gic", "2024-06-28"): 100}
    assert reserves_by_day([]) == {}


def test_the_page_is_a_function_of_the_records(small_outputs, tmp_path):
    """Of both formats; a replay replaces it with the records that it is of."""
    pages = []
    for number, folder in enumerate(small_outputs.values()):
        copy = shutil.copytree(folder, tmp_path / str(number) / "out")
        assert main(["report", "--output", str(copy)]) == 0
        pages.append((copy / "report.html").read_bytes())
    assert pages[0] == pages[1]
    assert len(pages[0]) < MAX_BYTES


def test_no_claims_and_what_a_script_would_end(tmp_path, small_outputs):
    folder = shutil.copytree(small_outputs["jsonl"], tmp_path / "<script>alert(1)<")
    for stream in ("claims", "disruptions", "payouts"):
        (folder / stream / "part-00000.jsonl").write_text("")
    assert main(["report", "--output", str(folder)]) == 0
    assert b"<script>alert" not in (folder / "report.html").read_bytes()


def test_a_replay_replaces_the_page(small_input, small_outputs, tmp_path):
    folder = shutil.copytree(small_outputs["jsonl"], tmp_path / "out")
    assert main(["report", "--output", str(folder)]) == 0
    assert main(["replay", "--input", str(small_input), "--output", str(folder)]) == 0
    assert not (folder / "report.html").exists()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_in_a_browser(browser, simulated):
    """Read, slide, click, and choose by keys; nothing is asked of a network, and nothing fails."""
    out = simulated / "out"
    browser.look(1280, 1000)
    browser.open(out / "report.html")
    shown = "[...document.querySelectorAll('[data-number]')].map(e => [e.dataset.number, e.textContent])"
    said = dict(browser.value(shown))
    numbers = story_of(load(out), {})["numbers"]
    assert said == {
        name: f"Rs {value / 100:,.2f}" if name.endswith("paise") else f"{value:,}" for name, value in numbers.items()
    }

    def now_at(step):
        browser.value(
            f"time.value = {step}; time.dispatchEvent(new Event('input')); new Promise(requestAnimationFrame)"
        )
        return browser.value("now.textContent")

    maps = maps_of(load(out), {}, [])
    payouts = records_of(out, "payouts")
    for step in (0, maps["steps"] // 3, maps["steps"] - 1):
        until = maps["from_ms"] + step * maps["step_ms"]
        paid = [payout["amount_paise"] for payout in payouts if payout["created_at"] <= until]
        assert f"{len(paid):,} payouts, Rs {sum(paid) / 100:,.2f}." in now_at(step)

    now_at(5)
    browser.value("time.focus()")
    browser.press(*ARROW_RIGHT)
    browser.wait("time.value === '6'")

    with_claims = next(cell for _, cell, *_ in maps["products"]["kawaach"]["claims"])
    lat, lon = maps["products"]["kawaach"]["centers"][with_claims]
    x, y = browser.value(
        "(() => { map.scrollIntoView(); const { xaxis, yaxis } = map._fullLayout, box = map.getBoundingClientRect();"
        f" return [box.x + xaxis._offset + xaxis.d2p({lon}), box.y + yaxis._offset + yaxis.d2p({lat})]; }})()"
    )
    browser.click(x, y)
    browser.wait("cell.value !== ''")
    name = browser.value("details.querySelector('dd').textContent")
    assert name in {each["name"] for each in maps["products"]["kawaach"]["cells"]}

    terms = "[...details.querySelectorAll('dt')].map(term => [term.textContent, term.nextSibling.textContent])"
    details = dict(browser.value(terms))
    until = maps["from_ms"] + 6 * maps["step_ms"]
    reports = [json.loads(line) for line in (simulated / "in" / "telemetry" / "part-00000.jsonl").open()]
    riders = {
        each["worker_id"]
        for each in reports
        if until - maps["step_ms"] < each["event_time"] <= until
        and h3.latlng_to_cell(each["lat"], each["lon"], h3.get_resolution(name)) == name
    }
    assert details["Riders reporting"] == str(len(riders))
    browser.value("fill.value = 'riders'; fill.dispatchEvent(new Event('change'))")
    browser.wait("[...map.querySelectorAll('.legendtext')].some(e => e.textContent === 'no rider reported')")
    browser.value("fill.value = 'readings'; fill.dispatchEvent(new Event('change'))")
    browser.wait("[...map.querySelectorAll('.legendtext')].some(e => e.textContent === '0, or no station')")

    held = story_of(load(out), {})["held"]["claims"][0]
    browser.value(f"location.hash = {held['claim_id']!r}")
    browser.wait(f"document.getElementById({held['claim_id']!r}).open")
    shown = browser.value(f"document.querySelector('#{held['claim_id']} pre').textContent")
    assert json.loads(shown)["reasons"] == held["reasons"]
    assert browser.faults == []
    assert browser.requests == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(browser, simulated, scheme):
    browser.look(390, 844, scheme, mobile=True)
    browser.open(simulated / "out" / "report.html")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, background[4:-1].split(",")))
    assert brightness < 150 if scheme == "dark" else brightness > 700
    text = browser.value("getComputedStyle(document.querySelector('#funnel .ytick text')).fill")
    assert abs(sum(map(int, text[4:-1].split(","))) - brightness) > 400
    assert browser.faults == []


@pytest.mark.slow
def test_an_empty_output_in_a_browser(browser, small_outputs, tmp_path):
    folder = shutil.copytree(small_outputs["jsonl"], tmp_path / "out")
    for stream in ("claims", "disruptions", "payouts"):
        (folder / stream / "part-00000.jsonl").write_text("")
    assert main(["report", "--output", str(folder)]) == 0
    browser.open(folder / "report.html")
    assert browser.value("period.textContent") == "Nothing was decided."
    assert browser.faults == []
