"""When reports were received, and for what they may therefore be used (`fraud.md`, "Where evidence is taken").

A report without received_time counts as received at its event_time. One with received_time is evidence only for
decisions made since, but for a claim's anchor (`anchor.py`); it establishes presence at a confirmation if it was
received within PRESENCE_GRACE_MS of it; and it counts for a baseline or a pattern of shifts only if it was received
within BASELINE_GRACE_MS of its event_time.

Interpretations of the specification: docs/interpretations.md#when-a-report-was-received.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Bools, Ints, Ragged
from monsoon.transforms.panes import BASELINE_GRACE_MS
from monsoon.transforms.telemetry_table import TelemetryTable, bisect_right

PRESENCE_GRACE_MS = 15 * 60_000
"""`products.md`, Presence: a report received later establishes none."""


def builds_history(event_time_ms: npt.NDArray[Any], received_time_ms: npt.NDArray[Any]) -> Bools:
    """Whether each report may build a baseline; -1 for a received_time that is not stated."""
    return received_time_ms - event_time_ms <= BASELINE_GRACE_MS


def received_rows(
    telemetry: TelemetryTable, lo: Ints, hi: Ints, by_ms: npt.ArrayLike, always: Ints | None = None
) -> Ragged:
    """The rows `lo:hi` of each query, each within one worker, that were received by a moment of the query's (ms); and
    of these rows the one in `always` (-1 = none), whenever it was received."""
    by = np.broadcast_to(np.asarray(by_ms, dtype=np.int64), lo.shape)
    whole = Ragged(lo, hi)
    if not _any_later(telemetry, lo, hi, by):
        return whole
    kept = telemetry.received_time_ms[whole.rows] <= by[whole.query]
    if always is not None:
        kept |= whole.rows == always[whole.query]
    return whole.filter(kept)


def rows_received_later(telemetry: TelemetryTable, lo: Ints, hi: Ints, by_ms: npt.ArrayLike) -> tuple[Ints, Ints]:
    """Of the rows `lo:hi` of each query, each within one worker, those that were received later than a moment of the
    query's (ms): the query and the row of each. Sums over all rows are corrected by these, which are few."""
    by = np.broadcast_to(np.asarray(by_ms, dtype=np.int64), lo.shape)
    if not telemetry.states_received:
        none = np.empty(0, dtype=np.int64)
        return none, none
    # Rows before the first at which anything had been received later are left out.
    tail = Ragged(bisect_right(telemetry.latest_received_ms, lo, hi, by), hi)
    later = telemetry.received_time_ms[tail.rows] > by[tail.query]
    return tail.query[later], tail.rows[later]


def _any_later(telemetry: TelemetryTable, lo: Ints, hi: Ints, by: Ints) -> bool:
    if not telemetry.states_received:
        return False
    some = hi > lo
    return bool(np.any(telemetry.latest_received_ms[hi[some] - 1] > by[some]))
