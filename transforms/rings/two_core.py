"""Connected components and the 2-core of a simple undirected graph, given as columns of edges.

A graph library was measured against this and not taken: docs/adr/0061-rings.md.
"""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.ragged import Bools, Ints


def components(nodes: int, first: Ints, second: Ints) -> Ints:
    """The component of each node, int64 (nodes,), named by its smallest node; edges join `first` and `second`.

    The label of a node is a node of its component that is not larger, at last the smallest. Edges between two labels
    give the larger of the two the smaller as its own label, and labels of labels are followed, until no such edge is
    left.

    >>> components(5, np.array([0, 3]), np.array([1, 4]))
    array([0, 0, 2, 3, 3])
    """
    label = np.arange(nodes)
    while len(first):
        one, other = label[first], label[second]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(further := label[label], label):
            label = further
        apart = label[first] != label[second]
        first, second = first[apart], second[apart]
    return label


def two_core(nodes: int, first: Ints, second: Ints) -> Bools:
    """Which nodes are in the 2-core, the largest subgraph in which every node has two neighbors; bool (nodes,).

    Edges must be distinct, without loops. A node with one neighbor left knows it as the exclusive or of its neighbors,
    so that nodes are taken away one by one without lists of neighbors: linear in nodes and edges.

    >>> two_core(5, np.array([0, 1, 2, 2]), np.array([1, 2, 0, 3]))
    array([ True,  True,  True, False, False])
    """
    degree = np.bincount(first, minlength=nodes) + np.bincount(second, minlength=nodes)
    ends, others = np.concatenate((first, second)), np.concatenate((second, first))
    neighbor = np.zeros(nodes, dtype=np.int64)
    if len(ends):
        order = np.argsort(ends, kind="stable")
        begins = np.flatnonzero(np.diff(ends[order], prepend=-1))
        neighbor[ends[order][begins]] = np.bitwise_xor.reduceat(others[order], begins)
    inside = degree >= 2
    leaves = np.flatnonzero(degree == 1).tolist()
    if leaves:
        degrees, neighbors = degree.tolist(), neighbor.tolist()
        while leaves:
            leaf = leaves.pop()
            if degrees[leaf] != 1:  # its only neighbor was a leaf too, and went first
                continue
            degrees[leaf] = 0
            other = neighbors[leaf]
            neighbors[other] ^= leaf
            degrees[other] -= 1
            if degrees[other] == 1:
                leaves.append(other)
        inside = np.array(degrees) >= 2
    return inside
