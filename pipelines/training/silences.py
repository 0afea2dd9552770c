"""Silences of a zone's riders for training and evaluation: simulated reports, measured as a replay measures them.

Each silence is one question of a zone, platform and moment, with the riders of two platforms: so many that a quorum
may be reached, since the model is asked where it is.
What differs between real outages and the rest is how riders stop; all else (how many they are, how often phones
report, what batteries hold) is drawn alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from monsoon.sources.product_files import load_products
from monsoon.transforms.product import SilentQuorum
from monsoon.transforms.telemetry_conditions.outage import outage_features
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import MICRO, RiderTrust, active_riders, quorum_tallies
from monsoon.transforms.telemetry_table import OFFLINE, ON_TRIP, ONLINE, TelemetryTable

_MINUTE_MS = 60_000
_APART_MS = 7 * 24 * 3_600_000
"""Between the moments of silences simulated together, so that none hears of another's riders."""
_AT_ONCE = 250
"""Silences whose reports are in memory together."""

_SESSION_DROPS = 0.3
"""Share of outages in which the app tells most riders' phones, often all, that they are offline."""

REAL = "real outage"
FAKES = ("end of shift", "log-off together", "spoofers switch off", "everybody stops")
"""The shift's end comes for riders one by one; a crowd agrees to log off, between trips; made-up riders are switched
off among real ones who work on; rain or a dead network silences every platform."""


@dataclass(frozen=True)
class City:
    """How riders of a place work. `others` is the least and greatest ratio of other platforms' riders to the
    platform's own, `churn` the share of riders who stop within an hour on an ordinary day, `offline` how many of the
    silent say so in an outage."""

    name: str
    place: tuple[float, float]
    riders: tuple[int, int]
    others: tuple[float, float]
    churn: tuple[float, float]
    on_trip: tuple[float, float]
    offline: tuple[float, float]
    trust: tuple[float, float]
    report_every_s: tuple[int, int]


TRAINING_CITY = City(
    "Chennai", (13.05, 80.24), (50, 400), (0.2, 2.0), (0.02, 0.25), (0.25, 0.75), (0.0, 0.5), (0.60, 0.95), (15, 120)
)
EVALUATION_CITIES = (
    City("Delhi", (28.6, 77.2), (60, 600), (0.4, 3.0), (0.05, 0.30), (0.20, 0.65), (0.0, 0.4), (0.65, 0.95), (15, 60)),
    City(
        "Pune", (18.52, 73.85), (50, 120), (0.1, 1.0), (0.02, 0.20), (0.30, 0.80), (0.0, 0.6), (0.55, 0.90), (30, 300)
    ),
)


def silence_terms() -> SilentQuorum:
    """The terms under which silences are asked about: OffShift's."""
    telemetry_condition = load_products(["offshift"])["offshift"].trigger("outage").telemetry_condition
    assert isinstance(telemetry_condition, SilentQuorum)
    return telemetry_condition


def silences(city: City, kind: str, count: int, seed: int) -> Mapping[str, np.ndarray]:
    """Features (float64 (count,) by name) of `count` silences of a kind (REAL or one of FAKES).

    The same arguments give the same numbers, and the first ones do not depend on the count.
    """
    parts = []
    for first in range(0, count, _AT_ONCE):
        kinds = (REAL, *FAKES).index(kind)
        rng = np.random.default_rng((seed, kinds, first))
        parts.append(_features(city, kind, _AT_ONCE, rng))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def _features(city: City, kind: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    terms = silence_terms()
    at_ms = 1_700_000_000_000 + np.arange(count) * _APART_MS
    riders = _riders(city, kind, count, rng)
    telemetry, trust = _reported(city, riders, at_ms, terms, rng)
    zone = h3.latlng_to_cell(*city.place, 6)
    zone_queries = ZoneQueries(6, ("own",) * count, np.full(count, zone, dtype=np.uint64), at_ms.astype(np.int64))
    worked = active_riders(terms, telemetry, zone_queries, PolicyHolders(()))
    gone = worked.worker[worked.on_platform & worked.silent]
    names = np.array([int(name) for name in telemetry.workers])
    return outage_features(quorum_tallies(terms, telemetry, zone_queries, worked, trust.take(names[gone])))


def _riders(city: City, kind: str, count: int, rng: np.random.Generator) -> dict[str, Any]:
    """One element per rider: the silence that he belongs to, how long before its moment he stops (min; negative:
    not before), and how."""
    low, high = (float(np.log(riders)) for riders in city.riders)
    own = np.exp(rng.uniform(low, high, count)).astype(int)
    others = np.rint(own * rng.uniform(*city.others, count)).astype(int)
    silence = np.repeat(np.arange(count), own + others)
    n = len(silence)
    is_own = np.concatenate([np.repeat([True, False], pair) for pair in zip(own, others, strict=True)])

    def each(low: float, high: float) -> np.ndarray:
        """A number per silence, for all of its riders."""
        return rng.uniform(low, high, count)[silence]

    churn = each(*city.churn)
    stops = np.where(rng.random(n) < churn, rng.uniform(30, 90, n), -1.0)
    offline = np.where(stops > 0, rng.random(n) < 0.6, False)
    on_trip = rng.random(n) < each(*city.on_trip)
    on_trip &= stops < 0  # who stops of his own will does so between trips
    trust = np.clip(rng.normal(each(*city.trust), 0.12, n), 0.0, 1.0)
    onset, reach = each(31, 75), each(0.5, 0.98)
    hit = (rng.random(n) < reach) & (stops < onset)
    if kind == REAL:
        hit &= is_own
        stops = np.where(hit, onset - np.minimum(rng.exponential(each(0.2, 4.0), n), onset - 30.5), stops)
        says_so = np.where(each(0.0, 1.0) < _SESSION_DROPS, np.minimum(each(0.7, 1.1), 1.0), each(*city.offline))
        offline = np.where(hit, rng.random(n) < says_so, offline)
        on_trip = np.where(hit, rng.random(n) < each(*city.on_trip), on_trip)
    elif kind == "end of shift":
        hit = rng.random(n) < each(0.3, 0.8)
        stops = np.where(hit, rng.uniform(30.5, 88, n), stops)
        offline = np.where(hit, rng.random(n) < each(0.4, 0.95), offline)
        on_trip &= ~hit
    elif kind == "log-off together":
        hit &= is_own
        stops = np.where(hit, onset - np.minimum(rng.exponential(each(1.0, 6.0), n), onset - 30.5), stops)
        offline = np.where(hit, rng.random(n) < each(0.6, 1.0), offline)
        on_trip = np.where(hit, rng.random(n) < 0.05, on_trip)
    elif kind == "spoofers switch off":
        hit = is_own & (rng.random(n) < each(0.3, 0.9))
        stops = np.where(hit, onset - np.minimum(rng.exponential(0.5, n), onset - 30.5), stops)
        offline &= ~hit
        on_trip = np.where(hit, rng.random(n) < each(0.0, 0.6), on_trip)
        trust = np.where(hit, np.clip(rng.normal(each(0.05, 0.45), 0.08, n), 0.0, 1.0), trust)
    else:
        stops = np.where(hit, onset - np.minimum(rng.exponential(each(1.0, 10.0), n), onset - 30.5), stops)
        offline = np.where(hit, rng.random(n) < each(0.0, 0.4), offline)
    return {
        "silence": silence,
        "own": is_own,
        "stops_min": stops,
        "offline": offline,
        "on_trip": on_trip,
        "trust": trust,
        "battery": np.clip(rng.normal(each(35, 70), 18, n), 1, 100),
        "battery_known": rng.random(n) < 0.9,
    }


def _reported(
    city: City, riders: Mapping[str, Any], at_ms: np.ndarray, terms: SilentQuorum, rng: np.random.Generator
) -> tuple[TelemetryTable, RiderTrust]:
    """The reports that matter, as a trail, and each rider's trust."""
    n = len(riders["silence"])
    now_ms = at_ms[riders["silence"]]
    every_s = rng.uniform(*city.report_every_s, int(at_ms.shape[0]))[riders["silence"]]
    gap_ms = (rng.random(n) * every_s * 1000).astype(np.int64)
    stopped = riders["stops_min"] > 0
    # Somewhere in the hour of work; the last report before he stopped, or before the silence is asked about; since.
    early_ms = now_ms - rng.integers(terms.silent_ms + 40 * _MINUTE_MS, terms.before_ms, n)
    end_ms = np.where(stopped, now_ms - (riders["stops_min"] * _MINUTE_MS).astype(np.int64), now_ms - terms.silent_ms)
    last_ms = end_ms - gap_ms
    since_ms = now_ms - rng.integers(0, terms.silent_ms, n)
    early = early_ms < last_ms
    since = ~stopped | riders["offline"]
    working = np.where(riders["on_trip"], ON_TRIP, ONLINE)
    blocks = (
        (early, early_ms, np.full(n, ONLINE)),
        (np.ones(n, dtype=np.bool_), last_ms, working),
        (since, since_ms, np.where(stopped, OFFLINE, working)),
    )
    which = np.concatenate([np.flatnonzero(mask) for mask, _, _ in blocks])
    time_ms = np.concatenate([times[mask] for mask, times, _ in blocks])
    state = np.concatenate([states[mask] for mask, _, states in blocks])
    battery = np.where(riders["battery_known"], riders["battery"], np.nan)[which]
    telemetry = _telemetry(city, which, time_ms, state, np.where(riders["own"], 1, 0)[which], battery, n)
    return telemetry, RiderTrust(np.rint(riders["trust"] * MICRO).astype(np.int64), np.ones(n, dtype=np.bool_))


def _telemetry(
    city: City,
    which: np.ndarray,
    time_ms: np.ndarray,
    state: np.ndarray,
    platform: np.ndarray,
    battery: np.ndarray,
    riders: int,
) -> TelemetryTable:
    order = np.lexsort((time_ms, which))
    count = len(which)
    nan, none32, none8 = np.full(count, np.nan), np.full(count, -1, dtype=np.int32), np.full(count, -1, dtype=np.int8)
    worker = which[order].astype(np.int32)
    width = len(str(riders))
    return TelemetryTable(
        workers=tuple(str(rider).zfill(width) for rider in range(riders)),
        devices=("phone",),
        cells=(),
        bssids=(),
        ip_prefixes=(),
        platforms=("others", "own"),
        worker_starts=np.searchsorted(worker, np.arange(riders + 1)).astype(np.int64),
        worker=worker,
        device=np.zeros(count, dtype=np.int32),
        event_time_ms=time_ms[order].astype(np.int64),
        received_time_ms=np.full(count, -1, dtype=np.int64),
        lat=np.full(count, city.place[0]),
        lon=np.full(count, city.place[1]),
        accuracy_m=nan,
        speed_mps=nan,
        accel_var=nan,
        pressure_hpa=nan,
        cn0_dbhz=nan,
        agc_db=nan,
        battery_pct=battery[order],
        mock=none8,
        mock_setting=none8,
        gnss_time_ms=nan,
        network_time_ms=nan,
        charging=none8,
        cell=none32,
        bssid_offsets=np.zeros(count + 1, dtype=np.int64),
        bssid_codes=np.empty(0, dtype=np.int32),
        ip_prefix=none32,
        platform=platform[order].astype(np.int32),
        app_state=state[order].astype(np.int8),
        orders_completed=np.full(count, -1, dtype=np.int64),
    )
