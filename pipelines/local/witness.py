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
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.product import OrderDrop, Product, SilentQuorum, Trigger
from monsoon.transforms.trail import Trail
from monsoon.transforms.triggers.series import Witnessed, WitnessMoments
from monsoon.transforms.witness.orders import order_drop, order_tallies
from monsoon.transforms.witness.outage import quorum_values
from monsoon.transforms.witness.questions import Holders, Questions
from monsoon.transforms.witness.silence import (
    quorum_tallies,
    trust_inputs,
    trust_micro,
    workers_of,
)


class TelemetryWitness:
    """Answers from a trail for the triggers of one version of a product, whose policies are `coverage`."""

    def __init__(self, product: Product, coverage: Coverage, trail: Trail, references: References) -> None:
        self._product, self._trail, self._references = product, trail, references
        self._holders = Holders(coverage.policies.values())
        self._cells: npt.NDArray[np.uint64] | None = None

    def measured(self, trigger: Trigger, moments: Sequence[WitnessMoments]) -> Witnessed:
        """What the trigger's witness measures at each moment in each zone; what cannot be measured is left out."""
        asked = [
            (each.platform, zone, at_ms)
            for each in moments
            for zone in each.zones.tolist()
            for at_ms in each.moments_ms.tolist()
        ]
        if not asked or trigger.witness is None:
            return {}
        questions = Questions.of(self._product.zone_resolution, asked)
        if self._cells is None:
            self._cells = cells_of(self._trail.lat, self._trail.lon, self._product.zone_resolution)
        if isinstance(trigger.witness, OrderDrop):
            margin_m = self._product.presence_margin_m
            tallies = order_tallies(
                trigger.witness, self._trail, questions, self._holders, margin_m, cells=self._cells
            )
            values = order_drop(trigger.witness, tallies)
        else:
            values = self._quorum(trigger.witness, questions)
        known = np.flatnonzero(~np.isnan(values)).tolist()
        return {asked[place]: float(values[place]) for place in known}

    def _quorum(self, terms: SilentQuorum, questions: Questions) -> npt.NDArray[np.float64]:
        trail = self._trail
        riders = workers_of(terms, trail, questions, self._holders, cells=self._cells)
        gone = riders.take(riders.mine & riders.silent)
        trust = np.empty(0, dtype=np.int64)
        if len(gone.worker):
            panes = panes_of(trail)
            resolution = questions.resolution
            habits = Habits.of(panes, PaneCells.of(panes, resolution), resolution)
            inputs, phone = trust_inputs(terms, trail, questions, gone, self._references, habits)
            inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, questions.at_ms[gone.question])[0]
            trust = trust_micro(self._product.decision.scores[terms.trust], inputs)
        tallies = quorum_tallies(terms, trail, questions, riders, trust)
        return quorum_values(tallies, None if terms.model is None else load_model(terms.model))
