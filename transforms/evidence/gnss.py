"""What the GNSS receiver says: signal strength against receiver gain, and its clock."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.baselines import SignalBaseline
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    AGC_NORMAL_DB,
    AGC_UP_DB,
    CN0_FLOOR_DBHZ,
    CN0_HIGH_DB,
    CN0_UP_DB,
    MIN_BASELINE_REPORTS,
)
from monsoon.transforms.evidence.ragged import over
from monsoon.transforms.evidence.window import Queries, Window

_MS_PER_S = 1000.0


def gnss_cn0_agc_anomaly(window: Window, queries: Queries, baseline: SignalBaseline) -> Measured:
    """Share of reports whose signal is stronger than the sky, against the same phone before the window.

    Received power is up by as much as the gain control has gone down: delta = mean agc_db - agc_db. A report is
    flagged if delta >= 3 and C/N0 > mean + 3 - (delta - 3) and > 26 dB-Hz, or if abs(delta) <= 2 and C/N0 >
    mean + 6. A weak signal at normal power is a blocked sky and flags nothing.
    """
    span = window.span
    reports, agc_mean, cn0_mean = baseline.before(queries, window.last_device)
    agc, cn0 = window["agc_db"], window["cn0_dbhz"]
    used = ~np.isnan(agc) & ~np.isnan(cn0) & (window["device"] == window.last_device[span.query])
    delta = agc_mean[span.query] - agc
    mean = cn0_mean[span.query]
    loud = (delta >= AGC_UP_DB) & (cn0 > mean + CN0_UP_DB - (delta - AGC_UP_DB)) & (cn0 > CN0_FLOOR_DBHZ)
    clear = (np.abs(delta) <= AGC_NORMAL_DB) & (cn0 > mean + CN0_HIGH_DB)
    count = span.count(used)
    share = over(span.count(used & (loud | clear)), count)
    return np.where(reports >= MIN_BASELINE_REPORTS, share, np.nan), count


def gnss_network_time_delta_s(window: Window) -> Measured:
    """Median abs(gnss_time - network_time) in s on fresh fixes.

    A fix is stale if GNSS time has moved on by less than half of the time since the previous report: a cached
    fix that is reported again.
    """
    delta_ms = window["gnss_delta_ms"]
    fresh = ~np.isnan(delta_ms)
    at = window.span.follows
    with np.errstate(invalid="ignore"):
        stale = delta_ms[at] - delta_ms[at - 1] + window.step_ms < window.step_ms / 2
    fresh[at[stale]] = False
    return window.median(np.abs(delta_ms) / _MS_PER_S, fresh)
