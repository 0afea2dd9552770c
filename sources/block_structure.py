"""Whether Polars parsed a block of lines as strictly as the reference validator, by counts of JSON's structural
characters.

Polars refuses almost all that the reference validator refuses. It is lenient in three things: of a repeated key it
takes the first, it skips unknown keys, and where text is expected it takes a number, an array or an object as text.
Each leaves more structural characters than the columns account for, in its own line and so in the block's sum; such
characters within text only ever add to the same side. Where the sums are equal, none of this has happened in the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

_CACHED_BYTES = 128 * 1024
"""So much of a block is looked at together: it stays in the processor's cache."""

_LOOK_BACK = 3
"""A null is recognized by the characters before it: a quote, a colon, perhaps a space."""


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
    backslashes: int
    nulls: npt.NDArray[np.int64]
    longest_line_bytes: int

    @staticmethod
    def of(content: bytes) -> Structure:
        """Counts in one pass over the block."""
        octets = np.frombuffer(content, dtype=np.uint8)
        arrays = quotes = keys = backslashes = 0
        ends, objects, nulls = [np.array([-1])], [], []
        for start in range(0, len(octets), _CACHED_BYTES):
            some = octets[start : start + _CACHED_BYTES]
            quoted = octets[start : start + _CACHED_BYTES + 1] == ord('"')
            quotes += int(np.count_nonzero(quoted[: len(some)]))
            keys += int(np.count_nonzero(quoted[:-1] & (octets[start + 1 : start + len(quoted)] == ord(":"))))
            arrays += int(np.count_nonzero(some == ord("[")))
            backslashes += int(np.count_nonzero(some == ord("\\")))
            objects.append(np.flatnonzero(some == ord("{")) + start)
            ends.append(np.flatnonzero(some == ord("\n")) + start)
            nulls.append(_key_ends_before_null(octets, start))
        longest = int(np.diff(np.concatenate([*ends, [len(octets)]])).max()) - 1
        return Structure(
            octets, np.concatenate(objects), arrays, quotes, keys, backslashes, np.concatenate(nulls), longest
        )

    def agrees_with(self, parsed: pl.DataFrame) -> bool:
        """Whether the columns that Polars parsed from the block hold all that it says, and nothing else."""
        text = [name for name, dtype in parsed.schema.items() if dtype == pl.String]
        lists = [name for name, dtype in parsed.schema.items() if dtype == pl.List(pl.String)]
        values = {name: parsed.height - parsed[name].null_count() for name in parsed.columns}
        items = sum(int(parsed[name].list.len().sum()) for name in lists)
        return (
            not self.backslashes
            and len(self.objects) == parsed.height
            and self.arrays == sum(values[name] for name in lists)
            and self.keys == sum(values.values()) + len(self.nulls)
            and self.quotes == 2 * (self.keys + sum(values[name] for name in text) + items)
            and self._nulls_agree(parsed)
        )

    def _nulls_agree(self, parsed: pl.DataFrame) -> bool:
        """Whether every null stands for a null of its own column: a value before it in the line would have won."""
        if not len(self.nulls):
            return True
        column = self._columns_of_nulls(parsed.columns)
        if column is None:
            return False
        row = np.searchsorted(self.objects, self.nulls) - 1
        for number in np.unique(column).tolist():
            rows = row[column == number]
            # Rows ascend, so a key that is null twice in one line stands side by side.
            if np.any(rows[1:] == rows[:-1]) or not parsed[:, number].is_null().to_numpy()[rows].all():
                return False
        return True

    def _columns_of_nulls(self, names: Sequence[str]) -> npt.NDArray[np.int64] | None:
        """The number of the column that each null's key names; None where one names none."""
        column = np.full(len(self.nulls), -1, dtype=np.int64)
        left = np.arange(len(self.nulls))
        for number, name in enumerate(names):
            spelled = b'"' + name.encode()
            mine = left
            for back, octet in enumerate(reversed(spelled), start=1):
                mine = mine[self.octets[self.nulls[mine] - back] == octet]
            column[mine] = number
            left = left[column[left] < 0]
        return column if not len(left) else None


def _key_ends_before_null(octets: npt.NDArray[np.uint8], start: int) -> npt.NDArray[np.int64]:
    """Positions of the closing quotes in `":n` and `": n`, for each n of one stretch of the block."""
    first = max(start, _LOOK_BACK)
    some = octets[first : start + _CACHED_BYTES]
    if not len(some):
        return np.empty(0, dtype=np.int64)
    at = np.flatnonzero(some == ord("n")) + first
    before = octets[at - 1]
    close = at[(before == ord(":")) & (octets[at - 2] == ord('"'))] - 2
    spaced = at[(before == ord(" ")) & (octets[at - 2] == ord(":")) & (octets[at - 3] == ord('"'))] - 3
    return np.sort(np.concatenate([close, spaced]))
