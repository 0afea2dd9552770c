"""`monsoon season`: what it refuses, and one season from end to end on Beam, with a worker killed in the middle."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from monsoon.cli.main import main
from monsoon.pipelines.season.folder import REPLAYS, TABLES

SEASON = ["season", "--years", "5", "--output"]


def refused(capsys, place, *words):
    """The message of a command that fails before anything is written."""
    assert main([*SEASON, str(place), *words]) == 1
    assert not place.exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--storms", "delhi-2024-06-29"], "delhi-2024-06-29: no such storm. Did you mean delhi-2024-06-28?"),
        (["--city", "Dehli"], 'no storm of Dehli among those chosen; did you mean "Delhi"?'),
        (["--storms", "delhi-2024-06-28,delhi-2024-06-28"], "is named twice"),
        (["--rate", "delhi-2024-06-28=0"], "'delhi-2024-06-28=0' is no rate"),
        (["--city", "Delhi", "--rate", "delhi-2024-06-27=2"], 'did you mean "delhi-2024-06-28"?'),
        (["--products", "kawach"], 'did you mean "kawaach"?'),
        (["--layer", "5"], "'5' is no layer"),
        (["--stop-loss", "5:0"], "'5:0' is no layer"),
        (["--insured", "2"], "--insured: nobody of 2 riders holds jugaad, full_shield. Give at least 3"),
        (["--reserve", "plenty"], "'plenty' is no number"),
        (["--expenses", "1"], "no premium is all expenses"),
    ],
)
def test_what_cannot_be_meant_is_told_before_the_work(capsys, tmp_path, words, told):
    assert told in refused(capsys, tmp_path / "season", *words)


@pytest.mark.parametrize("words", [["--years", "0"], ["--workers", "0"], ["--riders", "10"], ["--replicates", "0"]])
def test_numbers_out_of_range_are_wrong_usage(capsys, tmp_path, words):
    with pytest.raises(SystemExit, match="2"):
        main([*SEASON, str(tmp_path / "season"), *words])
    assert "is not a whole number from" in capsys.readouterr().err


def test_a_storm_file_that_fails_its_schema_or_states_no_frequency_is_told_by_line(capsys, root, tmp_path):
    text = (root / "storms/delhi-2024-06-28.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("per_year: 0.4", "per_year: often"))
    assert f"{path}:8: frequency.per_year" in refused(capsys, tmp_path / "season", "--storms", str(path))
    begin, end = text.index("frequency:"), text.index("\nplaces:")
    path.write_text(text[:begin] + text[end:])
    told = refused(capsys, tmp_path / "season", "--storms", str(path))
    assert "delhi-2024-06-28 does not say how often a year has such a storm" in told


@pytest.mark.slow
@pytest.mark.flink
def test_a_season_has_the_same_bytes_with_two_workers_of_which_one_is_killed(capsys, tmp_path):
    """On Beam's direct runner: in one process; and in two, where the first that has finished a replay is killed. A
    layer afterwards replays nothing."""
    words = ["--storms", "chennai-2016-12-12-vardah", "--products", "kawaach", "--rate", "chennai-2016-12-12-vardah=2"]
    words += ["--years", "20", "--riders", "50", "--replicates", "3"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["season", *words, "--workers", "1", "--output", str(one)]) == 0
    told = capsys.readouterr().out
    killed = []
    killer = threading.Thread(target=lambda: killed.append(kill_a_worker(two)))
    killer.start()
    assert main(["season", *words, "--workers", "2", "--output", str(two)]) == 0
    killer.join()
    assert killed[0] is not None
    assert contents(two) == contents(one)
    assert {name.removesuffix(".parquet") for name in contents(one) if name.endswith(".parquet")} == set(TABLES)
    assert "20 storm-years" in told
    before = {path: path.stat().st_mtime_ns for path in (one / REPLAYS).iterdir()}
    assert main(["season", *words, "--workers", "2", "--layer", "1e6:1e6", "--output", str(one)]) == 0
    assert {path: path.stat().st_mtime_ns for path in (one / REPLAYS).iterdir()} == before
    assert contents(one)["premiums.parquet"] != contents(two)["premiums.parquet"]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill_a_worker(folder):
    """Kills one of Beam's workers of the season in `folder` as soon as a replay of it is finished; returns its id."""
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s:
        if list((folder / REPLAYS).glob("*.json")):
            for pid, command in descendants(os.getpid()):
                if command.endswith(b"\0-m\0apache_beam.runners.worker.sdk_worker_main\0"):
                    os.kill(pid, signal.SIGKILL)
                    return pid
        time.sleep(0.02)
    return None


def descendants(pid):
    """The processes that descend from one, with their command lines; those that end meanwhile are left out."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in children.read_text().split():
                found += [(int(child), Path(f"/proc/{child}/cmdline").read_bytes()), *descendants(int(child))]
    return found
