"""Order drop: a zone's orders in the window before a moment against its own mean for that hour of the week.

"That hour of the week" is the same stretch of time, to the millisecond, one to four weeks before; a week counts where
a report of it from the zone states orders. A report that states none adds none: nobody at work is no orders. Without
enough weeks, what the riders seen in the zone usually do stands in: each policy of the product whose rider sent a
report from the zone, or its margin, in the last 90 min adds the orders_per_hour that counts then, whether or not it
covers the moment: that is about how the rider works. Where nothing is expected no drop can be shown. A report received
after the moment of the query is left out, and one received too late for history (`evidence.arrival`) is left out of its
week; one that states a mock location is no witness.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import builds_history
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged
from monsoon.transforms.product import OrderDrop
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries, ZoneReports
from monsoon.transforms.telemetry_table import TelemetryTable

_WEEK_MS = 7 * 24 * 3_600_000
_MICRO = 1_000_000
_MAX_ORDERS = 10**6
"""In one report and, per hour, in one policy: what is more is no count of orders, and must not wrap a sum around."""


def order_tallies(
    terms: OrderDrop,
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    holders: PolicyHolders,
    margin_m: float,
    cells: npt.NDArray[np.uint64] | None = None,
) -> Ints:
    """Tallies of some riders' reports and policies, int64 (queries, 2 + 2 * weeks); those of all partitions add up.

    Columns: orders in the window; what the riders seen usually do per hour, in millionths; then for each week back the
    reports that state orders and these orders. `cells` are those of the telemetry table's rows, where they are at hand.
    """
    tallies = np.zeros((len(zone_queries), 2 + 2 * terms.weeks), dtype=np.int64)
    reports = ZoneReports.of(telemetry, zone_queries, cells=cells)
    for part in reports.blocks(zone_queries, zone_queries.at_ms - terms.window_ms):
        here = zone_queries.take(part)
        for week in range(terms.weeks + 1):
            end_ms = here.at_ms - week * _WEEK_MS
            span = reports.between(here.zone, end_ms - terms.window_ms, end_ms)
            stated, orders = _orders(telemetry, reports, span, here.at_ms, history=week > 0)
            if week:
                tallies[part, 2 * week] = stated
                tallies[part, 2 * week + 1] = orders
            else:
                tallies[part, 0] = orders
    tallies[:, 1] = _usual_micro(terms, telemetry, zone_queries, holders, margin_m, cells)
    return tallies


def order_drop(terms: OrderDrop, tallies: Ints) -> Floats:
    """1 - orders / expected, float64 (queries,), from the tallies of all riders; NaN where nothing is expected. As
    near to the exact quotient as a double is, so that a drop of exactly 65% is one of 0.65."""
    distinct, which = np.unique(tallies, axis=0, return_inverse=True)
    values = np.full(len(distinct), np.nan)
    for place, row in enumerate(distinct.tolist()):
        orders, usual_micro, weeks = row[0], row[1], row[2:]
        counted = [then for stated, then in zip(weeks[::2], weeks[1::2], strict=True) if stated]
        if len(counted) >= terms.min_weeks:
            expected = Fraction(sum(counted), len(counted))
        else:
            expected = Fraction(usual_micro, _MICRO)
        if expected > 0:
            values[place] = float(1 - orders / expected)
    return values[which.reshape(-1)]


def _orders(
    telemetry: TelemetryTable, reports: ZoneReports, span: Ragged, at_ms: Ints, history: bool
) -> tuple[Ints, Ints]:
    """Of each query's reports that had been received, how many state orders, and how many orders these are."""
    row = reports.row[span.rows]
    orders = telemetry.orders_completed[row]
    stated = (orders >= 0) & (telemetry.received_time_ms[row] <= at_ms[span.query]) & (telemetry.mock[row] != 1)
    if history:
        stated &= builds_history(telemetry.event_time_ms[row], telemetry.received_time_ms[row])
    taken = np.where(stated, np.minimum(orders, _MAX_ORDERS), 0)
    sums = np.concatenate(([0], np.cumsum(taken)))
    return span.count(stated), sums[span.offsets[1:]] - sums[span.offsets[:-1]]


def _usual_micro(
    terms: OrderDrop,
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    holders: PolicyHolders,
    margin_m: float,
    cells: npt.NDArray[np.uint64] | None,
) -> Ints:
    """orders_per_hour of the policies whose riders were seen, in millionths."""
    held = set(holders.workers)
    among = np.array([worker in held for worker in telemetry.workers], dtype=np.bool_)
    reports = ZoneReports.of(telemetry, zone_queries, margin_m, among, cells)
    usual = np.zeros(len(zone_queries), dtype=np.int64)
    known: dict[tuple[int, int], int] = {}
    for part in reports.blocks(zone_queries, zone_queries.at_ms - terms.seen_ms):
        here = zone_queries.take(part)
        span = reports.between(here.zone, here.at_ms - terms.seen_ms, here.at_ms)
        workers = max(len(telemetry.workers), 1)
        row = reports.row[span.rows]
        received = (telemetry.received_time_ms[row] <= here.at_ms[span.query]) & (telemetry.mock[row] != 1)
        seen = np.unique(span.query[received] * workers + telemetry.worker[row[received]])
        for query, worker in zip((seen // workers).tolist(), (seen % workers).tolist(), strict=True):
            key = (worker, int(here.at_ms[query]))
            if key not in known:
                known[key] = _stated_micro(holders, telemetry.workers[worker], key[1])
            usual[part.start + query] += known[key]
    return usual


def _stated_micro(holders: PolicyHolders, worker_id: str, at_ms: int) -> int:
    total = 0
    for event in holders.known(worker_id, at_ms):
        stated = event.get("orders_per_hour")
        if stated is not None:
            total += round(Fraction(repr(min(max(float(stated), 0.0), float(_MAX_ORDERS)))) * _MICRO)
    return total
