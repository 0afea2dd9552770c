"""Many windows of different length over one table, as one flat array of rows and the query each belongs to.

Sums run in row order within each query, and no result depends on which other queries are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows `lo[q]:hi[q]` of a table for each query q."""

    lo: Ints
    hi: Ints

    @cached_property
    def lengths(self) -> Ints:
        return self.hi - self.lo

    @cached_property
    def offsets(self) -> Ints:
        """Where each query's rows begin in `rows` (number of queries + 1)."""
        return np.concatenate(([0], np.cumsum(self.lengths))).astype(np.int64)

    @cached_property
    def query(self) -> Ints:
        """The query of each row."""
        return np.repeat(np.arange(len(self.lo)), self.lengths)

    @cached_property
    def rows(self) -> Ints:
        """Row numbers in the table."""
        return np.arange(self.offsets[-1]) + np.repeat(self.lo - self.offsets[:-1], self.lengths)

    @cached_property
    def follows(self) -> Ints:
        """Positions in `rows` of rows that have a predecessor in their window."""
        return np.flatnonzero(np.diff(self.query, prepend=-1) == 0)

    def filter(self, kept: Bools) -> Ragged:
        """The rows where the mask (one flag per row) is true; not those between, so `lo` and `hi` are bounds alone."""
        return _Filtered(self.lo, self.hi, kept)

    def row(self, query: Ints, place: Ints) -> Ints:
        """The row of a query that is in so many-th place, from 0; the query must have so many."""
        return self.lo[query] + place

    @property
    def last(self) -> Ints:
        """Each query's last row, -1 where it has none."""
        last = np.full(len(self.lo), -1, dtype=np.int64)
        some = np.flatnonzero(self.lengths > 0)
        last[some] = self.row(some, self.lengths[some] - 1)
        return last

    def count(self, mask: Bools | None = None) -> Ints:
        """Rows of each query, or those where the mask is true."""
        if mask is None:
            return self.lengths
        return np.bincount(self.query[mask], minlength=len(self.lo))

    def total(self, values: npt.NDArray[Any], mask: Bools | None = None) -> Floats:
        """Sum of `values` (one per row) of each query, over the rows where the mask is true."""
        query = self.query
        if mask is not None:
            query, values = query[mask], values[mask]
        return np.bincount(query, values.astype(np.float64, copy=False), len(self.lo))  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class _Filtered(Ragged):
    """Some of the rows `lo[q]:hi[q]`."""

    kept: Bools

    @cached_property
    def lengths(self) -> Ints:
        return np.bincount(self.query, minlength=len(self.lo))

    @cached_property
    def query(self) -> Ints:
        return Ragged(self.lo, self.hi).query[self.kept]

    @cached_property
    def rows(self) -> Ints:
        return Ragged(self.lo, self.hi).rows[self.kept]

    def row(self, query: Ints, place: Ints) -> Ints:
        return self.rows[self.offsets[query] + place]


def segment_medians(values: Floats, segment: Ints, segments: int) -> Floats:
    """Median of the values of each segment, NaN for an empty one; `segment` must not fall.

    Segments are sorted as rows of matrices, one matrix for each size up to the next power of two.
    """
    counts = np.bincount(segment, minlength=segments)
    first = np.cumsum(counts) - counts
    result = np.full(segments, np.nan)
    width = 1
    while np.any(wider := counts > width // 2):
        these = np.flatnonzero(wider & (counts <= width))
        if len(these):
            column = np.arange(width)
            inside = column < counts[these, None]
            table = np.where(inside, values[np.where(inside, first[these, None] + column, 0)], np.inf)
            table.sort(axis=1)
            low, high = (counts[these] - 1) // 2, counts[these] // 2
            each = np.arange(len(these))
            result[these] = table[each, low] / 2 + table[each, high] / 2
        if width >= counts.max():
            break
        width *= 2
    return result


def medians_of_others(values: Floats, group: Ints) -> tuple[Floats, Ints]:
    """For each element the median of the other elements of its group (NaN where alone), and how many they are."""
    n = len(values)
    order = np.lexsort((values, group))
    ordered, groups = values[order], group[order]
    first = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    size = np.diff(first, append=n)
    start, others = np.repeat(first, size), np.repeat(size, size) - 1
    rank = np.arange(n) - start
    picked = []
    for place in ((others - 1) // 2, others // 2):
        place = place + (place >= rank)
        picked.append(ordered[np.minimum(start + place, n - 1)])
    median, count = np.empty(n), np.empty(n, dtype=np.int64)
    median[order] = np.where(others > 0, picked[0] / 2 + picked[1] / 2, np.nan)
    count[order] = others
    return median, count


def two_largest(values: Floats, segment: Ints, segments: int) -> tuple[Floats, Floats]:
    """The largest and second largest value of each segment, -inf where there is none."""
    largest = np.full(segments, -np.inf)
    np.maximum.at(largest, segment, values)
    at_top = np.flatnonzero(values == largest[segment])
    top = np.full(segments, -1, dtype=np.int64)
    top[segment[at_top]] = at_top
    rest = values.copy()
    rest[top[top >= 0]] = -np.inf
    second = np.full(segments, -np.inf)
    np.maximum.at(second, segment, rest)
    return largest, second


def ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    result = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
