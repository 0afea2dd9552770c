"""All records of a stream of few: deduplicated, conflicting duplicates to the dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.transforms.validation.canonical import canonical_json, resolve_conflict
from monsoon.transforms.validation.record_validator import DeadLetter, ValidRecord

RecordId = tuple[Any, ...]

_IDENTITIES = (("policy_id", "event_id"), ("reserve_id",), ("worker_id", "answer_id"))
"""Of all but readings. An id is unique to whoever gave it: nobody can have the record of another refused by using its
id."""


@dataclass(slots=True)
class RecordStore:
    """Takes in verdicts in any order; `finish` gives the same records for any order and duplication."""

    counts: StreamCounts
    dead: list[DeadLetter] = field(default_factory=list)
    _first: dict[RecordId, ValidRecord] = field(default_factory=dict)
    _repeated: dict[RecordId, dict[str, ValidRecord]] = field(default_factory=dict)
    """By canonical content, where an identity was met more than once: most are not, and need none."""

    def add(self, verdict: ValidRecord | DeadLetter) -> None:
        """Take in what became of a line."""
        self.counts.read += 1
        if isinstance(verdict, DeadLetter):
            self.dead.append(verdict)
            return
        identity = record_id(verdict.record)
        first = self._first.setdefault(identity, verdict)
        if first is verdict:
            return
        contents = self._repeated.setdefault(identity, {})
        if not contents:
            contents[canonical_json(first.record)] = first
        content = canonical_json(verdict.record)
        if content in contents:
            self.counts.duplicate += 1
            nulled = {*contents[content].nulled, *verdict.nulled}
            verdict = ValidRecord(verdict.record, tuple(sorted(nulled)))
        contents[content] = verdict

    def finish(self) -> list[dict[str, Any]]:
        """One record per identity, in their order; leaves `dead` and `counts` complete for the conflicts."""
        return [each.record for each in self.finish_used()]

    def finish_used(self) -> list[ValidRecord]:
        """The same, each with what it and its repeats lost."""
        used = []
        for identity in sorted(self._first):
            contents = self._repeated.get(identity)
            if contents is None:
                used.append(self._first[identity])
                continue
            first, others = resolve_conflict({content: moments(used.record) for content, used in contents.items()})
            used.append(contents[first])
            self.dead.extend(conflict(other, contents[other].record["event_time"]) for other in others)
        self.counts.used += len(used)
        for each in used:
            self.counts.count_nulled(each.nulled)
        return used


def record_id(record: Mapping[str, Any]) -> RecordId:
    """What makes two records the same: readings by provider, id and revision (absent: 0), subscription events by policy
    and id, answers by rider and id, reserves by id."""
    if "reading_id" in record:
        return record["provider"], record["reading_id"], record["revision"] or 0
    names = next(names for names in _IDENTITIES if names[-1] in record)
    return tuple(record[name] for name in names)


def short_id(record: Mapping[str, Any]) -> RecordId:
    """The id alone, which records of several identities may share: by it a running job shares records out, and up to
    version 2 of its state remembered them."""
    names = ("reading_id", *(names[-1] for names in _IDENTITIES))
    found = next(record[name] for name in names if name in record)
    return (found, record["revision"] or 0) if "reading_id" in record else (found,)


def moments(record: Mapping[str, Any]) -> tuple[int, ...]:
    """The moments (ms) that order records of one identity: when it takes effect, then its event time."""
    return takes_effect_ms(record), record["event_time"]


def takes_effect_ms(record: Mapping[str, Any]) -> int:
    """When a record takes effect (ms): a correction when it was issued, all else at its event time."""
    issued_ms: int | None = record.get("issued_time") if record.get("revision") else None
    event_time_ms: int = record["event_time"]
    return event_time_ms if issued_ms is None else issued_ms
