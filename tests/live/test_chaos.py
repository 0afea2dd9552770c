"""Parts of a stack killed at random while the live job runs: what was committed stays that of a replay."""

import pytest
from kit.broker import need_jars
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def test_kills_of_every_part(tmp_path, capsys):
    need_jars()
    write_streams(tmp_path / "in", small_storm())
    place = ["--input", str(tmp_path / "in"), "--stack", str(tmp_path / "stack")]
    assert main(["chaos", *place, "--kills", "6", "--seed", "20"]) == 0
    told = capsys.readouterr().out
    assert "6 kills, seed 20: the committed records are those of a replay" in told
    assert {
        part for part in ("TaskManager", "JobManager", "Python worker", "broker") if f": {part} killed" in told
    } == {
        "TaskManager",
        "JobManager",
        "Python worker",
        "broker",
    }
