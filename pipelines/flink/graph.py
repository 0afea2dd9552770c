"""The job graph: which step follows which, and what is together in one key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment

from monsoon.pipelines.flink.claims import AdjudicateClaims
from monsoon.pipelines.flink.entrance import DeduplicateRecords, DeduplicateTelemetry, RoutePolicies, Validate
from monsoon.pipelines.flink.envelopes import RESULTS
from monsoon.pipelines.flink.neighbors import CompareNeighbors
from monsoon.pipelines.flink.riders import RidersEvidence
from monsoon.pipelines.flink.settings import Settings
from monsoon.pipelines.flink.steps import ENVELOPE, PART, WHOLE_FILE, ReadParts, WholeKey, tags_to
from monsoon.pipelines.flink.triggers import JudgeTriggers, UniteDisruptions
from monsoon.sources.files import FilePart

READ = "read-and-validate"

STEPS: tuple[tuple[str, str, Any], ...] = (
    ("deduplicate-telemetry", "telemetry by event", DeduplicateTelemetry),
    ("deduplicate-records", "readings and subscription events by id", DeduplicateRecords),
    ("route-policies", "subscription events by policy", RoutePolicies),
    ("judge-triggers", "readings and zones by trigger", JudgeTriggers),
    ("riders-evidence", "telemetry, policies and disruptions by rider", RidersEvidence),
    ("unite-disruptions", "disruptions by id", UniteDisruptions),
    ("compare-neighbors", "panes and claims by neighborhood", CompareNeighbors),
    ("adjudicate-claims", "evidence by rider", AdjudicateClaims),
)
"""(uid, what is together under a key, step); a step sends to later ones only."""


@dataclass(frozen=True)
class Config:
    """What a graph is built from: where its rows come from, and what every step is told."""

    parts: Sequence[tuple[str, FilePart]]
    settings: Settings


def build(env: StreamExecutionEnvironment, config: Config) -> DataStream:
    """Adds the whole graph to `env`; returns the stream of results (key, kind, JSON)."""
    rows = [
        Row(stream, str(part.path), part.start, WHOLE_FILE if part.stop is None else part.stop)
        for stream, part in config.parts
    ]
    parts = env.from_collection(rows, PART).name("parts of files").uid("file-parts")
    parts = parts.rebalance()
    inputs: dict[str, list[DataStream]] = defaultdict(list)

    def connect(stream: Any, name: str, label: str, names: Sequence[str]) -> None:
        stream.name(f"{name}: {label}").uid(name)
        for to, tag in tags_to(names).items():
            inputs[to].append(stream.get_side_output(tag))

    read = parts.process(ReadParts(config.settings), ENVELOPE)
    connect(read, READ, "parts of files to rows", Validate.to)
    for name, label, step in STEPS:
        first, *others = inputs[name]
        keyed = (first.union(*others) if others else first).key_by(lambda row: row[0], Types.INT())
        connect(keyed.process(WholeKey(step, step.to, config.settings), ENVELOPE), name, label, step.to)
    first, *others = inputs[RESULTS]
    return first.union(*others)
