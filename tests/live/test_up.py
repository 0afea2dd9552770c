"""The stack brought up by command, a storm produced, payouts consumed, the stack taken down: as README says."""

import time

import pytest
from kit.broker import need_jars
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.client import Consumer, Payout
from monsoon.pipelines.stack.stack import Stack, State

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PATIENCE_S = 120


def test_up_produce_consume_down(tmp_path, capsys):
    need_jars()
    source, place = write_streams(tmp_path / "in", small_storm()), ["--stack", str(tmp_path / "stack")]
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "replay")]) == 0
    expected = (tmp_path / "replay" / "payouts" / "part-00000.jsonl").read_bytes().count(b"\n")
    try:
        assert main(["up", *place, "--interval-ms", "3600000"]) == 0
        assert "monsoon live, running" in capsys.readouterr().out.lower() or Stack(tmp_path / "stack").jobs()
        assert main(["produce", *place, "--input", str(source), "--speed", "0", "--end"]) == 0
        found, until_s = set(), time.monotonic() + PATIENCE_S
        while len(found) < expected and time.monotonic() < until_s:
            with Consumer(Payout, Stack(tmp_path / "stack").broker.address, positions={}) as consumer:
                found = {received.record.reference_id for received in consumer.read_to_end()}
            time.sleep(1)
        assert len(found) == expected
        assert main(["status", *place]) == 0
    finally:
        assert main(["down", *place]) == 0
    assert Stack(tmp_path / "stack").state is State.ABSENT
