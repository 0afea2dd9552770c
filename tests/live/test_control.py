"""Products and a model that are given to the live job while it runs: without a restart, as if they had been there."""

import pytest
from kit import at
from kit.live_job import Committed, Some, read
from kit.streams import policy_record, report, write_streams
from operators.test_config_changes import another_model, another_product, version
from operators.test_simulated_cluster import places_apart

from monsoon.cli.main import main
from monsoon.contracts.topics import TOPICS, topic_name
from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.results import write_results
from monsoon.pipelines.runtime.messages import END
from monsoon.pipelines.stack.submit import submit
from monsoon.sinks.folder import STREAMS, OutputFolder
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.history import History
from monsoon.sources.kafka.producer import HistoryProducer, history_producer
from monsoon.sources.kafka.settings import (
    EventTimeSettings,
    InsuranceSettings,
    KafkaSettings,
    LiveSettings,
    StateSettings,
)
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PREFIX = GROUP = "control-"
MIDDLE = -37
"""Minutes; the first curfew begins at -35, and policies of the product that comes now are stated after this."""


def storm():
    records = places_apart()
    for n in range(0, 32, 4):
        policy = policy_record(f"w{n}", f"q{n}", MIDDLE + 1, product="sixth")
        records["subscriptions"].append(policy | {"home_lat": report(f"w{n}", 0)["lat"]})
    return {
        stream: sorted(
            ({name: value for name, value in record.items() if value is not None} for record in some),
            key=lambda record: record["event_time"],
        )
        for stream, some in records.items()
    }


def settings(stack):
    return LiveSettings(
        kafka=KafkaSettings(brokers=stack.broker.address, topic_prefix=PREFIX, group=GROUP),
        event_time=EventTimeSettings(idle_after_s=None, interval_ms=600_000),
        state=StateSettings(parallelism=2, buckets=4),
        insurance=InsuranceSettings(reserves=False),
    )


def lines(folder, stream):
    return sorted(line for file in (folder / stream).iterdir() for line in file.read_text().splitlines())


def test_products_and_a_model_while_the_job_runs(stack, tmp_path, root, capsys):
    kawaach = (root / "products" / "kawaach.yaml").read_text(encoding="utf-8")
    files = {}
    for name, update in (("sixth", another_product(kawaach)), ("version", version(kawaach, 15))):
        files[name] = tmp_path / update.file
        files[name].write_text(update.content)
    (tmp_path / "broken.yaml").write_text(kawaach.replace("plans:", "plan:"))
    model = tmp_path / "another"
    model.mkdir()
    for name, content in another_model(root, None).files.items():
        (model / name).write_bytes(content)

    source = write_streams(tmp_path / "in", storm())
    extra = [word for file in files.values() for word in ("--product-file", str(file))]
    assert main(["replay", "--input", str(source), "--output", str(tmp_path / "replay"), *extra]) == 0

    brokers = stack.broker.address
    stack.broker.create_topics(TOPICS.values(), PREFIX)
    with History(source) as history:
        told, first_ms = list(history), history.first_ms
    inputs = ("telemetry", "oracle_readings", "subscriptions", "confirmations")
    topics = {stream: topic_name(stream, PREFIX) for stream in inputs}
    producer = HistoryProducer(history_producer(brokers), topics, partition_counts(brokers, topics))
    middle = next(n for n, line in enumerate(told) if line.time_ms > at(MIDDLE))
    job = submit(stack, settings(stack))
    producer.send(Some(told[:middle], first_ms))
    committed = Committed(brokers, PREFIX)
    committed.wait(lambda found: read(found) >= middle)

    control = ["--brokers", brokers, "--prefix", PREFIX, "--group", GROUP]

    def put(path, *more):
        return main(["control", "put", str(path), "--wait", "60", *more, *control])

    assert put(files["sixth"]) == 0
    assert put(files["version"]) == 0
    assert put(model, "--in-force-from", "2024-06-28T12:05:00+05:30") == 0
    capsys.readouterr()
    assert put(files["sixth"]) == 1
    assert "this version of 'sixth' runs already" in capsys.readouterr().err
    # What the command refuses by itself may come from elsewhere.
    from monsoon.sources.kafka.control_log import ControlLog

    log = ControlLog(brokers, topic_name("control", PREFIX))
    log.append("x", b'{"kind": "product", "file": "broken.yaml", "content": "name: [1"}')
    log.append("x", b"not JSON")
    log.close()
    assert main(["control", "put", str(tmp_path / "broken.yaml"), *control]) == 1

    producer.send(Some(told[middle:], told[middle].time_ms))
    producer.end()
    committed.wait(lambda found: any(kind == END for kind, _ in found))
    committed.wait(lambda found: not CollectedResults.of(found).missing)
    capsys.readouterr()
    assert main(["control", "list", *control]) == 0
    listed = capsys.readouterr().out
    assert listed.count("in force") == 3
    assert listed.count("refused") == 3
    assert stack.cluster.get(f"/jobs/{job}")["timestamps"]["RESTARTING"] == 0
    stack.cluster.cancel(job)
    stack.broker.delete_topics(PREFIX)

    collected = CollectedResults.of(committed.found)
    with OutputFolder(tmp_path / "live") as output:
        write_results(output, collected, collected.outcome, load_products(extra=files.values()), {})
    new, old = load_scorer(model).version, load_scorer().version
    for stream in STREAMS:
        found, expected = lines(tmp_path / "live", stream), lines(tmp_path / "replay", stream)
        if stream == "claims":
            assert any(new in line for line in found)
            assert any(old in line for line in found)
            assert any("sixth" in line for line in found)
            found = sorted(line.replace(new, old) for line in found)
        assert found == expected, stream
