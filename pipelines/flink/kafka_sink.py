"""Results into Kafka topics, exactly once: one transactional sink for all of them, with a deterministic key on every
record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.common.serialization import RowFieldExtractorSchema
from pyflink.datastream import DataStream, OutputTag, ProcessFunction, RuntimeContext
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink

from monsoon.contracts.topics import key_of
from monsoon.pipelines.flink.process_functions import BYTES
from monsoon.pipelines.flink.result_lines import UpToTheEnd
from monsoon.pipelines.flink.result_metrics import ResultMetrics
from monsoon.pipelines.runtime.messages import ACCOUNTS, HEARTBEAT, REMOVED_FEATURES, WRITTEN, unpack_result

TOPIC_RECORD = Types.ROW([Types.STRING(), Types.ROW([BYTES, BYTES])])
"""A topic, and the key and value of a record for it."""


def kafka_sink(
    results: DataStream, topics: Mapping[str, str], properties: Mapping[str, str], transactions: str
) -> None:
    """Writes results to the topics of their streams, and what the job says of its input to that of ACCOUNTS.

    `transactions`: the beginning of transactional ids, of this job alone on its brokers.
    """
    records = results.process(ToKafkaRecords(topics), TOPIC_RECORD).name("write-results: records")
    records.uid("write-results")
    accounts = records.get_side_output(_ACCOUNTS)
    closed = accounts.key_by(lambda line: 0, Types.INT()).process(UpToTheEnd(), Types.STRING())
    closed.name("close-accounts: up to the end").uid("close-accounts").set_parallelism(1)
    as_records = closed.map(_AccountRecords(topics[ACCOUNTS]), TOPIC_RECORD).name("write-accounts: records")
    as_records.uid("write-accounts").set_parallelism(1)
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic_selector(_first_field)
        .set_key_serialization_schema(RowFieldExtractorSchema(0))
        .set_value_serialization_schema(RowFieldExtractorSchema(1))
        .build()
    )
    # As PyFlink does for a topic selector, but for the way to Python and back that it would add.
    serializer._wrap_serialization_schema()
    builder = KafkaSink.builder()
    builder._j_builder.setRecordSerializer(serializer._j_serialization_schema)
    builder.set_bootstrap_servers(properties["bootstrap.servers"])
    for name, value in properties.items():
        builder.set_property(name, value)
    sink = (
        builder.set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE).set_transactional_id_prefix(transactions).build()
    )
    records.union(as_records).sink_to(sink).name("write-topics").uid("write-topics")


def _first_field(record: Row) -> str:
    """Of TOPIC_RECORD; Java's own selector takes it, this one is never called."""
    return str(record[0])


_ACCOUNTS = OutputTag(ACCOUNTS, Types.STRING())


class ToKafkaRecords(ProcessFunction):
    """Maps results to records of their topics; all others to lines of ACCOUNTS, with how many records were written."""

    def __init__(self, topics: Mapping[str, str]) -> None:
        self._topics = dict(topics)
        self._metrics: ResultMetrics | None = None

    def open(self, runtime_context: RuntimeContext) -> None:
        """Once in each worker."""
        self._metrics = ResultMetrics(runtime_context)

    def process_element(self, value: Row, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """One result."""
        _, kind, payload = value
        if kind == HEARTBEAT:
            yield _ACCOUNTS, HEARTBEAT  # so that a stream without a single record comes to its end, too
            return
        assert self._metrics is not None
        self._metrics.count(kind, payload)
        if kind == REMOVED_FEATURES:
            for key in unpack_result(payload, list[str]):
                yield Row(self._topics["features"], Row(key.encode(), b""))  # Flink's schema of a field has no null
            return
        topic = self._topics.get(kind)
        if topic is None:
            yield _ACCOUNTS, f"{kind} {payload}"
            return
        raw = msgspec.json.decode(payload, type=list[msgspec.Raw])
        for record in raw:
            key = key_of(kind, msgspec.json.decode(record))
            yield Row(topic, Row(key.encode(), bytes(record)))
        yield _ACCOUNTS, f"{WRITTEN} {msgspec.json.encode((kind, len(raw))).decode()}"


class _AccountRecords:
    """Lines of accounts as records: the kind as key."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __call__(self, line: str) -> Row:
        kind, _, payload = line.partition(" ")
        return Row(self._topic, Row(kind.encode(), payload.encode()))
