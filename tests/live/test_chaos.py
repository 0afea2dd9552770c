"""Parts of a stack killed at random while the live job runs: what was committed is that of a replay, paid once, and in
both feature stores."""

import re

import pytest
from kit.broker import need_jars
from kit.needs import need
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.stack.postgres import postgres_programs
from monsoon.pipelines.stack.redis_server import RedisServer

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PARTS = (
    *("TaskManager", "JobManager", "Python worker", "broker", "PostgreSQL", "provider"),
    *("dispatcher-1", "dispatcher-2", "Redis", "feature consumer"),
)


def test_kills_of_every_part(tmp_path, capsys):
    need_jars()
    need(postgres_programs() is not None, "no PostgreSQL here; on Debian and Ubuntu: apt-get install postgresql")
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    write_streams(tmp_path / "in", small_storm())
    words = ["--kills", "10", "--seed", "20", "--payments", "2", "--features"]
    assert main(["chaos", "--input", str(tmp_path / "in"), *words]) == 0
    told = capsys.readouterr().out
    assert "10 kills, seed 20: the committed records are those of a replay" in told
    assert "each paid once: ledger, statement and the provider's book agree to the paisa" in told
    features = re.search(r"([\d,]+) versions of features, ([\d,]+) keys that still count: Redis and the offline", told)
    assert features
    assert "0" not in features.groups()
    killed = {part for part in PARTS if f": {part} killed" in told}
    dispatchers = {"dispatcher-1", "dispatcher-2"}
    assert killed >= {*PARTS} - dispatchers
    assert killed & dispatchers
    assert "PostgreSQL's disk full" in told or "no disk of its own" in told
