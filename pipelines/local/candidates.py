"""Candidates on the local engine: the disruptions of a product, and the inputs of its riders' machines. Columns that
products have in common are computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.sources.model_files import load_model
from monsoon.transforms.activity.activity_test import activity_test_results
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers
from monsoon.transforms.activity.week_to_date import WorkedMinutes, uses_week_to_date, week_to_date_results
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, DisruptionUpdate
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.panes import Panes
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.product import Product
from monsoon.transforms.rings.sightings import PhonePanes
from monsoon.transforms.stated_amounts import StatedAmounts
from monsoon.transforms.telemetry_conditions.evaluator import TelemetryConditionEvaluator
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.evaluate import evaluate_trigger
from monsoon.transforms.triggers.readings import Reading


class SharedTelemetry:
    """Data of a telemetry table that all products share, computed when it is first needed."""

    def __init__(self, telemetry: TelemetryTable, references: References | None = None) -> None:
        """`references` locate the telemetry table's cell towers; None: nothing is located."""
        self.telemetry, self.references = telemetry, references
        self.places = ReportCells(telemetry)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The riders' codes in the telemetry table."""
        return {worker: code for code, worker in enumerate(self.telemetry.workers)}

    @cached_property
    def panes(self) -> Panes:
        """The telemetry in panes."""
        return panes_of(self.telemetry)

    @cached_property
    def phones(self) -> PhonePanes:
        """Which phones riders used."""
        panes = self.panes
        return PhonePanes.of(
            panes.worker, panes["device"], panes.pane_start_ms, panes.known_from_ms, len(self.telemetry.workers)
        )

    @cached_property
    def orders(self) -> Orders:
        """The riders' orders."""
        return Orders(self.telemetry)

    @cached_property
    def minutes(self) -> WorkedMinutes:
        """The minutes in which riders worked."""
        return WorkedMinutes(self.telemetry)


def coverage_of(product: Product, subscriptions: Iterable[dict[str, Any]]) -> Coverage:
    """The policies of a product, from the subscription events of all."""
    return Coverage(product, (event for event in subscriptions if event["product"] == product.name))


class Candidates:
    """The disruptions of one product, each under the version in force at its start, with updates for its riders."""

    def __init__(
        self,
        product: Product,
        shared: SharedTelemetry,
        readings: Sequence[Reading],
        subscriptions: Iterable[dict[str, Any]],
        coverage: Coverage | None = None,
    ) -> None:
        """`coverage` is of these subscriptions, where the caller has it; else it is made of them."""
        self._product, self._shared, self._readings = product, shared, readings
        self._coverage = coverage or coverage_of(product, subscriptions)
        self._found: list[tuple[Product, Disruption]] = []
        for version in product.versions:
            self._found += ((version, disruption) for disruption in self._of(version))

        self.disruptions = [disruption for _, disruption in self._found]

    def items(self) -> dict[str, list[DisruptionUpdate | ActivityResult]]:
        """The inputs of riders' machines, by worker_id."""
        items: dict[str, list[DisruptionUpdate | ActivityResult]] = defaultdict(list)
        for disruption in self.disruptions:
            for worker, updates in disruption.updates.items():
                items[worker].extend(updates)
        for found in self._findings():
            for worker, activity_results in found.items():
                items[worker].extend(activity_results)
        return items

    @property
    def amounts(self) -> StatedAmounts:
        """What the product's policies state that their riders earn."""
        return self._coverage.stated_amounts()

    def _of(self, version: Product) -> Iterator[Disruption]:
        resolution = version.zone_resolution
        presence = Presence(self._shared.places, self._coverage.workers, resolution, version.presence_margin_m)
        zones = Zones.from_cells(self._zone_cells(presence), resolution)
        finder = CandidateFinder(version, self._coverage, presence)
        evaluator = TelemetryConditionEvaluator(
            version, self._coverage, self._shared.places, self._shared.references, load_model
        )
        for trigger in version.triggers:
            telemetry_values = evaluator.values(trigger, self._readings, zones)
            alert = alert_condition(version)
            for series in evaluate_trigger(
                trigger, self._readings, zones, alert=alert, telemetry_values=telemetry_values
            ):
                yield from finder.disruptions(series)

    def _zone_cells(self, presence: Presence) -> npt.NDArray[np.uint64]:
        homes = [(lat, lon) for policy in self._coverage.policies.values() for _, lat, lon in policy.homes]
        places = np.array(homes, dtype=np.float64).reshape(-1, 2)
        cells = cells_of(places[:, 0].copy(), places[:, 1].copy(), presence.resolution)
        return np.union1d(cells, presence.visited)

    def _findings(self) -> Iterator[dict[str, list[ActivityResult]]]:
        shared = self._shared
        for version in self._product.versions:
            for trigger in version.triggers:
                mine = [each for of, each in self._found if of is version and each.series.trigger.name == trigger.name]
                if trigger.activity is not None and mine:
                    peers = Peers(self._coverage, shared.places, version.zone_resolution, trigger.activity)
                    yield activity_test_results(mine, trigger, peers, shared.orders, shared.codes)
                if uses_week_to_date(trigger) and mine:
                    yield week_to_date_results(mine, shared.orders, shared.minutes, shared.codes)
