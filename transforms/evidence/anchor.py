"""Where the evidence of a claim is taken (`fraud.md`, "Where evidence is taken").

A claim's anchor is the report that establishes presence. Evidence is taken from the 30 min up to and including it, or,
for a re-score, from the 30 min up to the decision; a re-score without a report there uses the anchor's again.

Interpretations of the specification: docs/interpretations.md#evidence.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monsoon.transforms.evidence.arrival import PRESENCE_GRACE_MS, received_rows
from monsoon.transforms.evidence.limits import ANCHOR_HOLDS_MS, WINDOW_MS
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.telemetry_table import TelemetryTable


def anchor_rows(telemetry: TelemetryTable, worker: Ints, confirmed_at_ms: Ints) -> Ints:
    """The row of each rider's (code, -1 = none) anchor under a confirmation (ms), -1 where there is none.

    It is the last report at or before the confirmation, at most ANCHOR_HOLDS_MS old, of those received within
    PRESENCE_GRACE_MS after it: the report by which `monsoon.transforms.presence` takes the rider to be somewhere.
    """
    lo, hi = telemetry.rows_between(worker, confirmed_at_ms - ANCHOR_HOLDS_MS - 1, confirmed_at_ms)
    return received_rows(telemetry, lo, hi, confirmed_at_ms + PRESENCE_GRACE_MS).last


def anchored(telemetry: TelemetryTable, queries: Queries) -> Queries:
    """The queries with their windows: of a first score the WINDOW_MS up to and including the anchor, of a re-score
    those up to the decision. Without an anchor the window is empty, and ends at the confirmation.

    The anchor is evidence even for a decision made before it was received: the decision takes the rider to be there
    because of it. A re-score without a report in its window has the window of the anchor, with the reports of it that
    were received since. A re-read has the reports since the rider was asked, and no others.
    """
    anchor = anchor_rows(telemetry, queries.worker, queries.confirmed_at_ms)
    there = anchor >= 0
    end_ms = queries.confirmed_at_ms.copy()
    end_ms[there] = telemetry.event_time_ms[anchor[there]]
    start_ms = np.where(there, end_ms - WINDOW_MS, end_ms)
    if np.any(queries.rescored):
        decided_ms = queries.decided_at_ms
        lo, hi = telemetry.rows_between(queries.worker, decided_ms - WINDOW_MS, decided_ms)
        since = (queries.rescored > 0) & (received_rows(telemetry, lo, hi, decided_ms).lengths > 0)
        start_ms, end_ms = np.where(since, decided_ms - WINDOW_MS, start_ms), np.where(since, decided_ms, end_ms)
        anchor = np.where(since, -1, anchor)
    reread = queries.asked_at_ms >= 0
    start_ms, end_ms = np.where(reread, queries.asked_at_ms, start_ms), np.where(reread, queries.decided_at_ms, end_ms)
    anchor = np.where(reread, -1, anchor)
    return replace(queries, window_start_ms=start_ms, window_end_ms=end_ms, anchor_row=anchor)
