"""Zone and neighborhood cells of each pane's last report."""

from __future__ import annotations

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.limits import NEIGHBORHOOD_RESOLUTION
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.panes import DEGREES_E7, Panes

Cells = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class PaneCells:
    """`zone` at the product's resolution and `neighborhood`, its parent at resolution 7 (a coarser zone is its
    own neighborhood); one element per pane."""

    zone: Cells
    neighborhood: Cells

    @staticmethod
    def of(panes: Panes, resolution: int) -> PaneCells:
        zone = cells_of(panes["lat_e7"] / DEGREES_E7, panes["lon_e7"] / DEGREES_E7, resolution)
        return PaneCells(zone, neighborhoods_of(zone, resolution))


def neighborhoods_of(zone: Cells, resolution: int) -> Cells:
    """The neighborhood of each zone."""
    if resolution <= NEIGHBORHOOD_RESOLUTION:
        return zone
    distinct, which = np.unique(zone, return_inverse=True)
    parents = [h3.cell_to_parent(cell, NEIGHBORHOOD_RESOLUTION) for cell in distinct.tolist()]
    return np.array(parents, dtype=np.uint64)[which]
