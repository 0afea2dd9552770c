"""`monsoon bench riders`: its riders' reports are valid, in the order of time, and each rider's 15 s apart."""

import json
from itertools import groupby

from monsoon.bench import riders
from monsoon.bench.rider_reports import EVERY_MS, START_MS, write_policies, write_reports
from monsoon.cli.main import main
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.product_files import load_products


def test_reports_come_in_order_and_are_valid(tmp_path):
    products = load_products()
    validate = Validate(JobConfig(products, products, tmp_path, None, 4))
    parts = list(write_reports(tmp_path / "telemetry", 7, 100, 30, 0.1))
    lines = [[json.loads(line) for line in part.path.read_text().splitlines()] for part, _ in parts]
    reports = [report for file in lines for report in file]
    assert [len(file) for file in lines] == [30, 30, 30, 10]
    assert len({report["event_id"] for report in reports}) == 100
    times = [report["event_time"] for report in reports]
    assert times == sorted(times)
    for (_, watermark_ms), before, after in zip(parts, lines, lines[1:], strict=False):
        assert before[-1]["event_time"] <= watermark_ms < after[0]["event_time"]
    for worker, mine in groupby(sorted(reports, key=lambda each: each["worker_id"]), lambda each: each["worker_id"]):
        apart = {later["event_time"] - START_MS for later in mine}
        assert len({ms % EVERY_MS for ms in apart}) == 1, worker
    policies = write_policies(tmp_path / "policies.jsonl", 7)
    sent = [*validate("subscriptions", policies), *(each for part, _ in parts for each in validate("telemetry", part))]
    assert {message.to for message in sent} >= {"riders-evidence", "deduplicate-records"}
    assert not [message for message in sent if message.to == "account-dead-letters"]


def test_memory_is_the_difference_to_fewer_riders(capsys, monkeypatch):
    def played(what, count, size):
        return {"held_bytes": 5_000_000 + 50_000 * count, "state_bytes": {"riders-evidence cold/rows": 200_000 * count}}

    monkeypatch.setattr(riders, "_played", played)
    assert main(["bench", "riders", "--only", "hold"]) == 0
    out = capsys.readouterr().out
    assert "memory      50.0 KB a rider" in out
    assert "200.0  riders-evidence cold/rows" in out
