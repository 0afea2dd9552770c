"""Which zones and confirmations lie in one disruption's surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.geo import cells
from monsoon.transforms.rings.limits import SURROUNDINGS_RESOLUTION

Cells = npt.NDArray[np.uint64]


def parents_of(zones: Cells) -> Cells:
    """The cell of resolution 5 of each zone, uint64 (n,): its parent, or its center child where it is coarser."""
    return cells.parents_of(zones, SURROUNDINGS_RESOLUTION)


@dataclass(frozen=True, eq=False)
class Neighborhood:
    """Distinct cells of one resolution, ascending, and which of them are the same or neighbors: sorted keys
    first * len(cells) + second, both ways."""

    cells: Cells
    keys: Ints

    @staticmethod
    def of(cells: Cells) -> Neighborhood:
        distinct = np.unique(cells)
        place = {cell: index for index, cell in enumerate(distinct.tolist())}
        keys = [
            index * len(place) + place[other]
            for cell, index in place.items()
            for other in h3.grid_disk(cell, 1)
            if other in place
        ]
        return Neighborhood(distinct, np.sort(np.array(keys, dtype=np.int64)))

    def codes(self, cells: Cells) -> Ints:
        """The place of each cell in `cells`."""
        return np.searchsorted(self.cells, cells)

    def near(self, first: Ints, second: Ints) -> Bools:
        """Whether the cells of these codes are the same or neighbors."""
        wanted = first * len(self.cells) + second
        at = np.searchsorted(self.keys, wanted)
        return (at < len(self.keys)) & (self.keys[np.minimum(at, len(self.keys) - 1)] == wanted)

    def covering_pairs(self) -> list[tuple[int, int]]:
        """Codes of every two neighbors, the smaller first; of a cell without a neighbor, with itself."""
        first, second = np.divmod(self.keys, max(len(self.cells), 1))
        alone = np.bincount(first, minlength=len(self.cells)) == 1
        rows = (first < second) | ((first == second) & alone[first])
        return list(zip(first[rows].tolist(), second[rows].tolist(), strict=True))
