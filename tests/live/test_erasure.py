"""A rider erased from a live job by the command, through Kafka: no restart, later reports refused, features removed."""

import pytest
from features.test_operators import records_of
from kit.live_job import Committed, Some, read, settings, topics_for
from kit.streams import write_streams
from msgspec.structs import replace as with_settings

from monsoon.cli.main import main
from monsoon.feature_store import OfflineStore, feature_set
from monsoon.pipelines.stack.submit import submit
from monsoon.sources.kafka.history import History
from monsoon.sources.kafka.settings import FeatureSettings

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = "erasure-"


def test_a_rider_is_erased_while_the_job_runs(stack, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "a secret of tests")
    source = write_streams(tmp_path / "in", records_of(1))
    with History(source) as history:
        lines, first_ms = list(history), history.first_ms
    producer, middle = topics_for(stack, PREFIX), len(lines) * 4 // 5
    job = submit(stack, with_settings(settings(stack, PREFIX), features=FeatureSettings(enabled=True)))
    committed = Committed(stack.broker.address, PREFIX, ["features"])
    producer.send(Some(lines[:middle], first_ms))
    committed.wait(lambda found: read(found) >= middle)
    topic = ["--brokers", stack.broker.address, "--prefix", PREFIX]
    words = ["erase", "w1", "--before", "2030-01-01T00:00:00+00:00", "--output", str(tmp_path / "records")]
    assert main([*words, *topic, "--group", PREFIX, "--wait", "60"]) == 0
    assert "taken over" in capsys.readouterr().out
    producer.send(Some(lines[middle:], lines[middle].time_ms))
    producer.end()
    collected = committed.wait_for_the_end()
    assert stack.cluster.get(f"/jobs/{job}")["timestamps"]["RESTARTING"] == 0
    stack.cluster.cancel(job)
    letters = [each for each in collected.dead_letters if each["reason"] == "erased_worker"]
    assert letters
    assert not [each for each in letters if "w1" in each["raw"] or "lat" in each["raw"]]
    assert {each["entity_id"].split("/")[0] for each in collected.features} >= {"w0", "w1"}, "it had been written"
    assert main(["features", "consume", *topic, "--store", str(tmp_path / "store")]) == 0
    stack.broker.delete_topics(PREFIX)
    store = OfflineStore(tmp_path / "store")
    for name in ("rider_shifts", "device_baseline"):
        about = feature_set(name)
        riders = {each.split("/")[0] for each in store.read(about, store.files(about)).entity_id}
        assert riders == {"w0", "w2", "w3", "w4"}
