"""What riders of a product usually state that they earn, by the part of the country in which a claim's zone lies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.limits import MIN_WAGE_POLICIES, WAGE_PARENT_RESOLUTION
from monsoon.transforms.evidence.neighborhoods import Cells
from monsoon.transforms.evidence.ragged import Floats, Ints, segment_medians
from monsoon.transforms.geo.cells import parents_of

AMOUNT_NAMES = ("daily_wage_inr", "shift_baseline_inr")
"""The stated amounts that can decide a payout, as policies name them."""


@dataclass(frozen=True, eq=False)
class AmountCounts:
    """How many `policies` in force have a home in a cell (`home`, of WAGE_PARENT_RESOLUTION) and state an amount (Rs);
    one element per cell and amount, in any order, and perhaps in parts. A home of 0 is elsewhere."""

    home: Cells
    amount_inr: Floats
    policies: Ints

    @staticmethod
    def join(parts: Sequence[AmountCounts]) -> AmountCounts:
        """All of several parts, at least one."""
        return AmountCounts(
            np.concatenate([part.home for part in parts]),
            np.concatenate([part.amount_inr for part in parts]),
            np.concatenate([part.policies for part in parts]),
        )

    def around(self, homes: Cells) -> AmountCounts:
        """The same with the homes of these cells alone; all others are elsewhere."""
        home = np.where(np.isin(self.home, homes), self.home, np.uint64(0))
        order = np.lexsort((self.amount_inr, home))
        home, amount = home[order], self.amount_inr[order]
        first = np.flatnonzero(np.append(True, (home[1:] != home[:-1]) | (amount[1:] != amount[:-1]))[: len(order)])
        policies = np.add.reduceat(self.policies[order], first) if len(first) else self.policies
        return AmountCounts(home[first], amount[first], policies)


def usual_amounts(zone: Cells, stated: AmountCounts) -> Floats:
    """For each zone the median amount (Rs) that policies state.

    The median is over the policies with a home in the zone's parent of WAGE_PARENT_RESOLUTION (of a coarser zone: the
    cell of its center), of which MIN_WAGE_POLICIES must state an amount, else over all.

    Range: as stated. Missing input: NaN where no policy states an amount. Source: `fraud.md`, features,
    stated_wage_ratio.

    >>> zone = np.array([0x893DA1155A3FFFF], dtype=np.uint64)
    >>> usual_amounts(zone, AmountCounts(parents_of(zone, 5).repeat(2), np.array([600.0, 900.0]), np.array([2, 1])))
    array([600.])
    """
    amount = np.repeat(stated.amount_inr, stated.policies)
    if not len(amount):
        return np.full(len(zone), np.nan)
    cells, segment = np.unique(np.repeat(stated.home, stated.policies), return_inverse=True)
    order = np.argsort(segment, kind="stable")
    counts = np.bincount(segment, minlength=len(cells))
    medians = segment_medians(amount[order], segment[order], len(cells))
    parent = parents_of(zone, WAGE_PARENT_RESOLUTION)
    place = np.minimum(np.searchsorted(cells, parent), len(cells) - 1)
    enough = (cells[place] == parent) & (counts[place] >= MIN_WAGE_POLICIES)
    return np.where(enough, medians[place], np.median(amount))


def usual_at(zone: Cells, name: Sequence[str], at_ms: Ints, counts_at: Callable[[str, int], AmountCounts]) -> Floats:
    """The same for claims that rest on amounts of several names at several moments (ms)."""
    usual = np.full(len(zone), np.nan)
    rows_of: dict[tuple[str, int], list[int]] = {}
    for row, about in enumerate(zip(name, at_ms.tolist(), strict=True)):
        rows_of.setdefault(about, []).append(row)
    for about, rows in rows_of.items():
        usual[rows] = usual_amounts(zone[rows], counts_at(*about))
    return usual
