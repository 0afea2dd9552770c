"""What releases a verification: the re-read of a phone since its rider was asked (`fraud.md`, "The guard").

The evidence of a re-read is measured like any other (`evidence.measure`), with `asked_at_ms` in its queries.

Interpretations of the specification: docs/interpretations.md#the-guard.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.anchor import anchor_rows, anchored
from monsoon.transforms.evidence.arrival import received_rows
from monsoon.transforms.evidence.limits import MIN_STEP_S, RETURN_M, RIDING_MPS, UNKNOWN_ACCURACY_M, WINDOW_MS
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.evidence.ragged import Bools
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.geo.near import points_within
from monsoon.transforms.guard.signals import NULL, STRONG, Signal
from monsoon.transforms.telemetry_table import TelemetryTable

MAX_TRAIL_GAP_MS = 10 * 60_000
"""A longer gap breaks a trail (`fraud.md`, the guard)."""

WAITS, RELEASED, REVIEWED = 0, 1, 2
"""Nothing was measured yet; the claim pays; manual review."""


def rereads_of(evidence: Evidence, signals: Mapping[str, Signal], tied: Bools) -> npt.NDArray[np.int8]:
    """What becomes of verified claims whose riders answered: RELEASED, WAITS or REVIEWED, one element per claim.

    `evidence` and `signals` are those of the re-reads, `tied` says which of them tie to their claims (`ties_of`). A
    claim is released where at least one of cell, wifi and motion with the accelerometer was measured, no signal is
    strong, and the re-read is tied. Where no signal is strong and none of the three was measured, it waits.
    """
    with_accelerometer = (signals["motion"].status != NULL) & ~np.isnan(evidence.values["still_while_moving"])
    measured = (signals["cell"].status != NULL) | (signals["wifi"].status != NULL) | with_accelerometer
    strong = np.any([signal.status == STRONG for signal in signals.values()], axis=0)
    released = ~strong & measured & tied
    return np.where(released, RELEASED, np.where(~strong & ~measured, WAITS, REVIEWED)).astype(np.int8)


def ties_of(telemetry: TelemetryTable, queries: Queries) -> Bools:
    """Whether the re-read of each query (reports since `asked_at_ms`, received by the decision) ties to its claim.

    It does where all of its reports lie in the zone or within RETURN_M of it; or where the trail from the claim's
    anchor to its last report is unbroken: no gap longer than MAX_TRAIL_GAP_MS, no implied speed above RIDING_MPS, and
    after the anchor no report with a mock location, which says nothing of the way.
    Accuracies that are not stated, and any beyond UNKNOWN_ACCURACY_M, count as that. Without a report since the asking,
    and by a trail without an anchor, nothing is tied.
    """
    reread = Window.of_queries(telemetry, anchored(telemetry, queries))
    query = reread.span.query
    near = points_within(reread["lat"], reread["lon"], queries.zone[query], RETURN_M)
    some = reread.span.lengths > 0
    return some & ((reread.span.count(~near) == 0) | _unbroken(telemetry, queries))


def _unbroken(telemetry: TelemetryTable, queries: Queries) -> Bools:
    """Whether a trail without a break leads from each query's anchor to its decision's last report."""
    anchor = anchor_rows(telemetry, queries.worker, queries.confirmed_at_ms)
    there = anchor >= 0
    _, stop = telemetry.rows_between(queries.worker, queries.confirmed_at_ms - WINDOW_MS, queries.decided_at_ms)
    first = np.where(there, anchor, stop)
    trail = Window(telemetry, received_rows(telemetry, first, np.maximum(first, stop), queries.decided_at_ms, anchor))
    at, accuracy_m = trail.span.follows, np.minimum(np.nan_to_num(trail["accuracy_m"], nan=np.inf), UNKNOWN_ACCURACY_M)
    over_m = trail.step_m - accuracy_m[at - 1] - accuracy_m[at]
    too_fast = over_m > RIDING_MPS * np.maximum(trail.step_ms / 1000.0, MIN_STEP_S)
    broken = too_fast | (trail.step_ms > MAX_TRAIL_GAP_MS) | (trail["mock"][at] == 1)
    return there & (np.bincount(trail.span.query[at[broken]], minlength=len(queries)) == 0)
