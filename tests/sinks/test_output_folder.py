"""The output folder: whole or absent, and never over something else."""

import json

import pytest

from monsoon.sinks.folder import OutputError, OutputFolder


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def finish(folder, **summary):
    output = OutputFolder(folder)
    output.write("claims", [{"claim_id": "c1", "payout_inr": 341.25}])
    output.finish(summary)


def test_a_finished_folder_has_every_stream_and_the_summary(tmp_path):
    finish(tmp_path / "out", streams={})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "claims", "dead_letters", "disruptions", "payouts", "summary.json", "syndicate_alerts",
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


def test_what_a_killed_run_left_is_cleared_and_does_not_look_whole(tmp_path):
    OutputFolder(tmp_path).write("claims", [{"claim_id": "c2"}])
    assert not (tmp_path / "summary.json").exists()
    finish(tmp_path, run=2)
    assert not any("partial" in name for name in contents(tmp_path))


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
