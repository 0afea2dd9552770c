"""What telemetry says where triggers ask for a witness, on the local engine: all riders at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monsoon.pipelines.local.panes import panes_of
from monsoon.sources.model_files import load_model
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.activity import Habits
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.presence import Places
from monsoon.transforms.product import OrderDrop, Product, SilentQuorum, Trigger
from monsoon.transforms.telemetry_conditions.order_drop import order_drop, order_tallies
from monsoon.transforms.telemetry_conditions.outage import quorum_values
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, Questions
from monsoon.transforms.telemetry_conditions.silent_quorum import (
    Trust,
    insured_long_enough,
    quorum_tallies,
    rider_trust,
    trust_inputs,
    trust_score,
    workers_of,
)
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.triggers.series import TelemetryValues, telemetry_queries


class TelemetryWitness:
    """Answers from reports, for the triggers of one version of a product whose policies are `coverage`."""

    def __init__(self, product: Product, coverage: Coverage, places: Places, references: References | None) -> None:
        """`references` locate the cell towers of the reports; None: nothing is located."""
        self._product, self._places = product, places
        self._telemetry = places.telemetry
        self._references = references or References.none(places.telemetry)
        self._policy_holders = PolicyHolders(coverage.policies.values())

    def of(self, trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> TelemetryValues:
        """What the trigger's telemetry condition measures wherever and whenever it matters; what cannot be measured is
        left out, and a trigger without a telemetry condition asks for nothing."""
        if trigger.telemetry_condition is None:
            return {}
        asked = [
            (each.platform, zone, at_ms)
            for each in telemetry_queries(trigger, readings, zones)
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if not asked:
            return {}
        questions = Questions.of(self._product.zone_resolution, asked)
        if isinstance(trigger.telemetry_condition, OrderDrop):
            values = self._order_drop(trigger.telemetry_condition, questions)
        else:
            values = self._quorum(trigger.telemetry_condition, questions)
        known = np.flatnonzero(~np.isnan(values)).tolist()
        return {asked[place]: float(values[place]) for place in known}

    def _order_drop(self, terms: OrderDrop, questions: Questions) -> npt.NDArray[np.float64]:
        cells = self._places.cells(questions.resolution)
        margin_m = self._product.presence_margin_m
        return order_drop(
            terms, order_tallies(terms, self._telemetry, questions, self._policy_holders, margin_m, cells)
        )

    def _quorum(self, terms: SilentQuorum, questions: Questions) -> npt.NDArray[np.float64]:
        telemetry, resolution = self._telemetry, questions.resolution
        riders = workers_of(terms, telemetry, questions, self._policy_holders, self._places.cells(resolution))
        gone = riders.take(riders.mine & riders.silent)
        trust = Trust.unknown(0)
        if len(gone.worker):
            panes = panes_of(telemetry)
            habits = Habits.of(panes, PaneCells.of(panes, resolution), resolution)
            inputs, phone = trust_inputs(
                terms, telemetry, questions, gone, self._references, habits, self._policy_holders
            )
            inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, questions.at_ms[gone.question])[0]
            insured = insured_long_enough(terms, telemetry, questions, gone, self._policy_holders)
            trust = rider_trust(terms, trust_score(self._product, terms), inputs, insured)
        tallies = quorum_tallies(terms, telemetry, questions, riders, trust)
        return quorum_values(tallies, None if terms.model is None else load_model(terms.model))
