"""The ring graph of a product's trigger over event time: links come in, alerts go out.

A node is a rider's *session* of claims, of which no two neighbors in time are confirmed more than SURROUNDINGS_MS
apart. Sessions of two riders are never a ring, however many they are: between two sessions of a rider lies more than
that, so that each session of the other has edges to its neighbors in time alone, and there is no cycle. Edges are those
of `Links` while enough of their evidence has not expired. What is published up to a moment is a function of the links
up to it: not of their order, of how they were divided, or of repeats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.adjudication.claims import LinkUpdate
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.identifiers import ring_id
from monsoon.transforms.rings.alerts import RingAlert, RingEvidence, Standing
from monsoon.transforms.rings.cliques import Members, SparseEdges, sparse_edges
from monsoon.transforms.rings.group_features import GroupLinks, group_features
from monsoon.transforms.rings.limits import FULL_SCORE_WEIGHT_E6, NETWORK_KINDS, PROXIMITY_KINDS, SURROUNDINGS_MS
from monsoon.transforms.rings.link_store import Edges, LinkStore
from monsoon.transforms.rings.links import Links
from monsoon.transforms.rings.two_core import components, two_core


@dataclass(frozen=True)
class _Ring:
    members: tuple[str, ...]
    claims: tuple[str, ...]
    held: tuple[str, ...]
    evidence: tuple[RingEvidence, ...]
    features: dict[str, float]


class RingGraph:
    """The graph of one product and trigger."""

    def __init__(self, product: str, trigger: str) -> None:
        self._product, self._trigger = product, trigger
        self._store = LinkStore()
        self._pending: dict[int, list[Links]] = {}
        self._component = np.empty(0, dtype=np.int64)
        """Of each claim when it was last evaluated: the first claim connected with it; -1 for none."""
        self._rings: dict[str, _Ring] = {}
        self._standing: dict[str, Standing] = {}
        """How claims stand that a ring has to do with."""
        self._changes: list[tuple[str, LinkUpdate]] = []
        self.upto_ms = -1
        """What happens until then is evaluated."""

    def add(self, links: Links) -> None:
        """Takes links of a moment that is still to come, in any order; repeats do no harm.

        Raises ValueError for those of a moment that has passed.
        """
        if links.at_ms <= self.upto_ms:
            raise ValueError(f"links of {links.at_ms}, when {self.upto_ms} has passed")
        self._pending.setdefault(links.at_ms, []).append(links)

    def advance(self, upto_ms: int) -> list[RingAlert]:
        """What happens up to a moment, that one included: alerts in the order of time and ring_id."""
        alerts: list[RingAlert] = []
        while (at_ms := self.next_ms) is not None and at_ms <= upto_ms:
            expired = self._store.expire(at_ms)
            changed = self._store.apply(self._pending.pop(at_ms, []), at_ms)
            alerts += self._evaluate(np.union1d(expired, changed), at_ms)
        self.upto_ms = max(self.upto_ms, upto_ms)
        left = self._store.compact()
        if left is not None:
            self._component = np.where(self._component[left] < 0, -1, _first_alike(self._component[left]))
        return alerts

    @property
    def next_ms(self) -> int | None:
        """The next change that is known: links that wait, or evidence that expires."""
        expiry_ms = self._store.next_expiry_ms()
        return min(self._pending if expiry_ms is None else (*self._pending, expiry_ms), default=None)

    def _evaluate(self, touched: Ints, at_ms: int) -> Iterator[RingAlert]:
        """The rings among all claims that the touched ones are or were connected with, and what changed."""
        new = len(self._store.claim_ids) - len(self._component)
        self._component = np.append(self._component, np.full(new, -1, dtype=np.int64))
        if not len(touched):
            return
        region = self._region(touched)
        old_standings: dict[str, Standing] = {}
        for index in region.tolist():
            name = self._store.claim_ids[index]
            standing = self._standing.pop(name, None)
            if standing is not None:
                old_standings[name] = standing
        before = {standing.ring_id for standing in old_standings.values()}
        found = self._rings_among(region, at_ms)
        self._note_changes(region, old_standings, at_ms)
        for ring in sorted(before | found.keys()):
            old, now = self._rings.pop(ring, None), found.get(ring)
            if now is not None:
                self._rings[ring] = now
                if old is None or (old.claims, old.held) != (now.claims, now.held):
                    yield self._alert(ring, at_ms, now)
            elif old is not None:
                yield self._alert(ring, at_ms, old, lifted=True)

    def _note_changes(self, region: Ints, before: Mapping[str, Standing], at_ms: int) -> None:
        """Notes the claims of a region that stand otherwise than before."""
        store = self._store
        for index in region.tolist():
            name = store.claim_ids[index]
            now = self._standing.get(name)
            if now == before.get(name):
                continue
            worker = store.worker_ids[store.worker[index]]
            update = LinkUpdate(at_ms, name)
            if now is not None:
                degrees = now.proximity_degree, now.shared_network_degree
                update = LinkUpdate(at_ms, name, now.ring_id, now.held, now.score, None, *degrees)
            self._changes.append((worker, update))

    def take_changes(self) -> list[tuple[str, LinkUpdate]]:
        """How claims stand from a moment on, by worker_id, of all whose standing has changed since the last call, in
        the order of time and claim_id."""
        changes, self._changes = self._changes, []
        return sorted(changes, key=lambda each: (each[1].at_ms, each[1].claim_id))

    def _alert(self, ring: str, at_ms: int, what: _Ring, lifted: bool = False) -> RingAlert:
        return RingAlert(
            ring_id=ring,
            at_ms=at_ms,
            state="lifted" if lifted else "raised",
            product=self._product,
            trigger=self._trigger,
            members=what.members,
            claims=what.claims,
            held=what.held,
            evidence=() if lifted else what.evidence,
            features={} if lifted else what.features,
        )

    def _region(self, touched: Ints) -> Ints:
        """The touched claims, those of their riders, and all that were connected with any of these."""
        worker = self._store.worker
        workers = np.zeros(int(worker.max()) + 1, dtype=bool)
        workers[worker[touched]] = True
        inside = workers[worker]
        connected = np.zeros(len(worker) + 1, dtype=bool)  # the last for -1
        connected[self._component[inside]] = True
        connected[-1] = False
        return np.flatnonzero(inside | connected[self._component])

    def _rings_among(self, region: Ints, at_ms: int) -> dict[str, _Ring]:
        """The rings among these claims, which notes their standings and components."""
        store = self._store
        inside = np.zeros(len(store.claim_ids), dtype=bool)
        inside[region] = True
        edges = store.edges.filter(inside[store.edges.first])
        members = store.members.take(inside[store.members.claim])
        node = self._sessions(edges, members)
        sparse = sparse_edges(members, node, store.confirmed_at_ms, store.parent)
        first = node[np.concatenate((edges.first, sparse.first))]
        second = node[np.concatenate((edges.second, sparse.second))]
        nodes = int(node.max(initial=-1)) + 1
        pairs = np.unique(np.minimum(first, second) * nodes + np.maximum(first, second))
        u, v = np.divmod(pairs, max(nodes, 1))
        self._component[region] = -1
        claims = np.flatnonzero(node >= 0)
        self._component[claims] = claims[_first_alike(components(nodes, u, v)[node[claims]])]

        core = two_core(nodes, u, v)
        both = core[u] & core[v]
        ring = np.where(core, components(nodes, u[both], v[both]), -1)
        held = np.full(nodes, -1, dtype=np.int64)
        for one, other in ((u, v), (v, u)):
            arms = (ring[one] >= 0) & ~core[other]
            held[other[arms]] = ring[one[arms]]
        clique_e6 = np.zeros(len(store.cliques), dtype=np.int64)
        np.maximum.at(clique_e6, members.clique, members.account_e6 + members.device_e6)
        edge_e6 = store.weights(edges, at_ms)
        weight = np.concatenate((edge_e6, clique_e6[sparse.clique]))
        heaviest = np.zeros(nodes, dtype=np.int64)
        for one, other in ((first, second), (second, first)):
            np.maximum.at(heaviest, one, np.where(ring[other] >= 0, weight, 0))
        evidence = self._evidence(edges, sparse, members, node, ring, at_ms)
        degrees = [self._degrees(edges, kinds, node, at_ms) for kinds in (PROXIMITY_KINDS, NETWORK_KINDS)]
        valid = edges.expires_at_ms > at_ms
        links = GroupLinks(
            node[edges.first],
            node[edges.second],
            edge_e6,
            edges.edge[valid],
            store.kind_of(edges.resource[valid]),
            node[members.claim],
            members.clique,
            clique_e6,
        )
        return self._named(claims, node, ring, held, heaviest, degrees, evidence, _by_group(ring, links))

    def _degrees(self, edges: Edges, kinds: Sequence[int], node: Ints, at_ms: int) -> Ints:
        """To how many other riders each node has an edge with evidence of these kinds."""
        claim, other = self._store.neighbors(edges, kinds, at_ms)
        width = len(self._store.worker_ids)
        return np.bincount(
            np.unique(node[claim] * width + other) // max(width, 1), minlength=int(node.max(initial=-1)) + 1
        )

    def _sessions(self, edges: Edges, members: Members) -> Ints:
        """The node of each claim that has an edge or is on a clique; -1 for any other."""
        store = self._store
        alive = np.zeros(len(store.claim_ids), dtype=bool)
        for claims in (edges.first, edges.second, members.claim):
            alive[claims] = True
        claims = np.flatnonzero(alive)
        order = claims[np.lexsort((store.confirmed_at_ms[claims], store.worker[claims]))]
        begins = np.diff(store.worker[order], prepend=-1) != 0
        begins |= np.diff(store.confirmed_at_ms[order], prepend=0) > SURROUNDINGS_MS
        node = np.full(len(store.claim_ids), -1, dtype=np.int64)
        node[order] = np.cumsum(begins) - 1
        return node

    def _evidence(
        self, edges: Edges, sparse: SparseEdges, members: Members, node: Ints, ring: Ints, at_ms: int
    ) -> dict[int, tuple[RingEvidence, ...]]:
        """What the members of each ring share, by which they have edges: the heaviest first."""
        within = (ring[node[edges.first]] >= 0) & (ring[node[edges.second]] >= 0)
        rows = np.flatnonzero(within[edges.edge] & (edges.expires_at_ms > at_ms))
        resource = [edges.resource[rows]] * 2
        at = [node[edges.first[edges.edge[rows]]], node[edges.second[edges.edge[rows]]]]
        weight = [edges.weight_e6[rows]] * 2
        # Members of cliques that have an edge of it within the ring.
        linked = (ring[node[sparse.first]] >= 0) & (ring[node[sparse.second]] >= 0)
        width = int(node.max(initial=0)) + 1
        ends = np.concatenate((node[sparse.first[linked]], node[sparse.second[linked]]))
        on_clique = np.isin(
            members.clique * width + node[members.claim], np.tile(sparse.clique[linked], 2) * width + ends
        )
        pairs = np.array(self._store.cliques, dtype=np.int64).reshape(-1, 2)[members.clique[on_clique]]
        resource += [pairs[:, 0], pairs[:, 1]]
        at += [node[members.claim[on_clique]]] * 2
        weight += [members.account_e6[on_clique], members.device_e6[on_clique]]
        return self._summed(np.concatenate(resource), np.concatenate(at), np.concatenate(weight), ring)

    def _summed(self, resource: Ints, at: Ints, weight: Ints, ring: Ints) -> dict[int, tuple[RingEvidence, ...]]:
        """Evidence by ring, of columns with one element for a resource and one of its nodes."""
        evidence: dict[int, list[RingEvidence]] = {}
        shared, place = np.unique(ring[at] * (len(self._store.resources) + 1) + resource, return_inverse=True)
        place = place.reshape(-1)
        heaviest = np.zeros(len(shared), dtype=np.int64)
        np.maximum.at(heaviest, place, weight)
        distinct = np.unique(place * (len(ring) + 1) + at)
        riders = np.bincount(distinct // (len(ring) + 1), minlength=len(shared))
        of_ring, code = np.divmod(shared, len(self._store.resources) + 1)
        columns = (of_ring.tolist(), code.tolist(), riders.tolist(), heaviest.tolist())
        for number, index, count, weight_e6 in zip(*columns, strict=True):
            kind, name = self._store.resources[index]
            evidence.setdefault(number, []).append(RingEvidence(kind, name, count, weight_e6))
        return {
            number: tuple(sorted(found, key=lambda each: (-each.weight_e6, -each.riders, each.kind, each.resource)))
            for number, found in evidence.items()
        }

    def _named(
        self,
        claims: Ints,
        node: Ints,
        ring: Ints,
        held: Ints,
        heaviest: Ints,
        degrees: Sequence[Ints],
        evidence: dict[int, tuple[RingEvidence, ...]],
        features: dict[int, dict[str, float]],
    ) -> dict[str, _Ring]:
        """Rings by ring_id; notes the standings of their claims and of those attached."""
        store = self._store
        of = np.where(ring >= 0, ring, held)[node[claims]]
        some = claims[of >= 0].tolist()
        some.sort(key=store.claim_ids.__getitem__)
        nodes = node[some]
        score = np.minimum(heaviest[nodes] / FULL_SCORE_WEIGHT_E6, 1.0).tolist()
        columns = (
            np.where(ring >= 0, ring, held)[nodes],
            store.confirmed_at_ms[some],
            store.worker[some],
            held[nodes] >= 0,
        )
        links = list(zip(score, *(degree[nodes].tolist() for degree in degrees), strict=True))
        groups: dict[int, list[tuple[int, str, str, bool, tuple[float, int, int]]]] = {}
        for claim, number, confirmed_ms, worker, is_held, link in zip(
            some, *(column.tolist() for column in columns), links, strict=True
        ):
            group = groups.setdefault(number, [])
            group.append((confirmed_ms, store.claim_ids[claim], store.worker_ids[worker], is_held, link))
        rings = {}
        for number, group in groups.items():
            own = [each for each in group if not each[3]]
            name = ring_id(self._product, self._trigger, min(own)[1])
            rings[name] = _Ring(
                members=tuple(sorted({each[2] for each in own})),
                claims=tuple([each[1] for each in own]),
                held=tuple([each[1] for each in group if each[3]]),
                evidence=evidence.get(number, ()),
                features=features[number],
            )
            for _, claim_id, _, is_held, link in group:
                self._standing[claim_id] = Standing(name, is_held, *link)
        return rings


def _by_group(ring: Ints, links: GroupLinks) -> dict[int, dict[str, float]]:
    """The features of each ring, by its number."""
    rings, columns = group_features(ring, links)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return {number: dict(zip(columns, row, strict=True)) for number, row in zip(rings.tolist(), rows, strict=True)}


def _first_alike(labels: Ints) -> Ints:
    """For each element the place of the first that is equal to it."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first[which.reshape(-1)]
