"""The places that cover each zone, in the order of distance, kept as zones and places come.

A place's rank is by distance among those of its provider and metric, 0 being the nearest.

Interpretations of the specification: docs/interpretations.md#disruptions.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.triggers.reading_log import Place


@dataclass(slots=True, eq=False)
class CoveredZone:
    """A zone and the places that cover it."""

    order: int = 0
    """The same number for zones that the same places cover with the same ranks."""
    distance_um: dict[int, int] = field(default_factory=dict)
    """By place (its number)."""
    sorted_um: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """By metric and provider: the distances of its places, sorted, equal ones once."""


class PlaceOrder:
    """The zones of one platform. A place is added with each zone that it covers; all zones get their places in the
    same sequence."""

    def __init__(self) -> None:
        self.zones: dict[int, CoveredZone] = {}
        """By cell, those that a place covers."""
        self._orders: dict[tuple[int, int, int, bool], int] = {}
        """The number of an order, by that of the order before its last place, this place, its rank, and whether it
        shares this rank."""

    def add(self, cell: int, number: int, place: Place, distance_um: int) -> None:
        """A place covers a zone at a distance. Zones of one order stay so where it has the same rank in both."""
        zone = self.zones.get(cell)
        if zone is None:
            zone = self.zones[cell] = CoveredZone()
        known_um = zone.sorted_um.setdefault(place[:2], [])
        rank = bisect_left(known_um, distance_um)
        shares = rank < len(known_um) and known_um[rank] == distance_um
        if not shares:
            known_um.insert(rank, distance_um)
        zone.distance_um[number] = distance_um
        zone.order = self._orders.setdefault((zone.order, number, rank, shares), len(self._orders) + 1)


def covered_cells(area: Area, zones: Zones) -> list[tuple[int, int]]:
    """The cells that an area covers, each with the distance (micrometers) from its center."""
    covered = zones.covered_by(area)
    distance_um = np.rint(zones.distance_m(area, covered) * 1e6).astype(np.int64)
    return list(zip(zones.cells[covered].tolist(), distance_um.tolist(), strict=True))
