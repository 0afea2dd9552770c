"""Silent quorum: the trust of the riders of a platform who worked in a zone and then fell silent.

A rider is of the platform that the reports name; for a report that names none, of those that the rider's policies of
the product in force at the moment name. Silent is who sent nothing but offline reports since, from anywhere, for any
platform: a report that does not say what the app is doing is no silence.

Trust rests on the time in which they worked, since there is nothing later: all reports of (t - before, t - silent],
also those from outside the zone. The rider's habits are those up to the start of that time. Of whom too little was
measured, or who holds no policy that has been in force for long enough, adds nothing: accounts cost nothing. A
report received after the moment asked about says nothing of it.
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
from monsoon.transforms.scoring.named import measured_share, score_columns
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, Questions, ZoneReports
from monsoon.transforms.telemetry_table import OFFLINE, ON_TRIP, ONLINE, TelemetryTable

MICRO = 1_000_000
"""Trust is rounded to a millionth; as an integer of these its sums do not depend on order."""

TALLIES = (
    "worked", "worked_on_trip", "silent", "silent_offline", "silent_on_trip",
    "weight_micro", "trusted", "trust_micro", "trust_riders",
    "quiet_s", "quiet_s2", "battery_cpct", "battery_riders", "others_worked", "others_silent",
)  # fmt: skip
"""Columns of the tallies of a question: riders of the platform who worked in the zone, and whose last report there was
on a trip; who of them fell silent; of those, who reported offline, and whose last report was on a trip; the trust that
counts, of how many; all trust measured, of how many; how long before the silence their last report was, in s, and its
square; battery at it in hundredths of a percent, of how many; riders of other platforms who worked there, and who of
them fell silent."""


@dataclass(frozen=True, eq=False)
class Workers:
    """One element per question and rider who worked in its zone: `row` is the last such report, `mine` whether of the
    platform asked about, `silent` and `offline` what came since."""

    question: Ints
    worker: Ints
    row: Ints
    mine: Bools
    silent: Bools
    offline: Bools

    def take(self, which: Bools) -> Workers:
        """Some of them."""
        return Workers(*(getattr(self, field.name)[which] for field in fields(self)))


def workers_of(
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    questions: Questions,
    holders: PolicyHolders,
    cells: npt.NDArray[np.uint64] | None = None,
) -> Workers:
    """Who worked in the zones in (t - before, t - silent], sorted by question and rider, and how it went on.

    Riders of no platform are left out. `cells` are those of the telemetry table's rows, where they are at hand.
    """
    working = telemetry.app_state >= ONLINE
    reports = ZoneReports.of(telemetry, questions, cells=cells)
    said = telemetry.app_state != OFFLINE
    spoke = np.concatenate(([0], np.cumsum(said)))
    parts = []
    for part in reports.blocks(questions, questions.at_ms - terms.before_ms):
        here = questions.take(part)
        span = reports.between(here.zone, here.at_ms - terms.before_ms, here.at_ms - terms.silent_ms)
        row = reports.row[span.rows]
        at_work = working[row] & (telemetry.received_time_ms[row] <= here.at_ms[span.query])
        pair, row = span.query[at_work] * len(telemetry.workers) + telemetry.worker[row[at_work]], row[at_work]
        order = np.lexsort((row, pair))
        pair, row = pair[order], row[order]
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        last = np.append(first[1:], len(pair)) - 1 if len(first) else first
        question, worker = (
            pair[first] // len(telemetry.workers),
            (pair[first] % len(telemetry.workers)).astype(np.int64),
        )
        mine, of_any = _platform(telemetry, here, holders, row, first, question, worker)
        lo, hi = telemetry.rows_between(worker, here.at_ms[question] - terms.silent_ms, here.at_ms[question])
        later, unknown = rows_received_later(telemetry, lo, hi, here.at_ms[question])
        reported = hi - lo - np.bincount(later, minlength=len(lo))
        silent = spoke[hi] - spoke[lo] == np.bincount(later[said[unknown]], minlength=len(lo))
        found = Workers(question + part.start, worker, row[last], mine, silent, silent & (reported > 0))
        parts.append(found.take(of_any))
    if not parts:
        none, never = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_)
        return Workers(none, none, none, never, never, never)
    return Workers(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Workers)))


def _platform(
    telemetry: TelemetryTable,
    questions: Questions,
    holders: PolicyHolders,
    row: Ints,
    first: Ints,
    question: Ints,
    worker: Ints,
) -> tuple[Bools, Bools]:
    """Of riders whose working reports are `row` from each of `first` on: whether they are of the platform asked about,
    and whether of any."""
    if not len(first):
        return np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.bool_)
    code_of = {name: code for code, name in enumerate(telemetry.platforms)}
    asked = np.array([-2 if name is None else code_of.get(name, -2) for name in questions.platform], dtype=np.int64)
    named = telemetry.platform[row].astype(np.int64)
    lengths = np.diff(np.append(first, len(row)))
    mine = np.logical_or.reduceat(named == np.repeat(asked[question], lengths), first)
    of_any = np.logical_or.reduceat(named >= 0, first)
    for pair in np.flatnonzero(np.logical_or.reduceat(named < 0, first) & ~mine):
        asks = int(question[pair])
        states = holders.in_force(telemetry.workers[worker[pair]], int(questions.at_ms[asks]))
        stated = {state.record.get("platform") for state in states} - {None}
        mine[pair] = questions.platform[asks] in stated
        of_any[pair] |= bool(stated)
    return mine, of_any


def trust_inputs(
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    questions: Questions,
    riders: Workers,
    references: References,
    habits: activity.Habits,
    holders: PolicyHolders,
) -> tuple[dict[str, Floats], Ints]:
    """What a trust score may name, float64 (riders,), NaN = not measured, as far as the riders' own reports and
    policies say it; and the phone of each one's last report (a code of the telemetry table).

    A policy counts as not bought in an alert's window: an outage has no public alert, and the claims that follow are
    looked at for theirs. Of who holds none it is not known.
    """
    at_ms = questions.at_ms[riders.question]
    window = Window.of(telemetry, riders.worker, at_ms - terms.before_ms, at_ms - terms.silent_ms, received_by_ms=at_ms)
    # Habits end where a query's window starts: WINDOW_MS before the moment that it is about.
    about_ms = at_ms - terms.before_ms + WINDOW_MS
    queries = Queries.of(
        questions.resolution,
        riders.worker,
        questions.zone[riders.question],
        about_ms,
        decided_at_ms=np.maximum(at_ms, about_ms),
    )
    holding = _of_policies(telemetry, questions, riders, lambda worker, at: bool(holders.in_force(worker, at)))
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
    telemetry: TelemetryTable, questions: Questions, riders: Workers, holds: Callable[[str, int], bool]
) -> Bools:
    """What holds of each rider (worker_id) at the moment asked about (ms); asked once of each pair."""
    workers, moments_ms = riders.worker.tolist(), questions.at_ms[riders.question].tolist()
    pairs = set(zip(workers, moments_ms, strict=True))
    known = {pair: holds(telemetry.workers[pair[0]], pair[1]) for pair in pairs}
    return np.array([known[pair] for pair in zip(workers, moments_ms, strict=True)], dtype=np.bool_)


def trust_score(product: Product, terms: SilentQuorum) -> FormulaScore | WeightedScore:
    """The product's score that is a rider's trust. Raises ProductError for one that is no formula: a model scores
    claims, and these riders claim nothing yet."""
    score = product.decision.scores.get(terms.trust)
    if not isinstance(score, FormulaScore | WeightedScore):
        raise ProductError(f"{product.name}: the trust of a silent quorum, {terms.trust!r}, must be a formula")
    return score


@dataclass(frozen=True, eq=False)
class Trust:
    """One element per rider: `micro` is the trust in millionths, -1 where nothing of it was measured; `counts` whether
    the rider may count toward the quorum, if that suffices."""

    micro: Ints
    counts: Bools

    def take(self, which: Ints) -> Trust:
        """Of some of them."""
        return Trust(self.micro[which], self.counts[which])

    @staticmethod
    def unknown(riders: int) -> Trust:
        """Of riders of whom nothing is known."""
        return Trust(np.full(riders, -1, dtype=np.int64), np.zeros(riders, dtype=np.bool_))


def rider_trust(
    terms: SilentQuorum, score: FormulaScore | WeightedScore, inputs: Mapping[str, Floats], insured: Bools
) -> Trust:
    """The trust of each rider. Inputs that the score names and that are not there count as not measured; who is not
    `insured`, or of whose score too little was measured, does not count."""
    count = len(insured)
    names = score.formula.names if isinstance(score, FormulaScore) else {n for p in score.parts for n in p.value.names}
    columns = {name: inputs.get(name, np.full(count, np.nan)) for name in sorted(names)}
    trust, share = score_columns(score, columns), measured_share(score, columns)
    known = ~np.isnan(trust) & (share > 0)
    micro = np.where(known, np.rint(np.where(known, trust, 0.0) * MICRO), -1).astype(np.int64)
    return Trust(micro, known & insured & (share >= terms.min_measured))


def insured_long_enough(
    terms: SilentQuorum, telemetry: TelemetryTable, questions: Questions, riders: Workers, holders: PolicyHolders
) -> Bools:
    """Whether each rider holds a policy of the product that has been in force without a gap for as long as is asked."""
    queried_ms = terms.insured_for_ms
    if queried_ms is None:
        return np.ones(len(riders.worker), dtype=np.bool_)
    return _of_policies(
        telemetry,
        questions,
        riders,
        lambda worker, at_ms: any(
            at_ms - state.in_force_since_ms >= queried_ms for state in holders.in_force(worker, at_ms)
        ),
    )


def quorum_tallies(
    terms: SilentQuorum, telemetry: TelemetryTable, questions: Questions, riders: Workers, trust: Trust
) -> Ints:
    """int64 (questions, TALLIES): what these riders add to each question; tallies of all riders' parts add up.

    `trust` is of the riders of the platform who fell silent (`riders.mine & riders.silent`), in order.
    """
    tallies = np.zeros((len(questions), len(TALLIES)), dtype=np.int64)

    def add(name: str, question: Ints, values: Ints | None = None) -> None:
        np.add.at(tallies[:, TALLIES.index(name)], question, 1 if values is None else values)

    on_trip = telemetry.app_state[riders.row] == ON_TRIP
    add("worked", riders.question[riders.mine])
    add("worked_on_trip", riders.question[riders.mine & on_trip])
    add("others_worked", riders.question[~riders.mine])
    add("others_silent", riders.question[~riders.mine & riders.silent])
    gone = riders.take(riders.mine & riders.silent)
    question = gone.question
    tallies += trust_tallies(terms, len(questions), question, trust)
    add("silent", question)
    add("silent_offline", question[gone.offline])
    add("silent_on_trip", riders.question[riders.mine & riders.silent & on_trip])
    quiet_s = (questions.at_ms[question] - terms.silent_ms - telemetry.event_time_ms[gone.row]) // 1000
    add("quiet_s", question, quiet_s)
    add("quiet_s2", question, quiet_s * quiet_s)
    battery = telemetry.battery_pct[gone.row]
    known = ~np.isnan(battery)
    add("battery_cpct", question[known], np.rint(battery[known] * 100).astype(np.int64))
    add("battery_riders", question[known])
    return tallies


def trust_tallies(terms: SilentQuorum, questions: int, question: Ints, trust: Trust) -> Ints:
    """The part of the tallies that is about trust, int64 (questions, TALLIES), from the question and the trust of each
    silent rider of the platform."""
    tallies = np.zeros((questions, len(TALLIES)), dtype=np.int64)
    micro = trust.micro
    known, counts = micro >= 0, trust.counts & (micro >= round(terms.min_trust * MICRO))
    np.add.at(tallies[:, TALLIES.index("weight_micro")], question[counts], micro[counts])
    np.add.at(tallies[:, TALLIES.index("trusted")], question[counts], 1)
    np.add.at(tallies[:, TALLIES.index("trust_micro")], question[known], micro[known])
    np.add.at(tallies[:, TALLIES.index("trust_riders")], question[known], 1)
    return tallies


def quorum_weight(tallies: Ints) -> Floats:
    """The sum of the trust scores that count, float64 (questions,), from the tallies of all riders."""
    return tallies[:, TALLIES.index("weight_micro")] / MICRO
