"""Silences of a zone's riders for training and evaluation: simulated storms, measured as a replay measures them.

Each silence is one question of a zone, platform and moment. Who works there, on which trip, with what battery, how
often phones report and lose reports, who stops anyway, how far each is to be trusted: all that is a simulated storm's,
by one of two generators. What silences them together is laid over it, so that real outages and the rest differ in how
riders stop and in nothing else; a storm's own outage or curfew is asked about as it is (`as_simulated`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from monsoon.feature_store.offline import OfflineStore
from monsoon.pipelines.training.claims import Generator, reference_tables, simulated_telemetry, simulation
from monsoon.pipelines.training.stored_features import stored_riders
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import Storm, load_storm
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.guard.signals import RIDERS_ON_DEVICE
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.product import Product, SilentQuorum
from monsoon.transforms.telemetry_conditions.outage import outage_features
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import (
    MICRO,
    ActiveRiders,
    RiderTrust,
    active_riders,
    quorum_tallies,
    quorum_weight,
    rider_trust,
    trust_inputs,
    trust_score_terms,
)
from monsoon.transforms.telemetry_table import ONLINE, TelemetryTable, bisect_right

_MINUTE_MS = 60_000
RESOLUTION = 5
"""Of the zones: one coarser than OffShift's, since some hundred simulated riders are spread over a city."""
MIN_CROWD = 60
"""Riders who worked in a zone; of fewer nothing is asked."""
ATTACKERS = 0.05
"""Of the riders: as on an ordinary day."""
OWN, OTHERS = (50, 400), (0.1, 2.0)
"""Riders of the platform that is asked about, as many as the crowd has; others' riders to these."""
_SESSION_DROPS = 0.3
"""Share of outages in which the app tells most riders' phones, often all, that they are offline."""
_BETWEEN_TRIPS = 0.95
"""Of riders who stop of their own will, those who end the trip first."""

REAL = "real outage"
FAKES = ("night", "log-off together", "curfew", "festival", "storm", "spoofers switch off")
"""At night the shift's end comes for riders one by one; a crowd agrees to log off, between trips; a curfew ends work on
every platform within minutes, a festival's evening within an hour, each with riders who work on; in a storm every
platform falls silent at once, on trips and with a dead network; made-up riders are switched off among real ones."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """The riders who worked in one zone of a simulated storm before one moment: one element a rider of `row`, the last
    such report, `platform`, `silent` and `offline` since, as simulated, and `trust`, in millionths, -1 = not measured.

    `working` and `waiting` are the rows of all working reports, and of those between trips.
    """

    name: str
    storm: Storm
    telemetry: TelemetryTable
    working: Ints
    waiting: Ints
    zone: int
    at_ms: int
    worker: Ints
    row: Ints
    platform: Ints
    silent: Bools
    offline: Bools
    trust: Ints

    def __len__(self) -> int:
        return len(self.worker)

    @property
    def undisturbed(self) -> bool:
        """Whether nothing of the storm's own began to silence riders in the time that is asked about."""
        _, terms = silence_terms()
        begins_ms = [
            self.storm.time_ms(each.start) for each in self.storm.modeled.hindrances if each.offline or each.silent
        ]
        return not any(self.at_ms - terms.before_ms < begin_ms <= self.at_ms for begin_ms in begins_ms)


@dataclass(frozen=True, eq=False)
class Silences:
    """One element a silence: `columns`, the features, float64 by name; `crowd`, the place of whose it is."""

    columns: Mapping[str, Floats]
    crowd: Ints


@cache
def silence_terms() -> tuple[Product, SilentQuorum]:
    """The product and the terms under which silences are asked about: OffShift's."""
    product = load_products(["offshift"])["offshift"]
    terms = product.trigger("outage").telemetry_condition
    assert isinstance(terms, SilentQuorum)
    return product, terms


def crowds(generator: Generator, storm_name: str, riders: int, moments: int, seed: int) -> list[Crowd]:
    """The crowds of a storm with `riders` simulated riders at `moments` moments, drawn from where all that is asked
    about has happened. The same arguments give the same crowds."""
    storm = load_storm(storm_name)
    product, terms = silence_terms()
    scenario = simulation(storm, riders, seed, attackers=ATTACKERS, generator=generator)
    telemetry = simulated_telemetry(scenario, 0, scenario.blocks)
    rng = np.random.default_rng((seed, 0x73696C656E6365))
    shift = storm.modeled.riders
    first_ms, last_ms = storm.time_ms(shift.start) + terms.before_ms, storm.time_ms(shift.end)
    moments_ms = np.sort(rng.integers(first_ms, last_ms, moments))
    zones = np.unique(cells_of(telemetry.lat, telemetry.lon, RESOLUTION))
    keys = [(None, zone, at_ms) for at_ms in moments_ms.tolist() for zone in zones.tolist()]
    queries = ZoneQueries.of(RESOLUTION, keys)
    active = active_riders(terms, telemetry, queries, PolicyHolders(()))
    enough = np.bincount(active.query, minlength=len(queries)) >= MIN_CROWD
    active = active.take(enough[active.query])
    references = reference_tables(scenario).locate(telemetry)
    trust = _trust(product, terms, telemetry, queries, active, references).micro
    working = np.flatnonzero(telemetry.app_state >= ONLINE)
    waiting = np.flatnonzero(telemetry.app_state == ONLINE)
    found = []
    for query in np.flatnonzero(enough).tolist():
        _, zone, at_ms = keys[query]
        here = active.query == query
        row = active.row[here]
        found.append(
            Crowd(
                f"{storm_name} by {generator}",
                storm,
                telemetry,
                working,
                waiting,
                zone,
                at_ms,
                active.worker[here],
                row,
                telemetry.platform[row].astype(np.int64),
                active.silent[here],
                active.offline[here],
                trust[here],
            )
        )
    return found


def _trust(
    product: Product,
    terms: SilentQuorum,
    telemetry: TelemetryTable,
    queries: ZoneQueries,
    riders: ActiveRiders,
    references: References,
) -> RiderTrust:
    """As the evaluator of telemetry conditions measures it, of riders whose policies are not known."""
    panes = panes_of(telemetry)
    habits = ShiftHistory.of(panes, PaneCells.of(panes, RESOLUTION), RESOLUTION)
    inputs, phone = trust_inputs(terms, telemetry, queries, riders, references, habits, PolicyHolders(()))
    with TemporaryDirectory() as folder:
        riders_on = stored_riders(OfflineStore(Path(folder)), telemetry, panes)
        inputs[RIDERS_ON_DEVICE] = riders_on(phone, queries.at_ms[riders.query])[0]
    insured = np.ones(len(riders.worker), dtype=np.bool_)
    return rider_trust(terms, trust_score_terms(product, terms), inputs, insured)


def silences(among: Sequence[Crowd], kind: str, count: int, seed: int) -> Silences:
    """`count` silences of a kind (REAL or one of FAKES), as many of each undisturbed crowd. The same arguments give the
    same numbers. Raises ValueError without such a crowd."""
    places = [place for place, crowd in enumerate(among) if crowd.undisturbed]
    if not places:
        raise ValueError("no crowd of riders to fall silent")
    shares = np.diff(np.linspace(0, count, len(places) + 1).astype(int)).tolist()
    parts = []
    for place, share in zip(places, shares, strict=True):
        rng = np.random.default_rng((seed, (REAL, *FAKES).index(kind), place))
        parts.append(outage_features(_tallies(among[place], kind, share, rng)))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Silences(columns, np.repeat(places, shares))


@dataclass(frozen=True)
class AsSimulated:
    """What a storm's own hindrances do to a platform's riders of one crowd: its place, whether it is an outage of
    theirs that lasts, and the features, one element each."""

    crowd: int
    real: bool
    columns: Mapping[str, Floats]


def as_simulated(among: Sequence[Crowd]) -> Iterator[AsSimulated]:
    """Of each crowd the platforms whose silent riders come to a quorum, with nothing laid over."""
    _, terms = silence_terms()
    for place, crowd in enumerate(among):
        for code, platform in enumerate(crowd.telemetry.platforms):
            own = crowd.platform == code
            one = np.zeros(len(crowd), dtype=np.int64)
            riders = ActiveRiders(one, crowd.worker, crowd.row, own, crowd.silent, crowd.silent & crowd.offline)
            tallies = _counted(crowd, riders, crowd.trust, 1)
            if quorum_weight(tallies)[0] >= terms.reach:
                real = any(
                    hindrance.platform == platform
                    and hindrance.riders != "attackers"
                    and crowd.storm.time_ms(hindrance.start) <= crowd.at_ms - terms.silent_ms
                    and crowd.at_ms <= crowd.storm.time_ms(hindrance.end)
                    for hindrance in crowd.storm.modeled.hindrances
                )
                yield AsSimulated(place, real, outage_features(tallies))


def _tallies(crowd: Crowd, kind: str, count: int, rng: np.random.Generator) -> Ints:
    """Of `count` silences of a kind laid over the crowd."""
    _, terms = silence_terms()
    silence, rider, own = _drawn(crowd, count, rng)
    n = len(rider)

    def each(low: float, high: float) -> Floats:
        """A number per silence, for all of its riders."""
        return rng.uniform(low, high, count)[silence]

    def together(low_min: float, high_min: float) -> Floats:
        """When riders stop, in min before the silence is asked about, each with a delay of such a mean after an onset
        of all."""
        onset = each(31, 75)
        return onset - np.minimum(rng.exponential(each(low_min, high_min), n), onset - 30.5)

    trust, reach = crowd.trust[rider], rng.random(n) < each(0.5, 0.98)
    if kind == REAL:
        hit, stops, willing = reach & own, together(0.2, 4.0), 0.0
        says = np.where(each(0.0, 1.0) < _SESSION_DROPS, np.minimum(each(0.7, 1.1), 1.0), each(0.0, 0.5))
    elif kind == "night":
        hit, stops, willing = rng.random(n) < each(0.3, 0.8), rng.uniform(30.5, 88, n), _BETWEEN_TRIPS
        says = each(0.4, 0.95)
    elif kind == "log-off together":
        hit, stops, willing, says = reach & own, together(1.0, 6.0), _BETWEEN_TRIPS, each(0.6, 1.0)
    elif kind == "curfew":
        hit, stops, willing, says = reach, together(3.0, 12.0), _BETWEEN_TRIPS, each(0.2, 0.9)
    elif kind == "festival":
        hit, willing, says = rng.random(n) < each(0.4, 0.9), _BETWEEN_TRIPS, each(0.5, 1.0)
        stops = together(10.0, 25.0)
    elif kind == "storm":
        hit, stops, willing, says = reach, together(1.0, 10.0), 0.3, each(0.0, 0.4)
    else:
        hit, stops, willing, says = own & (rng.random(n) < each(0.3, 0.9)), together(0.5, 0.5), 0.5, each(0.0, 0.1)
        made_up = np.clip(rng.normal(each(0.05, 0.45), 0.08, n), 0.0, 1.0)
        trust = np.where(hit, np.rint(made_up * MICRO).astype(np.int64), trust)
    row = _last_report(crowd, rider, stops, rng.random(n) < willing)
    there = crowd.telemetry.event_time_ms[row] > crowd.at_ms - terms.before_ms
    row = np.where(hit, row, crowd.row[rider])
    silent = hit | crowd.silent[rider]
    offline = np.where(hit, rng.random(n) < says, crowd.offline[rider])
    # Whose last report before he stopped is too old, has not worked there.
    worked = there | ~hit
    riders = ActiveRiders(silence, crowd.worker[rider], row, own, silent, silent & offline)
    return _counted(crowd, riders.take(worked), trust[worked], count)


def _drawn(crowd: Crowd, count: int, rng: np.random.Generator) -> tuple[Ints, Ints, Bools]:
    """Of `count` silences the riders: the silence, the rider's place in the crowd, and whether he is of the platform
    asked about. Which platform a simulated rider is of says nothing about him but in the storm's own outage."""
    n = len(crowd)
    low, high = min(OWN[0], n // 2), min(OWN[1], n * 4 // 5)
    own = np.exp(rng.uniform(np.log(low), np.log(high), count)).astype(int)
    others = np.minimum(np.rint(own * rng.uniform(*OTHERS, count)).astype(int), n - own)
    rank = np.argsort(rng.random((count, n)), axis=1).argsort(axis=1)
    silence, rider = np.nonzero(rank < (own + others)[:, None])
    return silence, rider, rank[silence, rider] < own[silence]


def _last_report(crowd: Crowd, rider: Ints, stops_min: Floats, between_trips: Bools) -> Ints:
    """The row of each rider's last working report before he stops, of who stops between trips the last one there, if
    there is any; the rider's last one of all before the silence where there is none."""
    telemetry, worker = crowd.telemetry, crowd.worker[rider]
    end_ms = crowd.at_ms - (stops_min * _MINUTE_MS).astype(np.int64)
    found = crowd.row[rider]
    for rows, wanted in ((crowd.working, np.ones(len(rider), dtype=np.bool_)), (crowd.waiting, between_trips)):
        starts = np.searchsorted(telemetry.worker[rows], np.arange(len(telemetry.workers) + 1)).astype(np.int64)
        first, stop = starts[worker], starts[worker + 1]
        at = bisect_right(telemetry.event_time_ms[rows], first, stop, end_ms) - 1
        known = wanted & (at >= first)
        found = np.where(known, rows[np.maximum(at, 0)], found)
    return found


def _counted(crowd: Crowd, riders: ActiveRiders, trust: Ints, count: int) -> Ints:
    """The tallies of `count` silences from their riders, each with the trust that he would have."""
    _, terms = silence_terms()
    queries = ZoneQueries.of(RESOLUTION, [("own", crowd.zone, crowd.at_ms)] * count)
    micro = trust[riders.on_platform & riders.silent]
    insured = np.ones(len(micro), dtype=np.bool_)
    return quorum_tallies(terms, crowd.telemetry, queries, riders, RiderTrust(micro, insured))
