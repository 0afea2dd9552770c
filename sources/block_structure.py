"""Whether Polars parsed a block of lines as strictly as the reference validator, by counts of JSON's structural
characters.

Polars refuses almost all that the reference validator refuses. It is lenient in three things: of a repeated key it
takes the first, it skips unknown keys, and where text is expected it takes a number, an array or an object as text.
Each leaves more structural characters than the columns account for, in its own line and so in the block's sum; such
characters within text only ever add to the same side. Where the sums are equal, none of this has happened in the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

_CACHED_BYTES = 128 * 1024
"""The part of a block that is processed at once: it fits the processor's cache."""

_SHORTEST_REST = 4
"""Bytes from the closing quote of a key to the end of its object, both included: `":0}`."""
_WORD_BYTES = 4
"""So many bytes of a key are compared at once, as one number."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The structural characters of a block, within text or not.

    `objects`: positions of opening braces. `keys`: quotes followed by a colon; every key ends so, unless space stands
    in between. `nulls`: positions of the closing quotes of keys whose value is null.
    """

    octets: npt.NDArray[np.uint8]
    objects: npt.NDArray[np.int64]
    arrays: int
    quotes: int
    keys: int
    nulls: npt.NDArray[np.int64]

    @staticmethod
    def of(content: bytes) -> Structure:
        """Counts in one pass over a block that is not empty."""
        octets = np.frombuffer(content, dtype=np.uint8)
        spaced = b" " in content
        arrays = quotes = keys = 0
        objects, nulls = [], []
        for start in range(0, len(octets), _CACHED_BYTES):
            some = octets[start : start + _CACHED_BYTES]
            quoted = some == ord('"')
            quotes += int(np.count_nonzero(quoted))
            arrays += int(np.count_nonzero(some == ord("[")))
            objects.append(np.flatnonzero(some == ord("{")) + start)
            stop = max(start, min(start + _CACHED_BYTES, len(octets) - _SHORTEST_REST + 1))
            key = quoted[: stop - start] & (octets[start + 1 : stop + 1] == ord(":"))
            keys += int(np.count_nonzero(key))
            second = octets[start + 2 : stop + 2]
            null = second == ord("n")
            if spaced:
                null |= (second == ord(" ")) & (octets[start + 3 : stop + 3] == ord("n"))
            nulls.append(np.flatnonzero(key & null) + start)
        return Structure(octets, np.concatenate(objects), arrays, quotes, keys, np.concatenate(nulls))

    def agrees_with(self, parsed: pl.DataFrame) -> bool:
        """Whether the columns that Polars parsed from the block hold all its values, and nothing else. The block must
        be without backslashes: an escape can hide what it writes."""
        text = [name for name, dtype in parsed.schema.items() if dtype == pl.String]
        lists = [name for name, dtype in parsed.schema.items() if dtype == pl.List(pl.String)]
        values = {name: parsed.height - parsed[name].null_count() for name in parsed.columns}
        items = sum(int(parsed[name].list.len().sum()) for name in lists)
        return (
            len(self.objects) == parsed.height
            and self.arrays == sum(values[name] for name in lists)
            and self.keys == sum(values.values()) + len(self.nulls)
            and self.quotes == 2 * (self.keys + sum(values[name] for name in text) + items)
            and self._nulls_agree(parsed)
        )

    def _nulls_agree(self, parsed: pl.DataFrame) -> bool:
        """Whether every null stands for a null of its own column: a value before it in the line would have won."""
        if not len(self.nulls):
            return True
        row = np.searchsorted(self.objects, self.nulls) - 1
        is_null = parsed.select(pl.all().is_null())
        named = 0
        for name, mine in self._nulls_by_key(parsed.columns):
            rows = row[mine]
            # Rows ascend, so a key that is null twice in one line stands side by side.
            if np.any(rows[1:] == rows[:-1]) or not is_null[name].to_numpy()[rows].all():
                return False
            named += len(rows)
        return named == len(self.nulls)

    def _nulls_by_key(self, names: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
        """The nulls (indices, ascending) whose key is one of `names`, which have two characters or more; by key."""
        words: npt.NDArray[np.uint32] = np.ndarray(
            len(self.octets) - _WORD_BYTES + 1, np.uint32, self.octets, strides=(1,)
        )
        ends = words[self.nulls - _WORD_BYTES + 1]
        for name in names:
            spelled = b'"' + name.encode() + b'"'
            mine = np.flatnonzero(ends == _word(spelled[-_WORD_BYTES:]))
            for at in range(0, len(spelled) - _WORD_BYTES, _WORD_BYTES):
                starts = self.nulls[mine] - len(spelled) + 1 + at
                mine = mine[words[starts] == _word(spelled[at : at + _WORD_BYTES])]
            if len(mine):
                yield name, mine


def _word(octets: bytes) -> np.uint32:
    return np.uint32(np.frombuffer(octets, np.uint32)[0])


def lines_within(content: bytes, most_bytes: int) -> bool:
    """Whether no line of a block is longer than `most_bytes`."""
    start = 0
    while len(content) - start > most_bytes:
        start = content.rfind(b"\n", start, start + most_bytes + 1) + 1
        if not start:
            return False
    return True
