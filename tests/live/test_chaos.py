"""Parts of a stack killed at random while the live job runs: what was committed is that of a replay, and paid once."""

import pytest
from kit.broker import need_jars
from kit.needs import need
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.stack.postgres import postgres_programs

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PARTS = (
    *("TaskManager", "JobManager", "Python worker", "broker", "PostgreSQL", "provider"),
    *("dispatcher-1", "dispatcher-2"),
)


def test_kills_of_every_part(tmp_path, capsys):
    need_jars()
    need(postgres_programs() is not None, "no PostgreSQL here; on Debian and Ubuntu: apt-get install postgresql")
    write_streams(tmp_path / "in", small_storm())
    assert main(["chaos", "--input", str(tmp_path / "in"), "--kills", "8", "--seed", "20", "--payments", "2"]) == 0
    told = capsys.readouterr().out
    assert "8 kills, seed 20: the committed records are those of a replay" in told
    assert "each paid once: ledger, statement and the provider's book agree to the paisa" in told
    killed = {part for part in PARTS if f": {part} killed" in told}
    assert killed >= {"TaskManager", "JobManager", "Python worker", "broker", "PostgreSQL", "provider"}
    assert len(killed & {"dispatcher-1", "dispatcher-2"}) >= 1
    assert "PostgreSQL's disk full" in told or "no disk of its own" in told
