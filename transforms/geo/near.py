"""H3 cells within a distance (margin) of a point, on the sphere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import cos

import h3.api.basic_int as h3
import numpy as np
import numpy.typing as npt

from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.geo.sphere import EARTH_RADIUS_M

Floats = npt.NDArray[np.float64]
Cells = npt.NDArray[np.uint64]

_BLOCK = 65_536
"""Points processed together: a few dozen cells each, so that the arrays stay small."""

_TOLERANCE_M = 1.0
"""Far more than the rounding error of a cosine."""

_MIN_EDGE_SHARE = 0.6
"""No cell's edge is shorter than this share of the mean of its resolution (H3's distortion over the globe)."""


def cells_around(cells: Iterable[int], margin_m: float) -> Cells:
    """A superset of the cells within `margin_m` of any point in one of `cells` (which it includes), uint64, sorted."""
    found: set[int] = set()
    for cell in cells:
        found.update(_disk(int(cell), margin_m))
    return np.array(sorted(found), dtype=np.uint64)


def cells_within(lat: Floats, lon: Floats, cell: Cells, margin_m: float) -> tuple[npt.NDArray[np.int64], Cells]:
    """All pairs of a point and a cell whose hexagon is at most `margin_m` from it: the points' indices, and the cells.

    `lat`, `lon` (degrees) and `cell`, the cell that contains the point, are of one length. The pairs are in the order
    of the points; the point's own cell is among them. Distances are on the sphere, to the great-circle arcs between a
    cell's vertices; a cell exactly at the margin is within it.
    """
    points, found = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    for first in range(0, len(cell), _BLOCK):
        block = slice(first, first + _BLOCK)
        point, near = _block_within(lat[block], lon[block], cell[block], margin_m)
        points.append(point + first)
        found.append(near)
    return np.concatenate(points), np.concatenate(found)


def any_point_within(lat: Floats, lon: Floats, cell: int, margin_m: float) -> bool:
    """Whether at least one of these points (degrees), all outside the cell, is at most `margin_m` from the cell."""
    return bool(len(lat)) and bool(np.any(_shape(cell)[1].distance_m(_vectors(lat, lon)) <= margin_m))


def points_within(lat: Floats, lon: Floats, cell: Cells, margin_m: float) -> npt.NDArray[np.bool_]:
    """Whether each point (degrees) is in its cell, or at most `margin_m` from it; arrays of one length."""
    within = np.zeros(len(cell), dtype=np.bool_)
    position = _vectors(lat, lon)
    for each in np.unique(cell).tolist():
        points = np.flatnonzero(cell == each)
        _, border, inner_m, _ = _shape(each)
        center = _vectors(*(np.array([value]) for value in h3.cell_to_latlng(each)))
        inside = _arc_m(position[points] - center) <= inner_m
        unsure = np.flatnonzero(~inside)
        inside[unsure] = border.distance_m(position[points[unsure]]) <= margin_m
        resolution = h3.get_resolution(each)
        unsure = np.flatnonzero(~inside)
        inside[unsure] = cells_of(lat[points[unsure]], lon[points[unsure]], resolution) == each
        within[points] = inside
    return within


def _block_within(lat: Floats, lon: Floats, cell: Cells, margin_m: float) -> tuple[npt.NDArray[np.int64], Cells]:
    homes, home = np.unique(cell, return_inverse=True)
    disks = [_disk(int(each), margin_m) for each in homes]
    nearby = np.array(sorted(set().union(*disks)), dtype=np.uint64)
    sizes = np.array([len(disk) for disk in disks], dtype=np.int64)
    flat = np.searchsorted(nearby, np.array([each for disk in disks for each in disk], dtype=np.uint64))
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    point = np.repeat(np.arange(len(cell)), sizes[home])
    within_disk = np.arange(len(point)) - np.repeat(np.cumsum(sizes[home]) - sizes[home], sizes[home])
    candidate = flat[offsets[home[point]] + within_disk]
    shapes = [_shape(int(each)) for each in nearby]
    position = _vectors(lat, lon)
    centers = np.array([shape[0] for shape in shapes]).reshape(-1, 3)
    # Cosines decide what is surely inside and surely outside; the few pairs between are measured.
    surely = np.array([_cosine(shape[2] + margin_m - _TOLERANCE_M) for shape in shapes])
    perhaps = np.array([_cosine(shape[3] + margin_m + _TOLERANCE_M) for shape in shapes])
    cosine = np.zeros(len(point))
    for axis in range(3):
        cosine += position[point, axis] * centers[candidate, axis]
    near = (nearby[candidate] == cell[point]) | (cosine >= surely[candidate])
    unsure = np.flatnonzero(~near & (cosine >= perhaps[candidate]))
    order = np.argsort(candidate[unsure], kind="stable")
    unsure = unsure[order]
    starts = np.flatnonzero(np.diff(candidate[unsure], prepend=-1))
    for rows in np.split(unsure, starts[1:]) if len(unsure) else ():
        border = shapes[candidate[rows[0]]][1]
        near[rows] = border.distance_m(position[point[rows]]) <= margin_m
    return point[near].astype(np.int64), nearby[candidate[near]]


def _cosine(distance_m: float) -> float:
    return cos(max(distance_m, 0.0) / EARTH_RADIUS_M)


@lru_cache(maxsize=65_536)
def _disk(cell: int, margin_m: float) -> tuple[int, ...]:
    edge_m = _MIN_EDGE_SHARE * h3.average_hexagon_edge_length(h3.get_resolution(cell), unit="m")
    # The first ring touches the cell; each further one is an edge farther away at least.
    rings = 1 + int(margin_m / edge_m) if margin_m > 0 else 0
    return tuple(sorted(h3.grid_disk(cell, rings)))


@dataclass(frozen=True, eq=False)
class _Border:
    """The arcs between a cell's vertices, each to the next; vectors are (number of vertices, 3)."""

    vertices: Floats
    normals: Floats
    past: Floats
    """Positive for points beyond an arc's start, seen along its circle; `before` for those before its end."""
    before: Floats

    @staticmethod
    def of(vertices: Floats) -> _Border:
        ends = np.roll(vertices, -1, axis=0)
        normals = _cross(vertices, ends)
        normals /= np.sqrt(np.sum(normals * normals, axis=1, keepdims=True))
        return _Border(vertices, normals, _cross(normals, vertices), _cross(ends, normals))

    def distance_m(self, points: Floats) -> Floats:
        """From points (n, 3) to the nearest of the arcs."""
        to_circle_m = EARTH_RADIUS_M * np.arcsin(np.minimum(np.abs(points @ self.normals.T), 1.0))
        # A point's foot lies on the arc where it is past the start and before the end.
        beside = (points @ self.past.T >= 0) & (points @ self.before.T >= 0)
        to_vertex_m = _arc_m(points[:, None, :] - self.vertices[None, :, :])
        to_arc_m = np.where(beside, to_circle_m, np.minimum(to_vertex_m, np.roll(to_vertex_m, -1, axis=1)))
        return np.asarray(to_arc_m.min(axis=1))


def _cross(left: Floats, right: Floats) -> Floats:
    """The cross products of rows (n, 3); numpy's own takes ten times as long for a few."""
    x, y, z = left.T
    u, v, w = right.T
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)


@lru_cache(maxsize=65_536)
def _shape(cell: int) -> tuple[Floats, _Border, float, float]:
    """Center as a unit vector and border, a radius (m) within which all is inside, one beyond which nothing is."""
    vertices = np.array(h3.cell_to_boundary(cell), dtype=np.float64)
    border = _Border.of(_vectors(vertices[:, 0], vertices[:, 1]))
    center = _vectors(*(np.array([value]) for value in h3.cell_to_latlng(cell)))
    inner = float(border.distance_m(center)[0])
    outer = float(_arc_m(border.vertices - center).max())
    return center[0], border, inner, outer


def _vectors(lat: Floats, lon: Floats) -> Floats:
    phi, theta = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=-1)


def _arc_m(chord: Floats) -> Floats:
    """The length on the sphere between points whose unit vectors differ by `chord` (n, 3)."""
    half = np.sqrt(np.sum(chord * chord, axis=-1)) / 2
    return 2 * EARTH_RADIUS_M * np.arcsin(np.minimum(half, 1.0))
