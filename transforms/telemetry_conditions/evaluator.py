"""Evaluates the telemetry conditions of triggers: all riders at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.presence import ReportCells
from monsoon.transforms.product import OrderDrop, Product, SilentQuorum, Trigger
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_conditions.order_drop import order_drop, order_tallies
from monsoon.transforms.telemetry_conditions.outage import quorum_values
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import (
    RiderTrust,
    active_riders,
    insured_long_enough,
    quorum_tallies,
    rider_trust,
    trust_inputs,
    trust_score_terms,
)
from monsoon.transforms.triggers.evaluate import TelemetryValues, telemetry_queries
from monsoon.transforms.triggers.readings import Reading

LoadModel = Callable[[str], Scorer]
"""Gives a model that comes with Monsoon by its name."""


class TelemetryConditionEvaluator:
    """Measures telemetry conditions for the triggers of one version of a product whose policies are `coverage`."""

    def __init__(
        self,
        product: Product,
        coverage: Coverage,
        places: ReportCells,
        references: References | None,
        load_model: LoadModel,
    ) -> None:
        """`references` locate the cell towers of the reports; None: nothing is located."""
        self._product, self._places, self._load_model = product, places, load_model
        self._telemetry = places.telemetry
        self._references = references or References.none(places.telemetry)
        self._policy_holders = PolicyHolders(coverage.policies.values())

    def values(self, trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> TelemetryValues:
        """The values of the trigger's telemetry condition for each of its queries; those that cannot be measured are
        left out. Empty for a trigger without a telemetry condition."""
        if trigger.telemetry_condition is None:
            return {}
        keys = [
            (each.platform, zone, at_ms)
            for each in telemetry_queries(trigger, readings, zones)
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if not keys:
            return {}
        zone_queries = ZoneQueries.of(self._product.zone_resolution, keys)
        values = values_of(
            trigger.telemetry_condition, self._tallies(trigger.telemetry_condition, zone_queries), self._load_model
        )
        known = np.flatnonzero(~np.isnan(values)).tolist()
        return {keys[place]: float(values[place]) for place in known}

    def _tallies(self, terms: OrderDrop | SilentQuorum, zone_queries: ZoneQueries) -> npt.NDArray[np.int64]:
        if isinstance(terms, OrderDrop):
            cells, margin_m = self._places.cells(zone_queries.resolution), self._product.presence_margin_m
            return order_tallies(terms, self._telemetry, zone_queries, self._policy_holders, margin_m, cells)
        telemetry, resolution = self._telemetry, zone_queries.resolution
        riders = active_riders(terms, telemetry, zone_queries, self._policy_holders, self._places.cells(resolution))
        gone = riders.take(riders.on_platform & riders.silent)
        trust = RiderTrust.unknown(0)
        if len(gone.worker):
            panes = panes_of(telemetry)
            habits = ShiftHistory.of(panes, PaneCells.of(panes, resolution), resolution)
            inputs, phone = trust_inputs(
                terms, telemetry, zone_queries, gone, self._references, habits, self._policy_holders
            )
            inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, zone_queries.at_ms[gone.query])[0]
            insured = insured_long_enough(terms, telemetry, zone_queries, gone, self._policy_holders)
            trust = rider_trust(terms, trust_score_terms(self._product, terms), inputs, insured)
        return quorum_tallies(terms, telemetry, zone_queries, riders, trust)


def values_of(
    terms: OrderDrop | SilentQuorum, tallies: npt.NDArray[np.int64], load_model: LoadModel
) -> npt.NDArray[np.float64]:
    """The value of a telemetry condition for each query, from the tallies of all riders; NaN: not measured."""
    if isinstance(terms, OrderDrop):
        return order_drop(terms, tallies)
    return quorum_values(tallies, None if terms.model is None else load_model(terms.model))
