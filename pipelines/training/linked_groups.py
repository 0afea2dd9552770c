"""Linked groups of simulated riders, for the training and evaluation of the model `syndicate`.

Every rider who is present claims at one moment. Claims are linked as in a replay, over the whole city, but from a
weight on that is asked for: honest riders make no ring, so what links them is only seen below the weight of a ring.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np

from monsoon.pipelines.training.claims import FIRST_CLAIM_MS, PRESENT_MS, Generator, simulated_telemetry
from monsoon.sources.product_files import load_products
from monsoon.sources.scenarios import build_labeled_scenario
from monsoon.sources.simulator import Storm, build_scenario
from monsoon.transforms.coverage import Policy
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.rings.group_features import GROUP_FEATURES, GroupLinks, group_features
from monsoon.transforms.rings.limits import EDGE_WEIGHT_E6, KINDS, WEIGHT_SCALE
from monsoon.transforms.rings.links import Links
from monsoon.transforms.rings.opened_claims import links_among
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.pairs import weights_at
from monsoon.transforms.rings.sightings import PhonePanes, names_of, stays_of_openings
from monsoon.transforms.rings.two_core import components, two_core
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.waiting_period import WaitingRules

HONEST_EDGE_WEIGHT_E6 = 3 * WEIGHT_SCALE
"""Honest riders are linked from this weight on: at 2.5 a city's depots are one group, at 3.5 there is hardly one."""
MIN_CLAIMS = 3
ZONE_RESOLUTION = 9


@dataclass(frozen=True, eq=False)
class Groups:
    """One element a group: float64 (n,) by feature; and its worker_ids."""

    columns: Mapping[str, np.ndarray]
    workers: Sequence[Set[str]]

    def __len__(self) -> int:
        return len(self.workers)

    @property
    def riders(self) -> np.ndarray:
        """How many each has, int64 (n,)."""
        return np.array([len(each) for each in self.workers], dtype=np.int64)

    def disjoint(self) -> Ints:
        """Rows of groups of which no two share a rider, taken in their order: of several moments many are the same."""
        seen: set[str] = set()
        rows = []
        for row, workers in enumerate(self.workers):
            if not seen & workers:
                rows.append(row)
                seen |= workers
        return np.array(rows, dtype=np.int64)

    @staticmethod
    def joined(parts: Sequence[Groups]) -> Groups:
        """The groups of all parts, in their order."""
        columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in GROUP_FEATURES}
        return Groups(columns, [workers for part in parts for workers in part.workers])

    def rows(self, features: Sequence[str]) -> np.ndarray:
        """float64 (n, features)."""
        return np.column_stack([self.columns[name] for name in features])


class SimulatedCity:
    """The riders of one simulation of a storm, their reports and policies of one product."""

    def __init__(self, storm: Storm, riders: int, seed: int, *, attackers: float, generator: Generator) -> None:
        build = build_scenario if generator == "rides" else build_labeled_scenario
        scenario = build(storm, riders, seed, attackers=attackers)
        self._telemetry: TelemetryTable = simulated_telemetry(scenario, 0, scenario.blocks)
        self._code_of = {name: code for code, name in enumerate(self._telemetry.workers)}
        self._phones = _phones_of(self._telemetry)
        self._policies = _policies(scenario.subscriptions.to_dicts())
        labels = scenario.labels
        self.honest: Set[str] = set(labels.filter(labels["kind"] == "honest")["worker_id"].to_list())
        self.attackers: Set[str] = set(labels["worker_id"].to_list()) - self.honest
        terms = storm.modeled.riders
        self._span_ms = storm.time_ms(terms.start) + FIRST_CLAIM_MS, storm.time_ms(terms.end)
        self._seed = seed

    def moments_ms(self, count: int) -> list[int]:
        """So many moments of the storm, ascending."""
        rng = np.random.default_rng((self._seed, 0x67726F7570))
        return sorted(rng.integers(*self._span_ms, count).tolist())

    def honest_groups(self, moments: int) -> Groups:
        """The groups of at least MIN_CLAIMS claims of honest riders that HONEST_EDGE_WEIGHT_E6 links."""
        return Groups.joined(
            [
                _groups(self._links(at_ms, self.honest, HONEST_EDGE_WEIGHT_E6), core=False)
                for at_ms in self.moments_ms(moments)
            ]
        )

    def rings(self, moments: int) -> Groups:
        """The rings of which most members attack, among all riders."""
        everybody = self.honest | self.attackers
        return Groups.joined(
            [
                _groups(self._links(at_ms, everybody, EDGE_WEIGHT_E6), core=True, guilty=self.attackers)
                for at_ms in self.moments_ms(moments)
            ]
        )

    def _links(self, at_ms: int, riders: Set[str], edge_weight_e6: int) -> Links:
        telemetry = self._telemetry
        codes = np.arange(len(telemetry.workers))
        last = telemetry.last_at_or_before(codes, np.full(len(codes), at_ms))
        present = (last >= 0) & (at_ms - telemetry.event_time_ms[last] <= PRESENT_MS)
        zones = cells_of(telemetry.lat[last], telemetry.lon[last], ZONE_RESOLUTION)
        openings = []
        for policy in self._policies:
            state = policy.in_force(at_ms)
            code = -1 if state is None else self._code_of.get(state.worker_id, -1)
            if state is None or state.worker_id not in riders or code < 0 or not present[code]:
                continue
            openings.append(
                Opening(
                    at_ms,
                    state.worker_id,  # of one claim each, so a name for it
                    state.worker_id,
                    "trigger",
                    h3.int_to_str(int(zones[code])),
                    at_ms,
                    state.record.get("device_id"),
                    state.record.get("payout_account"),
                    state.activated_at_ms,
                    state.record.get("squad_id"),
                )
            )
        stays = stays_of_openings(telemetry, self._phones, self._code_of, openings)
        active = sum(telemetry.workers[code] in riders for code in np.flatnonzero(present).tolist())
        return links_among(openings, stays, names_of(telemetry), at_ms, active, edge_weight_e6)


def _phones_of(telemetry: TelemetryTable) -> PhonePanes:
    """Of reports that are all received in their pane."""
    start_ms = telemetry.event_time_ms // PANE_MS * PANE_MS
    device = telemetry.device.astype(np.int64)
    return PhonePanes.of(telemetry.worker, device, start_ms, start_ms + PANE_MS, len(telemetry.workers))


def _policies(events: Sequence[Mapping[str, object]]) -> list[Policy]:
    """The policies of the first product, by name, that any event is of."""
    product = load_products()[min(str(event["product"]) for event in events)]
    by_policy = defaultdict(list)
    for event in events:
        if event["product"] == product.name:
            by_policy[str(event["policy_id"])].append(event)
    return [Policy(name, mine, WaitingRules(product)) for name, mine in sorted(by_policy.items())]


def _groups(links: Links, *, core: bool, guilty: Set[str] = frozenset()) -> Groups:
    """The components of at least MIN_CLAIMS claims, or of the 2-core those of which most are `guilty`."""
    nodes = len(links.claim_id)
    kept = two_core(nodes, links.first, links.second) if core else np.ones(nodes, dtype=bool)
    both = kept[links.first] & kept[links.second]
    label = np.where(kept, components(nodes, links.first[both], links.second[both]), -1)
    sizes = np.bincount(label[kept], minlength=nodes)
    wanted = sizes >= MIN_CLAIMS
    if core:
        bad = np.array([name in guilty for name in links.worker_id], dtype=bool)
        wanted &= 2 * np.bincount(label[kept & bad], minlength=nodes) > sizes
    group: Ints = np.where(kept & wanted[label], label, -1)
    groups, columns = group_features(group, _group_links(links))
    workers = [{links.worker_id[node] for node in np.flatnonzero(group == number).tolist()} for number in groups]
    return Groups(columns, workers)


def _group_links(links: Links) -> GroupLinks:
    kind_of = np.array([KINDS.index(kind) for kind, _ in links.resources], dtype=np.int64)
    kind = kind_of[links.resource]
    valid = links.expires_at_ms > links.at_ms
    weight = weights_at(len(links.first), links.edge, kind, links.weight_e6, links.expires_at_ms, links.at_ms)
    cliques = np.array([account + device for _, _, account, device in links.cliques], dtype=np.int64)
    return GroupLinks(
        links.first, links.second, weight, links.edge[valid], kind[valid], links.member, links.clique, cliques
    )
