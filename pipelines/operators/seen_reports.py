"""The reports that were used lately, as hashes: what repeats one of them is told from what is new at a cost that does
not depend on how many they are.

Hashes lie in sorted arrays by the hour of event time in which they were used, an entry of the state each, and are
looked up by bisection. Within an hour arrays are joined when there are several of one size, so that there are few
however often event time goes on, and each hash is written anew a few times only.
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
_SPAN_MS = 6 * HOUR_MS
"""Hours that are over are joined by so much of the day."""
_ALIKE = 4
"""So many arrays of about one size are joined."""
_SLOTS_EACH = 8
"""Of what was never added about one in so many is looked for in vain."""


class _Kept(msgspec.Struct, array_like=True):
    """An entry: the first and the last moment at which its reports were used (ms), which they are and what they said,
    eight octets each, little end first, the former ascending."""

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
        """The same for parts of about as many reports."""
        return (len(self.reports).bit_length() + 1) // 2


class _Seen:
    """Says of most hashes that were never added that they were not, by their first bits: what is new, as nearly all is,
    costs one look, and not one for every array."""

    def __init__(self, added: Sequence[Hashes] = ()) -> None:
        self._count = 0
        self._bits = max(12, (_SLOTS_EACH * sum(map(len, added))).bit_length())
        self._slots = np.zeros(2**self._bits, dtype=np.bool_)
        for hashes in added:
            self.add(hashes)

    def add(self, hashes: Hashes) -> bool:
        """Whether there was room; without it, make another."""
        self._count += len(hashes)
        self._slots[self._slot(hashes)] = True
        return _SLOTS_EACH * self._count <= 2 * len(self._slots)

    def may_have(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """False where a hash was not added."""
        found: npt.NDArray[np.bool_] = self._slots[self._slot(hashes)]
        return found

    def _slot(self, hashes: Hashes) -> Hashes:
        return hashes >> np.uint64(64 - self._bits)


class SeenReports:
    """Give it what was used (`put`); `find` says what is known, `lost` of which fields some of them had lost."""

    def __init__(self, state: StateWriter, new_name: Callable[[str], str]) -> None:
        """`new_name` names entries."""
        self._state, self._new_name = state, new_name
        self.parts: list[_Part] = []
        self._seen = _Seen()
        self._lost: dict[int, set[str]] = {}
        self._lost_entries: list[tuple[str, int, dict[int, list[str]]]] = []
        """Each with the moment from which it is known (ms)."""

    def __bool__(self) -> bool:
        return bool(self.parts or self._lost_entries)

    def find(self, reports: Hashes, contents: Hashes) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """For each row: whether its report is known, and whether by the same content."""
        known, same = np.zeros(len(reports), dtype=np.bool_), np.zeros(len(reports), dtype=np.bool_)
        order = np.argsort(reports)
        order = order[self._seen.may_have(reports[order])]
        wanted = reports[order]
        for part in self.parts:
            at = np.searchsorted(part.reports, wanted)
            at[at == len(part.reports)] = 0
            hits = np.flatnonzero(part.reports[at] == wanted)
            if len(hits):
                rows = order[hits]
                known[rows] = True
                same[rows] = part.contents[at[hits]] == contents[rows]
        return known, same

    def put(self, reports: Hashes, contents: Hashes, used_ms: int, lost: Mapping[int, set[str]]) -> None:
        """Reports that are used at a moment, none of them known, and which fields some of them lost.

        They are remembered from then on, not from their own time: one of a clock of years ago is repeated today.
        """
        if len(reports):
            order = np.argsort(reports)
            self._add(used_ms, used_ms, reports[order], contents[order])
            self._join_alike(used_ms // HOUR_MS)
            if not self._seen.add(reports):
                self._seen = _Seen([part.reports for part in self.parts])
        self.lose(lost, used_ms)

    def lost(self, report: int) -> set[str]:
        """The fields that a report is known to have lost."""
        return self._lost.get(report, set())

    def lose(self, lost: Mapping[int, set[str]], used_ms: int) -> None:
        """Reports of which it is known from a moment on that they lost these fields."""
        if lost:
            self._add_lost(self._new_name("lost"), used_ms, {report: sorted(lost[report]) for report in sorted(lost)})
            self._state.put_packed(self._lost_entries[-1][0], self._lost_entries[-1][1:])

    def expire(self, before_ms: int, upto_ms: int) -> None:
        """Drops what is wholly older than a moment, and joins what is over by another."""
        old = [part for part in self.parts if part.last_ms < before_ms]
        for part in old:
            self._drop(part)
        if old:
            self._seen = _Seen([part.reports for part in self.parts])
        over: dict[tuple[int, int], list[_Part]] = defaultdict(list)
        for part in self.parts:
            ended = [span_ms for span_ms in (HOUR_MS, _SPAN_MS) if part.last_ms < upto_ms // span_ms * span_ms]
            if ended:
                over[ended[-1], part.last_ms // ended[-1]].append(part)
        for parts in over.values():
            self._join(parts)
        self._forget_lost(before_ms, upto_ms)

    def _forget_lost(self, before_ms: int, upto_ms: int) -> None:
        rest: list[tuple[str, int, dict[int, list[str]]]] = []
        joined: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for entry in self._lost_entries:
            name, last_ms, lost = entry
            if last_ms >= upto_ms // HOUR_MS * HOUR_MS:
                rest.append(entry)
                continue
            self._state.drop(name)
            if last_ms >= before_ms:
                for report, names in lost.items():
                    joined[last_ms // HOUR_MS][report].update(names)
        if len(rest) == len(self._lost_entries):
            return
        self._lost.clear()
        self._lost_entries.clear()
        for name, last_ms, lost in rest:
            self._add_lost(name, last_ms, lost)
        for hour, found in sorted(joined.items()):
            self.lose(found, (hour + 1) * HOUR_MS - 1)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Takes over what was kept."""
        for name, payload in entries_of(entries, "memory"):
            kept: _Kept = unpack(payload, _Kept)
            arrays = (np.frombuffer(each, dtype="<u8") for each in (kept.reports, kept.contents))
            self.parts.append(_Part(name, kept.first_ms, kept.last_ms, *arrays))
        self._seen = _Seen([part.reports for part in self.parts])
        for name, payload in entries_of(entries, "lost"):
            self._add_lost(name, *unpack(payload, tuple[int, dict[int, list[str]]]))

    def _add_lost(self, name: str, last_ms: int, lost: dict[int, list[str]]) -> None:
        self._lost_entries.append((name, last_ms, lost))
        for report, names in lost.items():
            self._lost.setdefault(report, set()).update(names)

    def _add(self, first_ms: int, last_ms: int, reports: Hashes, contents: Hashes) -> None:
        part = _Part(self._new_name("memory"), first_ms, last_ms, reports, contents)
        self.parts.append(part)
        octets = (each.astype("<u8").tobytes() for each in (reports, contents))
        self._state.put(part.name, pack(_Kept(first_ms, last_ms, *octets)))

    def _join_alike(self, hour: int) -> None:
        while True:
            alike: dict[int, list[_Part]] = defaultdict(list)
            for part in self._of_hour(hour):
                alike[part.size].append(part)
            full = [parts for parts in alike.values() if len(parts) >= _ALIKE]
            if not full:
                return
            self._join(full[0])

    def _of_hour(self, hour: int) -> Iterator[_Part]:
        return (part for part in self.parts if part.first_ms // HOUR_MS == hour == part.last_ms // HOUR_MS)

    def _join(self, parts: list[_Part]) -> None:
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
