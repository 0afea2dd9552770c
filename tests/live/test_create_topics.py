"""Topics are created once, as they are defined; what goes wrong is one line."""

import pytest
from kit.broker import broker_in

from monsoon.contracts.topics import TOPICS, topic_name
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.create_topics import main


@pytest.mark.flink
@pytest.mark.slow
def test_topics_are_created_once(tmp_path, capsys):
    with broker_in(tmp_path) as broker:
        words = ["--brokers", broker.address, "--prefix", "test-"]
        assert main(words) == 0
        assert capsys.readouterr().out == f"created: {', '.join(topic_name(stream, 'test-') for stream in TOPICS)}\n"
        counts = partition_counts(broker.address, {stream: topic_name(stream, "test-") for stream in TOPICS})
        assert counts == {stream: topic.partitions for stream, topic in TOPICS.items()}
        assert main(words) == 0
        assert capsys.readouterr().out == "created: none, all are there\n"


def test_brokers_that_do_not_answer_are_told(capsys, monkeypatch):
    import kafka

    def refuse(**settings):
        raise kafka.errors.KafkaTimeoutError(f"Unable to bootstrap from {settings['bootstrap_servers']}")

    monkeypatch.setattr(kafka, "KafkaAdminClient", refuse)
    assert main(["--brokers", "nowhere:9092"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("monsoon: ")
    assert "nowhere:9092" in told
    assert told.count("\n") == 1
