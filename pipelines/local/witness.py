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
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.triggers.series import Witnessed, witness_moments
from monsoon.transforms.witness.orders import order_drop, order_tallies
from monsoon.transforms.witness.outage import quorum_values
from monsoon.transforms.witness.questions import Holders, Questions
from monsoon.transforms.witness.silence import (
    Trust,
    insured_long_enough,
    quorum_tallies,
    rider_trust,
    trust_inputs,
    trust_score,
    workers_of,
)


class TelemetryWitness:
    """Answers from reports, for the triggers of one version of a product whose policies are `coverage`."""

    def __init__(self, product: Product, coverage: Coverage, places: Places, references: References | None) -> None:
        """`references` locate the cell towers of the reports; None: nothing is located."""
        self._product, self._places = product, places
        self._trail = places.trail
        self._references = references or References.none(places.trail)
        self._holders = Holders(coverage.policies.values())

    def of(self, trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> Witnessed:
        """What the trigger's witness measures wherever and whenever it matters; what cannot be measured is left out,
        and a trigger without a witness asks for nothing."""
        if trigger.witness is None:
            return {}
        asked = [
            (each.platform, zone, at_ms)
            for each in witness_moments(trigger, readings, zones)
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if not asked:
            return {}
        questions = Questions.of(self._product.zone_resolution, asked)
        if isinstance(trigger.witness, OrderDrop):
            values = self._order_drop(trigger.witness, questions)
        else:
            values = self._quorum(trigger.witness, questions)
        known = np.flatnonzero(~np.isnan(values)).tolist()
        return {asked[place]: float(values[place]) for place in known}

    def _order_drop(self, terms: OrderDrop, questions: Questions) -> npt.NDArray[np.float64]:
        cells = self._places.cells(questions.resolution)
        margin_m = self._product.presence_margin_m
        return order_drop(terms, order_tallies(terms, self._trail, questions, self._holders, margin_m, cells))

    def _quorum(self, terms: SilentQuorum, questions: Questions) -> npt.NDArray[np.float64]:
        trail, resolution = self._trail, questions.resolution
        riders = workers_of(terms, trail, questions, self._holders, self._places.cells(resolution))
        gone = riders.take(riders.mine & riders.silent)
        trust = Trust.unknown(0)
        if len(gone.worker):
            panes = panes_of(trail)
            habits = Habits.of(panes, PaneCells.of(panes, resolution), resolution)
            inputs, phone = trust_inputs(terms, trail, questions, gone, self._references, habits, self._holders)
            inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, questions.at_ms[gone.question])[0]
            insured = insured_long_enough(terms, trail, questions, gone, self._holders)
            trust = rider_trust(terms, trust_score(self._product, terms), inputs, insured)
        tallies = quorum_tallies(terms, trail, questions, riders, trust)
        return quorum_values(tallies, None if terms.model is None else load_model(terms.model))
