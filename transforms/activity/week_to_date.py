"""Orders and hours of riders from the beginning of the ISO week to a confirmation, for supplements that use them.

Interpretations of the specification: docs/interpretations.md#the-week-so-far.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from monsoon.transforms.activity.orders import Ints, Orders
from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import ActivityResult, DisruptionUpdate, PolicyTerms
from monsoon.transforms.calendar import iso_week_start_ms
from monsoon.transforms.coverage import plan_name
from monsoon.transforms.evidence.arrival import received_rows, rows_received_later
from monsoon.transforms.product import Trigger
from monsoon.transforms.product.inputs import WEEK
from monsoon.transforms.telemetry_table import ON_TRIP, ONLINE, TelemetryTable
from monsoon.transforms.triggers.history import BEFORE_TIME_MS

WEEK_MS = 7 * 24 * 3_600_000
_MINUTE_MS = 60_000
_MINUTES_PER_HOUR = 60


class WorkedMinutes:
    """Distinct minutes of the clock in which each rider of a telemetry table reported online or on_trip."""

    def __init__(self, telemetry: TelemetryTable) -> None:
        self._telemetry = telemetry
        self._at_work = (telemetry.app_state == ONLINE) | (telemetry.app_state == ON_TRIP)
        working = np.flatnonzero(self._at_work)
        minute, rider = telemetry.event_time_ms[working] // _MINUTE_MS, telemetry.worker[working]
        new = np.ones(len(working), dtype=bool)
        new[1:] = (minute[1:] != minute[:-1]) | (rider[1:] != rider[:-1])
        self._rows = working
        self._minute, self._new = minute, new
        self._before = np.concatenate(([0], np.cumsum(new)))

    def between(self, rider: Ints, from_ms: Ints, to_ms: Ints, received_by_ms: Ints) -> Ints:
        """The number of minutes with such a report in [from, to] that had been received by a moment, int64, one element
        per query. `rider` is the code in the telemetry table; -1, unknown, gives 0."""
        lo, hi = self._telemetry.rows_between(rider, from_ms - 1, to_ms)
        minutes = self._of_rows(lo, hi)
        query, _ = rows_received_later(self._telemetry, lo, hi, received_by_ms)
        some = np.unique(query)
        known = received_rows(self._telemetry, lo[some], hi[some], np.asarray(received_by_ms)[some])
        working = self._at_work[known.rows]
        minute = self._telemetry.event_time_ms[known.rows[working]] // _MINUTE_MS
        distinct = np.unique(np.stack([known.query[working], minute]), axis=1)
        minutes[some] = np.bincount(distinct[0], minlength=len(some))
        return minutes

    def _of_rows(self, lo: Ints, hi: Ints) -> Ints:
        """Distinct minutes of the rows `lo:hi`, each within one rider."""
        first, stop = np.searchsorted(self._rows, lo), np.searchsorted(self._rows, hi)
        minutes = self._before[stop] - self._before[first]
        # The first minute may have begun before `from`, with a report that is not counted.
        some = np.flatnonzero(stop > first)
        minutes[some] += ~self._new[first[some]]
        return minutes


def uses_week_to_date(trigger: Trigger) -> bool:
    """Whether a supplement of the trigger uses the orders or hours of the week to date."""
    return any(
        name in WEEK for supplement in trigger.supplements for each in (supplement.when, supplement.amount)
        for name in each.names
    )  # fmt: skip


def week_to_date_results(
    disruptions: Iterable[Disruption],
    orders: Orders,
    minutes: WorkedMinutes,
    codes: Mapping[str, int],
    after_ms: int = BEFORE_TIME_MS,
) -> dict[str, list[ActivityResult]]:
    """Orders and hours of each claim's rider in the week to the confirmation, by worker_id; for claims of triggers and
    plans with a supplement that uses them, on confirmations published after a moment (ms).

    The week is that of the disruption's start: what the policy's last event carried, 0 if it happened in an earlier
    week, and telemetry from that event, or the week's beginning, up to and including the confirmation. Where the
    policy does not state what it carries, neither is known. Measured when the confirmation is published, from what had
    been received by then.
    """
    claims = claims_with_week_to_date(disruptions, after_ms)
    week_ms = np.array([iso_week_start_ms(update.start_ms) for update, _ in claims], dtype=np.int64)
    stated_ms = np.array([terms.stated_at_ms for _, terms in claims], dtype=np.int64)
    from_ms = np.maximum(week_ms, stated_ms)
    to_ms = np.array([update.confirmed_at_ms for update, _ in claims], dtype=np.int64)
    rider = np.array([codes.get(terms.worker_id, -1) for _, terms in claims], dtype=np.int64)
    published_ms = np.array([update.at_ms for update, _ in claims], dtype=np.int64)
    completed = np.nan_to_num(orders.completed(rider, from_ms - 1, to_ms, published_ms))
    worked = minutes.between(rider, from_ms, to_ms, published_ms) / _MINUTES_PER_HOUR
    found: dict[str, list[ActivityResult]] = defaultdict(list)
    this_week = (stated_ms >= week_ms).tolist()
    for (update, terms), counts, more_orders, more_hours in zip(
        claims, this_week, completed.tolist(), worked.tolist(), strict=True
    ):
        values: dict[str, float | None] = {
            "orders_so_far": _carried_plus(terms.week_orders_carried, more_orders, counts),
            "hours_so_far": _carried_plus(terms.week_hours_carried, more_hours, counts),
        }
        activity_result = ActivityResult(
            update.at_ms, update.disruption_id, update.confirmed_at_ms, "work", True, values
        )  # fmt: skip
        found[terms.worker_id].append(activity_result)
    return found


def _carried_plus(carried: float | None, since: float, counts: bool) -> float | None:
    if carried is None:
        return None
    return carried + since if counts else since


def claims_with_week_to_date(
    disruptions: Iterable[Disruption], after_ms: int = BEFORE_TIME_MS
) -> list[tuple[DisruptionUpdate, PolicyTerms]]:
    """The claims on disruptions that may get a supplement that uses the week to date, each as first published under
    each confirmation, if that was after a moment (ms)."""
    return [claim for disruption in disruptions for claim in _claims_on(disruption, after_ms)]


def _claims_on(disruption: Disruption, after_ms: int) -> Iterable[tuple[DisruptionUpdate, PolicyTerms]]:
    """Those on one disruption."""
    trigger = disruption.series.trigger
    if not uses_week_to_date(trigger):
        return
    plans = {plan for supplement in trigger.supplements for plan in supplement.plans}
    for updates in disruption.updates.values():
        known: set[int] = set()
        for update in updates:
            terms, confirmed_ms = update.terms, update.confirmed_at_ms
            if terms is None or confirmed_ms in known:
                continue
            known.add(confirmed_ms)
            if update.at_ms > after_ms and terms.covered and plan_name(terms.plan) in plans:
                yield update, terms
