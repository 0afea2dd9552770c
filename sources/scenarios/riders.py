"""Riders of a scenario: one row each, drawn once per (storm, counts, seed), and their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.scenarios.conditions import CODES, CONDITIONS, HONEST, KINDS, QUORUM_WITHOUT_POLICY
from monsoon.sources.scenarios.motion import ROAM_M
from monsoon.sources.scenarios.streets import PLACE_APS, Streets, junction
from monsoon.sources.simulator.identifiers import keyed_hashes
from monsoon.sources.simulator.population import LABEL_COLUMNS, rng_of
from monsoon.sources.simulator.storm import HOUR_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.weather import first_alert_ms

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

RANDOM_PATH = 1_000
"""First number of the names of this generator's random streams, apart from the simulator's."""
TIERS = ("entry", "mid", "flagship")
SENSORS = ("accelerometer", "barometer", "agc", "signal")
HAS_SENSOR = {
    "accelerometer": (0.98, 1.0, 1.0),
    "barometer": (0.05, 0.35, 0.95),
    "agc": (0.2, 0.7, 0.95),
    "signal": (0.85, 1.0, 1.0),
}
"""Share of phones that have the sensor, by tier."""
CAN_LACK = ("accelerometer", "battery", "cell", "clock", "signal", "wifi")
"""What one_sensor_missing lacks, in turn."""
SHARES_ACTIVITY = 0.97
DEPOTS_PER_DISTRICT = 3
AFTER_THE_STORM_MS = 90 * MINUTE_MS
"""How long riders go on reporting after the storm file's end, so that who is asked then can be read again."""
WHERE_IT_IS_DRY = ("way_7_quorum", "way_10_invented_providers", "way_12_foreign_event_ids")
WHOLE_CITY_KM = 20.0
"""Places of so large a radius are no station."""
LARGEST_WITH_PAST = 10
"""Of larger groups of attackers nobody has worked before."""
QUORUM_PLATFORM = "dunzo"
"""Of way 7: nobody else is on it."""
CROWD = "downdetector"
"""Reports outages; what it says of QUORUM_PLATFORM, way 7 has put there."""
INVENTED = ("imd-regional-office", "city-weather-service")
"""Providers of way 10."""


@dataclass(frozen=True)
class Riders:
    """Columns over riders, all of one length. `condition` indexes CONDITIONS; `group` numbers the groups of all.

    `base`: around where a rider works, or claims to. `place`: the code of the access point and network of the home, or
    of what a group shares. `member`: the place within its group. An attacker's reports are false in [attack_ms,
    stop_ms).
    """

    rider: Codes
    kind: NDArray[np.int8]
    condition: Codes
    group: Codes
    member: Codes
    tier: Codes
    has_accelerometer: Flags
    has_barometer: Flags
    has_agc: Flags
    has_signal: Flags
    lacks: Codes
    shares_activity: Flags
    district: Codes
    base_u: Floats
    base_v: Floats
    roam_m: Floats
    home_u: Floats
    home_v: Floats
    place: Codes
    network: Codes
    carrier: Codes
    platform: Codes
    device: Codes
    account: Codes
    bought_with: Codes
    has_history: Flags
    clock_off_ms: Codes
    start_ms: Codes
    attack_ms: Codes
    stop_ms: Codes
    end_ms: Codes

    def __len__(self) -> int:
        return len(self.rider)

    def part(self, rows: slice | Codes) -> Riders:
        """The riders of a slice, or at these places."""
        return Riders(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def of(self, name: str) -> Flags:
        """Who is of that condition."""
        return np.asarray(self.condition == CODES[name])

    def has(self, attribute: str) -> NDArray[Any]:
        """That attribute of each rider's condition."""
        return np.array([getattr(condition, attribute) for condition in CONDITIONS])[self.condition]

    def worker_ids(self, seed: int) -> NDArray[np.str_]:
        return keyed_hashes("r", seed, self.rider)


def platforms_of(storm: Storm) -> tuple[str, ...]:
    """Names of the riders' platforms; `Riders.platform` indexes them."""
    return (*storm.platforms, QUORUM_PLATFORM)


def alert_of(storm: Storm) -> int:
    """When word of the storm got round, ms since the epoch; two hours after the riders' start where nobody said."""
    return first_alert_ms(storm) or storm.time_ms(storm.modeled.riders.start) + 2 * HOUR_MS


def build_riders(storm: Storm, streets: Streets, counts: Mapping[str, int], seed: int) -> Riders:
    """Riders in the numbers of `counts` (by name of a condition), in the order of CONDITIONS."""
    unknown = sorted(set(counts) - set(CODES))
    if unknown:
        raise ValueError(f"no condition {unknown[0]!r}; there are: {', '.join(CODES)}")
    rng = rng_of(seed, RANDOM_PATH)
    condition = np.repeat(np.arange(len(CONDITIONS)), [counts.get(name, 0) for name in CODES])
    n = len(condition)
    if n < 1:
        raise ValueError("no riders; at least 1")
    rider = np.arange(n)
    first = np.searchsorted(condition, condition)
    size = np.array([each.size for each in CONDITIONS])[condition]
    member = (rider - first) % size
    head = rider - member
    kind = np.array([KINDS.index(each.kind) for each in CONDITIONS])[condition]
    bad = kind > 0
    # Tiers in turn within a condition, so that each is in every one.
    tier = (rider - first) % len(TIERS)
    tier = np.where(size > 1, (rider + head) % len(TIERS), tier)
    attribute = {
        name: np.array([getattr(each, name) for each in CONDITIONS])[condition]
        for name in (
            "at_home",
            "one_phone_for",
            "one_account_for",
            "one_place",
            "one_network",
            "radio",
            "replayed",
            "gives_up",
            "evidence",
        )
    }
    # Of what a group shares its first member has one, and the others that one or their own.
    shares = {
        name: rng.random(n) < attribute["evidence"] for name in ("phone", "account", "place", "network", "minute")
    }
    on_phone, on_account = (
        head + member // attribute[name] * attribute[name] for name in ("one_phone_for", "one_account_for")
    )
    device = np.where(shares["phone"], on_phone, rider)
    tier = tier[device]
    columns: dict[str, Any] = {
        "rider": rider,
        "kind": kind.astype(np.int8),
        "condition": condition,
        "group": np.where(size > 1, head, -1),
        "member": member,
        "tier": tier,
        **{f"has_{name}": rng.random(n)[device] < np.array(HAS_SENSOR[name])[tier] for name in SENSORS},
        "lacks": np.where(condition == CODES["one_sensor_missing"], (rider - first) // len(TIERS) % len(CAN_LACK), -1),
        "shares_activity": bad | (rng.random(n) < SHARES_ACTIVITY),
        "carrier": rng.integers(0, len(streets.carriers), n),
        "platform": _platforms(rng, storm, condition, head),
        "device": device,
        "account": np.where(shares["account"], on_account, rider),
        "bought_with": np.where(shares["minute"], head, rider),
        "network": np.where(attribute["one_network"] & shares["network"], head, rider),
    }
    columns |= _places(rng, storm, streets, columns, attribute, np.where(shares["place"], head, rider), head)
    columns["clock_off_ms"] = np.where(
        condition == CODES["clock_off"], rng.choice((-1, 1), n) * rng.integers(2, 10, n) * MINUTE_MS, 0
    )
    # A ring's accounts are made for it; of others who attack, half are riders who stay at home that day.
    has_past = attribute["radio"] | attribute["replayed"] | ~attribute["at_home"] | (rng.random(n) < 0.5)
    has_past |= condition == CODES["way_11_history_in_one_evening"]
    columns["has_history"] = ~bad | (has_past & ~attribute["one_place"] & (size <= LARGEST_WITH_PAST))
    columns |= _times(rng, storm, bad, condition == CODES["ordinary"], attribute["gives_up"])
    # The orders of way 9 are to be counted from the beginning.
    columns["start_ms"][condition == CODES["way_9_tiny_deviation"]] = storm.time_ms(storm.modeled.riders.start)
    return Riders(**columns)


def _platforms(rng: np.random.Generator, storm: Storm, condition: Codes, head: Codes) -> Codes:
    """By the storm's weights; a ring's accounts are of one platform."""
    names, weight = platforms_of(storm), np.array(list(storm.modeled.riders.platforms.values()))
    shares = weight / weight.sum() if len(weight) else None
    found = rng.choice(len(storm.platforms), len(condition), p=shares)
    together = np.array([each.purchase.startswith("ring") for each in CONDITIONS])[condition]
    found = np.where(together, found[head], found)
    found[condition == CODES["way_9_tiny_deviation"]] = 0
    found[condition == CODES["way_7_quorum"]] = names.index(QUORUM_PLATFORM)
    return np.asarray(found)


def _places(
    rng: np.random.Generator,
    storm: Storm,
    streets: Streets,
    columns: Mapping[str, Any],
    attribute: Mapping[str, Any],
    lives_with: Codes,
    head: Codes,
) -> dict[str, Any]:
    """District, base, home and access point of each rider."""
    n, condition, bad = len(head), columns["condition"], columns["kind"] > 0
    districts = storm.modeled.riders.districts
    weight = np.array([each.weight for each in districts])
    struck = np.array([each.struck for each in districts])
    district = rng.choice(len(weight), n, p=weight / weight.sum())
    remotest = _remotest(storm, streets)
    # Attackers claim to be in a struck district, but for those who bring their own disruption, or want none.
    wet = rng.choice(np.flatnonzero(struck), n, p=weight[struck] / weight[struck].sum())
    stays_dry = np.isin(condition, [CODES[name] for name in WHERE_IT_IS_DRY])
    district = np.where(stays_dry, remotest, np.where(bad | attribute["at_home"], wet, district))
    district = np.where(attribute["one_place"], district[head], district)
    base_u, base_v = _around(rng, streets, district, 0.8)
    depot = np.flatnonzero(condition == CODES["squad"])
    base_u[depot], base_v[depot] = junction(base_u[head[depot]]), junction(base_v[head[depot]])
    for name in ("way_7_quorum", "way_9_tiny_deviation"):  # in one zone
        together = np.flatnonzero(condition == CODES[name])
        base_u[together], base_v[together] = base_u[head[together]], base_v[head[together]]
        district[together] = district[head[together]]
    roam_m = rng.uniform(*ROAM_M, n)
    border = np.flatnonzero(condition == CODES["zone_border"])
    base_u[border], base_v[border] = _on_borders(streets, base_u[border], base_v[border])
    roam_m[border] = 150.0
    lives_in = np.where(bad & attribute["at_home"], remotest, district)
    home_u, home_v = _around(rng, streets, lives_in, 1.0)
    stays = np.flatnonzero(condition == CODES["way_7_quorum"])
    home_u[stays], home_v[stays] = base_u[stays], base_v[stays]
    lives = np.where(attribute["one_place"] & (condition != CODES["squad"]), lives_with, np.arange(n))
    return {
        "district": district,
        "base_u": base_u,
        "base_v": base_v,
        "roam_m": roam_m,
        "home_u": home_u[lives],
        "home_v": home_v[lives],
        "place": PLACE_APS + np.where(attribute["one_place"], lives_with, np.arange(n)),
    }


def _remotest(storm: Storm, streets: Streets) -> int:
    """The district that is not struck and lies farthest from all stations: of several the first."""
    small = [storm.places[name] for feed in storm.modeled.feeds for name in feed.at]
    small = [place for place in small if place.radius_km < WHOLE_CITY_KM]
    lat, lon = np.array([place.lat for place in small]), np.array([place.lon for place in small])
    u, v = streets.from_degrees(lat, lon)
    beyond = np.hypot(u[:, None] - streets.district_u, v[:, None] - streets.district_v).min(axis=0, initial=np.inf)
    struck = np.array([each.struck for each in storm.modeled.riders.districts])
    return int(np.argmax(np.where(struck, -1.0, beyond)))


def _around(rng: np.random.Generator, streets: Streets, district: Codes, reach: float) -> tuple[Floats, Floats]:
    """Points spread evenly over `reach` of the districts' discs."""
    away = reach * streets.radius_m[district] * np.sqrt(rng.random(len(district)))
    angle = rng.uniform(0, 2 * np.pi, len(district))
    return streets.district_u[district] + away * np.cos(angle), streets.district_v[district] + away * np.sin(angle)


def _on_borders(streets: Streets, u: Floats, v: Floats) -> tuple[Floats, Floats]:
    """The first corner of each point's H3 cell, of resolutions 6 to 9 in turn."""
    lat, lon = streets.to_degrees(u, v)
    corners = [
        h3.cell_to_boundary(h3.latlng_to_cell(float(lat[i]), float(lon[i]), (9, 8, 7, 6)[i % 4]))[0]
        for i in range(len(u))
    ]
    places = np.array(corners, dtype=np.float64).reshape(-1, 2)
    return streets.from_degrees(places[:, 0], places[:, 1])


def _times(rng: np.random.Generator, storm: Storm, bad: Flags, may_idle: Flags, may_stop: Flags) -> dict[str, Any]:
    """Shifts in the storm's hours, and when attackers lie. Of those who may, some do not work that day, or give up."""
    n = len(bad)
    terms = storm.modeled.riders
    begin_ms, end_ms = storm.time_ms(terms.start), storm.time_ms(terms.end) + AFTER_THE_STORM_MS
    start = begin_ms + (rng.beta(0.7, 3.0, n) * 0.5 * (end_ms - begin_ms)).astype(np.int64)
    end = np.minimum(start + (rng.uniform(5, 10, n) * HOUR_MS).astype(np.int64), end_ms)
    idle = may_idle & (rng.random(n) >= terms.working_share)
    attack = alert_of(storm) - (rng.uniform(5, 70, n) * MINUTE_MS).astype(np.int64)
    start = np.where(bad, np.minimum(start, attack), start)
    end = np.where(bad, end_ms, np.where(idle, start, end))
    gives_up = may_stop & (rng.random(n) < 0.5)
    stop = np.where(gives_up, alert_of(storm) + (rng.uniform(40, 160, n) * MINUTE_MS).astype(np.int64), end)
    attack = np.where(bad, np.maximum(attack, start), end)
    return {"start_ms": start, "attack_ms": attack, "stop_ms": np.minimum(stop, end), "end_ms": end}


def without_policy(riders: Riders) -> Flags:
    """Who has no policy: those of way 7 who only make the quorum."""
    return np.asarray(riders.of("way_7_quorum") & (riders.member < QUORUM_WITHOUT_POLICY))


FALSE_SOURCES = {"way_7_quorum": (CROWD,), "way_10_invented_providers": INVENTED}
"""Providers whose readings are made up, by the condition of who makes them."""


def labels(riders: Riders, storm: Storm, streets: Streets, seed: int) -> pl.DataFrame:
    """The truth: one row per rider, in the columns of the simulator's labels.

    Who attacks by other means than a false place (a policy, a plan) rides about, and has no one true place.
    """
    titles = np.array([district.title for district in storm.modeled.riders.districts])
    honest = np.array(KINDS)[riders.kind] == HONEST
    in_ring = ~honest & (riders.group >= 0)
    roams = pl.Series(honest | ~riders.has("at_home"))
    lat, lon = streets.to_degrees(riders.home_u, riders.home_v)
    names = [CONDITIONS[code].name for code in riders.condition.tolist()]
    notes = np.where(riders.has_history, "history", "")
    notes = np.where(riders.lacks >= 0, np.char.add("lacks:", np.array(CAN_LACK)[riders.lacks]), notes)
    return pl.DataFrame(
        {
            "worker_id": riders.worker_ids(seed),
            "kind": np.array(KINDS)[riders.kind],
            "ring": [f"ring-{code:05d}" if ring else None for code, ring in zip(riders.group, in_ring, strict=True)],
            "device_tier": np.array(TIERS)[riders.tier],
            "district": titles[riders.district],
            "barometer": riders.has_barometer,
            "agc": riders.has_agc,
            "on_shift": (riders.end_ms > riders.start_ms) & (riders.has("reports") != "none"),
            "attack_ms": pl.Series(riders.attack_ms).set(pl.Series(honest), None),
            "true_lat": pl.Series(np.round(lat, 6)).set(roams, None),
            "true_lon": pl.Series(np.round(lon, 6)).set(roams, None),
            "false_sources": [" ".join(FALSE_SOURCES.get(name, ())) for name in names],
            "notes": notes,
            "condition": names,
        },
        schema_overrides={"ring": pl.String},
    ).select(LABEL_COLUMNS)
