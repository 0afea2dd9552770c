"""The live job, from Kafka to Kafka: `main(argv)` is what `flink run` calls.

    flink run -d -pyexec VENV/bin/python -pyclientexec VENV/bin/python -pym monsoon.pipelines.flink.live_job \\
        --settings FILE

The same environment must stand at the same path on every worker, with the jars of `monsoon jars`, and so must the
folders that the settings name. Restoring is `flink run -s`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.contracts.topics import INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, topic_name
from monsoon.pipelines.flink.control import ControlInput
from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.flink.keys import streaming_buckets
from monsoon.pipelines.flink.local_cluster import COMPACTION
from monsoon.pipelines.flink.partition_keys import MAX_PARTITIONS, PartitionKeys
from monsoon.pipelines.runtime.intervals import FixedIntervals
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import ACCOUNTS
from monsoon.sources.files import InputError
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.producer import MAX_RECORD_BYTES
from monsoon.sources.kafka.settings import LiveSettings, StateSettings, parse_settings
from monsoon.sources.kafka.watermarks import WatermarkBounds
from monsoon.sources.model_files import load_scorer
from monsoon.sources.plain_yaml import read_file
from monsoon.sources.product_files import load_products
from monsoon.transforms.product import ProductError
from monsoon.transforms.scoring import ModelFolderError

if TYPE_CHECKING:
    from pyflink.datastream import StreamExecutionEnvironment

NAME = "monsoon live"


def main(argv: Sequence[str] | None = None) -> int:
    """Submits the job to the client's cluster; returns 0, or 1 for an error that was found, and printed, before."""
    parser = argparse.ArgumentParser(prog="monsoon.pipelines.flink.live_job", description=main.__doc__)
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="the job's settings (YAML)")
    args = parser.parse_args(argv)
    try:
        settings = parse_settings(read_file(args.settings), where=str(args.settings))
        _submit(settings)
    except (ClusterError, InputError, ModelFolderError, ProductError) as error:
        print(f"monsoon: {error}", file=sys.stderr)
        return 1
    return 0


def _submit(settings: LiveSettings) -> None:
    from pyflink.datastream import StreamExecutionEnvironment

    env = StreamExecutionEnvironment.get_execution_environment()
    configure(env, settings.state)
    build_live(env, settings)
    env.execute(NAME)


def configure(env: StreamExecutionEnvironment, state: StateSettings) -> None:
    """The settings of the job's state, which count over the configuration of the cluster."""
    from pyflink.common import Configuration

    configuration = Configuration()
    for name, value in {
        "execution.checkpointing.interval": f"{state.checkpoint_interval_ms} ms",
        "execution.checkpointing.unaligned.enabled": "false",  # docs/adr/0050-checkpoints-are-aligned.md
        "execution.checkpointing.incremental": "true",
        "state.backend.type": state.backend,
        **COMPACTION,
        **({} if state.checkpoints is None else {"execution.checkpointing.dir": state.checkpoints}),
    }.items():
        configuration.set_string(name, value)
    env.configure(configuration)
    if state.parallelism is not None:
        env.set_parallelism(state.parallelism)


def build_live(env: StreamExecutionEnvironment, settings: LiveSettings) -> None:
    """Adds the whole job to `env`. Raises what its inputs raise."""
    from monsoon.pipelines.flink.graph import Config, build
    from monsoon.pipelines.flink.kafka_sink import kafka_sink
    from monsoon.pipelines.flink.kafka_source import KafkaInput, kafka_messages

    config = job_config(settings, env.get_parallelism())
    kafka = settings.kafka
    streams = [topic.stream for topic in INPUT_TOPICS if topic.stream != "reserves" or config.reserves]
    topics = {stream: topic_name(stream, kafka.topic_prefix) for stream in streams}
    control = ControlInput(kafka.brokers, topic_name("control", kafka.topic_prefix), kafka.group)
    source = KafkaInput(
        topics,
        partition_counts(kafka.brokers, topics),
        {**_client_properties(settings), "group.id": kafka.group, "isolation.level": "read_committed"},
        WatermarkBounds(settings.lateness_ms, settings.event_time.idle_after_s),
        control,
        env.get_parallelism(),
        int(time.time()),
        kafka.gather_ms,
    )
    _require_work(source.keys)
    graph = Config((), config, True, messages=lambda env: kafka_messages(env, source, config), control=control)
    results = build(env, graph)
    written = [*OUTPUT_TOPICS, TOPICS[ACCOUNTS], *([TOPICS["features"]] if config.features else [])]
    outputs = {topic.stream: topic_name(topic.stream, kafka.topic_prefix) for topic in written}
    producer = {
        **_client_properties(settings),
        "transaction.timeout.ms": str(kafka.transaction_timeout_s * 1_000),
        "linger.ms": "20",
        "batch.size": str(256 * 1024),
        "max.request.size": str(MAX_RECORD_BYTES),
    }
    kafka_sink(results, outputs, producer, f"{kafka.topic_prefix}{kafka.group}")


def _require_work(keys: PartitionKeys) -> None:
    """Raises ClusterError where a topic has more partitions than can be told apart, or a task would read none: it would
    hold back event time for good."""
    for stream, count in keys.counts.items():
        if count > MAX_PARTITIONS:
            raise ClusterError(f"{stream}: the topic has {count} partitions; the job reads at most {MAX_PARTITIONS}")
    tasks = keys.parallelism
    idle = sum(not keys.of_task(task, tasks) for task in range(tasks))
    if idle:
        raise ClusterError(
            f"parallelism {tasks}: the input topics have {len(keys.partitions)} partitions together, so that "
            f"{idle} tasks would read nothing; add partitions to telemetry, or give less"
        )


def job_config(settings: LiveSettings, parallelism: int) -> JobConfig:
    """What the operators are configured with."""
    insurance = settings.insurance
    extra = [Path(file) for file in insurance.product_files]
    known = load_products(extra=extra)
    running = known if insurance.products is None else load_products(list(insurance.products), extra)
    model = None if insurance.model is None else Path(insurance.model)
    load_scorer(model)  # refused here, not in a worker
    buckets = settings.state.buckets or streaming_buckets(parallelism)
    if parallelism > buckets:
        raise ClusterError(f"parallelism {parallelism}: more than buckets ({buckets}); some tasks would have no work")
    return JobConfig(
        known,
        {name: running[name] for name in sorted(running)},
        Path(insurance.reference or "reference").absolute(),
        model,
        buckets,
        reserves=insurance.reserves,
        takes_changes=True,
        intervals=FixedIntervals(settings.event_time.interval_ms),
        features=settings.features.enabled,
    )


def _client_properties(settings: LiveSettings) -> Mapping[str, str]:
    return {"bootstrap.servers": settings.kafka.brokers}


if __name__ == "__main__":
    sys.exit(main())
