"""Cliques: claims on one payout account and one phone, of more riders than are enumerated, of which all pairs are
edges.

Whoever is in the 2-core, in which component, and attached by one edge, follows from which cuts of the graph have no
edge, one, or more. So a few edges stand for all: `sparse_edges` gives a subgraph that has in every cut as many edges as
the clique's own graph, or two. Unions of such subgraphs have that property too.

A clique's graph is the union of graphs over two neighboring cells (or one), each with an edge wherever claims were
confirmed at most SURROUNDINGS_MS apart. Add its claims in order of confirmation, and each is adjacent to a set of
earlier ones that are adjacent to each other. Edges to two of these, of different riders, suffice, by induction: let S
be one side of a cut, the claim on the other side. If earlier edges cross S twice, the subgraph's do already. If none
does, the set is on one side: no new edge crosses, or both do. If one does, a set of three or more is on one side too,
as it would be cut twice otherwise; and of a set of two or one all edges are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.rings.limits import SURROUNDINGS_MS
from monsoon.transforms.rings.surroundings import Cells, Neighborhood


@dataclass(frozen=True, eq=False)
class Members:
    """Claims on cliques, by their codes; until when; and the weights of the payout account and of the phone."""

    claim: Ints
    clique: Ints
    until_ms: Ints
    account_e6: Ints
    device_e6: Ints

    @staticmethod
    def none() -> Members:
        empty = np.empty(0, dtype=np.int64)
        return Members(empty, empty, empty, empty, empty)

    def take(self, rows: Ints | Bools) -> Members:
        return Members(*(getattr(self, name)[rows] for name in Members.__dataclass_fields__))

    def joined(self, other: Members) -> Members:
        return Members(
            *(np.concatenate((getattr(self, name), getattr(other, name))) for name in Members.__dataclass_fields__)
        )


@dataclass(frozen=True, eq=False)
class SparseEdges:
    """Edges between claims, each with the clique that it is of."""

    first: Ints
    second: Ints
    clique: Ints


def sparse_edges(members: Members, node: Ints, confirmed_at_ms: Ints, parent: Cells) -> SparseEdges:
    """At most two edges for each claim and pair of neighboring cells, which have the 2-core of all pairs' edges.

    `node`, `confirmed_at_ms` and `parent` have an element for each claim code; claims of one node are no pair.
    """
    edges: list[tuple[int, int, int]] = []
    order = np.lexsort((members.claim, confirmed_at_ms[members.claim], members.clique))
    begins = np.flatnonzero(np.diff(members.clique[order]))
    for rows in np.split(order, begins + 1) if len(order) else ():
        group, clique = members.claim[rows], int(members.clique[rows[0]])
        neighborhood = Neighborhood.of(parent[group])
        cells = neighborhood.codes(parent[group])
        for one, other in neighborhood.covering_pairs():
            inside = group[(cells == one) | (cells == other)]
            edges += (
                (claim, earlier, clique)
                for claim, earlier in _to_two_before(
                    inside.tolist(), node[inside].tolist(), confirmed_at_ms[inside].tolist()
                )
            )
    columns = np.array(edges, dtype=np.int64).reshape(-1, 3).T
    return SparseEdges(columns[0], columns[1], columns[2])


def _to_two_before(claims: list[int], nodes: list[int], confirmed_at_ms: list[int]) -> list[tuple[int, int]]:
    """Each claim with the latest before it of two other nodes, as far as these are in its surroundings."""
    edges = []
    recent: list[tuple[int, int, int]] = []  # of three nodes, the latest first
    for claim, node, at_ms in zip(claims, nodes, confirmed_at_ms, strict=True):
        others = [each for each in recent if each[0] != node]
        edges += [(claim, earlier) for _, earlier, before_ms in others[:2] if at_ms - before_ms <= SURROUNDINGS_MS]
        recent = [(node, claim, at_ms), *others[:2]]
    return edges
