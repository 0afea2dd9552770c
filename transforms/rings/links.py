"""Edges between claims: who shares resources of enough weight, and the claims that are linked to nobody left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.rings.coincidences import network_and_hour, weigh_purchases
from monsoon.transforms.rings.limits import (
    EDGE_WEIGHT_E6,
    KINDS,
    NETWORK_PREFIX,
    PURCHASE_ON_NETWORK,
    SUBSCRIPTION_MINUTE,
)
from monsoon.transforms.rings.pairs import MAX_CLAIMS, Found, Pairs
from monsoon.transforms.rings.resources import Claims, Stays, uses_of
from monsoon.transforms.rings.surroundings import Cells


@dataclass(frozen=True, eq=False)
class Links:
    """The edges found at a moment, and the claims that have one; evidence and members refer to rows of these.

    Claims: `claim_id`, `worker_id`, `confirmed_at_ms`, `parent` (H3 cell of resolution 5). Edges: claims `first` and
    `second`. Evidence of an edge: a resource (place in `resources`, which are kind and name), its weight there, and
    when it expires; of a kind only those that are the heaviest at some time. Members: claims on a clique, which is a
    place in `cliques` (payout account and device, places in `resources`, and the weight of each), until when.
    `relinked` are the claims whose earlier edges these replace.
    """

    at_ms: int
    claim_id: tuple[str, ...]
    worker_id: tuple[str, ...]
    confirmed_at_ms: Ints
    parent: Cells
    first: Ints
    second: Ints
    edge: Ints
    resource: Ints
    weight_e6: Ints
    expires_at_ms: Ints
    member: Ints
    clique: Ints
    member_until_ms: Ints
    cliques: tuple[tuple[int, int, int, int], ...]
    resources: tuple[tuple[str, str], ...]
    relinked: tuple[str, ...] = ()


def withdrawn(claim_ids: Sequence[str], at_ms: int) -> Links:
    """These claims have no edge any more."""
    none = np.empty(0, dtype=np.int64)
    cells = np.empty(0, dtype=np.uint64)
    return Links(
        at_ms,
        (),
        (),
        none,
        cells,
        none,
        none,
        none,
        none,
        none,
        none,
        none,
        none,
        none,
        (),
        (),
        tuple(sorted(claim_ids)),
    )


def link_claims(
    claims: Claims,
    stays: Stays,
    at_ms: int,
    names: Sequence[Sequence[str]],
    relink: Bools | None = None,
    active: int = 0,
    edge_weight_e6: int = EDGE_WEIGHT_E6,
) -> Links:
    """The edges at a moment that end in a claim confirmed then.

    `claims` are those of one product and trigger that were confirmed in the SURROUNDINGS_MS up to the moment, `stays`
    those of their riders, each up to the confirmation of the claim. `names` has the names of the resources of each kind
    by code; subscription minutes and purchases on a network need none. With `relink`, a flag a claim, the edges of
    these claims are found anew instead, with what is known at the moment, and replace those that they had; `claims`
    must then have all in their surroundings. `active` is how many riders are active there, as of `uses_of`.
    `edge_weight_e6` is what an edge weighs at least; less than EDGE_WEIGHT_E6 only to find the groups that the model
    `syndicate` is trained on.

    Raises ValueError for more than MAX_CLAIMS claims.
    """
    if len(claims) > MAX_CLAIMS:
        raise ValueError(f"{len(claims)} claims of one product and trigger at a moment; at most {MAX_CLAIMS}")
    stays = stays.unexpired(at_ms)
    uses = weigh_purchases(uses_of(claims, stays, active), claims, stays)
    pairs = Pairs(claims, uses, stays, claims.confirmed_at_ms == at_ms if relink is None else relink, edge_weight_e6)
    found = list(pairs.edges(at_ms))
    members = pairs.clique_members(at_ms)
    return _links(claims, at_ms, names, pairs, found, members, relink)


def _links(
    claims: Claims,
    at_ms: int,
    names: Sequence[Sequence[str]],
    pairs: Pairs,
    found: Sequence[Found],
    members: tuple[Ints, Ints, Ints, Ints],
    relink: Bools | None,
) -> Links:
    """What was found, with the claims and resources that it names and no others."""
    uses = pairs.uses
    none = np.empty(0, dtype=np.int64)

    def column(name: str) -> Ints:
        return np.concatenate([none, *(getattr(each, name) for each in found)])

    first, second = column("first"), column("second")
    offsets = np.cumsum([0, *(len(each.first) for each in found)])
    edge = np.concatenate([none, *(each.edge + offset for each, offset in zip(found, offsets, strict=False))])
    claim, account, device, until_ms = members
    linked = np.unique(np.concatenate((first, second, claim)))
    resource = column("resource")
    shown = np.unique(np.concatenate((resource, account, device)))
    kind, code = uses.kind()[shown].tolist(), uses.code()[shown].tolist()
    keys, clique = np.unique(account * (len(uses.resources) + 1) + device, return_inverse=True)
    of_account, of_device = np.divmod(keys, len(uses.resources) + 1)
    return Links(
        at_ms=at_ms,
        claim_id=tuple(claims.claim_id[index] for index in linked.tolist()),
        worker_id=tuple(claims.worker_id[index] for index in linked.tolist()),
        confirmed_at_ms=claims.confirmed_at_ms[linked],
        parent=pairs.parent[linked],
        first=np.searchsorted(linked, first),
        second=np.searchsorted(linked, second),
        edge=edge,
        resource=np.searchsorted(shown, resource),
        weight_e6=column("weight_e6"),
        expires_at_ms=column("expires_at_ms"),
        member=np.searchsorted(linked, claim),
        clique=clique.reshape(-1),
        member_until_ms=until_ms,
        cliques=tuple(
            zip(
                np.searchsorted(shown, of_account).tolist(),
                np.searchsorted(shown, of_device).tolist(),
                uses.weight_e6[of_account].tolist(),
                uses.weight_e6[of_device].tolist(),
                strict=True,
            )
        ),
        resources=tuple((KINDS[of], _name(of, number, names)) for of, number in zip(kind, code, strict=True)),
        relinked=()
        if relink is None
        else tuple(sorted(claims.claim_id[index] for index in np.flatnonzero(relink).tolist())),
    )


def _name(kind: int, code: int, names: Sequence[Sequence[str]]) -> str:
    if kind == SUBSCRIPTION_MINUTE:
        return str(code)
    if kind == PURCHASE_ON_NETWORK:
        network, hour = network_and_hour(code)
        return f"{names[NETWORK_PREFIX][network]} {hour}"
    return names[kind][code]
