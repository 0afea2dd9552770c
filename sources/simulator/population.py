"""Who rides and who attacks: one row per rider, drawn once per (storm, riders, seed)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.city import DEPOTS_PER_DISTRICT, HOME_APS, City
from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.storm import HOUR_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.terms import Syndicate
from monsoon.sources.simulator.weather import first_alert_ms

KINDS = ("honest", "mock_app", "replayed_trace", "radio_spoof")
HONEST, MOCK_APP, REPLAYED_TRACE, RADIO_SPOOF = range(4)
TRACKS = ("ride", "static", "line", "wander")
RIDE, STATIC, LINE, WANDER = range(4)
MOCK_FLAGS = ("none", "mock_location", "mock_setting", "now_and_then")
NO_FLAG, FLAG_LOCATION, FLAG_SETTING, FLAG_NOW_AND_THEN = range(4)
TIERS = ("entry", "mid", "flagship")

TIER_SHARES = (0.45, 0.42, 0.13)
# Share of phones with a sensor, by tier. Modeled: barometers are rare below the flagships, and Android reports the
# gain control on some chips only.
HAS_BAROMETER = np.array([0.05, 0.35, 0.90])
HAS_AGC = np.array([0.20, 0.55, 0.85])
HAS_CN0 = np.array([0.85, 0.95, 0.99])
HAS_ACCELEROMETER = np.array([0.97, 0.995, 1.0])

SENSORS = ("has_barometer", "has_agc", "has_cn0", "has_accelerometer")

RING_SHARE = 0.6
"""Share of attackers that belong to a ring, if there are enough for one."""
RING_SIZE = (8, 30)


@dataclass(frozen=True)
class Population:
    """Columns over riders, all of one length. Codes index the tuples above, and the storm's; -1 is none.

    Positions in meters (`city`), times in ms. A rider reports in [shift_start_ms, shift_end_ms), but for
    [away_ms, attack_ms), in which an attacker's phone is set up; from attack_ms on its reports are false.
    Honest riders: attack_ms = away_ms = shift_end_ms.
    """

    rider: NDArray[np.int64]
    kind: NDArray[np.int8]
    track: NDArray[np.int8]
    flags: NDArray[np.int8]
    ring: NDArray[np.int32]
    syndicate: NDArray[np.int32]
    tier: NDArray[np.int8]
    has_barometer: NDArray[np.bool_]
    has_agc: NDArray[np.bool_]
    has_cn0: NDArray[np.bool_]
    has_accelerometer: NDArray[np.bool_]
    shares_activity: NDArray[np.bool_]
    district: NDArray[np.int64]
    depot: NDArray[np.int64]
    home_x: NDArray[np.float64]
    home_y: NDArray[np.float64]
    home_ap: NDArray[np.int64]
    home_network: NDArray[np.int64]
    carrier: NDArray[np.int64]
    platform: NDArray[np.int64]
    device: NDArray[np.int64]
    account: NDArray[np.int64]
    shift_start_ms: NDArray[np.int64]
    away_ms: NDArray[np.int64]
    attack_ms: NDArray[np.int64]
    shift_end_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rider)

    def part(self, rows: slice) -> Population:
        """The riders of a slice."""
        return Population(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def worker_ids(self, seed: int) -> NDArray[np.str_]:
        return keyed_hashes("w", seed, self.rider)


def rng_of(seed: int, *path: int) -> np.random.Generator:
    """The stream of random numbers that `path` names, independent of every other path's."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=path)))


def build_population(storm: Storm, city: City, riders: int, seed: int, attackers: float) -> Population:
    """`riders` riders of whom the share `attackers` (rounded) attack, and with any, the storm's syndicates, too.

    Memory: some 150 bytes a rider.
    """
    rng = rng_of(seed, 0)
    terms = storm.modeled.riders
    start_ms, end_ms = storm.time_ms(terms.start), storm.time_ms(terms.end)
    n = riders

    kind = np.zeros(n, np.int8)
    sizes = _syndicate_sizes(storm, n) if attackers > 0 else []
    bad = np.sort(rng.permutation(n)[: round(attackers * n) + sum(sizes)])
    kind[bad] = rng.choice((MOCK_APP, REPLAYED_TRACE, RADIO_SPOOF), len(bad), p=(0.5, 0.3, 0.2))
    tier = rng.choice(3, n, p=TIER_SHARES).astype(np.int8)

    struck = np.array([district.struck for district in terms.districts])
    weight = np.array([district.weight for district in terms.districts])
    district = rng.choice(len(weight), n, p=weight / weight.sum())
    district[bad] = rng.choice(np.flatnonzero(struck), len(bad), p=_shares(weight[struck]))
    depot = district * DEPOTS_PER_DISTRICT + rng.integers(0, DEPOTS_PER_DISTRICT, n)
    home_x, home_y = _homes(rng, city, district)
    far = rng.choice(np.flatnonzero(~struck), len(bad), p=_shares(weight[~struck]))
    home_x[bad], home_y[bad] = _homes(rng, city, far)

    # Shifts of 4-9 h that begin from 3 h before the window on; who does not work has an empty one.
    shift_start = start_ms + (rng.uniform(-3 * HOUR_MS, end_ms - start_ms - 2 * HOUR_MS, n)).astype(np.int64)
    shift_end = np.minimum(shift_start + rng.uniform(4, 9, n) * HOUR_MS, end_ms).astype(np.int64)
    shift_start = np.maximum(shift_start, start_ms)
    idle = rng.random(n) >= terms.working_share
    shift_end[idle] = shift_start[idle]
    away, attack = shift_end.copy(), shift_end.copy()
    alert_ms = first_alert_ms(storm) or start_ms + 2 * HOUR_MS
    attack[bad] = alert_ms + (rng.uniform(-75, 30, len(bad)) * MINUTE_MS).astype(np.int64)
    away[bad] = attack[bad] - (rng.uniform(25, 60, len(bad)) * MINUTE_MS).astype(np.int64)
    shift_start[bad] = np.maximum(start_ms, away[bad] - (rng.uniform(0.5, 3, len(bad)) * HOUR_MS).astype(np.int64))
    away[bad] = np.maximum(away[bad], shift_start[bad])
    attack[bad] = np.maximum(attack[bad], away[bad])
    shift_end[bad] = np.minimum(end_ms, attack[bad] + (rng.uniform(3.5, 6, len(bad)) * HOUR_MS).astype(np.int64))

    weights = np.array(list(terms.platforms.values()))
    platforms = _shares(weights) if len(weights) else None
    draw = rng.random((4, n))
    columns: dict[str, Any] = {
        "rider": np.arange(n),
        "kind": kind,
        "track": np.full(n, RIDE, np.int8),
        "flags": np.where(rng.random(n) < 0.005, FLAG_NOW_AND_THEN, NO_FLAG).astype(np.int8),
        "ring": np.full(n, -1, np.int32),
        "syndicate": np.full(n, -1, np.int32),
        "tier": tier,
        "has_barometer": draw[0] < HAS_BAROMETER[tier],
        "has_agc": draw[1] < HAS_AGC[tier],
        "has_cn0": draw[2] < HAS_CN0[tier],
        "has_accelerometer": draw[3] < HAS_ACCELEROMETER[tier],
        "shares_activity": rng.random(n) < 0.96,
        "district": district,
        "depot": depot,
        "home_x": home_x,
        "home_y": home_y,
        "home_ap": HOME_APS + np.arange(n),
        "home_network": np.arange(n),
        "carrier": rng.choice(len(terms.carriers), n),
        "platform": rng.choice(len(storm.platforms), n, p=platforms),
        "device": np.arange(n),
        "account": np.arange(n),
        "shift_start_ms": shift_start,
        "away_ms": away,
        "attack_ms": attack,
        "shift_end_ms": shift_end,
    }
    _families(rng, columns)
    together = np.array_split(bad[: sum(sizes)], np.cumsum(sizes)[:-1]) if sizes else []
    _rings(rng, columns, bad[sum(sizes) :])
    for code, members in enumerate(together):
        if len(members):
            _syndicate(columns, members, code, terms.syndicates[code], storm)
    _methods(rng, columns, bad)
    return Population(**columns)


def _shares(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return weight / weight.sum()


def _homes(
    rng: np.random.Generator, city: City, district: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Homes spread evenly over each rider's district."""
    angle = rng.uniform(0, 2 * np.pi, len(district))
    away = city.district_radius_m[district] * np.sqrt(rng.random(len(district)))
    return city.district_x[district] + away * np.cos(angle), city.district_y[district] + away * np.sin(angle)


def _families(rng: np.random.Generator, columns: dict[str, Any]) -> None:
    """Honest neighbors in the list share a UPI handle (0.8%), a home, or one phone that they use in turn (0.4%)."""
    kind = columns["kind"]
    first = np.arange(0, len(kind) - 1, 2)
    first = first[(kind[first] == HONEST) & (kind[first + 1] == HONEST)]
    draw = rng.random(len(first))
    for name in ("account", "home_x", "home_y", "home_ap", "home_network"):
        brothers = first[draw < 0.008]
        columns[name][brothers + 1] = columns[name][brothers]
    one_phone = first[draw > 1 - 0.004]
    for name in ("device", "tier", *SENSORS, "home_ap"):
        columns[name][one_phone + 1] = columns[name][one_phone]
    # In turn: the second has the phone only after the first one's shift.
    taken_until = columns["shift_end_ms"][one_phone] + 10 * MINUTE_MS
    later = np.maximum(columns["shift_start_ms"][one_phone + 1], taken_until)
    columns["shift_start_ms"][one_phone + 1] = later
    for name in ("away_ms", "attack_ms", "shift_end_ms"):
        columns[name][one_phone + 1] = np.maximum(columns[name][one_phone + 1], later)


def _rings(rng: np.random.Generator, columns: dict[str, Any], bad: NDArray[np.int64]) -> None:
    """Puts attackers in rings of 8 to 30: a few homes, shared accounts and phones, one method, one target."""
    free = rng.permutation(bad)
    left = round(RING_SHARE * len(bad))
    ring = 0
    while left >= RING_SIZE[0]:
        size = min(int(rng.integers(RING_SIZE[0], RING_SIZE[1] + 1)), left)
        members, free = np.sort(free[:size]), free[size:]
        left -= size
        columns["ring"][members] = ring
        head = members[0]
        for name in ("district", "carrier"):
            columns[name][members] = columns[name][head]
        same_method = members[rng.random(size) < 0.7]
        columns["kind"][same_method] = columns["kind"][head]
        columns["depot"][members] = columns["district"][members] * DEPOTS_PER_DISTRICT + (
            columns["depot"][members] % DEPOTS_PER_DISTRICT
        )
        # A home holds up to ten of them; an account is paid for two to five, every third phone is used by two.
        home = members[np.arange(size) // 10 * 10]
        for name in ("home_x", "home_y", "home_ap", "home_network"):
            columns[name][members] = columns[name][home]
        columns["account"][members] = columns["account"][members[_groups(rng, size, 2, 5)]]
        second = np.flatnonzero(rng.random(size) < 0.3)
        second = second[second % 2 == 1]
        for name in ("device", "tier", *SENSORS):
            columns[name][members[second]] = columns[name][members[second - 1]]
        ring += 1


def _syndicate_sizes(storm: Storm, riders: int) -> list[int]:
    """Members of each syndicate: as the storm file states, in proportion where it has fewer riders than it is meant
    for."""
    terms = storm.modeled.riders
    return [round(syndicate.size * min(1.0, riders / terms.count)) for syndicate in terms.syndicates]


def _syndicate(columns: dict[str, Any], members: NDArray[np.int64], code: int, terms: Syndicate, storm: Storm) -> None:
    """Puts attackers in one group: its homes, accounts and phones in equal parts, one method, one target, one tower.

    Whoever shares a phone reports from it at the same times as the others: the app runs in copies.
    """
    columns["syndicate"][members] = code
    columns["ring"][members] = columns["ring"].max(initial=-1) + 1
    columns["kind"][members] = KINDS.index(terms.method)
    if terms.platform is not None:
        columns["platform"][members] = storm.platforms.index(terms.platform)
    place = np.arange(len(members))
    for name in ("district", "depot", "carrier"):
        columns[name][members] = columns[name][members[:1]]
    if terms.district is not None:
        district = [each.title for each in storm.modeled.riders.districts].index(terms.district)
        columns["district"][members] = district
        columns["depot"][members] = district * DEPOTS_PER_DISTRICT + columns["depot"][members] % DEPOTS_PER_DISTRICT
    for count, names in (
        (terms.homes, ("home_x", "home_y", "home_ap", "home_network")),
        (terms.accounts, ("account",)),
        (-(-len(members) // terms.riders_per_device), ("device", "tier", *SENSORS)),
    ):
        for name in names:
            columns[name][members] = columns[name][members[place % count]]


def _groups(rng: np.random.Generator, size: int, min_size: int, max_size: int) -> NDArray[np.int64]:
    """For each of `size` members the first member of its group of `min_size` to `max_size`."""
    first = np.zeros(size, np.int64)
    begin = 0
    while begin < size:
        end = begin + int(rng.integers(min_size, max_size + 1))
        first[begin:end] = begin
        begin = end
    return first


def _methods(rng: np.random.Generator, columns: dict[str, Any], bad: NDArray[np.int64]) -> None:
    """How each attacker moves the dot, and what the phone admits."""
    kind = columns["kind"]
    mock = bad[kind[bad] == MOCK_APP]
    columns["track"][mock] = rng.choice((STATIC, LINE, WANDER), len(mock), p=(0.4, 0.35, 0.25))
    columns["flags"][mock] = rng.choice((FLAG_LOCATION, FLAG_SETTING, NO_FLAG), len(mock))
    radio = bad[kind[bad] == RADIO_SPOOF]
    columns["track"][radio] = rng.choice((STATIC, LINE, RIDE), len(radio), p=(0.4, 0.3, 0.3))
    columns["flags"][bad[kind[bad] != MOCK_APP]] = NO_FLAG


def of_week_before(population: Population, weeks: int, seed: int) -> Population:
    """The same riders `weeks` weeks before: four in five of the honest who work now did then, at about this time.

    Attackers had no shift: an account that is made for a storm has no past.
    """
    p = population
    back_ms = weeks * 7 * 24 * HOUR_MS
    late_ms = (40 * MINUTE_MS * (unit_hash(seed, p.rider, 100 + weeks) - 0.5)).astype(np.int64)
    worked = (p.kind == HONEST) & (unit_hash(seed, p.rider, 120 + weeks) < 0.8)
    start = p.shift_start_ms - back_ms + late_ms
    end = np.where(worked, p.shift_end_ms - back_ms + late_ms, start)
    return replace(p, shift_start_ms=start, away_ms=end, attack_ms=end, shift_end_ms=end)


def blocks(population: Population, size: int) -> Iterator[tuple[int, Population]]:
    """The population in numbered blocks of `size` riders."""
    for number in range(-(-len(population) // size)):
        yield number, population.part(slice(number * size, (number + 1) * size))


LABEL_COLUMNS = (
    "worker_id",
    "kind",
    "ring",
    "device_tier",
    "district",
    "barometer",
    "agc",
    "on_shift",
    "attack_ms",
    "true_lat",
    "true_lon",
    "false_sources",
    "notes",
    "condition",
)
"""Of what `labels` makes, here and in `sources/scenarios/`; a simulation's have `losses.LOSS_COLUMNS` as well."""
_WITHOUT_PLACES = tuple(name for name in LABEL_COLUMNS if name not in ("true_lat", "true_lon", "false_sources"))
EARLIER_LABEL_COLUMNS = (LABEL_COLUMNS, _WITHOUT_PLACES, _WITHOUT_PLACES[:-1])
"""Of labels that earlier versions wrote: without losses, without true places, and without conditions."""


def labels(population: Population, storm: Storm, city: City, seed: int) -> pl.DataFrame:
    """The truth: one row per rider. `district` is the one that a rider works or claims to work in.

    Of attackers alone: `true_lat`, `true_lon`: where the phone lies all through the storm; `false_sources`: providers
    whose readings they made up, none here.
    """
    p = population
    honest = pl.Series(p.kind == HONEST)
    lat, lon = city.to_degrees(p.home_x, p.home_y)
    titles = np.array([district.title for district in storm.modeled.riders.districts])
    ring = [f"ring-{code + 1:03d}" if code >= 0 else None for code in p.ring.tolist()]
    count_by_device = np.bincount(p.device, minlength=len(p))
    count_by_account = np.bincount(p.account, minlength=len(p))
    notes = [
        " ".join(
            word
            for word, holds in (
                (f"track:{TRACKS[track]}", kind != HONEST),
                (f"flag:{MOCK_FLAGS[flag]}", flag != NO_FLAG or kind == MOCK_APP),
                ("shared_device", devices > 1),
                ("shared_account", accounts > 1),
                ("syndicate", syndicate >= 0),
            )
            if holds
        )
        for track, flag, kind, devices, accounts, syndicate in zip(
            p.track.tolist(),
            p.flags.tolist(),
            p.kind.tolist(),
            count_by_device[p.device].tolist(),
            count_by_account[p.account].tolist(),
            p.syndicate.tolist(),
            strict=True,
        )
    ]
    return pl.DataFrame(
        {
            "worker_id": p.worker_ids(seed),
            "kind": np.array(KINDS)[p.kind],
            "ring": ring,
            "device_tier": np.array(TIERS)[p.tier],
            "district": titles[p.district],
            "barometer": p.has_barometer,
            "agc": p.has_agc,
            "on_shift": p.shift_end_ms > p.shift_start_ms,
            "attack_ms": pl.Series(p.attack_ms).set(honest, None),
            "true_lat": pl.Series(np.round(lat, 6)).set(honest, None),
            "true_lon": pl.Series(np.round(lon, 6)).set(honest, None),
            "false_sources": [""] * len(p),
            "notes": notes,
            "condition": ["ordinary"] * len(p),
        },
        schema_overrides={"ring": pl.String},
    ).select(LABEL_COLUMNS)
