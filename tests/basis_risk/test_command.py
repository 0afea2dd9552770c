"""`monsoon basis-risk` on a made-up storm whose riders' losses are written down."""

import json
from datetime import datetime, timedelta, timezone

import polars as pl
import pytest
from kit.chromium import Chromium
from kit.streams import at, small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.basis_risk.table import bound_names
from monsoon.workbench import load

LABELS = """\
worker_id,kind,device_tier,shift_hours,lost_hours,lost_income_inr
w0,honest,entry,8.0,4.0,200.0
w1,honest,entry,8.0,1.0,56.25
w2,honest,flagship,8.0,0.0,0.0
w3,mock_app,mid,,,
w4,honest,mid,8.0,8.0,600.0
"""
"""By the wages of `small_storm`, 400 to 600: Rs 50 to 75 an hour."""
WRITTEN = ("basis_risk.parquet", "riders.parquet", "comparison.parquet", "basis_risk.html")


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    folder = write_streams(tmp_path_factory.mktemp("in"), small_storm(every_min=2.0))
    (folder / "labels.csv").write_text(LABELS)
    return folder


@pytest.fixture(scope="module")
def results(storm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert main(["replay", "--input", str(storm), "--output", str(folder)]) == 0
    return folder


def basis_risk(storm, results, *options):
    return main(["basis-risk", "--input", str(storm), "--results", str(results), *map(str, options)])


def test_every_number_is_one_of_the_riders(storm, results, tmp_path, capsys):
    assert basis_risk(storm, results, "--output", tmp_path) == 0
    said = capsys.readouterr().out
    paid = dict(load(results).polars("payouts").group_by("worker_id").agg(pl.col("amount_paise").sum()).iter_rows())
    lost = {"w0": 200.0, "w1": 56.25, "w2": 0.0, "w4": 600.0}
    assert {"w0", "w2"} <= paid.keys()
    table = pl.read_parquet(tmp_path / "basis_risk.parquet")
    (row,) = table.filter((pl.col("product") == "kawaach") & (pl.col("dimension") == "all")).iter_rows(named=True)
    rupees = {worker: paid.get(worker, 0) / 100 for worker in lost}
    assert (row["riders"], row["not_measured"]) == (4, 1)
    losers = {"w0", "w4"}  # a half and all of the shift; an eighth is below a fifth
    assert row["riders_with_loss"] == 2
    assert row["paid_without_loss_inr"] == sum(rupees[each] for each in lost if each not in losers)
    assert row["loss_without_payment"] == sum(rupees[each] == 0 for each in losers)
    assert row["shortfall_per_rider_inr"] == sum(max(lost[each] - rupees[each], 0) for each in lost) / 4
    assert row["excess_per_rider_inr"] == sum(max(rupees[each] - lost[each], 0) for each in lost) / 4
    assert f"{row['shortfall_per_rider_inr']:,.2f}" in said
    assert "1 riders" in said
    riders = pl.read_parquet(tmp_path / "riders.parquet").filter(pl.col("product") == "kawaach")
    assert riders["worker_id"].to_list() == [f"w{number}" for number in range(5)]
    assert riders["lost_share"].to_list() == [0.5, 0.125, 0.0, None, 1.0]
    assert riders["device_tier"].to_list() == ["entry", "entry", "flagship", "mid", "mid"]
    assert not (tmp_path / "comparison.parquet").exists()


def test_a_threshold_says_what_a_loss_is(storm, results, tmp_path):
    assert basis_risk(storm, results, "--threshold", "0.1", "--output", tmp_path) == 0
    riders = pl.read_parquet(tmp_path / "riders.parquet").filter(pl.col("product") == "kawaach")
    assert riders["is_loss"].to_list() == [True, True, False, None, True]


def test_what_is_tried_is_what_a_replay_of_such_an_input_pays(storm, results, tmp_path, capsys):
    """Less providers, against a replay of the readings that are left; and the same bytes when it is run again."""
    options = ["--providers", "imd", "--stations", "1", "--resolution", "8..9"]
    for name in ("a", "b"):
        assert basis_risk(storm, results, *options, "--output", tmp_path / name) == 0
    for name in WRITTEN:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "pay otherwise" not in capsys.readouterr().out
    records = small_storm(every_min=2.0)
    records["oracle_readings"] = [each for each in records["oracle_readings"] if each["provider"] == "imd"]
    alone = write_streams(tmp_path / "alone", records)
    assert main(["replay", "--input", str(alone), "--output", str(tmp_path / "out")]) == 0
    payouts = load(tmp_path / "out").polars("payouts").filter(pl.col("worker_id") != "w3")
    comparison = pl.read_parquet(tmp_path / "a" / "comparison.parquet").filter(pl.col("product") == "kawaach")
    assert comparison["variant"].to_list() == ["as given", "stations", "providers", "resolution", "resolution"]
    paid = dict(comparison.filter(pl.col("value") != "8").select("variant", "paid_inr").iter_rows())
    assert paid["providers"] == payouts["amount_paise"].sum() / 100
    assert paid["providers"] < paid["as given"] == paid["resolution"] == paid["stations"]


@pytest.mark.parametrize(("since", "until", "is_paid"), [(-60, -5, False), (-60, 400, True)])
def test_payments_of_a_period_are_those_for_its_disruptions(storm, results, tmp_path, since, until, is_paid):
    period = ["--from", in_ist(since), "--until", in_ist(until), "--loss", "activity"]
    options = [*period, "--providers", "imd, skymet", "--output", tmp_path]
    assert basis_risk(storm, results, *options) == 0
    paid = load(results).polars("payouts")["amount_paise"].sum() if is_paid else 0
    riders = pl.read_parquet(tmp_path / "riders.parquet").filter(pl.col("product") == "kawaach")
    assert riders["paid_inr"].sum() == paid / 100
    if not is_paid:
        assert pl.read_parquet(tmp_path / "comparison.parquet")["paid_inr"].to_list() == [0.0] * 2


def in_ist(minutes):
    return datetime.fromtimestamp(at(minutes) / 1000, timezone(timedelta(hours=5, minutes=30))).isoformat()


def test_the_page_has_the_tables_numbers(storm, results, tmp_path, tmp_path_factory):
    """Read from the page in a browser: every point and its bounds, and the riders of the scatter."""
    assert basis_risk(storm, results, "--providers", "imd", "--output", tmp_path) == 0
    table = pl.read_parquet(tmp_path / "basis_risk.parquet").filter(pl.col("product") == "kawaach")
    tiers = table.filter((pl.col("dimension") == "device_tier") & (pl.col("riders") > 0))
    tried = pl.read_parquet(tmp_path / "comparison.parquet").filter(pl.col("product") == "kawaach")
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        browser.open(tmp_path / "basis_risk.html")
        browser.value("product.value = 'kawaach'; product.dispatchEvent(new Event('change'))")
        browser.value("dimension.value = 'device_tier'; dimension.dispatchEvent(new Event('change'))")
        for where, rows in (("group-charts", tiers), ("tried-charts", tried)):
            for measure in ("shortfall_per_rider_inr", "loss_without_payment"):
                low, high = bound_names(measure)
                x, under, over = browser.value(
                    f"(({{ x, error_x }}) => [x, error_x.arrayminus, error_x.array].map((each) => Array.from(each)))"
                    f"(document.getElementById('{where}-{measure}').data[0])"
                )
                assert x == rows[measure].to_list()
                assert [a - b for a, b in zip(x, under, strict=True)] == pytest.approx(rows[low].to_list())
                assert [a + b for a, b in zip(x, over, strict=True)] == pytest.approx(rows[high].to_list())
        assert browser.value("document.querySelectorAll('#groups tbody tr').length") == len(tiers)
        drawn = browser.value("document.getElementById('riders').data.slice(0, 2).map((each) => Array.from(each.x))")
        assert drawn == [[200.0, 600.0], [56.25, 0.0]]
        browser.look(390, 844, "dark", mobile=True)
        browser.open(tmp_path / "basis_risk.html")
        assert browser.value("document.documentElement.scrollWidth") <= 390
        assert browser.faults == browser.requests == []


def without_labels(storm, tmp_path, labels=None):
    source = tmp_path / "input"
    source.mkdir()
    for stream in ("telemetry", "oracle_readings", "subscriptions"):
        (source / stream).symlink_to(storm / stream)
    if labels is not None:
        (source / "labels.csv").write_text(labels)
    return source


def test_without_a_truth_and_a_baseline_nothing_is_measured(storm, results, tmp_path):
    source = without_labels(storm, tmp_path)
    assert basis_risk(source, results, "--output", tmp_path / "out") == 0
    table = pl.read_parquet(tmp_path / "out" / "basis_risk.parquet")
    (row,) = table.filter((pl.col("product") == "kawaach") & (pl.col("dimension") == "all")).iter_rows(named=True)
    assert (row["riders"], row["not_measured"], row["shortfall_per_rider_inr"]) == (0, 5, None)


def refusal(capsys, *words):
    assert basis_risk(*words) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("monsoon basis-risk: ")
    return told


def test_labels_of_an_earlier_version(storm, results, tmp_path, capsys):
    source = without_labels(storm, tmp_path, "worker_id,kind,device_tier\nw0,honest,entry\n")
    told = refusal(capsys, source, results)
    assert "labels.csv: has no column shift_hours: of an earlier version. Simulate it again" in told
    assert basis_risk(source, results, "--loss", "activity") == 0


def test_labels_that_are_none(storm, results, tmp_path, capsys):
    source = without_labels(storm, tmp_path, LABELS.replace("200.0", "much"))
    assert "labels.csv: not the losses of a simulation" in refusal(capsys, source, results)


def test_results_of_another_input(storm, results, tmp_path, capsys):
    records = small_storm(every_min=2.0)
    records["telemetry"] = records["telemetry"][:-1]
    told = refusal(capsys, write_streams(tmp_path / "other", records), results)
    assert "are of another input: telemetry of this one has 239 lines, of theirs 240" in told


def test_results_that_are_half_written_or_older(storm, results, tmp_path, capsys):
    (tmp_path / "half").mkdir()
    assert "no summary.json" in refusal(capsys, storm, tmp_path / "half")
    (tmp_path / "half" / "summary.json").write_text(json.dumps({"monsoon": "0.0.1"}))
    assert "of another version" in refusal(capsys, storm, tmp_path / "half")


def test_results_without_a_claim(storm, tmp_path, capsys):
    """Of a grid that measured nothing: everybody's loss is without payment."""
    records = small_storm(every_min=2.0)
    records["oracle_readings"] = [each | {"value": 0} for each in records["oracle_readings"]]
    source = write_streams(tmp_path / "dry", records)
    (source / "labels.csv").write_text(LABELS)
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "out")]) == 0
    assert basis_risk(source, tmp_path / "out", "--output", tmp_path / "basis") == 0
    table = pl.read_parquet(tmp_path / "basis" / "basis_risk.parquet")
    (row,) = table.filter((pl.col("product") == "kawaach") & (pl.col("dimension") == "all")).iter_rows(named=True)
    assert (row["loss_without_payment"], row["loss_without_payment_inr"], row["correlation"]) == (2, 800, None)
    capsys.readouterr()
    told = refusal(capsys, source, tmp_path / "out", "--loss", "activity")
    assert "no disruption" in told
    assert "--from and --until" in told


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--resolution", "3..2"], "the range 3..2 is empty"),
        (["--stations", "0"], "whole number from 1"),
        (["--threshold", "2"], "share from 0 to 1"),
    ],
)
def test_wrong_usage(storm, results, capsys, options, fault):
    with pytest.raises(SystemExit, match="2"):
        basis_risk(storm, results, *options)
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--providers", "imd,skymett"], "no reading of 'skymett'; did you mean \"skymet\""),
        (["--from", "2024-06-28T04:00:00+05:30", "--until", "2024-06-28T03:00:00+05:30"], "the period is empty"),
    ],
)
def test_what_cannot_be_tried(storm, results, capsys, options, fault):
    assert fault in refusal(capsys, storm, results, *options)
