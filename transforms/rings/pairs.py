"""Pairs of claims, weighed.

Pairs are enumerated over resources of at most MAX_RIDERS riders only. A pair whose common resources all have more
riders can be an edge by a payout account and a phone alone, which are never dropped; and since a kind counts by its
heaviest resource, all claims on the two are such pairs, or none is. They are given as the members of a *clique*, of
which `monsoon.transforms.rings.cliques` needs no pairs. Who can be a pair: docs/interpretations.md#rings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.ragged import Bools, Ints, Ragged
from monsoon.transforms.rings.limits import (
    APART_MS,
    DEVICE,
    EDGE_WEIGHT_E6,
    KINDS,
    MAX_KIND_WEIGHT_E6,
    MAX_RIDERS,
    MAX_SQUAD_RIDERS,
    PAYOUT_ACCOUNT,
    PLACE_KINDS,
    SURROUNDINGS_MS,
)
from monsoon.transforms.rings.resources import Claims, Stays, Uses
from monsoon.transforms.rings.surroundings import Cells, Neighborhood, parents_of
from monsoon.transforms.telemetry_table import bisect_right

_WEIGHT_BITS = 23
_KIND_BITS = 3
_OWNER_BITS = 15
_BLOCK_PAIRS = 1 << 21
"""So many pairs are weighed at once: some 200 MB."""

MAX_CLAIMS = 1 << (63 - _WEIGHT_BITS - _KIND_BITS - _OWNER_BITS)
"""Of one product, trigger and moment; four million."""


@dataclass(frozen=True, eq=False)
class Found:
    """Edges of a block of pairs: two claims each; and evidence: place of the edge, use of the one and of the other (or
    resource, where there is none), weight, expiry."""

    first: Ints
    second: Ints
    edge: Ints
    resource: Ints
    weight_e6: Ints
    expires_at_ms: Ints


class Pairs:
    """Pairs of claims of which one at least is to be linked."""

    def __init__(
        self, claims: Claims, uses: Uses, stays: Stays, new: Bools, edge_weight_e6: int = EDGE_WEIGHT_E6
    ) -> None:
        self._claims, self._uses, self._stays, self._new = claims, uses, stays, new
        self._edge_weight_e6 = edge_weight_e6
        self._kind = uses.kind()
        self._kind_of_use = self._kind[uses.resource]
        self._big = uses.riders > MAX_RIDERS
        self._parent = parents_of(claims.zone)
        self._neighborhood = Neighborhood.of(self._parent)
        self._cell = self._neighborhood.codes(self._parent)
        self._squad = _squads(claims)
        self._account, self._account_use = self._big_accounts()
        self._devices = np.flatnonzero(self._big[uses.resource] & (self._kind_of_use == DEVICE))
        order = np.argsort(uses.claim[self._devices], kind="stable")
        self._devices = self._devices[order]
        self._devices_lo = np.searchsorted(uses.claim[self._devices], np.arange(len(claims) + 1))
        self._heaviest_device = np.zeros(len(claims), dtype=np.int64)
        devices = uses.resource[self._devices]
        np.maximum.at(self._heaviest_device, uses.claim[self._devices], uses.weight_e6[devices])
        # Owners of pairs come after their partners: claims that are not to be linked first.
        self._by_rank = np.argsort(new, kind="stable")
        self._rank = np.empty(len(claims), dtype=np.int64)
        self._rank[self._by_rank] = np.arange(len(claims))

    @property
    def parent(self) -> Cells:
        """Each claim's cell of resolution 5."""
        return self._parent

    @property
    def uses(self) -> Uses:
        return self._uses

    def _big_accounts(self) -> tuple[Ints, Ints]:
        """Each claim's payout account with more than MAX_RIDERS riders, as its resource and its use; -1 for none."""
        resource = np.full(len(self._claims), -1, dtype=np.int64)
        use = resource.copy()
        rows = np.flatnonzero(self._big[self._uses.resource] & (self._kind_of_use == PAYOUT_ACCOUNT))
        resource[self._uses.claim[rows]] = self._uses.resource[rows]
        use[self._uses.claim[rows]] = rows
        return resource, use

    # Enumerated pairs

    def edges(self, at_ms: int) -> Iterator[Found]:
        """Edges and their evidence, block by block. Each pair is in one block: that of its *owner*, the one of the two
        that is to be linked, or the later in order where both are."""
        for use, partner, base in self._blocks():
            owner, other, key, pair_key = self._candidates(use, partner, base)
            at = np.searchsorted(key, pair_key)
            rows = np.flatnonzero(np.append(key, -1)[at] == pair_key)
            yield self._weighed(owner, other, at[rows], use[rows], partner[rows], at_ms)

    def _blocks(self) -> Iterator[tuple[Ints, Ints, int]]:
        """For blocks of owners: the owner's use and the partner's use of every common resource of few riders, and the
        rank of the first owner."""
        uses, rank = self._uses, self._rank
        small = np.flatnonzero(~self._big[uses.resource])
        order = small[np.lexsort((rank[uses.claim[small]], uses.resource[small]))]
        resource = uses.resource[order]
        begins = np.flatnonzero(np.diff(resource, prepend=-1))
        begin = np.repeat(begins, np.diff(begins, append=len(order)))
        owners = rank[uses.claim[order]]
        # A use of an owner is paired with all uses of the resource that come before it.
        count = np.where(self._new[uses.claim[order]], np.arange(len(order)) - begin, 0)
        by_owner = np.flatnonzero(count)
        by_owner = by_owner[np.argsort(owners[by_owner], kind="stable")]
        so_far = np.cumsum(count[by_owner])
        lo = 0
        while lo < len(by_owner):
            base = int(owners[by_owner[lo]])
            done = so_far[lo - 1] if lo else 0
            hi = max(int(np.searchsorted(so_far, done + _BLOCK_PAIRS, side="right")), lo + 1)
            # A block ends between two owners.
            last = min(int(owners[by_owner[hi - 1]]), base + (1 << _OWNER_BITS) - 1)
            if hi < len(by_owner) and int(owners[by_owner[hi]]) == last and last > base:
                last -= 1
            hi = int(np.searchsorted(owners[by_owner], last, side="right"))
            here = by_owner[lo:hi]
            before = Ragged(begin[here], here)
            yield order[here[before.query]], order[before.rows], base
            lo = hi

    def _candidates(self, use: Ints, partner: Ints, base: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Pairs that may weigh enough: owner, partner and key, ascending; and the key of each row's pair.

        Sightings are taken to be close, and phones of many riders to be the heaviest.
        """
        uses, count = self._uses, len(self._claims)
        pair_key = (self._rank[uses.claim[use]] - base) * count + uses.claim[partner]
        packed = (((pair_key << _KIND_BITS) | self._kind_of_use[use]) << _WEIGHT_BITS) | uses.weight_e6[
            uses.resource[use]
        ]
        packed.sort()
        heaviest = packed[np.append(np.diff(packed >> _WEIGHT_BITS) != 0, True)]
        keys, total = _sums(heaviest >> (_WEIGHT_BITS + _KIND_BITS), heaviest & ((1 << _WEIGHT_BITS) - 1))
        owner, other = self._by_rank[keys // count + base], keys % count
        accounts = self._common_account(owner, other)
        most = total + np.where(accounts >= 0, uses.weight_e6[accounts], 0)
        most += np.minimum(self._heaviest_device[owner], self._heaviest_device[other])
        kept = np.flatnonzero(most >= self._edge_weight_e6)
        kept = kept[self._comparable(owner[kept], other[kept])]
        return owner[kept], other[kept], keys[kept], pair_key

    def _weighed(self, owner: Ints, other: Ints, edge: Ints, use: Ints, partner: Ints, at_ms: int) -> Found:
        """The pairs that are edges, of candidates and, for each common resource of few riders, place of the pair, use
        and partner's use."""
        uses = self._uses
        resource = uses.resource[use]
        weight = np.where(self._close(use, partner), uses.weight_e6[resource], uses.apart_weight_e6[resource])
        expires_ms = np.minimum(uses.expires_at_ms[use], uses.expires_at_ms[partner])
        accounts = self._common_account(owner, other)
        paid = np.flatnonzero(accounts >= 0)
        of_owner, of_other = (uses.expires_at_ms[self._account_use[claim[paid]]] for claim in (owner, other))
        device_edge, device, device_ms = self._common_devices(owner, other)
        edge = np.concatenate((edge, paid, device_edge))
        resource = np.concatenate((resource, accounts[paid], device))
        weight = np.concatenate((weight, uses.weight_e6[accounts[paid]], uses.weight_e6[device]))
        expires_ms = np.concatenate((expires_ms, np.minimum(of_owner, of_other), device_ms))
        rows = _heaviest_at_some_time(edge, self._kind[resource], resource, weight, expires_ms, at_ms)
        edge, resource, weight, expires_ms = edge[rows], resource[rows], weight[rows], expires_ms[rows]
        heavy = weights_at(len(owner), edge, self._kind[resource], weight, expires_ms, at_ms) >= self._edge_weight_e6
        mine = heavy[edge]
        place = np.cumsum(heavy) - 1
        return Found(owner[heavy], other[heavy], place[edge[mine]], resource[mine], weight[mine], expires_ms[mine])

    def _comparable(self, first: Ints, second: Ints) -> Bools:
        """Whether two claims are of two riders of no squad in common, and in each other's surroundings."""
        claims = self._claims
        squad = self._squad[first]
        return (
            (claims.rider[first] != claims.rider[second])
            & ((squad < 0) | (squad != self._squad[second]))
            & (np.abs(claims.confirmed_at_ms[first] - claims.confirmed_at_ms[second]) <= SURROUNDINGS_MS)
            & self._neighborhood.near(self._cell[first], self._cell[second])
        )

    def _close(self, use: Ints, partner: Ints) -> Bools:
        """Whether there are sightings of the two at most APART_MS apart, or none of one of them to compare."""
        lo, hi = self._uses.stay_lo, self._uses.stay_hi
        fewer = np.where(hi[use] - lo[use] <= hi[partner] - lo[partner], use, partner)
        more = np.where(fewer == use, partner, use)
        close = hi[fewer] == lo[fewer]
        timed = np.flatnonzero(~close)
        span = Ragged(lo[fewer[timed]], hi[fewer[timed]])
        row, stay = timed[span.query], span.rows
        # The last of the other's stays that begins at most APART_MS after this one must end at most so long before it.
        after = bisect_right(self._stays.first_ms, lo[more[row]], hi[more[row]], self._stays.last_ms[stay] + APART_MS)
        before = after - 1
        meets = (before >= lo[more[row]]) & (self._stays.last_ms[before] >= self._stays.first_ms[stay] - APART_MS)
        close[row[meets]] = True
        return close

    # What has more than MAX_RIDERS riders

    def _common_account(self, first: Ints, second: Ints) -> Ints:
        """The payout account of many riders that both are paid to, -1 for none."""
        account = self._account[first]
        return np.where(account == self._account[second], account, -1)

    def _common_devices(self, first: Ints, second: Ints) -> tuple[Ints, Ints, Ints]:
        """Each phone of many riders that the two of a pair used: the pair, the phone, and when that expires."""
        uses, lo = self._uses, self._devices_lo
        count = np.diff(lo)
        fewer = np.where(count[first] <= count[second], first, second)
        more = np.where(fewer == first, second, first)
        span = Ragged(lo[fewer], lo[fewer] + np.where(count[more] > 0, count[fewer], 0))
        pair, mine = span.query, self._devices[span.rows]
        width = len(uses.resources) + 1
        known = uses.claim[self._devices] * width + uses.resource[self._devices]
        wanted = more[pair] * width + uses.resource[mine]
        at = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        both = np.flatnonzero(known[at] == wanted) if len(known) else at[:0]
        theirs = self._devices[at[both]]
        expires_ms = np.minimum(uses.expires_at_ms[mine[both]], uses.expires_at_ms[theirs])
        return pair[both], uses.resource[mine[both]], expires_ms

    def clique_members(self, at_ms: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Claims on a payout account and a phone of many riders each that are an edge together: claim, account, phone,
        and until when; only of cliques with a claim that is to be linked, and of two riders."""
        uses = self._uses
        claim = uses.claim[self._devices]
        account, device = self._account[claim], uses.resource[self._devices]
        expires_ms = np.minimum(uses.expires_at_ms[self._account_use[claim]], uses.expires_at_ms[self._devices])
        heavy = (account >= 0) & (uses.weight_e6[account] + uses.weight_e6[device] >= self._edge_weight_e6)
        heavy &= expires_ms > at_ms
        claim, account, device, expires_ms = (column[heavy] for column in (claim, account, device, expires_ms))
        _, clique = np.unique(account * (len(uses.resources) + 1) + device, return_inverse=True)
        clique = clique.reshape(-1)
        news = np.bincount(clique, self._new[claim]) > 0 if len(clique) else clique
        kept = np.flatnonzero(news[clique] & (np.bincount(clique)[clique] > 1)) if len(clique) else clique
        return claim[kept], account[kept], device[kept], expires_ms[kept]


def weights_at(edges: int, edge: Ints, kind: Ints, weight_e6: Ints, expires_at_ms: Ints, at_ms: int | Ints) -> Ints:
    """The weight of each edge by the evidence that has not expired: of each kind the heaviest, summed; places, which
    are kinds together, count at most as one kind does."""
    heaviest = np.zeros((edges, len(KINDS)), dtype=np.int64)
    alive = expires_at_ms > (at_ms if isinstance(at_ms, int) else at_ms[edge])
    np.maximum.at(heaviest, (edge[alive], kind[alive]), weight_e6[alive])
    places = heaviest[:, PLACE_KINDS].sum(axis=1)
    return heaviest.sum(axis=1) - np.maximum(places - MAX_KIND_WEIGHT_E6, 0)


def _heaviest_at_some_time(edge: Ints, kind: Ints, resource: Ints, weight: Ints, expires_ms: Ints, at_ms: int) -> Ints:
    """Rows of evidence that is the heaviest of what has not expired, of its edge and kind, at the moment or later."""
    group = edge * len(KINDS) + kind
    order = np.lexsort((resource, -weight, -expires_ms, group))
    order = order[expires_ms[order] > at_ms]
    # Later expiries first: what expires earlier counts where no lighter than all of these.
    ranked = (np.cumsum(np.diff(group[order], prepend=-1) != 0) << _WEIGHT_BITS) | weight[order]
    before = np.append(-1, np.maximum.accumulate(ranked)[:-1]) if len(ranked) else ranked
    return np.sort(order[ranked >= before])


def _sums(keys: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Distinct keys, which must be sorted, and the sum of the values of each."""
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[begins], np.add.reduceat(values, begins) if len(begins) else values


def _squads(claims: Claims) -> Ints:
    """Each claim's squad, -1 for none, and for one with more riders than a squad has."""
    width = int(claims.rider.max(initial=0)) + 1
    in_one = np.flatnonzero(claims.squad >= 0)
    pairs = np.unique(claims.squad[in_one] * width + claims.rider[in_one])
    squads, riders = np.unique(pairs // width, return_counts=True)
    return np.where(np.isin(claims.squad, squads[riders <= MAX_SQUAD_RIDERS]), claims.squad, -1)
