"""The links that a ring graph knows at a moment, as columns: claims, edges with their evidence, members of cliques."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.ragged import Bools, Ints
from monsoon.transforms.rings.cliques import Members
from monsoon.transforms.rings.limits import EDGE_WEIGHT_E6, KINDS
from monsoon.transforms.rings.links import Links
from monsoon.transforms.rings.pairs import weights_at
from monsoon.transforms.rings.surroundings import Cells

_NEVER_MS = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges between claims, by their codes, until when each has its weight; and the evidence of each edge (its row)."""

    first: Ints
    second: Ints
    until_ms: Ints
    edge: Ints
    resource: Ints
    weight_e6: Ints
    expires_at_ms: Ints

    def __len__(self) -> int:
        return len(self.first)

    @staticmethod
    def none() -> Edges:
        empty = np.empty(0, dtype=np.int64)
        return Edges(empty, empty, empty, empty, empty, empty, empty)

    def filter(self, kept: Bools) -> Edges:
        """The edges where the flag is set."""
        mine = kept[self.edge]
        return Edges(
            self.first[kept],
            self.second[kept],
            self.until_ms[kept],
            (np.cumsum(kept) - 1)[self.edge[mine]],
            self.resource[mine],
            self.weight_e6[mine],
            self.expires_at_ms[mine],
        )

    def joined(self, other: Edges) -> Edges:
        columns = {
            name: np.concatenate((getattr(self, name), getattr(other, name))) for name in Edges.__dataclass_fields__
        }
        columns["edge"] = np.concatenate((self.edge, other.edge + len(self)))
        return Edges(**columns)

    @property
    def pair(self) -> Ints:
        """The two claims as one number, whichever is first."""
        return (np.minimum(self.first, self.second) << 32) | np.maximum(self.first, self.second)


class LinkStore:
    """Claims and resources have codes in the order of their arrival, of which nothing that is published depends."""

    def __init__(self) -> None:
        self.claim_ids: list[str] = []
        self._claims: dict[str, int] = {}
        self.worker_ids: list[str] = []
        self._workers: dict[str, int] = {}
        self.worker = np.empty(0, dtype=np.int64)
        self.confirmed_at_ms = np.empty(0, dtype=np.int64)
        self.parent: Cells = np.empty(0, dtype=np.uint64)
        self.resources: list[tuple[str, str]] = []
        self._resources: dict[tuple[str, str], int] = {}
        self.cliques: list[tuple[int, int]] = []
        """Payout account and device of each."""
        self._cliques: dict[tuple[int, int], int] = {}
        self._kind = np.empty(0, dtype=np.int64)
        self.edges = Edges.none()
        self.members = Members.none()

    def next_expiry_ms(self) -> int | None:
        """When the next edge or member expires."""
        first_ms = min(
            int(self.edges.until_ms.min(initial=_NEVER_MS)), int(self.members.until_ms.min(initial=_NEVER_MS))
        )
        return None if first_ms == _NEVER_MS else first_ms

    def kind_of(self, resource: Ints) -> Ints:
        """The kinds of these resources, by their codes."""
        return self._kind[resource]

    def weights(self, edges: Edges, at_ms: int) -> Ints:
        """The weight of each edge at a moment."""
        return weights_at(
            len(edges), edges.edge, self._kind[edges.resource], edges.weight_e6, edges.expires_at_ms, at_ms
        )

    def neighbors(self, edges: Edges, kinds: Sequence[int], at_ms: int) -> tuple[Ints, Ints]:
        """The claims of edges with evidence of some kinds at a moment, and the rider on the other end; both ways."""
        known = (edges.expires_at_ms > at_ms) & np.isin(self._kind[edges.resource], kinds)
        of = np.unique(edges.edge[known])
        first, second = edges.first[of], edges.second[of]
        return np.append(first, second), self.worker[np.append(second, first)]

    def expire(self, at_ms: int) -> Ints:
        """Drops what has expired at the moment; the claims whose edges or members these were."""
        old, gone = self.edges.until_ms <= at_ms, self.members.until_ms <= at_ms
        touched = np.concatenate((self.edges.first[old], self.edges.second[old], self._of_cliques(gone)))
        self._drop(old, gone)
        return np.unique(touched)

    def apply(self, batches: Sequence[Links], at_ms: int) -> Ints:
        """Takes all links of a moment; the claims that have other edges then."""
        touched = [
            self._unlink([self._claims[name] for each in batches for name in each.relinked if name in self._claims])
        ]
        found, members = Edges.none(), Members.none()
        for links in batches:
            claim = self._codes_of_claims(links)
            resource = np.array([self._resource(each) for each in links.resources], dtype=np.int64)
            none = np.zeros(len(links.first), dtype=np.int64)
            found = found.joined(
                Edges(
                    claim[links.first],
                    claim[links.second],
                    none,
                    links.edge,
                    resource[links.resource],
                    links.weight_e6,
                    links.expires_at_ms,
                )
            )
            members = members.joined(self._members(links, claim, resource))
        self._kind = np.append(self._kind, [KINDS.index(kind) for kind, _ in self.resources[len(self._kind) :]]).astype(
            np.int64
        )
        found = self._with_expiry(found, at_ms)
        # Of one pair, the heaviest of what is said at one moment, which is the same unless somebody errs.
        order = np.lexsort((found.until_ms, self.weights(found, at_ms), found.pair))
        kept = np.zeros(len(found), dtype=bool)
        kept[order[np.append(np.diff(found.pair[order]) != 0, np.ones(min(len(order), 1), dtype=bool))]] = True
        found = found.filter(kept & (found.until_ms > at_ms))
        self._drop(np.isin(self.edges.pair, found.pair), np.zeros(len(self.members.claim), dtype=bool))
        self.edges = self.edges.joined(found)
        self._add_members(members)
        changed = np.isin(self.members.clique, np.unique(members.clique))
        return np.unique(np.concatenate((*touched, found.first, found.second, self.members.claim[changed])))

    def _unlink(self, claims: list[int]) -> Ints:
        """Drops all edges and members of these claims; the claims that had one with them."""
        inside = np.zeros(len(self.claim_ids), dtype=bool)
        inside[claims] = True
        old, gone = inside[self.edges.first] | inside[self.edges.second], inside[self.members.claim]
        touched = np.concatenate((self.edges.first[old], self.edges.second[old], self._of_cliques(gone)))
        self._drop(old, gone)
        return touched

    def _of_cliques(self, rows: Bools) -> Ints:
        """All members of the cliques of these rows."""
        return self.members.claim[np.isin(self.members.clique, np.unique(self.members.clique[rows]))]

    def _drop(self, edges: Bools, members: Bools) -> None:
        if edges.any():
            self.edges = self.edges.filter(~edges)
        if members.any():
            self.members = self.members.take(~members)

    def _codes_of_claims(self, links: Links) -> Ints:
        codes, new = [], []
        for row, name in enumerate(links.claim_id):
            code = self._claims.setdefault(name, len(self._claims))
            if code == len(self.claim_ids):
                self.claim_ids.append(name)
                new.append(row)
            codes.append(code)
        workers = []
        for row in new:
            worker = links.worker_id[row]
            code = self._workers.setdefault(worker, len(self._workers))
            if code == len(self.worker_ids):
                self.worker_ids.append(worker)
            workers.append(code)
        self.worker = np.append(self.worker, np.array(workers, dtype=np.int64))
        self.confirmed_at_ms = np.append(self.confirmed_at_ms, links.confirmed_at_ms[new])
        self.parent = np.append(self.parent, links.parent[new])
        return np.array(codes, dtype=np.int64)

    def _resource(self, resource: tuple[str, str]) -> int:
        code = self._resources.setdefault(resource, len(self._resources))
        if code == len(self.resources):
            self.resources.append(resource)
        return code

    def _members(self, links: Links, claim: Ints, resource: Ints) -> Members:
        codes = []
        for account, device, _, _ in links.cliques:
            key = int(resource[account]), int(resource[device])
            codes.append(self._cliques.setdefault(key, len(self._cliques)))
            if codes[-1] == len(self.cliques):
                self.cliques.append(key)
        weights = np.array([each[2:] for each in links.cliques], dtype=np.int64).reshape(-1, 2)[links.clique]
        return Members(
            claim[links.member],
            np.array(codes, dtype=np.int64)[links.clique],
            links.member_until_ms,
            weights[:, 0],
            weights[:, 1],
        )

    def _add_members(self, members: Members) -> None:
        """Of one claim on one clique what was said last counts."""
        joined = self.members.joined(members)
        said = np.repeat([0, 1], [len(self.members.claim), len(members.claim)])
        key = (joined.clique << 32) | joined.claim
        order = np.lexsort((joined.account_e6 + joined.device_e6, joined.until_ms, said, key))
        last = np.append(np.diff(key[order]) != 0, np.ones(min(len(order), 1), dtype=bool))
        self.members = joined.take(order[last])

    def _with_expiry(self, edges: Edges, at_ms: int) -> Edges:
        """The same, each until the moment at which its evidence does not weigh enough any more."""
        until_ms = np.full(len(edges), at_ms)
        rows, kinds = np.arange(len(edges.edge)), self._kind[edges.resource]
        while len(rows):
            # Whose evidence weighs enough lasts until the next piece of it expires; the others are done.
            of = edges.edge[rows]
            heavy = weights_at(len(edges), of, kinds[rows], edges.weight_e6[rows], edges.expires_at_ms[rows], until_ms)
            rows = rows[(heavy >= EDGE_WEIGHT_E6)[of] & (edges.expires_at_ms[rows] > until_ms[of])]
            next_ms = np.full(len(edges), _NEVER_MS)
            np.minimum.at(next_ms, edges.edge[rows], edges.expires_at_ms[rows])
            until_ms = np.where(next_ms < _NEVER_MS, next_ms, until_ms)
        columns = {name: getattr(edges, name) for name in Edges.__dataclass_fields__}
        return Edges(**{**columns, "until_ms": until_ms})

    def compact(self) -> Ints | None:
        """Forgets claims, resources and cliques that nothing refers to, where these are the most; the claims that are
        left, in the order of their new codes, or None."""
        used = np.zeros(len(self.claim_ids), dtype=bool)
        for claims in (self.edges.first, self.edges.second, self.members.claim):
            used[claims] = True
        if 2 * int(used.sum()) >= len(used):
            return None
        left = np.flatnonzero(used)
        claim = np.cumsum(used) - 1
        self.claim_ids = [self.claim_ids[index] for index in left.tolist()]
        self._claims = {name: index for index, name in enumerate(self.claim_ids)}
        workers, self.worker = np.unique(self.worker[left], return_inverse=True)
        self.worker = self.worker.reshape(-1)
        self.worker_ids = [self.worker_ids[index] for index in workers.tolist()]
        self._workers = {name: index for index, name in enumerate(self.worker_ids)}
        self.confirmed_at_ms, self.parent = self.confirmed_at_ms[left], self.parent[left]
        cliques, clique = np.unique(self.members.clique, return_inverse=True)
        pairs = [self.cliques[index] for index in cliques.tolist()]
        resources = np.unique(
            np.array([*self.edges.resource.tolist(), *(each for pair in pairs for each in pair)], dtype=np.int64)
        )
        place = {old: new for new, old in enumerate(resources.tolist())}
        self.resources = [self.resources[index] for index in resources.tolist()]
        self._resources = {each: index for index, each in enumerate(self.resources)}
        self._kind = self._kind[resources]
        self.cliques = [(place[account], place[device]) for account, device in pairs]
        self._cliques = {each: index for index, each in enumerate(self.cliques)}
        edges, members = self.edges, self.members
        self.edges = Edges(
            claim[edges.first],
            claim[edges.second],
            edges.until_ms,
            edges.edge,
            np.searchsorted(resources, edges.resource),
            edges.weight_e6,
            edges.expires_at_ms,
        )
        self.members = Members(
            claim[members.claim], clique.reshape(-1), members.until_ms, members.account_e6, members.device_e6
        )
        return left
