"""Links between claims as they are opened, cell by cell: what of a storm depends only on claims nearby.

A claim is linked in the cell (H3, resolution 5) of its zone, among the claims of this cell and its neighbors: riders
elsewhere count neither as active nor on a resource. Two claims opened at one moment in two cells are looked at from
both; the heavier view counts (`link_store.py`).

An edge needs a phone, a payout account, a minute of purchase or a purchase on one network in common, since what places
weigh together is less than an edge. So most claims are linked without a look at what their riders' phones saw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.adjudication.claims import LinkUpdate
from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.rings.coincidences import with_purchases
from monsoon.transforms.rings.limits import (
    CONTEXT_MS,
    DEVICE,
    KINDS,
    PAYOUT_ACCOUNT,
    PURCHASE_ON_NETWORK,
    SUBSCRIPTION_MINUTE,
    SURROUNDINGS_MS,
)
from monsoon.transforms.rings.links import Links, link_claims, withdrawn
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.resources import Claims, Stays
from monsoon.transforms.rings.surroundings import parents_of

MAX_RIDERS = 2
"""With more riders of no squad in common a payout account is a signal (`guard/signals.py`), with more riders at all a
phone."""

ActiveRiders = Callable[[str, int, Sequence[int]], int]
"""How many riders are active, for a trigger, a moment (ms) and some cells (`active_by_cell`)."""

_NEVER_MS = 2**62
_MINUTE_MS = 60_000


@dataclass(frozen=True, eq=False)
class LinkedCell:
    """What was found at a moment in one cell: links for the graph of a trigger, and riders on payout accounts and
    phones, by worker_id."""

    trigger: str
    links: Links | None
    shared: Sequence[tuple[str, LinkUpdate]]


def linked_cells(
    openings: Sequence[Opening],
    stays: Stays,
    names: Sequence[Sequence[str]],
    after_ms: int,
    upto_ms: int,
    owns: Callable[[str, int], bool],
    active: ActiveRiders,
) -> Iterator[LinkedCell]:
    """What the openings later than `after_ms` and up to `upto_ms` find, trigger by trigger, moment by moment.

    `openings` are those of one product, at least CONTEXT_MS back, in any order and perhaps repeated; `stays` those of
    their riders (`stays_of_openings`), with the places of openings as riders. `names` has the names of resources of
    each kind by code. `owns` says of a trigger and a cell whether its claims are to be linked here, `active` how many
    riders report nearby.
    """
    by_trigger: dict[str, list[int]] = defaultdict(list)
    for place, opening in enumerate(openings):
        by_trigger[opening.trigger].append(place)
    for trigger, places in sorted(by_trigger.items()):
        if any(after_ms < openings[place].at_ms <= upto_ms for place in places):
            claims = _TriggerClaims(trigger, openings, places, stays, names, active)
            yield from claims.linked(after_ms, upto_ms, owns)


def links_among(
    openings: Sequence[Opening],
    stays: Stays,
    names: Sequence[Sequence[str]],
    at_ms: int,
    active: int,
    edge_weight_e6: int,
) -> Links:
    """The links of claims that are all opened at one moment, with an edge from a weight on and `active` riders around:
    of all of them at once, wherever they are and whatever they have in common. For training alone."""
    claims = _TriggerClaims("", openings, range(len(openings)), stays, names, lambda *_: active)
    return claims.links_among_all(at_ms, active, edge_weight_e6)


class _TriggerClaims:
    """The claims of one trigger."""

    def __init__(
        self,
        trigger: str,
        openings: Sequence[Opening],
        places: Sequence[int],
        stays: Stays,
        names: Sequence[Sequence[str]],
        active: ActiveRiders,
    ) -> None:
        self._trigger, self._active = trigger, active
        places = sorted(places, key=lambda place: _order(openings[place]))
        known: dict[str, int] = {}
        self._closed: list[Opening] = []
        self._place: list[int] = []
        until_ms: list[int] = []
        for place in places:
            each, row = openings[place], known.get(openings[place].claim_id)
            if each.opens and row is None:
                known[each.claim_id] = len(self._place)
                self._place.append(place)
                until_ms.append(_NEVER_MS)
            elif not each.opens and row is not None:
                until_ms[row] = each.at_ms
                del known[each.claim_id]
                self._closed.append(each)
        mine = [openings[place] for place in self._place]
        self._pays = np.array([each.pays for each in mine], dtype=bool)
        self.opened_ms = np.array([each.at_ms for each in mine], dtype=np.int64)
        self._until_ms = np.array(until_ms, dtype=np.int64)
        devices, device = _with_stated(names[DEVICE], [each.device for each in mine])
        _, rider = np.unique([each.worker_id for each in mine] or [""], return_inverse=True)
        accounts, account = _codes([each.payout_account for each in mine])
        self._names = [*names]
        self._names[DEVICE], self._names[PAYOUT_ACCOUNT] = devices, accounts
        zones = np.array([h3.str_to_int(each.zone) for each in mine], dtype=np.uint64)
        self._parent = parents_of(zones) if len(mine) else zones
        self._claims = Claims(
            claim_id=[each.claim_id for each in mine],
            worker_id=[each.worker_id for each in mine],
            rider=rider.reshape(-1)[: len(mine)].astype(np.int64),
            confirmed_at_ms=np.array([each.confirmed_at_ms for each in mine], dtype=np.int64),
            zone=zones,
            device=device,
            payout_account=account,
            purchased_at_ms=np.array(
                [-1 if each.purchased_at_ms is None else each.purchased_at_ms for each in mine], dtype=np.int64
            ),
            squad=_codes([each.squad for each in mine])[1],
        )
        self._stays = self._stays_of_claims(stays)

    def _stays_of_claims(self, stays: Stays) -> Stays:
        """The stays of these claims, each with the row of the claim as its rider; with purchases on a network."""
        claim = np.full(max([*self._place, int(stays.rider.max(initial=-1))], default=-1) + 1, -1, dtype=np.int64)
        claim[self._place] = np.arange(len(self._place))
        mine = stays.take(claim[stays.rider] >= 0)
        return with_purchases(replace(mine, rider=claim[mine.rider]), self._claims.purchased_at_ms)

    def linked(self, after_ms: int, upto_ms: int, owns: Callable[[str, int], bool]) -> Iterator[LinkedCell]:
        """What is found at each moment in each of the cells."""
        gone: dict[int, list[str]] = defaultdict(list)
        for each in self._closed:
            if after_ms < each.at_ms <= upto_ms:
                gone[each.at_ms].append(each.claim_id)
        for at_ms, claim_ids in sorted(gone.items()):
            yield LinkedCell(self._trigger, withdrawn(claim_ids, at_ms), ())
        new = np.flatnonzero((self.opened_ms > after_ms) & (self.opened_ms <= upto_ms))
        for at_ms in np.unique(self.opened_ms[new]).tolist():
            here = new[self.opened_ms[new] == at_ms]
            for cell in np.unique(self._parent[here]).tolist():
                if owns(self._trigger, cell):
                    found = self._in_cell(at_ms, cell, here[self._parent[here] == cell])
                    if found is not None:
                        yield found

    def links_among_all(self, at_ms: int, active: int, edge_weight_e6: int) -> Links:
        stays = replace(self._stays, rider=self._claims.rider[self._stays.rider]).joined()
        return link_claims(self._claims, stays, at_ms, self._names, active=active, edge_weight_e6=edge_weight_e6)

    def _in_cell(self, at_ms: int, cell: int, new: Ints) -> LinkedCell | None:
        """The links of claims opened at a moment in a cell; None where they have nothing in common with others."""
        claims = self._claims
        cells = h3.grid_disk(cell, 1)
        near = np.isin(self._parent, np.array(cells, dtype=np.uint64))
        near &= (self.opened_ms <= at_ms) & (self.opened_ms > at_ms - CONTEXT_MS) & (self._until_ms > at_ms)
        first_ms, last_ms = claims.confirmed_at_ms[new].min(), claims.confirmed_at_ms[new].max()
        near &= claims.confirmed_at_ms >= first_ms - SURROUNDINGS_MS
        near &= claims.confirmed_at_ms <= last_ms + SURROUNDINGS_MS
        sharing = self._sharing(near, new)
        if not len(sharing):
            return None
        context = np.flatnonzero(near)
        shared = [*self._accounts(context, sharing, at_ms), *self._phones(near, sharing, at_ms)]
        links = self._links(near & self._pays, sharing[self._pays[sharing]], at_ms, cells)
        return LinkedCell(self._trigger, links, shared) if links is not None or shared else None

    def _links(self, near: Bools, sharing: Ints, at_ms: int, cells: Sequence[int]) -> Links | None:
        """The links of these claims to those nearby; None without any."""
        if not len(sharing):
            return None
        context = np.flatnonzero(near)
        claims, stays = self._claims.take(context), self._stays_near(near, sharing)
        active = self._active(self._trigger, at_ms, cells)
        links = link_claims(claims, stays, at_ms, self._names, np.isin(context, sharing), active)
        return replace(links, relinked=()) if len(links.first) or len(links.member) else None

    def _sharing(self, near: Bools, new: Ints) -> Ints:
        """The new claims that have something in common with another rider of the kinds of which an edge needs one."""
        claim, key = self._common_kinds
        rows = near[claim]
        claim, key = claim[rows], key[rows]
        is_new = np.zeros(len(self._claims), dtype=bool)
        is_new[new] = True
        asked = np.zeros(self._keys, dtype=bool)
        asked[key[is_new[claim]]] = True
        rows = asked[key]
        claim, key = claim[rows], key[rows]
        rider = self._claims.rider[claim]
        lowest = np.full(self._keys, _NEVER_MS, dtype=np.int64)
        highest = np.full(self._keys, -1, dtype=np.int64)
        np.minimum.at(lowest, key, rider)
        np.maximum.at(highest, key, rider)
        return np.unique(claim[is_new[claim] & (lowest[key] < highest[key])])

    @cached_property
    def _keys(self) -> int:
        return int(self._common_kinds[1].max(initial=-1)) + 1

    @cached_property
    def _common_kinds(self) -> tuple[Ints, Ints]:
        """Claims and the codes of what they have of the kinds of which an edge needs one; of phones those that were
        seen, too."""
        claims = self._claims
        minute = np.where(claims.purchased_at_ms < 0, -1, claims.purchased_at_ms // _MINUTE_MS)
        seen = np.flatnonzero(np.isin(self._stays.kind, (DEVICE, PURCHASE_ON_NETWORK)))
        columns = [
            (np.full(len(claims), DEVICE), np.arange(len(claims)), claims.device),
            (np.full(len(claims), PAYOUT_ACCOUNT), np.arange(len(claims)), claims.payout_account),
            (np.full(len(claims), SUBSCRIPTION_MINUTE), np.arange(len(claims)), minute),
            (self._stays.kind[seen], self._stays.rider[seen], self._stays.resource[seen]),
        ]
        kind, claim, code = (np.concatenate(parts).astype(np.int64) for parts in zip(*columns, strict=True))
        known = code >= 0
        named = code[known] * len(KINDS) + kind[known]
        return claim[known], np.unique(named, return_inverse=True)[1].reshape(-1)

    @cached_property
    def _resource(self) -> Ints:
        """Of each stay, a code of what was seen."""
        named = self._stays.resource * len(KINDS) + self._stays.kind
        return np.unique(named, return_inverse=True)[1].reshape(-1)

    def _stays_near(self, near: Bools, sharing: Ints) -> Stays:
        """What the riders of these claims saw, and who of the others saw that."""
        stays, claim = self._stays, self._stays.rider
        asked = np.zeros(int(self._resource.max(initial=-1)) + 1, dtype=bool)
        is_sharing = np.zeros(len(self._claims), dtype=bool)
        is_sharing[sharing] = True
        asked[self._resource[is_sharing[claim]]] = True
        kept = stays.take(asked[self._resource] & near[claim])
        return replace(kept, rider=self._claims.rider[kept.rider]).joined()

    def _accounts(self, context: Ints, sharing: Ints, at_ms: int) -> Iterator[tuple[str, LinkUpdate]]:
        """The claims that are paid to accounts of more riders than MAX_RIDERS."""
        found = self._shared_by_many(context, self._claims.payout_account[context], sharing, self._unrelated)
        for claim, riders in found:
            update = LinkUpdate(at_ms, self._claims.claim_id[claim], riders_on_payout_account=riders)
            yield self._claims.worker_id[claim], update

    def _phones(self, near: Bools, sharing: Ints, at_ms: int) -> Iterator[tuple[str, LinkUpdate]]:
        """The claims whose riders used, or whose policies state, phones of more riders than MAX_RIDERS; a squad shares
        a depot, and no phone."""
        seen = np.flatnonzero((self._stays.kind == DEVICE) & near[self._stays.rider])
        stated = np.flatnonzero(near)
        claim = np.concatenate((self._stays.rider[seen], stated))
        phone = np.concatenate((self._stays.resource[seen], self._claims.device[stated]))
        most: dict[int, int] = {}
        for each, riders in self._shared_by_many(claim, phone, sharing, self._riders):
            most[each] = max(riders, most.get(each, 0))
        for each, riders in sorted(most.items()):
            update = LinkUpdate(at_ms, self._claims.claim_id[each], riders_on_device=riders)
            yield self._claims.worker_id[each], update

    def _shared_by_many(
        self, claim: Ints, resource: Ints, sharing: Ints, count: Callable[[Collection[int]], int]
    ) -> Iterator[tuple[int, int]]:
        """Claims on resources that more than MAX_RIDERS riders share, by `count`, and how many: those that are new, and
        all others when a resource has so many for the first time. Claims and what they are on (-1: none), in any
        order."""
        is_new = set(sharing.tolist())
        mine = np.unique(resource[np.isin(claim, sharing) & (resource >= 0)])
        rows = np.isin(resource, mine)
        by_resource: dict[int, set[int]] = defaultdict(set)
        for each, on in zip(claim[rows].tolist(), resource[rows].tolist(), strict=True):
            by_resource[on].add(each)
        for _, on_it in sorted(by_resource.items()):
            riders = count(on_it)
            if riders <= MAX_RIDERS:
                continue
            first = count(on_it - is_new) <= MAX_RIDERS
            yield from ((each, riders) for each in sorted(on_it) if first or each in is_new)

    def _riders(self, claims: Collection[int]) -> int:
        return len(set(self._claims.rider[sorted(claims)].tolist()))

    def _unrelated(self, claims: Collection[int]) -> int:
        """How many riders have no squad in common with one another: of each squad one counts."""
        squads = self._claims.squad[sorted(claims)].tolist()
        riders = self._claims.rider[sorted(claims)].tolist()
        return len({(squad, -1) if squad >= 0 else (-1, rider) for squad, rider in zip(squads, riders, strict=True)})


def _order(opening: Opening) -> tuple[int, str, bool]:
    return opening.at_ms, opening.claim_id, opening.opens


def _codes(names: Sequence[str | None]) -> tuple[list[str], Ints]:
    """Distinct names, sorted, and the place of each; -1 for none."""
    distinct = sorted({name for name in names if name is not None})
    place: Mapping[str | None, int] = {name: code for code, name in enumerate(distinct)}
    return distinct, np.array([place.get(name, -1) for name in names], dtype=np.int64)


def _with_stated(known: Sequence[str], stated: Sequence[str | None]) -> tuple[list[str], Ints]:
    """Known names with those that are only stated, and the place of each stated one; -1 for none."""
    place: dict[str | None, int] = {name: code for code, name in enumerate(known)}
    for name in sorted({name for name in stated if name is not None} - place.keys()):
        place[name] = len(place)
    return [str(name) for name in place], np.array([place.get(name, -1) for name in stated], dtype=np.int64)
