"""Silent quorum: the trust of the riders of a platform who worked in a zone and then fell silent.

A rider is of the platform that the reports name; for a report that names none, of those that the rider's policies of
the product in force at the moment name. Silent is who sent nothing but offline reports since, from anywhere, for any
platform: a report that does not say what the app is doing is no silence.

Trust rests on the time in which they worked, since there are no reports after it: all reports of (t - before, t -
silent], also those from outside the zone. The rider's habits are those up to the start of that time. A rider of whom
too little was measured, or who holds no policy that has been in force for long enough, adds nothing: accounts cost
nothing. A report received after the moment of the query is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence import activity, device, surroundings
from monsoon.transforms.evidence.arrival import rows_received_later
from monsoon.transforms.evidence.limits import WINDOW_MS
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.product import (
    FormulaScore,
    Product,
    ProductError,
    SilentQuorum,
    WeightedScore,
)
from monsoon.transforms.scoring.product_scores import measured_share, score_columns
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries, ZoneReports
from monsoon.transforms.telemetry_table import OFFLINE, ON_TRIP, ONLINE, TelemetryTable

MICRO = 1_000_000
"""Trust is rounded to a millionth; as an integer of these its sums do not depend on order."""

TALLIES = (
    "worked", "worked_on_trip", "silent", "silent_offline", "silent_on_trip",
    "weight_micro", "trusted", "trust_micro", "trust_riders",
    "quiet_s", "quiet_s2", "battery_cpct", "battery_riders", "others_worked", "others_silent",
)  # fmt: skip
"""Columns of the tallies of a query: riders of the platform who worked in the zone, and whose last report there was
on a trip; who of them fell silent; of those, who reported offline, and whose last report was on a trip; the trust that
counts, of how many; all trust measured, of how many; how long before the silence their last report was, in s, and its
square; battery at it in hundredths of a percent, of how many; riders of other platforms who worked there, and who of
them fell silent."""


@dataclass(frozen=True, eq=False)
class ActiveRiders:
    """One element per query and rider who worked in its zone: `row` is the last such report, `on_platform` whether the
    rider is of the query's platform, `silent` and `offline` the rider's state since."""

    query: Ints
    worker: Ints
    row: Ints
    on_platform: Bools
    silent: Bools
    offline: Bools

    def take(self, which: Bools) -> ActiveRiders:
        """Some of them."""
        return ActiveRiders(*(getattr(self, field.name)[which] for field in fields(self)))


def active_riders(
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    holders: PolicyHolders,
    cells: npt.NDArray[np.uint64] | None = None,
) -> ActiveRiders:
    """Who worked in the zones in (t - before, t - silent], sorted by query and rider, and their state since.

    Riders of no platform are left out, and those of whom one of these reports states a mock location. `cells` are those
    of the telemetry table's rows, where they are at hand.
    """
    working = telemetry.app_state >= ONLINE
    reports = ZoneReports.of(telemetry, zone_queries, cells=cells)
    reported_work = telemetry.app_state != OFFLINE
    work_reports = np.concatenate(([0], np.cumsum(reported_work)))
    parts = []
    for part in reports.blocks(zone_queries, zone_queries.at_ms - terms.before_ms):
        here = zone_queries.take(part)
        span = reports.between(here.zone, here.at_ms - terms.before_ms, here.at_ms - terms.silent_ms)
        row = reports.row[span.rows]
        at_work = working[row] & (telemetry.received_time_ms[row] <= here.at_ms[span.query])
        pair, row = span.query[at_work] * len(telemetry.workers) + telemetry.worker[row[at_work]], row[at_work]
        order = np.lexsort((row, pair))
        pair, row = pair[order], row[order]
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        last = np.append(first[1:], len(pair)) - 1 if len(first) else first
        query, worker = (
            pair[first] // len(telemetry.workers),
            (pair[first] % len(telemetry.workers)).astype(np.int64),
        )
        on_platform, of_any = _platform(telemetry, here, holders, row, first, query, worker)
        if len(first):
            of_any &= ~np.logical_or.reduceat(telemetry.mock[row] == 1, first)
        lo, hi = telemetry.rows_between(worker, here.at_ms[query] - terms.silent_ms, here.at_ms[query])
        later, unknown = rows_received_later(telemetry, lo, hi, here.at_ms[query])
        reported = hi - lo - np.bincount(later, minlength=len(lo))
        silent = work_reports[hi] - work_reports[lo] == np.bincount(later[reported_work[unknown]], minlength=len(lo))
        found = ActiveRiders(query + part.start, worker, row[last], on_platform, silent, silent & (reported > 0))
        parts.append(found.take(of_any))
    if not parts:
        none, never = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
        return ActiveRiders(none, none, none, never, never, never)
    return ActiveRiders(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(ActiveRiders))
    )


def _platform(
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    holders: PolicyHolders,
    row: Ints,
    first: Ints,
    query: Ints,
    worker: Ints,
) -> tuple[Bools, Bools]:
    """Of riders whose working reports are `row` from each of `first` on: whether they are of the query's platform, and
    whether of any."""
    if not len(first):
        return np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.bool_)
    code_of = {name: code for code, name in enumerate(telemetry.platforms)}
    wanted = np.array([-2 if name is None else code_of.get(name, -2) for name in zone_queries.platform], dtype=np.int64)
    named = telemetry.platform[row].astype(np.int64)
    lengths = np.diff(np.append(first, len(row)))
    on_platform = np.logical_or.reduceat(named == np.repeat(wanted[query], lengths), first)
    of_any = np.logical_or.reduceat(named >= 0, first)
    for pair in np.flatnonzero(np.logical_or.reduceat(named < 0, first) & ~on_platform):
        of_query = int(query[pair])
        states = holders.in_force(telemetry.workers[worker[pair]], int(zone_queries.at_ms[of_query]))
        stated = {state.record.get("platform") for state in states} - {None}
        on_platform[pair] = zone_queries.platform[of_query] in stated
        of_any[pair] |= bool(stated)
    return on_platform, of_any


def trust_inputs(
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    riders: ActiveRiders,
    references: References,
    habits: activity.ShiftHistory,
    holders: PolicyHolders,
) -> tuple[dict[str, Floats], Ints]:
    """The inputs of a trust score, float64 (riders,), NaN = not measured, that come from the riders' own reports and
    policies; and the device of each one's last report (a code of the telemetry table).

    A policy counts as not bought in an alert's window: an outage has no public alert, and the claims that follow are
    scored for theirs. For riders without a policy it is not measured.
    """
    at_ms = zone_queries.at_ms[riders.query]
    window = Window.of(telemetry, riders.worker, at_ms - terms.before_ms, at_ms - terms.silent_ms, received_by_ms=at_ms)
    # Habits end where a query's window starts: WINDOW_MS before the moment that it is about.
    about_ms = at_ms - terms.before_ms + WINDOW_MS
    queries = Queries.of(
        zone_queries.resolution,
        riders.worker,
        zone_queries.zone[riders.query],
        about_ms,
        decided_at_ms=np.maximum(at_ms, about_ms),
    )
    holding = _of_policies(telemetry, zone_queries, riders, lambda worker, at: bool(holders.in_force(worker, at)))
    inputs = {
        "cell_tower_zone_match": surroundings.cell_tower_zone_match(window, references)[0],
        "accelerometer_variance": device.accelerometer_variance(window)[0],
        "mock_location_share": device.mock_location_share(window)[0],
        "app_activity": activity.app_activity(window)[0],
        "shift_pattern": habits.shift_pattern(queries)[0],
        "bought_in_alert_window": np.where(holding, 0.0, np.nan),
    }
    return inputs, window.last_device


def _of_policies(
    telemetry: TelemetryTable, zone_queries: ZoneQueries, riders: ActiveRiders, holds: Callable[[str, int], bool]
) -> Bools:
    """`holds` of each rider (worker_id) and the moment of the query (ms), called once for each pair."""
    workers, moments_ms = riders.worker.tolist(), zone_queries.at_ms[riders.query].tolist()
    pairs = set(zip(workers, moments_ms, strict=True))
    known = {pair: holds(telemetry.workers[pair[0]], pair[1]) for pair in pairs}
    return np.array([known[pair] for pair in zip(workers, moments_ms, strict=True)], dtype=np.bool_)


def trust_score_terms(product: Product, terms: SilentQuorum) -> FormulaScore | WeightedScore:
    """The terms of the product's score that is a rider's trust. Raises ProductError for one that is no formula: a model
    scores claims, and these riders have none yet."""
    score = product.decision.scores.get(terms.trust)
    if not isinstance(score, FormulaScore | WeightedScore):
        raise ProductError(f"{product.name}: the trust of a silent quorum, {terms.trust!r}, must be a formula")
    return score


@dataclass(frozen=True, eq=False)
class RiderTrust:
    """One element per rider: `micro` is the trust in millionths, -1 where nothing of it was measured; `counts` whether
    the rider may count toward the quorum, if that suffices."""

    micro: Ints
    counts: Bools

    def take(self, which: Ints) -> RiderTrust:
        """Those of some riders."""
        return RiderTrust(self.micro[which], self.counts[which])

    @staticmethod
    def unknown(riders: int) -> RiderTrust:
        """For riders of whom nothing was measured."""
        return RiderTrust(np.full(riders, -1, dtype=np.int64), np.zeros(riders, dtype=np.bool_))


def rider_trust(
    terms: SilentQuorum, score: FormulaScore | WeightedScore, inputs: Mapping[str, Floats], insured: Bools
) -> RiderTrust:
    """The trust of each rider. Inputs that the score names and that are not there count as not measured; who is not
    `insured`, or of whose score too little was measured, does not count."""
    count = len(insured)
    names = score.formula.names if isinstance(score, FormulaScore) else {n for p in score.parts for n in p.value.names}
    columns = {name: inputs.get(name, np.full(count, np.nan)) for name in sorted(names)}
    trust, share = score_columns(score, columns), measured_share(score, columns)
    known = ~np.isnan(trust) & (share > 0)
    micro = np.where(known, np.rint(np.where(known, trust, 0.0) * MICRO), -1).astype(np.int64)
    return RiderTrust(micro, known & insured & (share >= terms.min_measured))


def insured_long_enough(
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    zone_queries: ZoneQueries,
    riders: ActiveRiders,
    holders: PolicyHolders,
) -> Bools:
    """Whether each rider holds a policy of the product that has been in force without a gap for `insured_for_ms`."""
    required_ms = terms.insured_for_ms
    if required_ms is None:
        return np.ones(len(riders.worker), dtype=np.bool_)
    return _of_policies(
        telemetry,
        zone_queries,
        riders,
        lambda worker, at_ms: any(
            at_ms - state.in_force_since_ms >= required_ms for state in holders.in_force(worker, at_ms)
        ),
    )


def quorum_tallies(
    terms: SilentQuorum, telemetry: TelemetryTable, zone_queries: ZoneQueries, riders: ActiveRiders, trust: RiderTrust
) -> Ints:
    """int64 (queries, TALLIES): what these riders add to each query; tallies of all partitions add up.

    `trust` is of the riders of the platform who fell silent (`riders.on_platform & riders.silent`), in order.
    """
    tallies = np.zeros((len(zone_queries), len(TALLIES)), dtype=np.int64)

    def add(name: str, query: Ints, values: Ints | None = None) -> None:
        np.add.at(tallies[:, TALLIES.index(name)], query, 1 if values is None else values)

    on_trip = telemetry.app_state[riders.row] == ON_TRIP
    add("worked", riders.query[riders.on_platform])
    add("worked_on_trip", riders.query[riders.on_platform & on_trip])
    add("others_worked", riders.query[~riders.on_platform])
    add("others_silent", riders.query[~riders.on_platform & riders.silent])
    gone = riders.take(riders.on_platform & riders.silent)
    query = gone.query
    tallies += trust_tallies(terms, len(zone_queries), query, trust)
    add("silent", query)
    add("silent_offline", query[gone.offline])
    add("silent_on_trip", riders.query[riders.on_platform & riders.silent & on_trip])
    quiet_s = (zone_queries.at_ms[query] - terms.silent_ms - telemetry.event_time_ms[gone.row]) // 1000
    add("quiet_s", query, quiet_s)
    add("quiet_s2", query, quiet_s * quiet_s)
    battery = telemetry.battery_pct[gone.row]
    known = ~np.isnan(battery)
    add("battery_cpct", query[known], np.rint(battery[known] * 100).astype(np.int64))
    add("battery_riders", query[known])
    return tallies


def trust_tallies(terms: SilentQuorum, zone_queries: int, query: Ints, trust: RiderTrust) -> Ints:
    """The part of the tallies that is about trust, int64 (queries, TALLIES), from the query and the trust of each
    silent rider of the platform."""
    tallies = np.zeros((zone_queries, len(TALLIES)), dtype=np.int64)
    micro = trust.micro
    known, counts = micro >= 0, trust.counts & (micro >= round(terms.min_trust * MICRO))
    np.add.at(tallies[:, TALLIES.index("weight_micro")], query[counts], micro[counts])
    np.add.at(tallies[:, TALLIES.index("trusted")], query[counts], 1)
    np.add.at(tallies[:, TALLIES.index("trust_micro")], query[known], micro[known])
    np.add.at(tallies[:, TALLIES.index("trust_riders")], query[known], 1)
    return tallies


def quorum_weight(tallies: Ints) -> Floats:
    """The sum of the trust scores that count, float64 (queries,), from the tallies of all riders."""
    return tallies[:, TALLIES.index("weight_micro")] / MICRO
