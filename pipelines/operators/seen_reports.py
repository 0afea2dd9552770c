"""The set of recently used reports, as hashes: duplicates are found at a cost that hardly depends on their number.

Hashes are kept in sorted arrays by the hour of event time in which the reports were used, one state entry an array, and
looked up by binary search. Arrays of similar size within an hour are merged, as in a log-structured merge tree: there
are few arrays however often the watermark advances, and each hash is rewritten only a few times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from monsoon.pipelines.operators.report_hashes import Hashes
from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack, unpack

HOUR_MS = 3_600_000
_MERGE_SPAN_MS = 6 * HOUR_MS
"""Arrays of past hours are merged within spans of this length."""
_MERGE_COUNT = 4
"""As soon as there are so many arrays of similar size, they are merged."""
_SLOTS_PER_HASH = 8
"""Size of the filter: its rate of false positives is about one in so many."""


class _Entry(msgspec.Struct, array_like=True):
    """A state entry: when its first and last report were used (ms), the hashes of their ids and of their contents, as
    little-endian uint64; ids ascending."""

    first_ms: int
    last_ms: int
    reports: bytes
    contents: bytes


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    first_ms: int
    last_ms: int
    reports: Hashes
    contents: Hashes

    @property
    def size(self) -> int:
        """The size class: equal for parts with similar numbers of reports."""
        return (len(self.reports).bit_length() + 1) // 2


class _BloomFilter:
    """A filter with one hash function (the first bits of a hash): new reports, which are nearly all, are mostly
    recognized by one lookup instead of one in every array."""

    def __init__(self, added: Sequence[Hashes] = ()) -> None:
        self._count = 0
        self._bits = max(12, (_SLOTS_PER_HASH * sum(map(len, added))).bit_length())
        self._slots = np.zeros(2**self._bits, dtype=np.bool_)
        for hashes in added:
            self.add(hashes)

    def add(self, hashes: Hashes) -> bool:
        """Adds hashes; false where the filter is too full and should be rebuilt."""
        self._count += len(hashes)
        self._slots[self._slot(hashes)] = True
        return _SLOTS_PER_HASH * self._count <= 2 * len(self._slots)

    def may_contain(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """False where a hash was certainly not added."""
        found: npt.NDArray[np.bool_] = self._slots[self._slot(hashes)]
        return found

    def _slot(self, hashes: Hashes) -> Hashes:
        return hashes >> np.uint64(64 - self._bits)


def _unpacked(payload: bytes) -> tuple[int, int, Hashes, Hashes]:
    """The fields of a packed `_Entry`, hashes as arrays."""
    entry: _Entry = unpack(payload, _Entry)
    reports, contents = (np.frombuffer(each, dtype="<u8") for each in (entry.reports, entry.contents))
    return entry.first_ms, entry.last_ms, reports, contents


class SeenReports:
    """Used reports: add them with `put`, look them up with `find`; `nulled` gives the fields that validation nulled."""

    def __init__(self, state: StateWriter, new_name: Callable[[str], str]) -> None:
        """`new_name` names entries."""
        self._state, self._new_name = state, new_name
        self.parts: list[_Part] = []
        self._filter = _BloomFilter()
        self._nulled: dict[int, set[str]] = {}
        self._nulled_entries: list[tuple[str, int, dict[int, list[str]]]] = []
        """State entries: name, when they were written (ms), nulled fields by the hash of the report's id."""

    def __bool__(self) -> bool:
        return bool(self.parts or self._nulled_entries)

    def find(self, reports: Hashes, contents: Hashes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """For each row: whether its report was used, and whether with the same content."""
        known, same = np.zeros(len(reports), dtype=np.bool_), np.zeros(len(reports), dtype=np.bool_)
        order = np.argsort(reports)
        order = order[self._filter.may_contain(reports[order])]
        wanted = reports[order]
        for part in self.parts:
            position = np.searchsorted(part.reports, wanted)
            position[position == len(part.reports)] = 0
            hits = np.flatnonzero(part.reports[position] == wanted)
            if len(hits):
                rows = order[hits]
                known[rows] = True
                same[rows] = part.contents[position[hits]] == contents[rows]
        return known, same

    def put(self, reports: Hashes, contents: Hashes, used_ms: int, nulled: Mapping[int, set[str]]) -> None:
        """Adds reports that are used at `used_ms`, none of them known, and the fields that validation nulled in some.

        Retention starts at `used_ms`, not at their event time: a report whose clock is years behind is repeated today.
        """
        if len(reports):
            order = np.argsort(reports)
            self._add(used_ms, used_ms, reports[order], contents[order])
            self._merge_by_size(used_ms // HOUR_MS)
            if not self._filter.add(reports):
                self._filter = _BloomFilter([part.reports for part in self.parts])
        self.add_nulled(nulled, used_ms)

    def nulled(self, report: int) -> set[str]:
        """The fields that validation nulled in a report."""
        return self._nulled.get(report, set())

    def add_nulled(self, nulled: Mapping[int, set[str]], used_ms: int) -> None:
        """Records nulled fields of reports; retention starts at `used_ms`."""
        if nulled:
            self._add_nulled_entry(
                self._new_name("lost"), used_ms, {report: sorted(nulled[report]) for report in sorted(nulled)}
            )
            self._state.put_packed(self._nulled_entries[-1][0], self._nulled_entries[-1][1:])

    def expire(self, before_ms: int, upto_ms: int) -> None:
        """Drops parts older than `before_ms`, and merges those whose span is over at `upto_ms`."""
        old = [part for part in self.parts if part.last_ms < before_ms]
        for part in old:
            self._drop(part)
        if old:
            self._filter = _BloomFilter([part.reports for part in self.parts])
        over: dict[tuple[int, int], list[_Part]] = defaultdict(list)
        for part in self.parts:
            ended = [span_ms for span_ms in (HOUR_MS, _MERGE_SPAN_MS) if part.last_ms < upto_ms // span_ms * span_ms]
            if ended:
                over[ended[-1], part.last_ms // ended[-1]].append(part)
        for parts in over.values():
            self._merge(parts)
        self._expire_nulled(before_ms, upto_ms)

    def _expire_nulled(self, before_ms: int, upto_ms: int) -> None:
        rest: list[tuple[str, int, dict[int, list[str]]]] = []
        merged: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for entry in self._nulled_entries:
            name, last_ms, nulled = entry
            if last_ms >= upto_ms // HOUR_MS * HOUR_MS:
                rest.append(entry)
                continue
            self._state.drop(name)
            if last_ms >= before_ms:
                for report, names in nulled.items():
                    merged[last_ms // HOUR_MS][report].update(names)
        if len(rest) == len(self._nulled_entries):
            return
        self._nulled.clear()
        self._nulled_entries.clear()
        for name, last_ms, nulled in rest:
            self._add_nulled_entry(name, last_ms, nulled)
        for hour, found in sorted(merged.items()):
            self.add_nulled(found, (hour + 1) * HOUR_MS - 1)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries."""
        for name, payload in entries_of(entries, "memory"):
            self.parts.append(_Part(name, *_unpacked(payload)))
        self._filter = _BloomFilter([part.reports for part in self.parts])
        for name, payload in entries_of(entries, "lost"):
            self._add_nulled_entry(name, *unpack(payload, tuple[int, dict[int, list[str]]]))

    def adopt(self, payload: bytes) -> None:
        """Takes over the state entries of another operator, packed as a mapping by name."""
        entries: dict[str, bytes] = unpack(payload, dict[str, bytes])
        for _, entry_payload in entries_of(entries, "memory"):
            self._add(*_unpacked(entry_payload))
        self._filter = _BloomFilter([part.reports for part in self.parts])
        for _, entry_payload in entries_of(entries, "lost"):
            last_ms, nulled = unpack(entry_payload, tuple[int, dict[int, list[str]]])
            self.add_nulled({report: set(names) for report, names in nulled.items()}, last_ms)

    def _add_nulled_entry(self, name: str, last_ms: int, nulled: dict[int, list[str]]) -> None:
        self._nulled_entries.append((name, last_ms, nulled))
        for report, names in nulled.items():
            self._nulled.setdefault(report, set()).update(names)

    def _add(self, first_ms: int, last_ms: int, reports: Hashes, contents: Hashes) -> None:
        part = _Part(self._new_name("memory"), first_ms, last_ms, reports, contents)
        self.parts.append(part)
        hash_bytes = (each.astype("<u8").tobytes() for each in (reports, contents))
        self._state.put(part.name, pack(_Entry(first_ms, last_ms, *hash_bytes)))

    def _merge_by_size(self, hour: int) -> None:
        while True:
            by_size: dict[int, list[_Part]] = defaultdict(list)
            for part in self._of_hour(hour):
                by_size[part.size].append(part)
            full = [parts for parts in by_size.values() if len(parts) >= _MERGE_COUNT]
            if not full:
                return
            self._merge(full[0])

    def _of_hour(self, hour: int) -> Iterator[_Part]:
        return (part for part in self.parts if part.first_ms // HOUR_MS == hour == part.last_ms // HOUR_MS)

    def _merge(self, parts: list[_Part]) -> None:
        if len(parts) < 2:
            return
        for part in parts:
            self._drop(part)
        reports, contents = (
            np.concatenate(arrays) for arrays in zip(*((part.reports, part.contents) for part in parts), strict=True)
        )
        order = np.argsort(reports, kind="stable")
        spans = [part.first_ms for part in parts], [part.last_ms for part in parts]
        self._add(min(spans[0]), max(spans[1]), reports[order], contents[order])

    def _drop(self, part: _Part) -> None:
        self._state.drop(part.name)
        self.parts = [each for each in self.parts if each is not part]
