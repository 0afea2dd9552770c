"""What riders of a product usually state that they earn, by the part of the country in which a claim's zone lies."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.evidence.limits import MIN_WAGE_POLICIES, WAGE_PARENT_RESOLUTION
from monsoon.transforms.evidence.neighborhoods import Cells
from monsoon.transforms.evidence.ragged import Floats, Ints, segment_medians
from monsoon.transforms.geo.cells import cells_of


def usual_amounts(zone: Cells, home_lat: Floats, home_lon: Floats, stated_inr: Floats) -> tuple[Floats, Ints]:
    """For each zone the median amount (Rs) that policies state, and of how many policies it is the median.

    `home_lat`, `home_lon` (degrees) and `stated_inr` (NaN = states none) are of one product's policies in force; a zone
    is an H3 cell of resolution WAGE_PARENT_RESOLUTION or finer. The median is over the policies with a home in the
    zone's parent of that resolution, of which MIN_WAGE_POLICIES must state an amount, else over all.

    Range: as stated. Missing input: NaN and 0 where no policy states an amount. Source: `fraud.md`, features,
    stated_wage_ratio.

    >>> zone = cells_of(np.array([28.6]), np.array([77.2]), 9)
    >>> usual_amounts(zone, np.full(3, 28.6), np.full(3, 77.2), np.array([600.0, 700.0, np.nan]))
    (array([650.]), array([2]))
    """
    stated = np.flatnonzero(~np.isnan(stated_inr))
    if not len(stated):
        return np.full(len(zone), np.nan), np.zeros(len(zone), dtype=np.int64)
    home = cells_of(home_lat[stated], home_lon[stated], WAGE_PARENT_RESOLUTION)
    order = np.argsort(home, kind="stable")
    cells, segment = np.unique(home[order], return_inverse=True)
    counts = np.bincount(segment, minlength=len(cells))
    medians = segment_medians(stated_inr[stated[order]], segment, len(cells))
    distinct, which = np.unique(zone, return_inverse=True)
    parents = [h3.cell_to_parent(cell, WAGE_PARENT_RESOLUTION) for cell in distinct.tolist()]
    parent = np.array(parents, dtype=np.uint64)[which]
    place = np.minimum(np.searchsorted(cells, parent), len(cells) - 1)
    enough = (cells[place] == parent) & (counts[place] >= MIN_WAGE_POLICIES)
    return (
        np.where(enough, medians[place], np.median(stated_inr[stated])),
        np.where(enough, counts[place], len(stated)).astype(np.int64),
    )
