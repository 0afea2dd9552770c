"""The Kafka topics: one for each stream, named as the stream's folder, and one for control records.

An input record's value is one JSON line, or several separated by newlines; an output record's value is one record of
its contract, without a newline at the end. The `control` topic carries versions of
products and of models, and erasures, that a running job takes over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["in", "out", "control", "accounts", "payments", "features"]
"""`payments`: what the dispatcher writes, and no job. `features`: what a job writes that is set to."""

FOREVER_MS = -1
"""Kafka's `retention.ms` for no limit."""
_DAY_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `stream` is its name, to which an installation may prepend a prefix."""

    stream: str
    direction: Direction
    content: str
    contract: str | None
    """The file `contracts/<contract>.schema.json` that a record of it satisfies; None: described by its consumer."""
    key: str
    """The key of a record in words. It is text in UTF-8."""
    key_fields: tuple[str, ...] = ()
    """The fields whose values, joined by `/`, are the key; empty where it takes more than that."""
    revision_field: str | None = None
    """The field that counts the revisions of one key up; of those the last stands."""
    partitions: int = 1
    """For a small installation. A job's results do not depend on it."""
    retention_ms: int = FOREVER_MS
    compacted_after_ms: int | None = None
    """From this age on the last record of each key alone is kept; None: all are."""

    @property
    def configuration(self) -> dict[str, str]:
        """Kafka's settings of the topic, for whoever creates it."""
        compacted = {} if self.compacted_after_ms is None else {"min.compaction.lag.ms": str(self.compacted_after_ms)}
        return {
            # Compaction would drop all but the last event of a policy, and all but the last revision of a claim.
            "cleanup.policy": "compact,delete" if compacted else "delete",
            **compacted,
            "retention.ms": str(self.retention_ms),
            # An output is kept from when it was written: its own timestamp is the event time of the decision.
            "message.timestamp.type": "CreateTime" if self.direction == "in" else "LogAppendTime",
        }


_TOPICS = (
    Topic(
        "telemetry",
        "in",
        "reports of riders' phones",
        "telemetry",
        "worker_id",
        ("worker_id",),
        partitions=4,
        retention_ms=7 * _DAY_MS,
    ),
    Topic(
        "oracle_readings",
        "in",
        "readings of weather, air, platforms and authorities",
        "oracle_reading",
        "the H3 cell of resolution 5, as its hexadecimal string, that contains the center of the reading's area",
        partitions=2,
        retention_ms=35 * _DAY_MS,
    ),
    # Kept whole: the terms in force at any time follow from all events of a policy, not from the last alone.
    Topic("subscriptions", "in", "changes of policies", "subscription", "policy_id", ("policy_id",), partitions=2),
    Topic(
        "confirmations",
        "in",
        "riders' answers to messages that ask to confirm a claim",
        "confirmation",
        "worker_id",
        ("worker_id",),
        retention_ms=35 * _DAY_MS,
    ),
    Topic(
        "reserves",
        "in",
        "how much a product may pay for a day and cell",
        "reserve",
        "product/day/cell",
        ("product", "day", "cell"),
    ),
    # Of outputs every revision is kept: each explains a decision. Whoever wants the last only reads by key.
    Topic(
        "disruptions",
        "out",
        "revisions of confirmed disruptions",
        "disruption",
        "disruption_id",
        ("disruption_id",),
        "revision",
        partitions=2,
    ),
    # They have the evidence of claims, which is kept so long and no longer (docs/privacy.md).
    Topic(
        "claims",
        "out",
        "revisions of claims",
        "claim",
        "claim_id",
        ("claim_id",),
        "revision",
        partitions=4,
        retention_ms=400 * _DAY_MS,
    ),
    Topic("payouts", "out", "payout instructions", "payout", "reference_id", ("reference_id",), partitions=2),
    Topic(
        "notifications",
        "out",
        "what riders should hear",
        "notification",
        "notification_id",
        ("notification_id",),
        partitions=2,
    ),
    Topic("reserve_alerts", "out", "payouts that wait for a reserve", "reserve_alert", "alert_id", ("alert_id",)),
    Topic("syndicate_alerts", "out", "linked groups of riders", "syndicate_alert", "alert_id", ("alert_id",)),
    Topic("ring_alerts", "out", "claims linked by what their riders share", "ring_alert", "alert_id", ("alert_id",)),
    Topic(
        "payout_results",
        "payments",
        "what became of payout instructions",
        "payout_result",
        "reference_id",
        ("reference_id",),
        "revision",
        partitions=2,
    ),
    # The last version of an entity is all that the online store needs; the offline store has a week to read the others.
    # None counts for longer than 28 days.
    Topic(
        "features",
        "features",
        "versions of features of riders, phones, zones and neighborhoods",
        "feature",
        "feature_set/version/entity_id",
        ("feature_set", "version", "entity_id"),
        "received_time",
        partitions=4,
        retention_ms=35 * _DAY_MS,
        compacted_after_ms=7 * _DAY_MS,
    ),
    # They hold positions of riders, and serve to mend a producer: not kept long.
    Topic(
        "dead_letters",
        "out",
        "refused lines with their reasons",
        "dead_letter",
        "the first 32 hexadecimal digits of the SHA-256 of the record's canonical JSON (keys sorted, no spaces)",
        retention_ms=35 * _DAY_MS,
    ),
    Topic(
        "accounts",
        "accounts",
        "counts of lines read, by stream, and of records written",
        None,
        "the kind of the account",
        retention_ms=_DAY_MS,
    ),
    # Kept whole and in one order: what a version is taken over for, or refused, depends on those before it.
    Topic(
        "control",
        "control",
        "versions of products and models and riders to be erased, for a running job, and what it decided on them",
        "control",
        "kind/name/version, such as product/kawaach/1f0c2a9b7d3e; erasure/hash/moment; decision/group/offset",
    ),
)

TOPICS: Mapping[str, Topic] = {topic.stream: topic for topic in _TOPICS}
"""By stream."""

INPUT_TOPICS = tuple(topic for topic in _TOPICS if topic.direction == "in")
OUTPUT_TOPICS = tuple(topic for topic in _TOPICS if topic.direction == "out")
RESULT_TOPICS = tuple(topic for topic in _TOPICS if topic.direction in ("out", "payments", "features"))
"""For services that consume results, of the job and of the dispatcher."""


def topic_name(stream: str, prefix: str = "") -> str:
    """The name of a stream's topic in an installation that prepends `prefix` to its topics; KeyError for no stream."""
    return prefix + TOPICS[stream].stream


def key_of(stream: str, record: Mapping[str, Any]) -> str:
    """The key of a record of any output stream, or of an input stream with `key_fields`.

    Of an output it is the record's id without its revision. Of readings see `monsoon.sources.topic_keys`. Raises
    KeyError for an unknown stream or a record without a field of its key, ValueError for a stream without a rule here.
    """
    topic = TOPICS[stream]
    if topic.key_fields:
        return "/".join(str(record[name]) for name in topic.key_fields)
    if stream == "dead_letters":
        canonical = json.dumps(record, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]
    raise ValueError(f"the key of {stream} is not made of fields of its records: {topic.key}")
