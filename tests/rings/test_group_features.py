"""Features of linked groups: by hand, and the same however their links are listed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.rings.group_features import GROUP_FEATURES, GroupLinks, group_features
from monsoon.transforms.rings.limits import (
    ACCESS_POINT,
    DEVICE,
    PAYOUT_ACCOUNT,
    PURCHASE_ON_NETWORK,
    SERVING_CELL,
    SUBSCRIPTION_MINUTE,
)


def ints(values):
    return np.array(list(values), dtype=np.int64)


def links(edges=(), members=(), weights=()):
    """Of edges (node, node, weight, kinds), members (node, clique) and the weight of each clique."""
    evidence = [(place, kind) for place, (*_, kinds) in enumerate(edges) for kind in kinds]
    return GroupLinks(
        ints(edge[0] for edge in edges),
        ints(edge[1] for edge in edges),
        ints(edge[2] for edge in edges),
        ints(each[0] for each in evidence),
        ints(each[1] for each in evidence),
        ints(each[0] for each in members),
        ints(each[1] for each in members),
        ints(weights),
    )


def only(group, found):
    groups, columns = group_features(ints(group), found)
    assert len(groups) == 1
    return {name: float(column[0]) for name, column in columns.items()}


def test_a_group_of_four():
    edges = [
        (0, 1, 9_000_000, (DEVICE, ACCESS_POINT, SERVING_CELL)),
        (2, 1, 8_000_000, (PAYOUT_ACCOUNT, SUBSCRIPTION_MINUTE, PURCHASE_ON_NETWORK)),
        (2, 3, 7_000_000, (PAYOUT_ACCOUNT, ACCESS_POINT)),
    ]
    found = only([5, 5, 5, 5], links(edges))
    assert found == {
        "link_weight": 8.0,
        "kinds_per_link": 2.0,
        "device_share": 0.5,
        "payout_account_share": 0.75,
        "purchase_share": 0.5,
    }


def test_of_several_edges_of_two_nodes_the_heaviest_counts_and_all_kinds():
    edges = [(0, 1, 7_000_000, (DEVICE,)), (1, 0, 9_000_000, (PAYOUT_ACCOUNT,)), (1, 2, 7_000_000, (DEVICE,))]
    found = only([0, 0, 0], links(edges))
    assert (found["link_weight"], found["kinds_per_link"]) == (8.0, 1.5)


def test_links_to_others_do_not_count():
    edges = [(0, 1, 7_000_000, (DEVICE,)), (1, 2, 13_000_000, (PAYOUT_ACCOUNT,)), (2, 3, 8_000_000, (DEVICE,))]
    groups, columns = group_features(ints([0, 0, 2, 2, -1]), links([*edges, (3, 4, 13_000_000, (DEVICE,))]))
    assert groups.tolist() == [0, 2]
    assert columns["link_weight"].tolist() == [7.0, 8.0]
    assert columns["payout_account_share"].tolist() == [0.0, 0.0]


def test_a_clique_is_all_of_its_pairs():
    kinds = (DEVICE, PAYOUT_ACCOUNT)
    pairs = [(a, b, 9_000_000, kinds) for a in range(5) for b in range(a)]
    members = [(node, 1) for node in range(5)]
    as_clique = links(members=[*members, members[0], (5, 0), (6, 1)], weights=[8_000_000, 9_000_000])
    assert only([0] * 5 + [-1] * 2, as_clique) == only([0] * 5, links(pairs))


def test_without_any_group():
    groups, columns = group_features(ints([-1, -1]), links([(0, 1, 7_000_000, (DEVICE,))]))
    assert len(groups) == 0
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(GROUP_FEATURES, 0)


@given(st.data())
def test_neither_order_nor_names_of_nodes_matter(data):
    nodes = data.draw(st.integers(3, 8))
    node = st.integers(0, nodes - 1)
    kinds = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True)
    edges = data.draw(st.lists(st.tuples(node, node, st.integers(7_000_000, 20_000_000), kinds), max_size=12))
    edges = [edge for edge in edges if edge[0] != edge[1]]
    members = data.draw(st.lists(st.tuples(node, st.integers(0, 1)), max_size=8))
    weights = [8_000_000, 11_000_000]
    group = data.draw(st.lists(st.integers(-1, 1), min_size=nodes, max_size=nodes))
    new = data.draw(st.permutations(range(nodes)))
    moved = [(new[b], new[a], weight, kinds[::-1]) for a, b, weight, kinds in data.draw(st.permutations(edges))]
    moved_members = [(new[a], clique) for a, clique in data.draw(st.permutations([*members, *members]))]
    moved_group = [group[new.index(place)] for place in range(nodes)]
    _, expected = group_features(ints(group), links(edges, members, weights))
    _, found = group_features(ints(moved_group), links(moved, moved_members, weights))
    assert {name: column.tolist() for name, column in found.items()} == {
        name: column.tolist() for name, column in expected.items()
    }
