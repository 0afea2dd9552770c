"""H3 cells of positions, in bulk and one by one; both give what H3 itself gives."""

from __future__ import annotations

from functools import lru_cache

import h3.api.basic_int as h3
import h3ronpy.vector
import numpy as np
import numpy.typing as npt

RESERVE_RESOLUTION = 5
"""Of the cells by which reserves are kept."""


def cells_of(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64], resolution: int) -> npt.NDArray[np.uint64]:
    """The cell of each position in degrees, uint64 (n,)."""
    if not len(lat):
        return np.empty(0, dtype=np.uint64)
    return np.asarray(h3ronpy.vector.coordinates_to_cells(lat, lon, resolution)).astype(np.uint64, copy=False)


@lru_cache(maxsize=65_536)
def cell_of(lat: float, lon: float, resolution: int) -> int:
    """The cell of one position in degrees."""
    return h3.latlng_to_cell(lat, lon, resolution)


def parents_of(cells: npt.NDArray[np.uint64], resolution: int) -> npt.NDArray[np.uint64]:
    """The cell of a resolution of each cell, uint64 (n,): its parent, or its center child where it is coarser."""
    distinct, which = np.unique(cells, return_inverse=True)
    return np.array([_at(cell, resolution) for cell in distinct.tolist()], dtype=np.uint64)[which.reshape(-1)]


def _at(cell: int, resolution: int) -> int:
    finer = h3.get_resolution(cell) >= resolution
    return (h3.cell_to_parent if finer else h3.cell_to_center_child)(cell, resolution)


def cell_name(cell: int) -> str:
    """The cell as contracts write it: hexadecimal, 15 digits."""
    return h3.int_to_str(int(cell))
