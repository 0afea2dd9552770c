"""All records of a stream of few: duplicates out, conflicts judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from monsoon.sources.accounting import StreamCounts, conflict
from monsoon.transforms.validation.canonical import canonical_json, standing
from monsoon.transforms.validation.judge import Dead, Used

RecordId = tuple[Any, ...]

_IDS = ("event_id", "reserve_id", "answer_id")


@dataclass(slots=True)
class RecordStore:
    """Takes in verdicts in any order; `finish` gives the same records for any order and duplication."""

    counts: StreamCounts
    dead: list[Dead] = field(default_factory=list)
    _by_id: dict[RecordId, dict[str, Used]] = field(default_factory=dict)

    def add(self, verdict: Used | Dead) -> None:
        """Take in what became of a line."""
        self.counts.read += 1
        if isinstance(verdict, Dead):
            self.dead.append(verdict)
            return
        contents = self._by_id.setdefault(record_id(verdict.record), {})
        content = canonical_json(verdict.record)
        if content in contents:
            self.counts.duplicate += 1
            nulled = {*contents[content].nulled, *verdict.nulled}
            verdict = Used(verdict.record, tuple(sorted(nulled)))
        contents[content] = verdict

    def finish(self) -> list[dict[str, Any]]:
        """One record per id, in the order of the ids; leaves `dead` and `counts` complete for the conflicts."""
        used = []
        for _, contents in sorted(self._by_id.items()):
            first, others = standing(contents)
            used.append(contents[first])
            self.dead.extend(conflict(other, contents[other].record["event_time"]) for other in others)
        self.counts.used += len(used)
        self.counts.count_nulled(each.nulled for each in used)
        return [each.record for each in used]


def record_id(record: dict[str, Any]) -> RecordId:
    """What makes two records the same: readings by id and revision (absent: 0), all else by id."""
    if "reading_id" in record:
        return record["reading_id"], record["revision"] or 0
    return (next(record[name] for name in _IDS if name in record),)
