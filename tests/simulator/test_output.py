"""The folder that a simulation is written to: replaced whole or not at all, and never a user's own streams."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from kit.examples import mostly_slow

from monsoon.cli.main import main
from monsoon.sources.files import InputError
from monsoon.sources.simulator import load_storm, simulate
from monsoon.sources.simulator import write as writing

ENTRIES = ("labels.csv", "oracle_readings", "reference", "subscriptions", "telemetry")
MOVES = 2 * len(ENTRIES)  # the earlier ones aside, the new ones in


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def two(delhi, tmp_path_factory):
    """Two different simulations: seeds 1 and 2."""
    folders = [tmp_path_factory.mktemp("simulated") for _ in range(2)]
    for seed, folder in enumerate(folders, 1):
        simulate(delhi, 1, seed, folder)
    return folders


@pytest.fixture
def earlier(two, tmp_path):
    """A copy of the first."""
    return shutil.copytree(two[0], tmp_path / "out")


def refused(delhi, folder, match):
    before = content(folder)
    with pytest.raises(InputError, match=match):
        simulate(delhi, 1, 2, folder)
    assert content(folder) == before


def test_an_earlier_simulation_is_replaced(delhi, two, earlier):
    simulate(delhi, 1, 2, earlier)
    assert content(earlier) == content(two[1])
    assert sorted(path.name for path in earlier.iterdir()) == list(ENTRIES)


@pytest.mark.parametrize("labels", [None, "worker_id,label\nw1,0\n"])
def test_real_streams_are_left_alone(delhi, earlier, labels):
    (earlier / "labels.csv").unlink()
    if labels is not None:
        (earlier / "labels.csv").write_text(labels)
    refused(delhi, earlier, r"not a simulation \(telemetry without the labels\.csv of one\).*new or empty folder")


@pytest.mark.parametrize(
    "path", ["telemetry/2024-06-28.jsonl", "telemetry/part-00001.parquet", "reference/notes.txt", "subscriptions/old/x"]
)
def test_a_file_that_no_simulation_writes_is_left_alone(delhi, earlier, path):
    (earlier / path).parent.mkdir(exist_ok=True)
    (earlier / path).write_text("precious")
    refused(delhi, earlier, rf"not a simulation \({'/'.join(path.split('/')[:2])}\)")


def test_links_into_real_streams_are_left_alone(delhi, earlier, tmp_path):
    os.rename(earlier / "telemetry", tmp_path / "real")
    (earlier / "telemetry").symlink_to(tmp_path / "real")
    refused(delhi, earlier, "telemetry, a symbolic link")
    (earlier / "telemetry").unlink()
    (earlier / "telemetry").mkdir()
    (earlier / "telemetry" / "part-00000.jsonl").symlink_to(tmp_path / "real" / "part-00000.jsonl")
    refused(delhi, earlier, r"telemetry/part-00000\.jsonl")


def test_the_rest_of_a_replay_is_not_taken_for_that_of_a_simulation(delhi, tmp_path):
    (tmp_path / ".monsoon-partial" / "earlier").mkdir(parents=True)
    (tmp_path / ".monsoon-partial" / "earlier" / "summary.json").write_text("{}")
    refused(delhi, tmp_path, "monsoon-partial")


def test_a_link_to_nowhere_is_told_in_a_line(tmp_path, capsys):
    (tmp_path / "out").symlink_to("nowhere")
    words = ["simulate", "--storm", "delhi-2024-06-28", "--riders", "1", "--output", str(tmp_path / "out")]
    assert main(words) == 1
    assert capsys.readouterr().err == (
        f"monsoon simulate: {tmp_path}/out: is a symbolic link to nowhere, which is not there; "
        "give --output a new or empty folder\n"
    )
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("move", mostly_slow([len(ENTRIES), *range(len(ENTRIES)), *range(len(ENTRIES) + 1, MOVES)]))
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_while_it_is_put_in_place_leaves_the_earlier_one(delhi, two, earlier, monkeypatch, move, error):
    count = iter(range(MOVES * 3))

    def rename(source, target, real=os.rename):
        if next(count) == move:
            raise error
        real(source, target)

    monkeypatch.setattr(writing.os, "rename", rename)
    with pytest.raises(error):
        simulate(delhi, 1, 2, earlier)
    assert content(earlier) == content(two[0])
    assert sorted(path.name for path in earlier.iterdir()) == list(ENTRIES)


@pytest.mark.parametrize("move", mostly_slow([MOVES + 1, *range(MOVES + 1)], 2))
def test_reserves_come_and_go_with_the_storm_that_has_them(delhi, tmp_path, monkeypatch, move):
    """A storm with reserves replaced by one without, and the other way round, wherever the moves stop."""
    rich = load_storm("delhi-2024-07-31-cloudburst")
    for earlier, later in ((rich, delhi), (delhi, rich)):
        folder = tmp_path / earlier.name
        simulate(earlier, 1, 1, folder)
        before = content(folder)
        assert ("reserves/part-00000.jsonl" in before) == (earlier is rich)
        count = iter(range(MOVES * 3))

        def rename(source, target, real=os.rename, count=count):
            if next(count) == move:
                raise OSError(28, "No space left on device")
            real(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(writing.os, "rename", rename)
            if move < MOVES + 1:
                with pytest.raises(OSError, match="No space left"):
                    simulate(later, 1, 2, folder)
                assert content(folder) == before
            else:
                simulate(later, 1, 2, folder)
                assert (folder / "reserves").exists() == (later is rich)


KILLED = """
import itertools, os, pathlib, signal, sys
from monsoon.sources.simulator import load_storm, simulate
rename, count = os.rename, itertools.count()
def killing(source, target):
    if next(count) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)
os.rename = killing
simulate(load_storm("delhi-2024-06-28"), 1, 2, pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("move", mostly_slow([1, 0, len(ENTRIES) + 1, MOVES - 1]))
def test_after_a_kill_the_next_run_puts_the_earlier_one_back(delhi, two, earlier, move):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(earlier), str(move)], stderr=subprocess.PIPE)
    assert killed.returncode == -signal.SIGKILL
    assert (earlier / "labels.csv").exists() == (move == 0)  # moved aside first: what is not whole does not look so

    def interrupt(stage, share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(delhi, 1, 2, earlier, progress=interrupt)
    assert content(earlier) == content(two[0])
    simulate(delhi, 1, 2, earlier)
    assert content(earlier) == content(two[1])


def test_an_earlier_one_that_cannot_be_put_back_is_told_and_kept(delhi, two, earlier, monkeypatch):
    count = iter(range(MOVES))

    def rename(source, target, real=os.rename):
        if next(count) > 2:
            raise OSError(5, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "rename", rename)
        with pytest.raises(InputError, match=r"it is in .*earlier\. Simulating to here again puts it back first"):
            simulate(delhi, 1, 2, earlier)
    simulate(delhi, 1, 2, earlier)
    assert content(earlier) == content(two[1])
