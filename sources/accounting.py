"""Accounting for every line of a stream, and its dead letters.

Interpretations of the specification: docs/interpretations.md#lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from monsoon.transforms.validation.raw_identifiers import masked
from monsoon.transforms.validation.record_validator import DeadLetter, fingerprint


@dataclass(slots=True)
class StreamCounts:
    """read = used + duplicate + dead, in non-blank lines or Parquet rows.

    `nulled` counts the records used that lost an optional field, by field; `reasons` the dead letters by
    reason.
    """

    read: int = 0
    used: int = 0
    duplicate: int = 0
    dead: int = 0
    nulled: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def count_nulled(self, names: Iterable[str], records: int = 1) -> None:
        """Add the nulled fields of a used record, or of some that lost the same."""
        for name in names:
            self.nulled[name] += records

    def as_dict(self) -> dict[str, Any]:
        """In the form of `summary.json`, keys sorted."""
        return {
            "read": self.read,
            "used": self.used,
            "duplicate": self.duplicate,
            "dead": self.dead,
            "nulled": dict(sorted(self.nulled.items())),
            "reasons": dict(sorted(self.reasons.items())),
        }


def dead_letters(stream: str, dead: Iterable[DeadLetter], counts: StreamCounts) -> list[dict[str, Any]]:
    """Records of the contract dead_letter, sorted by seen_at, reason, raw, detail.

    Of lines that were the same byte for byte one is kept and the others are duplicates, so that a file given twice
    leaves the same dead letters. Lines that differ only in what `raw` may not show are different letters that read
    the same, one beside the other.
    """
    repeats = Counter((each.seen_at, each.reason, each.raw, each.detail, each.original) for each in dead)
    counts.duplicate += sum(repeats.values()) - len(repeats)
    counts.dead += len(repeats)
    letters = []
    for seen_at, reason, raw, detail, _ in sorted(repeats):
        counts.reasons[reason] += 1
        letters.append({"stream": stream, "reason": reason, "detail": detail, "raw": raw, "seen_at": seen_at})
    return letters


def conflict(canonical: str, event_time_ms: int) -> DeadLetter:
    """The dead letter of a record whose identity is used with other content."""
    detail = "another record of this identity is used: the earlier one, of one moment the one that sorts first"
    return DeadLetter(
        "conflicting_duplicate", detail, masked(canonical), event_time_ms, fingerprint(canonical.encode())
    )
