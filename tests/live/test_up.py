"""The stack brought up by command, a storm produced, payouts consumed and paid, features kept, the books held against
each other, the stack taken down: as README says."""

import json
import time

import pytest
from kit.broker import need_jars
from kit.needs import need
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.client import Consumer, Payout, PayoutResult
from monsoon.feature_store import OfflineStore
from monsoon.pipelines.feature_chaos import require_kept
from monsoon.pipelines.stack.postgres import postgres_programs
from monsoon.pipelines.stack.redis_server import RedisServer
from monsoon.pipelines.stack.stack import Stack, State

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PATIENCE_S = 120


def read_all(kind, stack):
    with Consumer(kind, stack.broker.address, positions={}) as consumer:
        return [received.record for received in consumer.read_to_end()]


def test_up_produce_pay_reconcile_down(tmp_path, capsys):
    need_jars()
    need(postgres_programs() is not None, "no PostgreSQL here; on Debian and Ubuntu: apt-get install postgresql")
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    source, stack = write_streams(tmp_path / "in", small_storm()), Stack(tmp_path / "s")
    place = ["--stack", str(stack.folder)]
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "replay")]) == 0
    lines = (tmp_path / "replay" / "payouts" / "part-00000.jsonl").read_text().splitlines()
    instructed = {payout["reference_id"]: payout["amount_paise"] for payout in map(json.loads, lines)}
    assert instructed
    assert main(["features", "build", "--input", str(source), "--output", str(tmp_path / "built")]) == 0
    (tmp_path / "dispatch.yaml").write_text("limits: {requests_per_s: null}\npatience: {first_fetch_s: 1}\n")
    try:
        words = ["--features", "--payments", "2", "--dispatch-settings", str(tmp_path / "dispatch.yaml")]
        assert main(["up", *place, "--interval-ms", "3600000", *words]) == 0
        shown = capsys.readouterr().out
        names = ("postgres", "provider", "dispatcher-1", "dispatcher-2", "redis", "features", "job")
        assert all(f"  {name} " in shown for name in names)
        assert main(["produce", *place, "--input", str(source), "--speed", "0", "--end"]) == 0
        paid, until_s = {}, time.monotonic() + PATIENCE_S
        while paid.keys() != instructed.keys() and time.monotonic() < until_s:
            time.sleep(1)
            results = read_all(PayoutResult, stack)
            paid = {result.reference_id: result.amount_paise for result in results if result.status == "paid"}
        assert paid == instructed == {each.reference_id: each.amount_paise for each in read_all(Payout, stack)}
        assert min(require_kept(stack, OfflineStore(tmp_path / "built"))) > 0
        capsys.readouterr()
        assert main(["reconcile", *place]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["differences"], -report["provider_paise"]) == ([], sum(instructed.values()))
        assert main(["status", *place]) == 0
    finally:
        assert main(["down", *place]) == 0
    assert stack.state is State.ABSENT
    assert not stack.folder.exists()
