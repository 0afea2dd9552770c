"""A storm of claims, honest and in rings, as `fraud.md` describes both; drawn from causes, not from weights.

Honest riders: a phone and an account of their own, carrier NAT of some 400 riders a network, home Wi-Fi of their own,
depots (dark stores) of 8 to 300 riders with three access points and a network, small restaurants where a few wait in
the same minutes, towers that serve all who are near, policies bought in bursts after the alert. Some are odd: relatives
on one UPI handle or in one flat, a phone in turn or sold on, squads of 5 to 10 at one depot. Rings: 10 to 40 riders in
homes of up to ten, with one payout account for two to five, a phone for two in three of ten, and policies bought within
a few minutes of one another.
"""

from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.rings.limits import ACCESS_POINT, DEVICE, KINDS, NETWORK_PREFIX, SERVING_CELL
from monsoon.transforms.rings.resources import Claims

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_722_440_000_000 // HOUR_MS * HOUR_MS
CITY = [h3.latlng_to_cell(28.45 + 0.02 * row, 77.0 + 0.025 * column, 7) for row in range(12) for column in range(12)]


@dataclass
class Storm:
    """Claims and sightings (as of `stays`); `ring` of each rider, -1 for an honest one; `odd` riders by what is odd."""

    claims: Claims
    sightings: np.ndarray
    ring: np.ndarray
    odd: dict[str, np.ndarray]


class Draw:
    """Collects sightings."""

    def __init__(self, rng):
        self.rng = rng
        self.rows = []

    def see(self, rider, kind, resource, event_time_ms, cell=-1):
        columns = np.broadcast_arrays(rider, kind, resource, event_time_ms, cell)
        self.rows.append(np.stack([np.asarray(column, dtype=np.int64).ravel() for column in columns]))


def storm(seed, honest=7_500, rings=20, kept=1.0):
    """`kept`: the share of what each rider shows that is left, by rider and kind."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 41, rings)
    n = honest + int(sizes.sum())
    ring = np.concatenate([np.full(honest, -1), np.repeat(np.arange(rings), sizes)])
    device, account, squad = np.arange(n), np.arange(n), np.full(n, -1)
    home, lives = np.arange(n), np.arange(n)
    draw = Draw(rng)
    odd = _odd(rng, honest, account, device, home, draw)
    # After the alert half of the honest buy within two hours, the others over three weeks.
    burst = rng.random(n) < 0.5
    purchased = np.where(
        burst, NOW_MS - 4 * HOUR_MS + rng.exponential(40 * MINUTE_MS, n), NOW_MS - rng.uniform(1, 21, n) * DAY_MS
    ).astype(np.int64)
    place = rng.integers(0, len(CITY), n)
    working = ring < 0
    for number in range(rings):
        members = np.flatnonzero(ring == number)
        place[members] = place[members[0]]
        home[members] = members[np.arange(len(members)) // 10 * 10]
        account[members] = account[members[_groups(rng, len(members), 2, 5)]]
        second = np.flatnonzero(rng.random(len(members)) < 0.3)
        second = second[second % 2 == 1]
        device[members[second]] = device[members[second - 1]]
        began_ms = NOW_MS - int(rng.uniform(1, 72)) * HOUR_MS
        purchased[members] = began_ms + _minutes(rng, len(members)) * MINUTE_MS
    _phones(draw, n, device, odd)
    _networks(draw, n, home, working)
    _work(draw, n, place, working, squad, odd)
    _homes(draw, n, home, working, lives)
    sightings = np.concatenate(draw.rows, axis=1)
    shown = rng.random((n, len(KINDS))) < kept
    rider, kind = sightings[0], sightings[1]
    sightings = sightings[:, shown[rider, kind]]
    claims = Claims(
        claim_id=[f"c{rider:06}" for rider in range(n)],
        worker_id=[f"w{rider:06}" for rider in range(n)],
        rider=np.arange(n),
        confirmed_at_ms=np.full(n, NOW_MS),
        zone=np.array([CITY[index] for index in place], dtype=np.uint64),
        device=np.where(shown[:, DEVICE], device, -1),
        payout_account=np.where(shown[:, 1], account, -1),
        purchased_at_ms=np.where(shown[:, 3], purchased, -1),
        squad=squad,
    )
    return Storm(claims, sightings.T, ring, odd)


def _odd(rng, honest, account, device, home, draw):
    """Relatives on one UPI handle, flatmates, phones in turn, phones sold on, squads: disjoint honest riders."""
    order = rng.permutation(honest)
    counts = {"upi": 80, "flat": 60, "in_turn": 40, "sold": 40, "squads": 320}
    odd, at = {}, 0
    for name, count in counts.items():
        odd[name] = np.sort(order[at : at + count])
        at += count
    for name, column in (("upi", account), ("in_turn", device), ("sold", device)):
        column[odd[name][1::2]] = column[odd[name][::2]]
    home[odd["upi"][1::2]] = home[odd["upi"][::2]]
    flats = odd["flat"].reshape(-1, 3)
    home[flats] = flats[:, :1]
    return odd


def _groups(rng, size, least, most):
    """The place of the first of each one's group."""
    first, at = np.empty(size, dtype=np.int64), 0
    while at < size:
        step = int(rng.integers(least, most + 1))
        first[at : at + step] = at
        at += step
    return first


def _minutes(rng, size):
    """Minutes at which a chat group of so many buys: everyone soon after the call, some twenty in one minute."""
    return np.minimum(rng.geometric(0.5, size) - 1, 5)


def _phones(draw, n, device, odd):
    times = NOW_MS - draw.rng.integers(0, 20 * MINUTE_MS, n)
    draw.see(np.arange(n), DEVICE, device, times)
    sold = odd["sold"][::2]  # who sold the phone used it for some days, until a week or two ago
    ago = NOW_MS - (draw.rng.uniform(7, 20, len(sold)) * DAY_MS).astype(np.int64)
    draw.see(sold, DEVICE, device[sold], ago)
    draw.see(sold, DEVICE, n + sold, times[sold])


def _networks(draw, n, home, working):
    """Carrier NAT: three carriers, an address for some 400 riders, a new one every 4 h."""
    carriers = draw.rng.integers(0, 3, n)
    pool = max(n // 400, 1)
    for lease in range(6):
        network = 10**9 + (lease * 3 + carriers) * pool + draw.rng.integers(0, pool, n)
        at_ms = NOW_MS - lease * 4 * HOUR_MS - draw.rng.integers(0, 4 * HOUR_MS, n)
        some = working | (lease == 0)
        draw.see(np.arange(n)[some], NETWORK_PREFIX, network[some], at_ms[some])


def _work(draw, n, place, working, squad, odd):
    """Depots, restaurants and towers of the day."""
    rng = draw.rng
    riders = np.flatnonzero(working & ~np.isin(np.arange(n), odd["squads"]))
    # Depots of very different sizes, each in a place of its own.
    weights = rng.pareto(1.0, 90) + 0.15
    depot = rng.choice(90, n, p=weights / weights.sum())
    at, number = 0, 90
    members = odd["squads"]
    while at < len(members):  # every squad has a depot, some share it with nobody
        size = int(rng.integers(5, 11))
        these = members[at : at + size]
        squad[these] = number
        depot[these] = number if rng.random() < 0.5 else depot[these[0]]
        place[these] = place[these[0]]
        at, number = at + size, number + 1
    riders = np.flatnonzero(working)
    for visit in range(4):
        at_ms = NOW_MS - visit * 3 * HOUR_MS - rng.integers(0, HOUR_MS, n)
        tower = 500 + depot * 3 + rng.integers(0, 3, n)
        for point in range(3):
            seen = riders[rng.random(len(riders)) < 0.8]
            draw.see(seen, ACCESS_POINT, 2 * 10**6 + depot[seen] * 3 + point, at_ms[seen], tower[seen])
        on_wifi = riders[rng.random(len(riders)) < 0.25]
        draw.see(on_wifi, NETWORK_PREFIX, 2 * 10**9 + depot[on_wifi], at_ms[on_wifi])
        draw.see(riders, SERVING_CELL, tower[riders], at_ms[riders])
    # Eight stops in streets: of some 6,000 restaurants, each with four access points, under the tower of its place.
    for _ in range(8):
        stop = place[riders] * 40 + rng.integers(0, 40, len(riders))
        at_ms = NOW_MS - rng.integers(0, 10 * HOUR_MS, len(riders))
        tower = 10_000 + place[riders] * 4 + rng.integers(0, 4, len(riders))
        draw.see(riders, SERVING_CELL, tower, at_ms)
        for point in range(4):
            seen = rng.random(len(riders)) < 0.7
            draw.see(riders[seen], ACCESS_POINT, 3 * 10**6 + stop[seen] * 4 + point, at_ms[seen], tower[seen])
    # A few hotspots ride along with a friend.
    pairs = rng.permutation(riders)[:60].reshape(-1, 2)
    for step in range(20):
        at_ms = NOW_MS - 5 * HOUR_MS + step * 10 * MINUTE_MS
        for rider in pairs.T:
            draw.see(rider, ACCESS_POINT, 4 * 10**6 + pairs[:, 0], at_ms, 20_000 + step)


def _homes(draw, n, home, working, lives):
    """Home Wi-Fi, with a neighbor's in sight; who works is there in the morning, a ring the whole time."""
    rng = draw.rng
    tower = 40_000 + home % 997
    for hours in (12, 11, 6, 3, 1, 0):
        there = np.flatnonzero(~working | (hours > 10))
        at_ms = NOW_MS - hours * HOUR_MS - rng.integers(0, 20 * MINUTE_MS, n)
        draw.see(there, ACCESS_POINT, 5 * 10**6 + home[there], at_ms[there], tower[there])
        draw.see(there, ACCESS_POINT, 6 * 10**6 + home[there], at_ms[there], tower[there])
        draw.see(there, NETWORK_PREFIX, 5 * 10**9 + home[there], at_ms[there])
        draw.see(there, SERVING_CELL, tower[there], at_ms[there])
