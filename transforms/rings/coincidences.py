"""Riders on one network who bought within two hours, and whose place no tower and no access point confirms.

One such pair is a coincidence: a carrier's address is shared by strangers, and so is an hour. A group of them is none,
once it is larger than chance makes it. So it weighs as much as Fisher's exact test says against chance, and, unlike
other resources, more the more riders are on it.

Who shows a tower or an access point takes no part. These place a rider beside others who work there and were hired
together; where they contradict the fix, the guard has its signals (`cell`, `wifi`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from monsoon.transforms.evidence.limits import WINDOW_MS
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.rings.limits import (
    ACCESS_POINT,
    APART_FACTOR,
    MAX_KIND_WEIGHT_E6,
    MIN_COINCIDING_RIDERS,
    NETWORK_PREFIX,
    PURCHASE_ON_NETWORK,
    SERVING_CELL,
    WEIGHT_SCALE,
)
from monsoon.transforms.rings.resources import Claims, Stays, Uses

WINDOW_HOURS = 2
"""A window of purchase begins at each whole hour, so that purchases within an hour of one another share one."""

_HOUR_MS = 3_600_000
_HOUR_BITS = 24
"""Of a resource's code: the window's first hour since the epoch; the rest is the network prefix's code."""


def with_purchases(stays: Stays, purchased_at_ms: Ints) -> Stays:
    """The stays, with those on a network prefix and a window of purchase, of riders who show no access point and no
    serving cell. Of each rider the WINDOW_MS up to the last report on a network count, as for evidence.

    `purchased_at_ms` is that of each rider of the stays, negative where it is not known; one of the epoch's first hour,
    before which no window begins, is as good as none.
    """
    on_network = stays.kind == NETWORK_PREFIX
    last_ms = np.zeros(len(purchased_at_ms), dtype=np.int64)
    np.maximum.at(last_ms, stays.rider[on_network], stays.last_ms[on_network])
    lately = stays.last_ms > last_ms[stays.rider] - WINDOW_MS
    placed = np.zeros(len(purchased_at_ms), dtype=bool)
    placed[stays.rider[lately & np.isin(stays.kind, (ACCESS_POINT, SERVING_CELL))]] = True
    asked = ~placed & (purchased_at_ms >= (WINDOW_HOURS - 1) * _HOUR_MS)
    rows = np.flatnonzero(on_network & lately & asked[stays.rider])
    on = stays.take(rows)
    hour = purchased_at_ms[on.rider] // _HOUR_MS
    parts = [stays]
    for begin in range(1 - WINDOW_HOURS, 1):
        resource = (on.resource << _HOUR_BITS) | (hour + begin)
        parts.append(replace(on, kind=np.full(len(rows), PURCHASE_ON_NETWORK, dtype=np.int8), resource=resource))
    return Stays.concatenated(parts)


def network_and_hour(code: int) -> tuple[int, int]:
    """The network prefix's code, and the hours since the epoch at which the window of purchase begins."""
    return code >> _HOUR_BITS, code & ((1 << _HOUR_BITS) - 1)


def weigh_purchases(uses: Uses, claims: Claims, stays: Stays) -> Uses:
    """The uses, of which those of purchases on a network weigh -log10 of the chance that so many coincide among the
    riders of the claims, to three decimals; `stays` has all who were on these networks."""
    places = np.flatnonzero((uses.kind() == PURCHASE_ON_NETWORK) & (uses.riders >= MIN_COINCIDING_RIDERS))
    if not len(places):
        return uses
    everybody = len(np.unique(claims.rider))
    known = np.flatnonzero(claims.purchased_at_ms >= 0)
    hour = claims.purchased_at_ms[known] // _HOUR_MS
    windows = np.concatenate([hour - before for before in range(WINDOW_HOURS)])
    buyers = _riders_on(windows, np.tile(claims.rider[known], WINDOW_HOURS))
    seen = np.flatnonzero(stays.kind == NETWORK_PREFIX)
    users = _riders_on(stays.resource[seen], stays.rider[seen])
    weight_e6, apart_e6 = uses.weight_e6.copy(), uses.apart_weight_e6.copy()
    codes, riders = uses.code()[places].tolist(), uses.riders[places].tolist()
    for place, code, both in zip(places.tolist(), codes, riders, strict=True):
        network, window = network_and_hour(code)
        chance = log10_chance(everybody, users[network], buyers[window], both)
        weight = round(-1_000 * chance) * (WEIGHT_SCALE // 1_000)
        weight_e6[place] = min(weight, MAX_KIND_WEIGHT_E6)
        apart_e6[place] = min(round(APART_FACTOR * weight), MAX_KIND_WEIGHT_E6)
    return replace(uses, weight_e6=weight_e6, apart_weight_e6=apart_e6)


def _riders_on(resource: Ints, rider: Ints) -> dict[int, int]:
    """How many riders are on each resource, of pairs in any order and perhaps repeated."""
    width = int(rider.max(initial=0)) + 1
    pairs = np.unique(resource * width + rider)
    resources, counts = np.unique(pairs // width, return_counts=True)
    return dict(zip(resources.tolist(), counts.tolist(), strict=True))


def log10_chance(everybody: int, some: int, others: int, both: int) -> float:
    """log10 of the probability that two independent groups of riders have at least so many in common: the upper tail of
    the hypergeometric distribution (Fisher's exact test, one-sided). 0.0 where no more are than would be expected."""
    if both * everybody <= some * others:
        return 0.0
    log_term = _log_choose(some, both) + _log_choose(everybody - some, others - both) - _log_choose(everybody, others)
    term = total = 1.0
    for count in range(both, min(some, others)):
        # Beyond the expected number each term is smaller than the one before.
        term *= (some - count) * (others - count) / ((count + 1) * (everybody - some - others + count + 1))
        total += term
        if term < 1e-12 * total:
            break
    return min((log_term + math.log(total)) / math.log(10), 0.0)


def _log_choose(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
