"""Collects the results of a job into a replay's outcome and account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.operators.dead_letter_accounts import add_counts
from monsoon.pipelines.results import STREAM_ORDER, Account, Outcome, dead_letter_order, providers_are
from monsoon.pipelines.runtime.messages import END, PART, REMOVED_FEATURES, STATISTICS, WRITTEN, unpack_result
from monsoon.sources.accounting import StreamCounts
from monsoon.sources.files import INPUT_STREAMS, OPTIONAL_STREAMS, InputError
from monsoon.sources.reference import ReferenceTables
from monsoon.sources.streams import require_within
from monsoon.transforms.validation.input_checks import InputStatistics, RefusalLimit


@dataclass
class CollectedResults(Account):
    """The outcome, and what became of every line read."""

    outcome: Outcome = field(default_factory=Outcome)
    features: list[dict[str, Any]] = field(default_factory=list)
    """Versions of features, of a job that measures them."""
    removed_features: list[str] = field(default_factory=list)
    """Keys of that stream that the job has removed."""
    late: dict[str, int] = field(default_factory=dict)
    """By stream: records that came after the watermark had passed their time."""
    parts: int = 0
    """How many parts of files were read."""
    ended: bool = False
    """Event time has ended: nothing more will be decided."""
    missing: dict[str, int] = field(default_factory=dict)
    """By stream: records that the job wrote to files and that were not found there; none where nobody counted."""

    @staticmethod
    def of(results: Iterable[tuple[str, str | bytes]]) -> CollectedResults:
        """From (kind, JSON) in any order. Raises InputError where a file could not be read."""
        collected = CollectedResults()
        counts = {stream: StreamCounts() for stream in INPUT_STREAMS}
        written: Counter[str] = Counter()
        found: Counter[str] = Counter()
        for kind, payload in results:
            if kind == "counts":
                stream, counted = unpack_result(payload, tuple[str, dict[str, Any]])
                add_counts(counts[stream], counted)
            elif kind == "late":
                stream, late = unpack_result(payload, tuple[str, int])
                collected.late[stream] = collected.late.get(stream, 0) + late
            elif kind == "fault":
                raise InputError(*unpack_result(payload, tuple[str, str, str]))
            elif kind == STATISTICS:
                stream, statistics = unpack_result(payload, tuple[str, InputStatistics])
                collected.statistics.setdefault(stream, InputStatistics()).add(statistics)
            elif kind == REMOVED_FEATURES:
                collected.removed_features += unpack_result(payload, list[str])
            elif kind == PART:
                collected.parts += unpack_result(payload, int)
            elif kind == END:
                collected.ended = True
            elif kind == WRITTEN:
                stream, many = unpack_result(payload, tuple[str, int])
                written[stream] += many
            else:
                records = unpack_result(payload, list[dict[str, Any]])
                found[kind] += len(records)
                into = getattr(collected if kind in ("dead_letters", "features") else collected.outcome, kind)
                into.extend(records)
        if written:
            collected.missing = {
                stream: written[stream] - found[stream]
                for stream in sorted(written | found)
                if written[stream] != found[stream]
            }
        collected.counts = {
            stream: counts[stream].as_dict()
            for stream in STREAM_ORDER
            if stream not in OPTIONAL_STREAMS or counts[stream].read
        }
        collected.dead_letters.sort(key=dead_letter_order)
        return collected

    def require_within(self, limit: RefusalLimit | None, input_dir: Path) -> None:
        """Raises InputError where more records of a stream are refused than the limit allows (None: any number)."""
        for stream, statistics in sorted(self.statistics.items()):
            require_within(limit, statistics, input_dir / stream)

    def require_parts(self, planned: int) -> None:
        """Raises ClusterError unless every part of the plan was read, once."""
        if self.parts != planned:
            raise ClusterError(
                f"the job ended after {self.parts:,} of {planned:,} parts of files; its results are not whole. "
                "Was it drained, or its state restored twice?"
            )

    def require_records(self) -> None:
        """Raises ClusterError unless every record that the job wrote is there, once."""
        if self.missing:
            stream, many = next(iter(self.missing.items()))
            raise ClusterError(
                f"{stream}/ holds {abs(many):,} {'fewer' if many > 0 else 'more'} records than the job wrote: a power "
                "cut may have taken files that were not on the disk yet, or somebody changed them. Start anew in new "
                "folders"
            )

    def record_inputs(self, names: Mapping[str, Sequence[str]], references: ReferenceTables) -> None:
        """Records, for each stream that is there, the files that are no input files (`names`); and what became of the
        reference files."""
        for stream, ignored in names.items():
            self.counts.setdefault(stream, StreamCounts().as_dict())["ignored"] = list(ignored)
        self.providers = providers_are(references.providers)
        self.reference_account = references.account
