"""A grid on one input: each point is what a replay with its product file decides, and the input is read once."""

import json

import h3.api.basic_str as h3
import polars as pl
import pytest
from kit.chromium import Chromium
from kit.streams import small_storm, write_lines, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.local import replay as local
from monsoon.pipelines.whatif import WhatIf, grid_table, points_of
from monsoon.sinks.record_files import encoded
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.transforms.product import ProductError
from monsoon.transforms.product.variations import parse_variation
from monsoon.workbench import load

DECIDED = ("disruptions", "claims", "payouts", "notifications", "ring_alerts", "syndicate_alerts", "reserve_alerts")


def grid(*texts):
    variations = [parse_variation(text) for text in texts]
    points, faults = points_of(variations)
    return variations, points, faults


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """Rain that rises to 110 mm and is corrected to 90, a curfew, four riders who report."""
    return write_streams(tmp_path_factory.mktemp("in"), small_storm(every_min=2.0))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delhi")
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", "150", "--seed", "3"]
    assert main([*words, "--output", str(folder)]) == 0
    return folder


def assert_points_are_replays(source, points, tmp_path):
    scorer, shipped = load_scorer(None), load_products()
    what_if = WhatIf(source, scorer)
    different = set()
    for number, point in enumerate(points):
        found = what_if.run(point)
        products = point.products()
        output = tmp_path / str(number)
        summary = local.replay(source, output, {**shipped, **products}, list(products), scorer)
        for stream in DECIDED:
            written = (output / stream / "part-00000.jsonl").read_bytes()
            assert encoded(stream, getattr(found.outcome, stream), "jsonl") == written, (number, stream)
        assert found.summary == summary["products"]
        different.add((output / "payouts" / "part-00000.jsonl").read_bytes())
    return different


def test_five_points_are_replays_with_their_product_files(storm, tmp_path):
    _, points, _ = grid("kawaach.triggers.rain.full=85,120", "kawaach.triggers.curfew.pays=0.1,0.55,0.75")
    different = assert_points_are_replays(storm, points[:5], tmp_path)
    assert len(different) == 5, "each value makes a difference"


@pytest.mark.slow
def test_points_of_a_simulated_storm_are_replays(simulated, tmp_path):
    """With scores, rings, waiting periods, and zones of other sizes; other policies' terms at every other point."""
    _, points, _ = grid("kawaach.decision.rules.3.when=0.05,0.4", "kawaach.triggers.rain.partial=50,75")
    assert len(assert_points_are_replays(simulated, points, tmp_path)) == 4
    _, points, _ = grid("kawaach.zone_resolution=8,9", "kawaach.triggers.rain.full=80")
    assert len(assert_points_are_replays(simulated, points, tmp_path / "sizes")) == 2


def test_the_streams_are_read_once(storm, monkeypatch):
    read = []
    real = local.read_stream

    def counted(stream, *rest):
        read.append(stream)
        return real(stream, *rest)

    monkeypatch.setattr(local, "read_stream", counted)
    variations, points, _ = grid("kawaach.triggers.rain.full=85..125:10")
    table = grid_table(variations, points, WhatIf(storm, load_scorer(None)), None)
    assert len(table) == 5
    assert sorted(read) == ["oracle_readings", "subscriptions", "telemetry"]


def test_the_table(storm, tmp_path, capsys):
    """Held against the records of replays; of the truth nothing is known."""
    words = ["whatif", "--input", str(storm), "--vary", "kawaach.triggers.rain.full=85,120"]
    assert main([*words, "--output", str(tmp_path / "grid")]) == 0
    said = capsys.readouterr().out
    table = pl.read_parquet(tmp_path / "grid" / "grid.parquet")
    scorer, shipped = load_scorer(None), load_products()
    for row, point in zip(table.iter_rows(named=True), grid("kawaach.triggers.rain.full=85,120")[1], strict=True):
        local.replay(storm, tmp_path / "out", {**shipped, **point.products()}, ["kawaach"], scorer)
        output = load(tmp_path / "out")
        claims, payouts = output.latest("claims"), output.polars("payouts")
        assert row["kawaach.triggers.rain.full"] == float(point.values[0])
        assert row["disruptions"] == len(output.latest("disruptions").filter(pl.col("state") != "withdrawn"))
        assert row["claims"] == len(claims)
        assert row["claims_approved"] == (claims["status"] == "approved").sum()
        assert row["riders_paid"] == payouts["worker_id"].n_unique() > 0
        assert row["paid_inr"] == payouts["amount_paise"].sum() / 100
        assert f"{row['paid_inr']:,.2f}" in said
        assert row["reserve_share"] is row["honest_missed"] is row["attackers_paid"] is None
    assert "attackers" not in said


def test_the_curves_are_the_table(storm, tmp_path, tmp_path_factory):
    """Read from the page in a browser: each curve has the table's numbers, over either varied number."""
    over, other = "kawaach.triggers.rain.full", "kawaach.triggers.rain.partial"
    words = ["whatif", "--input", str(storm), "--vary", f"{over}=85,120", "--vary", f"{other}=50,75"]
    assert main([*words, "--output", str(tmp_path)]) == 0
    table = pl.read_parquet(tmp_path / "grid.parquet")
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.look(1400, 900, "light")
        browser.open(tmp_path / "curves.html")
        widths = browser.value(
            "[...document.querySelectorAll('#curves .chart')]"
            ".map(each => [each.querySelector('svg').getBoundingClientRect().width, each.clientWidth])"
        )
        assert len(widths) > 3
        assert all(drawn <= place for drawn, place in widths), widths
        for chosen, fixed in ((over, other), (other, over)):
            browser.value(f"over.value = {chosen!r}; over.dispatchEvent(new Event('change'))")
            for measure in ("paid_inr", "riders_paid"):
                curves = browser.value(
                    f"document.getElementById('curve-{measure}').data"
                    ".map(c => [c.name, Array.from(c.x), Array.from(c.y)])"
                )
                of_table = {
                    f"{fixed.removeprefix('kawaach.')} = {value[0]:g}": rows.sort(chosen).select(chosen, measure)
                    for value, rows in table.group_by(fixed)
                }
                assert {name: list(zip(x, y, strict=True)) for name, x, y in curves} == {
                    name: rows.rows() for name, rows in of_table.items()
                }
        assert browser.value("document.querySelectorAll('#points tbody tr').length") == len(table)
        assert browser.value("document.getElementById('curve-reserve_share')") is None, "no reserve is stated"
        browser.look(390, 844, "dark", mobile=True)
        browser.open(tmp_path / "curves.html")
        assert browser.value("document.documentElement.scrollWidth") <= 390
        assert browser.faults == browser.requests == []


def test_reserves_and_the_truth(storm, tmp_path):
    """Of a reserve that pays for one claim the rest is queued; riders of labels.csv are honest or not."""
    source = tmp_path / "in"
    source.mkdir()
    for stream in ("telemetry", "oracle_readings", "subscriptions"):
        (source / stream).symlink_to(storm / stream)
    no_curfew = "kawaach.triggers.curfew.consensus.0.providers=2"
    variations, points, _ = grid("kawaach.triggers.rain.partial=75,130", "kawaach.triggers.rain.full=140", no_curfew)
    labels = {f"w{rider}": {"kind": "honest" if rider else "radio_spoof"} for rider in range(5)}
    table = grid_table(variations, points, WhatIf(source, load_scorer(None)), labels)
    assert table.select("riders_paid", "honest_missed", "attackers_paid").rows() == [(5, 0, 1), (0, 4, 0)]
    out = tmp_path / "out"
    main(["replay", "--input", str(source), "--output", str(out)])
    zone = load(out).polars("disruptions")["zone"][0]
    day = load(out).polars("claims", ["payout_terms"])["payout_terms"].str.json_path_match("$.local_day.period")[0]
    reserve = {"reserve_id": "r1", "event_time": 0, "product": "kawaach", "day": day, "amount_paise": 100_000}
    write_lines(source, "reserves", [json.dumps({**reserve, "cell": h3.cell_to_parent(zone, 5)})])
    table = grid_table(
        variations[:1], grid("kawaach.triggers.rain.full=85")[1], WhatIf(source, load_scorer(None)), None
    )
    (row,) = table.iter_rows(named=True)
    assert 0 < row["paid_inr"] <= 1000
    assert row["queued_inr"] > 0
    assert row["reserve_share"] == pytest.approx((row["paid_inr"] + row["queued_inr"]) / 1000)


def test_points_that_make_no_product_are_left_out(storm, capsys):
    words = ["whatif", "--input", str(storm), "--vary", "kawaach.triggers.rain.full=60..100:20"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.out.count("\n") == 3
    assert (
        "left out, since it makes no valid product: kawaach.triggers.rain.full=60 in products/kawaach.yaml: "
        in told.err
    )
    assert '">= 60" is no stricter than ">= 75"' in told.err
    with pytest.raises(ProductError, match="no stricter than"):
        grid("kawaach.triggers.rain.full=60,70")


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["kawach.triggers.rain.full=1"], "no product 'kawach'; did you mean \"kawaach\""),
        (["kawaach.triggers.rain.ful=1"], 'no "ful"; did you mean "full"'),
        (["kawaach.triggers.rain.full=100,101"] * 2, "is varied as kawaach.triggers.rain.full already"),
        (["kawaach.caps.local_day.limit=1..50:1", "kawaach.caps.iso_week.limit=1..50:1"], "2,500 points; 1,000 are"),
        (["kawaach.zone_resolution=8.5"], "zone_resolution"),
    ],
)
def test_what_cannot_be_varied_is_said_before_the_work(texts, fault, tmp_path, capsys):
    words = ["whatif", "--input", str(tmp_path / "nowhere"), *(word for text in texts for word in ("--vary", text))]
    assert main(words) == 1
    told = capsys.readouterr().err
    assert fault in told
    assert told.startswith("monsoon whatif: ")
    assert told.count("\n") == 1
