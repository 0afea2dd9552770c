"""Which riders used which resources, when, and what sharing one weighs.

Columns of codes, of as many elements as there are claims or stays; a resource's code counts within its kind
(`KINDS`), a rider's code is the same in claims and stays. -1 is none. What counts, and from when on:
docs/interpretations.md#rings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Bools, Ints, Ragged
from monsoon.transforms.rings.limits import (
    ACCESS_POINT,
    APART_FACTOR,
    APART_MS,
    BASE_WEIGHTS,
    DEVICE,
    EXPIRY_STEP_MS,
    MAX_CELLS_OF_A_PLACE,
    MAX_KIND_WEIGHT_E6,
    MAX_RIDERS,
    NEVER_DROPPED,
    PAYOUT_ACCOUNT,
    SUBSCRIPTION_MINUTE,
    WEIGHT_SCALE,
    WINDOW_MS,
)
from monsoon.transforms.rings.surroundings import Cells

_MINUTE_MS = 60_000
_CODE_BITS = 56
_WINDOW_MS = np.array(WINDOW_MS)
_BASE = np.array(BASE_WEIGHTS)


@dataclass(frozen=True, eq=False)
class Claims:
    """Claims of one product and trigger, each of a rider (`rider`) under one confirmation.

    `device`, `payout_account`, `purchased_at_ms` (the event that activated the policy) and `squad` are the policy's.
    """

    claim_id: Sequence[str]
    worker_id: Sequence[str]
    rider: Ints
    confirmed_at_ms: Ints
    zone: Cells
    device: Ints
    payout_account: Ints
    purchased_at_ms: Ints
    squad: Ints

    def __len__(self) -> int:
        return len(self.rider)

    def take(self, rows: Ints) -> Claims:
        """The claims of these rows."""
        return Claims(
            [self.claim_id[row] for row in rows.tolist()],
            [self.worker_id[row] for row in rows.tolist()],
            self.rider[rows],
            self.confirmed_at_ms[rows],
            self.zone[rows],
            self.device[rows],
            self.payout_account[rows],
            self.purchased_at_ms[rows],
            self.squad[rows],
        )


@dataclass(frozen=True, eq=False)
class Stays:
    """A rider's sightings of one resource with no more than APART_MS between one and the next.

    Sorted by kind, resource, rider and time. `cells` is under how many serving cells the rider saw the resource in all.
    """

    rider: Ints
    kind: npt.NDArray[np.int8]
    resource: Ints
    first_ms: Ints
    last_ms: Ints
    cells: Ints

    def __len__(self) -> int:
        return len(self.rider)

    def take(self, rows: Ints | Bools) -> Stays:
        """The stays of these rows."""
        return Stays(*(getattr(self, name)[rows] for name in Stays.__dataclass_fields__))

    @staticmethod
    def concatenated(parts: Sequence[Stays]) -> Stays:
        """The stays of all parts, one part after the other."""
        return Stays(*(np.concatenate([getattr(part, name) for part in parts]) for name in Stays.__dataclass_fields__))

    def joined(self) -> Stays:
        """Those of one rider on one resource are joined as their sightings would be."""
        rider, kind, resource, cells = self.rider, self.kind, self.resource, self.cells
        first_ms, last_ms = self.first_ms, self.last_ms
        key = _resource_keys(kind, resource)
        order = np.lexsort((first_ms, rider, key))
        rider, kind, resource, cells = rider[order], kind[order], resource[order], cells[order]
        first_ms, last_ms = first_ms[order], last_ms[order]
        other = changes(key[order], rider)
        use = np.cumsum(other) - 1
        # The latest end so far of the same use: times of one use are moved beyond all of the use before.
        moved = use * (int(np.ptp(np.append(first_ms, last_ms))) + 1 if len(order) else 1)
        ends = np.maximum.accumulate(last_ms + moved)
        before = np.append(0, ends[:-1])[: len(ends)]
        begins = np.flatnonzero(other | (first_ms + moved - before > APART_MS))
        stops = np.append(begins[1:], len(order)) - 1 if len(begins) else begins
        most = np.zeros(int(other.sum()), dtype=np.int64)
        np.maximum.at(most, use, cells)
        last_ms = ends[stops] - moved[stops]
        return Stays(rider[begins], kind[begins], resource[begins], first_ms[begins], last_ms, most[use[begins]])

    def unexpired(self, at_ms: int) -> Stays:
        """Those that are evidence at a moment."""
        return self.take(_expiry(self.last_ms, self.kind) > at_ms)


@dataclass(frozen=True, eq=False)
class Uses:
    """Claims on resources: one element per resource and claim, sorted by both; only resources of two riders or more
    that are not dropped.

    `resource` is a place in `resources` (kind << 56 | code); `claim` a place in the claims. Stays `stay_lo:stay_hi` are
    when the rider was seen on it, none where only the policy names it. `expires_at_ms` is when this use stops being
    evidence.
    """

    resources: Ints
    riders: Ints
    """How many riders are on each resource."""
    weight_e6: Ints
    """Of each resource, for sightings at most APART_MS apart."""
    apart_weight_e6: Ints
    """Of each resource, for others."""
    resource: Ints
    claim: Ints
    stay_lo: Ints
    stay_hi: Ints
    expires_at_ms: Ints

    def kind(self) -> Ints:
        """The kind of each resource."""
        return self.resources >> _CODE_BITS

    def code(self) -> Ints:
        """The code of each resource within its kind."""
        return self.resources & ((1 << _CODE_BITS) - 1)


def active_riders(claims: Claims, stays: Stays) -> int:
    """How many riders have a claim or a stay."""
    return len(np.unique(np.concatenate((claims.rider, stays.rider))))


def uses_of(claims: Claims, stays: Stays, active: int = 0) -> Uses:
    """Who is on what. Riders without a claim count in the number of riders, and have no use of their own; `active` is
    how many riders are active, where more are than have a claim or a stay here."""
    key, rider, claim, expires_ms, stay_lo, stay_hi = _all_uses(claims, stays)
    resources, resource = np.unique(key, return_inverse=True)
    resource = resource.reshape(-1)
    on_it = np.unique(resource * (int(rider.max(initial=0)) + 1) + rider) // (int(rider.max(initial=0)) + 1)
    riders = np.bincount(on_it, minlength=len(resources))
    kind = resources >> _CODE_BITS
    kept = (riders > 1) & ((riders <= MAX_RIDERS) | np.isin(kind, NEVER_DROPPED)) & ~np.isin(resources, _moving(stays))
    place = np.cumsum(kept) - 1
    rows = np.flatnonzero(kept[resource] & (claim >= 0))
    order = rows[np.argsort(resource[rows] * (len(claims) + 1) + claim[rows], kind="stable")]
    weight, apart = _weights(kind[kept], riders[kept], max(active, active_riders(claims, stays)))
    return Uses(
        resources[kept],
        riders[kept],
        weight,
        apart,
        place[resource[order]],
        claim[order],
        stay_lo[order],
        stay_hi[order],
        expires_ms[order],
    )


def _all_uses(claims: Claims, stays: Stays) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Resource key, rider, claim (-1 for a rider without one), expiry and stays of each use, in no order.

    A device of which the rider was seen on it too is told by the stays: only its expiry is that of the later of both.
    """
    key = _resource_keys(stays.kind, stays.resource)
    begins = np.flatnonzero(changes(key, stays.rider))
    ends = np.append(begins[1:], len(stays)) if len(begins) else begins
    seen_key, seen_rider = key[begins], stays.rider[begins]
    by_rider = np.argsort(claims.rider, kind="stable")
    lo = np.searchsorted(claims.rider[by_rider], seen_rider)
    count = np.searchsorted(claims.rider[by_rider], seen_rider, side="right") - lo
    claims_of = Ragged(lo, lo + np.maximum(count, 1))
    row = claims_of.query
    with_claim = count[row] > 0
    claim = np.full(len(row), -1, dtype=np.int64)
    claim[with_claim] = by_rider[claims_of.rows[with_claim]]
    expires_ms = _expiry(stays.last_ms[ends - 1], seen_key >> _CODE_BITS) if len(begins) else begins
    columns = [(seen_key[row], seen_rider[row], claim, expires_ms[row], begins[row], ends[row])]
    minute = np.where(claims.purchased_at_ms < 0, -1, claims.purchased_at_ms // _MINUTE_MS)
    for kind, codes in (
        (DEVICE, claims.device),
        (PAYOUT_ACCOUNT, claims.payout_account),
        (SUBSCRIPTION_MINUTE, minute),
    ):
        some = np.flatnonzero(codes >= 0)
        stated = _resource_keys(np.full(len(some), kind), codes[some])
        none = np.zeros(len(some), dtype=np.int64)
        expiry = _expiry(claims.confirmed_at_ms[some], np.full(len(some), kind))
        columns.append((stated, claims.rider[some], some, expiry, none, none))
    key, rider, claim, expires_ms, stay_lo, stay_hi = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    # Of a device both seen and stated: the row with stays, which sorts first, with the later expiry.
    order = np.lexsort((-stay_hi, claim, rider, key))
    alone = changes(key[order], rider[order], claim[order])
    latest = np.maximum.reduceat(expires_ms[order], np.flatnonzero(alone)) if len(order) else expires_ms
    order = order[alone]
    return key[order], rider[order], claim[order], latest, stay_lo[order], stay_hi[order]


def _moving(stays: Stays) -> Ints:
    """The keys of access points that ride along."""
    moves = (stays.kind == ACCESS_POINT) & (stays.cells > MAX_CELLS_OF_A_PLACE)
    return np.unique(_resource_keys(stays.kind[moves], stays.resource[moves]))


def _weights(kind: Ints, riders: Ints, active: int) -> tuple[Ints, Ints]:
    """Weights in millionths of resources with so many riders, and those where sightings are apart.

    A resource with more than MAX_RIDERS riders has one weight: a phone that so many used was not sold on.
    """
    counts, which = np.unique(riders, return_inverse=True)
    # Python's logarithm of each number of riders: numpy's may differ in its last bit between processors.
    logs = np.array([math.log(active / count) for count in counts.tolist()])[which.reshape(-1)]
    full = _BASE[kind] * logs * WEIGHT_SCALE
    apart = np.where(riders > MAX_RIDERS, full, APART_FACTOR * full)
    return _capped(full), _capped(apart)


def _capped(weight: npt.NDArray[np.float64]) -> Ints:
    return np.minimum(np.rint(weight), MAX_KIND_WEIGHT_E6).astype(np.int64)


def _expiry(seen_ms: Ints, kind: npt.NDArray[Any]) -> Ints:
    """When evidence last seen at a moment expires: the first whole hour at which it has left its window."""
    return -((seen_ms + _WINDOW_MS[kind]) // -EXPIRY_STEP_MS) * EXPIRY_STEP_MS


def _resource_keys(kind: npt.NDArray[Any], code: Ints) -> Ints:
    return (kind.astype(np.int64) << _CODE_BITS) | code


def changes(*columns: npt.NDArray[Any]) -> Bools:
    """Where a row differs from the one before in any of the columns; true for the first."""
    differs = np.ones(len(columns[0]), dtype=bool)
    if len(differs):
        differs[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return differs
