"""Components and the 2-core, as taking nodes away one by one has them."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.rings import two_core as module
from monsoon.transforms.rings.two_core import components, two_core

NODES = 30
EDGES = st.sets(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)).filter(lambda edge: edge[0] < edge[1]), max_size=60
)


def columns(edges):
    return np.array(list(edges), dtype=np.int64).reshape(-1, 2).T


@given(edges=EDGES)
def test_as_one_by_one(edges):
    neighbors = {node: {b if a == node else a for a, b in edges if node in (a, b)} for node in range(NODES)}
    core = set(range(NODES))
    while leaves := {node for node in core if len(neighbors[node] & core) < 2}:
        core -= leaves
    assert set(np.flatnonzero(two_core(NODES, *columns(edges))).tolist()) == core
    label = list(range(NODES))
    for _ in range(NODES):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    assert components(NODES, *columns(edges)).tolist() == label


@pytest.mark.parametrize("closed", [False, True])
def test_a_long_path_in_any_order(closed):
    """Whoever peels one leaf a pass over all edges, or passes labels on from node to node, is not done today."""
    count = 200_000
    node = np.random.default_rng(3).permutation(count)
    first, second = node[:-1], node[1:]
    if closed:
        first, second = np.append(first, node[-1]), np.append(second, node[0])
    assert components(count, first, second).max() == 0
    assert two_core(count, first, second).all() == closed
    assert two_core(count, first, second).any() == closed


def test_examples_run():
    result = doctest.testmod(module)
    assert (result.attempted, result.failed) == (2, 0)
