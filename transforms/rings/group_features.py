"""Features of linked groups, for the model `syndicate`: how a group of riders is linked, whoever they are.

All are quotients of whole numbers, so they depend on no order. How large a group is, how many of its pairs are linked
and how its claims are spread over time are not among them (docs/adr/0069-a-ring-has-a-risk.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.ragged import Floats, Ints
from monsoon.transforms.rings.limits import (
    DEVICE,
    KINDS,
    PAYOUT_ACCOUNT,
    PLACE_KINDS,
    PURCHASE_ON_NETWORK,
    SUBSCRIPTION_MINUTE,
    WEIGHT_SCALE,
)

GROUP_FEATURES = (
    "link_weight",
    "kinds_per_link",
    "device_share",
    "payout_account_share",
    "purchase_share",
)
"""In the order in which `group_features` computes them; the model's own order is in its folder."""

_DEVICE, _ACCOUNT, _PURCHASE, _PLACE = range(4)
_CLASS = np.full(len(KINDS), -1)
_CLASS[[DEVICE, PAYOUT_ACCOUNT]] = _DEVICE, _ACCOUNT
_CLASS[[SUBSCRIPTION_MINUTE, PURCHASE_ON_NETWORK]] = _PURCHASE
_CLASS[list(PLACE_KINDS)] = _PLACE
"""Of each kind of evidence, what it is an instance of: kinds that say the same are counted once."""
_CLASSES = 4


@dataclass(frozen=True, eq=False)
class GroupLinks:
    """Links between nodes: edges (`first`, `second`, `weight_e6`), the evidence of these (place of the edge, kind), and
    nodes on cliques (`member`, `clique`), of which all pairs are linked with a weight each (`clique_weight_e6`).

    Several edges may join two nodes: the heaviest counts.
    """

    first: Ints
    second: Ints
    weight_e6: Ints
    edge: Ints
    kind: Ints
    member: Ints
    clique: Ints
    clique_weight_e6: Ints


def group_features(group: Ints, links: GroupLinks) -> tuple[Ints, dict[str, Floats]]:
    """The groups, ascending, and the features of each, float64 (groups,), by name; links between two groups do not
    count. `group` is that of each node, -1 for none.

    link_weight: of a linked pair, mean; from what an edge weighs at least. kinds_per_link: how many of phone, payout
    account, purchase and place such a pair shares, mean; 1..4. device_share, payout_account_share, purchase_share: of
    its riders, those linked within it by a phone, a payout account, a minute of purchase or a purchase on one network;
    0..1. Direction: high points to fraud. Missing input: none; a kind that is not known links nobody. Every two riders
    on a clique count as a linked pair. Source: fraud.md, Rings.

    >>> none = np.empty(0, dtype=np.int64)
    >>> edges = [0, 1, 2], [1, 2, 0], [8_000_000] * 3, [0, 1, 2], [0, 4, 4]  # one of a phone, two of a network
    >>> triangle = GroupLinks(*map(np.array, edges), none, none, none)
    >>> groups, features = group_features(np.array([7, 7, 7, -1]), triangle)
    >>> {name: round(float(column[0]), 3) for name, column in features.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'link_weight': 8.0, 'kinds_per_link': 1.0, 'device_share': 0.667, 'payout_account_share': 0.0,
     'purchase_share': 0.0}
    """
    groups, place = np.unique(group, return_inverse=True)
    place = place.reshape(-1)
    outside = int((groups < 0).sum())
    groups, place = groups[outside:], place - outside  # -1 for no group
    count = len(groups)
    width = max(len(group), 1)

    # Pairs of nodes with an edge within their group, and the kinds that each shares.
    of_edge = np.where(place[links.first] == place[links.second], place[links.first], -1)
    low, high = np.minimum(links.first, links.second), np.maximum(links.first, links.second)
    inside = of_edge >= 0
    keys, pair = np.unique((low * width + high)[inside], return_inverse=True)
    pair_of_edge = np.full(len(inside), -1, dtype=np.int64)
    pair_of_edge[inside] = pair.reshape(-1)
    of_pair = place[keys // width]
    weight_e6 = np.zeros(len(keys), dtype=np.int64)
    np.maximum.at(weight_e6, pair_of_edge[inside], links.weight_e6[inside])

    rows = np.flatnonzero(inside[links.edge])
    edge, shared = links.edge[rows], _CLASS[links.kind[rows]]
    kinds = np.unique(pair_of_edge[edge] * _CLASSES + shared) // _CLASSES

    # Cliques within a group: all pairs of the nodes on it, by a phone and a payout account.
    on_it = np.flatnonzero(place[links.member] >= 0)
    member, clique = links.member[on_it], links.clique[on_it]
    cliques_wide = len(links.clique_weight_e6) + 1
    member, clique = np.divmod(np.unique(member * cliques_wide + clique), cliques_wide)
    clique_in_group = place[member] * cliques_wide + clique
    cliques, riders_on = np.unique(clique_in_group, return_counts=True)
    of_clique, clique_code = np.divmod(cliques, cliques_wide)
    clique_pairs = riders_on * (riders_on - 1) // 2

    riders = np.bincount(place[place >= 0], minlength=count)
    linked = _summed(of_pair, np.ones(len(keys), dtype=np.int64), count) + _summed(of_clique, clique_pairs, count)
    total_e6 = _summed(of_pair, weight_e6, count)
    total_e6 += _summed(of_clique, clique_pairs * links.clique_weight_e6[clique_code], count)
    shares = _summed(of_pair[kinds], np.ones(len(kinds), dtype=np.int64), count)
    shares += _summed(of_clique, 2 * clique_pairs, count)
    paired = member[np.isin(clique_in_group, cliques[riders_on > 1])]

    def share(of_class: int) -> Floats:
        mine = edge[shared == of_class]
        nodes = [links.first[mine], links.second[mine]]
        if of_class in (_DEVICE, _ACCOUNT):
            nodes.append(paired)
        there = np.unique(np.concatenate(nodes))
        return np.bincount(place[there], minlength=count) / riders

    per_link = np.maximum(linked, 1)
    columns = (
        total_e6 / per_link / WEIGHT_SCALE,
        shares / per_link,
        share(_DEVICE),
        share(_ACCOUNT),
        share(_PURCHASE),
    )
    return groups, dict(zip(GROUP_FEATURES, columns, strict=True))


def _summed(of: Ints, values: Ints, count: int) -> Ints:
    """The sum of the values of each group, exactly."""
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, of, values)
    return sums
