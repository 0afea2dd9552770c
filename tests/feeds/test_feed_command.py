"""`monsoon feed` as a user calls it: the cases met in public, what it prints, and that no run ends in silence."""

import json

import pytest

from monsoon.cli.feed import STEPS
from monsoon.cli.main import main
from monsoon.sources.provider_files import STEPS_MIN

HOURS = [f"02-11-2019 {hour:02d}:00,02-11-2019 {hour + 1:02d}:00" for hour in range(20)]
HEAD = "From Date,To Date,PM2.5 (ug/m3)"


def run(tmp_path, capsys, provider, path, *words):
    code = main(["feed", "--provider", provider, "--input", str(path), "--output", str(tmp_path / "out"), *words])
    said = capsys.readouterr()
    summary = json.loads((tmp_path / "out" / f"feed-{provider}.summary.json").read_text())
    readings = (tmp_path / "out" / "oracle_readings" / f"feed-{provider}.jsonl").read_text().splitlines()
    counts = summary["rows"]
    assert counts["read"] == sum(count for name, count in counts.items() if name != "read")
    for name, count in counts.items():
        assert f"{count:,} {name.replace('_', ' ')}" in said.out
    return code, [json.loads(reading) for reading in readings], summary, said


AT = ("--at", "28.563,77.187")
CASES = {
    "cpcb_15min.csv": ("cpcb", AT, 0, {283.0}, {}),
    "cpcb_60min_same_air.csv": ("cpcb", AT, 0, {283.0}, {}),
    "cpcb_24h.csv": ("cpcb", AT, 1, set(), {"wrong_interval:From Date": 24}),
    "cpcb_micro.csv": ("cpcb", AT, 0, {500.0}, {}),
    "open_meteo_stripped.csv": ("open_meteo", AT, 0, {46.1, 12.0, 0.0, 49.2}, {}),
    "openaq_v3.jsonl": ("openaq", (), 0, {500.0}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cases_met_in_public(shared, tmp_path, capsys, name):
    provider, words, expected, values, dead = CASES[name]
    code, readings, summary, said = run(tmp_path, capsys, provider, shared / "cases/feeds" / name, *words)
    assert (code, {reading["value"] for reading in readings}, summary["dead_letters"]) == (expected, values, dead)
    assert bool(said.err) == (not readings)


def csv(tmp_path, rows, head=HEAD):
    path = tmp_path / "site.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


SILENT = {
    "daily means": ([f"0{d}-11-2019 00:00,0{d + 1}-11-2019 00:00,400" for d in range(1, 8)], 1, "an hour or less"),
    "no rows": ([], 0, "has no rows"),
    "all missing": ([f"{hour},None" for hour in HOURS], 0, "Give another time"),
    "bad times": ([f"{hour.replace('2019', '19')},30" for hour in HOURS], 1, "clock.format"),
    "too few hours": ([f"{hour},30" for hour in HOURS[:10]], 0, "16 of 24 hours"),
    "quarters with gaps": ([f"{h[:16]},{h[:14]}15,30" for h in HOURS], 0, "three quarters"),
}


@pytest.mark.parametrize("name", SILENT)
def test_no_run_without_a_reading_ends_in_silence(tmp_path, capsys, name):
    rows, expected, words = SILENT[name]
    code, readings, summary, said = run(tmp_path, capsys, "cpcb", csv(tmp_path, rows), *AT)
    assert (code, readings) == (expected, [])
    assert said.err.startswith("monsoon feed: no reading: ")
    assert words in said.err
    assert said.err.count("\n") == 1
    assert ("has each row and why" in said.err) == bool(summary["dead_letters"])


def test_a_feed_of_something_else_names_it_and_fails(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    row = {"parameter": {"name": "um003", "units": "x"}, "value": 1, "datetime": "2024-11-02T01:00:00Z"}
    path.write_text(json.dumps(row) + "\n")
    code, _, summary, said = run(tmp_path, capsys, "openaq", path)
    assert (code, summary["other_quantity"]) == (1, {"um003": 1})
    assert "1 um003" in said.err


def test_step_says_what_the_rows_do_not(tmp_path, capsys):
    rows = [f"2019-11-02 {m // 60:02d}:{m % 60:02d}:00,{400 if m % 60 == 15 else 20},x" for m in range(0, 960, 15)]
    path = csv(tmp_path, rows, "Timestamp,PM2.5 (\u00b5g/m\u00b3),Benzene (ppb)")
    code, readings, summary, said = run(tmp_path, capsys, "cpcb_archive", path, *AT)
    assert (code, readings, summary["dead_letters"]) == (1, [], {"not_hourly": 64})
    assert "--step" in said.err
    code, readings, summary, said = run(tmp_path, capsys, "cpcb_archive", path, *AT, "--step", "15 min")
    assert (code, [reading["value"] for reading in readings], said.err) == (0, [283.0], "")
    assert summary["hours"] == {"averaged": 16, "incomplete": 0, "without_enough_hours_before": 15}
    assert "16 averaged" in said.out
    assert "Benzene (ppb)" in said.out


def test_steps_are_those_of_provider_files():
    assert tuple(STEPS_MIN) == STEPS


def test_a_station_is_not_at_0_0(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["feed", "--provider", "cpcb", "--input", "x.csv", "--at", "0,0", "--output", str(tmp_path)])
    assert "0,0" in capsys.readouterr().err
