"""The same storm, riders and seed give the same bytes, whoever asks for which part and in what order."""

import hashlib

import polars as pl
import pytest
from kit.examples import mostly_slow
from polars.testing import assert_frame_equal

from monsoon.sources.files import InputError
from monsoon.sources.simulator import build_scenario, load_storm, riders_for_rows, simulate, simulate_frames
from monsoon.sources.simulator import write as writing
from monsoon.sources.simulator.telemetry import TELEMETRY_SCHEMA


def content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def written(folder):
    """The telemetry of a folder, in the order of its files."""
    return pl.concat(pl.read_ndjson(path, schema=TELEMETRY_SCHEMA) for path in sorted(folder.glob("telemetry/*")))


def test_two_runs_are_the_same_bytes(delhi, tmp_path):
    first = simulate(delhi, 140, 3, tmp_path / "a")
    second = simulate(delhi, 140, 3, tmp_path / "b")
    assert first == second
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert set(content(tmp_path / "a")) == {
        "labels.csv",
        "oracle_readings/part-00000.jsonl",
        "reference/access_points.csv",
        "reference/cell_towers.csv",
        "subscriptions/part-00000.jsonl",
        "telemetry/part-00000.jsonl",
    }


def test_another_seed_is_another_simulation(delhi):
    one, other = (simulate_frames(delhi, 5, seed).telemetry for seed in (1, 2))
    assert set(one["event_id"]).isdisjoint(other["event_id"])


@pytest.mark.slow
def test_files_threads_and_compression_change_nothing(delhi, tmp_path, monkeypatch):
    simulate(delhi, 140, 3, tmp_path / "a")
    monkeypatch.setattr(writing, "THREADS", 1)
    monkeypatch.setattr(writing, "BLOCKS_PER_FILE", 1)
    simulate(delhi, 140, 3, tmp_path / "b", compress=True)
    one = written(tmp_path / "a")
    other = written(tmp_path / "b")
    assert len(list((tmp_path / "b/telemetry").iterdir())) == 2
    assert_frame_equal(one, other)


def test_a_block_is_the_same_alone(delhi):
    scenario = build_scenario(delhi, 140, 3)
    whole = list(scenario.telemetry())
    assert scenario.blocks == len(whole) == 2
    assert_frame_equal(next(scenario.telemetry(1, 2)), whole[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", mostly_slow(["delhi-2024-07-31-cloudburst", "bengaluru-2020-03-22-curfew"]))
def test_history_hindrances_syndicates_and_policies_change_nothing_of_this(name, tmp_path, monkeypatch):
    """Two runs, on other threads and in other files; and a block made alone."""
    storm = load_storm(name)
    simulate(storm, 140, 3, tmp_path / "a")
    monkeypatch.setattr(writing, "THREADS", 1)
    simulate(storm, 140, 3, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    monkeypatch.setattr(writing, "BLOCKS_PER_FILE", 1)
    simulate(storm, 140, 3, tmp_path / "c")
    assert_frame_equal(written(tmp_path / "a"), written(tmp_path / "c"))
    scenario = build_scenario(storm, 140, 3)
    assert_frame_equal(next(scenario.telemetry(1, 2)), list(scenario.telemetry())[1])


def test_a_window_is_a_part_of_the_whole(delhi):
    window = delhi.time_ms("2024-06-28 02:00"), delhi.time_ms("2024-06-28 03:00")
    whole = simulate_frames(delhi, 20, 3).telemetry
    part = simulate_frames(delhi, 20, 3, window_ms=window).telemetry
    assert_frame_equal(part, whole.filter(pl.col("event_time").is_between(*window, closed="left")))


def test_files_hold_the_frames_and_a_few_reports_twice(delhi, tmp_path):
    simulate(delhi, 60, 3, tmp_path / "a")
    lines = written(tmp_path / "a")
    whole = simulate_frames(delhi, 60, 3).telemetry
    assert lines.height > whole.height
    assert set(lines["event_id"]) == set(whole["event_id"])
    assert lines.unique().height == whole.height


def test_rows_asked_for_are_about_the_rows_made(delhi):
    riders = riders_for_rows(delhi, 150_000, 3)
    rows = sum(part.height for part in build_scenario(delhi, riders, 3).telemetry())
    assert rows == pytest.approx(150_000, rel=0.06)


def test_an_output_that_holds_something_else_is_left_alone(delhi, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        simulate(delhi, 1, 1, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        simulate(delhi, 1, 1, tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_run_leaves_the_earlier_one(delhi, tmp_path):
    simulate(delhi, 2, 1, tmp_path)
    before = content(tmp_path)

    def interrupt(stage, share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(delhi, 2, 2, tmp_path, progress=interrupt)
    assert content(tmp_path) == before
    simulate(delhi, 2, 2, tmp_path)
    assert content(tmp_path) != before


@pytest.mark.parametrize("arguments", [{"riders": 0}, {"riders": 5, "attackers": 1.5}])
def test_impossible_arguments(delhi, arguments):
    with pytest.raises(ValueError, match=r"at least 1|0 to 1"):
        build_scenario(delhi, seed=1, **arguments)
