"""The output folder: whole or absent, and never over something else."""

import json
import os
import signal
import subprocess
import sys

import pytest

from monsoon.sinks import folder as sink
from monsoon.sinks.folder import STREAMS, SUMMARY, OutputError, OutputFolder

MOVES = 2 * (1 + len(STREAMS))  # of finish: the earlier summary and streams aside, the new ones in


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def finish(folder, **summary):
    output = OutputFolder(folder)
    output.write("claims", [{"claim_id": "c1", "payout_inr": 341.25}])
    output.finish(summary)


def test_a_finished_folder_has_every_stream_and_the_summary(tmp_path):
    finish(tmp_path / "out", streams={})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "claims", "dead_letters", "disruptions", "notifications", "payouts", "reserve_alerts", "ring_alerts",
        "summary.json", "syndicate_alerts",
    ]  # fmt: skip
    (line,) = (tmp_path / "out/claims/part-00000.jsonl").read_text().splitlines()
    assert json.loads(line) == {"claim_id": "c1", "payout_inr": 341.25}


def test_an_earlier_result_is_replaced(tmp_path):
    finish(tmp_path, run=1)
    finish(tmp_path, run=2)
    assert json.loads((tmp_path / "summary.json").read_text()) == {"run": 2}


def test_an_abandoned_result_leaves_the_earlier_one(tmp_path):
    finish(tmp_path, run=1)
    output = OutputFolder(tmp_path)
    output.write("claims", [{"claim_id": "c2"}])
    output.abandon()
    assert json.loads((tmp_path / "summary.json").read_text()) == {"run": 1}
    assert ".monsoon-partial" not in {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.tex.*new or empty folder"):
        OutputFolder(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_input_folder_is_not_taken_for_an_output(tmp_path):
    (tmp_path / "telemetry").mkdir()
    with pytest.raises(OutputError, match="telemetry"):
        OutputFolder(tmp_path)


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        OutputFolder(tmp_path / "out")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write here"):
        OutputFolder(tmp_path / "file" / "out")


def test_what_lies_in_a_folder_of_the_same_name_is_not_ours(tmp_path):
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match="claims"):
        OutputFolder(tmp_path)
    assert (tmp_path / "claims" / "mine.txt").read_text() == "precious"


def whole(folder, run):
    """Whether the folder holds this run's result and nothing else."""
    found = {path: (folder / path).read_text() for path in contents(folder)}
    return json.loads(found.pop(SUMMARY)) == {"run": run} and found == {"claims/part-00000.jsonl": f'{{"run":{run}}}\n'}


def put(folder, run):
    with OutputFolder(folder) as output:
        output.write("claims", [{"run": run}])
        output.finish({"run": run})


@pytest.mark.parametrize("move", range(MOVES))
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_while_the_result_is_put_in_place_leaves_the_earlier_one(tmp_path, monkeypatch, move, error):
    put(tmp_path, 1)
    count = iter(range(MOVES * 3))

    def rename(source, target, real=os.rename):
        if next(count) == move:
            raise error
        real(source, target)

    monkeypatch.setattr(sink.os, "rename", rename)
    with pytest.raises(error):
        put(tmp_path, 2)
    assert whole(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*STREAMS, SUMMARY])


@pytest.mark.parametrize("move", range(MOVES))
def test_ctrl_c_while_the_result_is_put_in_place_waits_until_it_is(tmp_path, monkeypatch, move):
    put(tmp_path, 1)
    count = iter(range(MOVES))

    def rename(source, target, real=os.rename):
        if next(count) == move:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        real(source, target)

    monkeypatch.setattr(sink.os, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, 2)
    assert whole(tmp_path, 2)


KILLED = """
import itertools, os, pathlib, signal, sys
from monsoon.sinks.folder import OutputFolder
rename, count = os.rename, itertools.count()
def killing(source, target):
    if next(count) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(source, target)
os.rename = killing
with OutputFolder(pathlib.Path(sys.argv[1])) as output:
    output.write("claims", [{"run": 2}])
    if sys.argv[2] == "-1":
        os.kill(os.getpid(), signal.SIGKILL)
    output.finish({"run": 2})
"""


@pytest.mark.parametrize("move", [-1, 0, 1, 3, MOVES // 2, MOVES - 1])
def test_after_a_kill_the_next_replay_finds_the_earlier_result(tmp_path, move):
    put(tmp_path, 1)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(move)], stderr=subprocess.PIPE)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / SUMMARY).exists() == (move <= 0)  # moved aside first: what is not whole does not look so
    OutputFolder(tmp_path).abandon()
    assert whole(tmp_path, 1)


def test_what_a_killed_run_left_is_cleared(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "-1"], stderr=subprocess.PIPE)
    assert contents(tmp_path) == [".monsoon-partial/claims/part-00000.jsonl"]
    put(tmp_path, 3)
    assert whole(tmp_path, 3)


def test_an_earlier_result_that_cannot_be_put_back_is_told_and_kept(tmp_path, monkeypatch):
    put(tmp_path, 1)
    count = iter(range(100))

    def rename(source, target, real=os.rename):
        if next(count) > 4:
            raise OSError(5, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(sink.os, "rename", rename)
        with pytest.raises(OutputError, match=r"earlier one is in .*earlier, and the next replay to here puts it back"):
            put(tmp_path, 2)
    OutputFolder(tmp_path).abandon()
    assert whole(tmp_path, 1)


def test_of_two_at_once_the_second_is_told_and_the_first_is_whole(tmp_path):
    with OutputFolder(tmp_path / "out") as first:
        first.write("claims", [{"run": 1}])
        with pytest.raises(OutputError, match="another replay is writing here"):
            OutputFolder(tmp_path / "out")
        first.finish({"run": 1})
    assert whole(tmp_path / "out", 1)
    put(tmp_path / "out", 2)


def test_a_folder_made_for_nothing_goes_again(tmp_path):
    OutputFolder(tmp_path / "deep" / "out").abandon()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    OutputFolder(tmp_path / "mine").abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(("entry", "kind"), [("claims", "file"), ("summary.json", "folder"), ("payouts", "link")])
def test_what_is_not_of_a_result_s_kind_is_refused_and_left(tmp_path, entry, kind):
    put(tmp_path / "out", 1)
    there = tmp_path / "out" / entry
    if there.is_dir():
        os.rename(there, tmp_path / "elsewhere")
    else:
        there.unlink()
    {"file": there.touch, "folder": there.mkdir, "link": lambda: there.symlink_to(tmp_path / "elsewhere")}[kind]()
    with pytest.raises(OutputError, match=rf"{entry}, a .*{kind}"):
        OutputFolder(tmp_path / "out")
    assert os.path.lexists(there)


def test_a_link_to_nowhere_is_told(tmp_path):
    (tmp_path / "out").symlink_to("nowhere")
    with pytest.raises(OutputError, match="symbolic link to nowhere, which is not there"):
        OutputFolder(tmp_path / "out")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("output", [".", "in", "in/telemetry", "in/telemetry/deep/out", "link"])
def test_an_output_that_overlaps_an_input_is_refused(tmp_path, output):
    source = tmp_path / "in" / "telemetry"
    source.mkdir(parents=True)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(OutputError, match=r"overlaps the input .*telemetry"):
        OutputFolder(tmp_path / output, [source])
    assert list(source.iterdir()) == []


def test_an_output_beside_the_streams_is_fine(tmp_path):
    (tmp_path / "in" / "telemetry").mkdir(parents=True)
    OutputFolder(tmp_path / "in" / "out", [tmp_path / "in" / "telemetry"]).abandon()
