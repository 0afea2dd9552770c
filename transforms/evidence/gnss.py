"""Features of the GNSS receiver: signal strength against receiver gain, and its clock."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.baselines import SignalBaseline
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    ACTIVITY_MS,
    AGC_NORMAL_DB,
    AGC_UP_DB,
    CN0_FLOOR_DBHZ,
    CN0_HIGH_DB,
    CN0_UP_DB,
    GNSS_ROLLOVER_MS,
    MIN_BASELINE_REPORTS,
    ROLLOVER_TOLERANCE_MS,
)
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints, Ragged, ratio
from monsoon.transforms.evidence.window import Queries, Window

_MS_PER_S = 1000.0


def gnss_cn0_agc_anomaly(window: Window, queries: Queries, baseline: SignalBaseline) -> Measured:
    """Share of the window's reports whose signal is stronger than the sky, against the same phone before the window.

    Received power is up by as much as the gain control has gone down: delta = mean agc_db - agc_db. A report is flagged
    if delta >= AGC_UP_DB and C/N0 > mean + CN0_UP_DB - (delta - AGC_UP_DB) and > CN0_FLOOR_DBHZ, or if abs(delta) <=
    AGC_NORMAL_DB and C/N0 > mean + CN0_HIGH_DB; dB and dB-Hz. A weak signal at normal power is a blocked sky and flags
    nothing.

    Range: 0..1. Direction: high points strongly to fraud (radio spoofing). Missing input: null where no report has both
    C/N0 and AGC, or the phone's baseline rests on fewer than MIN_BASELINE_REPORTS reports. Rests on: the reports with
    both, of the phone seen last. Source: `fraud.md`, features.
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
    share = ratio(span.count(used & (loud | clear)), count)
    return np.where(reports >= MIN_BASELINE_REPORTS, share, np.nan), count


def gnss_network_time_delta_s(window: Window, queries: Queries) -> Measured:
    """Median difference between satellite time and network time over the fresh fixes of the window, s.

    A fix is fresh if its gnss_time is later than that of the fix which the same phone reported before: a cached fix
    that is reported again says what time it was, not what the receiver thinks. The first fix of a window asks the
    one before the window, as far back as evidence looks (ACTIVITY_MS); without one it is not fresh. A difference
    within a day of a multiple of 1,024 weeks (but for 0) is the fault of a receiver that miscounts GPS weeks: not
    measured.

    Range: 0 s and up. Direction: high points to fraud (`fraud.md`: above 1 s soft, above 5 s strong); a receiver
    that is fed a made-up sky lives in that sky's time. Missing input: null where no fresh fix states both times.
    Rests on: the fresh fixes. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> gnss_s, network_s = [0, 15, 15, 38], [0, 15, 30, 45]  # the third report repeats the second's fix
    >>> window, queries = one_rider(network_s, gnss_time_s=gnss_s, network_time_s=network_s)
    >>> gnss_network_time_delta_s(window, queries)  # 0 s and 7 s: the first has none before it, so is not fresh
    (array([3.5]), array([2]))
    """
    gnss_ms = window["gnss_time_ms"]
    difference_ms = np.abs(gnss_ms - window["network_time_ms"])
    measured = ~np.isnan(difference_ms)
    measured[measured] &= ~_miscounts_weeks(difference_ms[measured])
    return window.median(difference_ms / _MS_PER_S, measured & _fresh(window, queries))


def _miscounts_weeks(difference_ms: Floats) -> Bools:
    weeks = np.rint(difference_ms / GNSS_ROLLOVER_MS)
    return (weeks > 0) & (np.abs(difference_ms - weeks * GNSS_ROLLOVER_MS) <= ROLLOVER_TOLERANCE_MS)


def _fresh(window: Window, queries: Queries) -> Bools:
    """Reports whose fix is later than the one that their phone reported before."""
    query, device, gnss_ms = window.span.query, window["device"], window["gnss_time_ms"]
    fix = np.flatnonzero(~np.isnan(gnss_ms))
    if np.any((np.diff(query[fix]) == 0) & (np.diff(device[fix]) != 0)):
        fix = fix[np.lexsort((device[fix], query[fix]))]  # stable: of one phone in the order of time
    first = np.ones(len(fix), dtype=bool)
    first[1:] = (np.diff(query[fix]) != 0) | (np.diff(device[fix]) != 0)
    before_ms = np.full(len(fix), np.nan)
    before_ms[1:] = gnss_ms[fix[:-1]]
    before_ms[first] = _fix_before(window, queries, query[fix[first]], device[fix[first]])
    fresh = np.zeros(len(query), dtype=bool)
    fresh[fix] = gnss_ms[fix] > before_ms
    return fresh


def _fix_before(window: Window, queries: Queries, query: Ints, device: Ints) -> Floats:
    """gnss_time (ms) of the last fix of each query's phone before its window, NaN where there is none."""
    telemetry = window.telemetry
    worker, start_ms = queries.worker[query], queries.window_start_ms[query]
    first, stop = telemetry.rows_between(worker, queries.window_end_ms[query] - ACTIVITY_MS, start_ms)
    found_ms = np.full(len(query), np.nan)
    # Mostly the report just before has it: look back a little, and twice as far only where it has none.
    unsettled, look_back = np.flatnonzero(stop > first), 4
    while len(unsettled):
        start = np.maximum(first[unsettled], stop[unsettled] - look_back)
        span = Ragged(start, stop[unsettled])
        gnss_ms = telemetry.gnss_time_ms[span.rows]
        its = ~np.isnan(gnss_ms) & (telemetry.device[span.rows] == device[unsettled][span.query])
        its &= telemetry.received_time_ms[span.rows] <= queries.decided_at_ms[query[unsettled]][span.query]
        found_ms[unsettled[span.query[its]]] = gnss_ms[its]  # the last assignment stands
        stop[unsettled] = start
        unsettled = unsettled[np.isnan(found_ms[unsettled]) & (start > first[unsettled])]
        look_back *= 2
    return found_ms
