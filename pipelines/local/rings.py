"""Rings among all claims of a product, at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from monsoon.sources.model_files import load_model
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import LinkUpdate
from monsoon.transforms.product import Product
from monsoon.transforms.rings.alerts import RingAlert, alert_records
from monsoon.transforms.rings.graph import RingGraph
from monsoon.transforms.rings.opened_claims import linked_cells
from monsoon.transforms.rings.openings import openings_of
from monsoon.transforms.rings.sightings import PhonePanes, active_by_cell, names_of, stays_of_openings
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.history import END_OF_TIME_MS

Updates = dict[str, list[LinkUpdate]]
"""By worker_id."""


def rings_among(
    product: Product,
    disruptions: Collection[Disruption],
    telemetry: TelemetryTable,
    phones: PhonePanes,
    code_of: Mapping[str, int],
) -> tuple[Updates, list[dict[str, Any]]]:
    """What is known of the links of the claims on all disruptions of a product, and the ring alerts.

    `code_of` gives riders' codes in the telemetry table, which `phones` has too.
    """
    openings = [opening for disruption in disruptions for opening in openings_of(product, disruption)]
    updates: Updates = defaultdict(list)
    graphs: dict[str, RingGraph] = {}
    stays = stays_of_openings(telemetry, phones, code_of, openings)

    @cache
    def active_at(at_ms: int) -> dict[int, int]:
        return active_by_cell(telemetry, at_ms)

    def active(trigger: str, at_ms: int, cells: Sequence[int]) -> int:
        return sum(active_at(at_ms).get(cell, 0) for cell in cells)

    for found in linked_cells(openings, stays, names_of(telemetry), -1, END_OF_TIME_MS, lambda *_: True, active):
        if found.links is not None:
            graph = graphs.setdefault(found.trigger, RingGraph(product.name, found.trigger))
            graph.add(found.links)
        for worker, update in found.shared:
            updates[worker].append(update)
    alerts: list[RingAlert] = []
    for _, graph in sorted(graphs.items()):
        alerts += graph.advance(END_OF_TIME_MS)
        for worker, update in graph.take_changes():
            updates[worker].append(update)
    return updates, alert_records(alerts, load_model)
