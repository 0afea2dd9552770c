"""Rings by their definitions, pair by pair and moment by moment: what the code under test is compared with."""

import math
from collections import defaultdict
from itertools import combinations

import h3.api.basic_int as h3

from monsoon.transforms.identifiers import ring_id
from monsoon.transforms.rings.limits import (
    APART_FACTOR,
    APART_MS,
    BASE_WEIGHTS,
    DEVICE,
    EDGE_WEIGHT_E6,
    EXPIRY_STEP_MS,
    KINDS,
    MAX_CELLS_OF_A_PLACE,
    MAX_KIND_WEIGHT_E6,
    NEVER_DROPPED,
    PAYOUT_ACCOUNT,
    PLACE_KINDS,
    SUBSCRIPTION_MINUTE,
    SURROUNDINGS_MS,
    WINDOW_MS,
)


def near(one, other):
    """Whether two claims (with `parent` and `confirmed_at_ms`) are in each other's surroundings."""
    cells = one["parent"] == other["parent"] or h3.are_neighbor_cells(one["parent"], other["parent"])
    return cells and abs(one["confirmed_at_ms"] - other["confirmed_at_ms"]) <= SURROUNDINGS_MS


def edges(claims, sightings, at_ms, active, max_riders, max_squad):
    """{(claim, claim): {(kind, code): (weight, expiry)}} of all pairs with a claim confirmed at the moment."""
    seen = defaultdict(lambda: defaultdict(list))
    cells = defaultdict(set)
    for rider, kind, code, time_ms, cell in sightings:
        if 0 <= at_ms - time_ms < WINDOW_MS[kind]:
            seen[kind, code][rider].append(time_ms)
            if cell >= 0:
                cells[kind, code, rider].add(cell)
    moving = {
        (kind, code) for (kind, code, _), under in cells.items() if kind == 2 and len(under) > MAX_CELLS_OF_A_PLACE
    }
    stated = defaultdict(set)
    for claim in claims:
        for kind, code in (
            (DEVICE, claim["device"]),
            (PAYOUT_ACCOUNT, claim["account"]),
            (SUBSCRIPTION_MINUTE, claim["purchased_at_ms"] // 60_000 if claim["purchased_at_ms"] >= 0 else -1),
        ):
            if code >= 0:
                stated[kind, code].add(claim["claim_id"])
    squads = defaultdict(set)
    for claim in claims:
        squads[claim["squad"]].add(claim["rider"])
    riders_on = {
        resource: set(seen[resource]) | {claim["rider"] for claim in claims if claim["claim_id"] in stated[resource]}
        for resource in {*seen, *stated}
    }

    def use(resource, claim):
        """(times or None for only stated, last moment), or None."""
        times = seen[resource].get(claim["rider"], []) if resource in seen else []
        is_stated = claim["claim_id"] in stated[resource]
        if not times and not is_stated:
            return None
        return times or None, max([*times, *([claim["confirmed_at_ms"]] if is_stated else [])])

    def shared(one, other):
        for (kind, code), riders in riders_on.items():
            big = len(riders) > max_riders
            if len(riders) < 2 or (big and kind not in NEVER_DROPPED) or (kind, code) in moving:
                continue
            mine, theirs = use((kind, code), one), use((kind, code), other)
            if mine is None or theirs is None:
                continue
            apart = mine[0] and theirs[0] and min(abs(a - b) for a in mine[0] for b in theirs[0]) > APART_MS
            factor = APART_FACTOR if apart and not big else 1
            weight = round(factor * (BASE_WEIGHTS[kind] * math.log(active / len(riders)) * 1e6))
            expiry_ms = math.ceil((min(mine[1], theirs[1]) + WINDOW_MS[kind]) / EXPIRY_STEP_MS) * EXPIRY_STEP_MS
            yield (kind, code), min(weight, MAX_KIND_WEIGHT_E6), expiry_ms, big

    found = {}
    for one, other in combinations(claims, 2):
        if at_ms not in (one["confirmed_at_ms"], other["confirmed_at_ms"]) or one["rider"] == other["rider"]:
            continue
        if not near(one, other):
            continue
        evidence = list(shared(one, other))
        if one["squad"] >= 0 and one["squad"] == other["squad"] and len(squads[one["squad"]]) <= max_squad:
            # A squad is no reason where so many use one phone and one payout account.
            evidence = [each for each in evidence if each[3]]
        if weight_at([(kind, weight, expiry) for (kind, _), weight, expiry, _ in evidence], at_ms) >= EDGE_WEIGHT_E6:
            found[one["claim_id"], other["claim_id"]] = {key: (weight, expiry) for key, weight, expiry, _ in evidence}
    return found


def weight_at(evidence, at_ms):
    """Of (kind, weight, expiry) the sum of the heaviest of each kind that has not expired."""
    alive = [(kind, weight) for kind, weight, until in evidence if until > at_ms]
    heaviest = [max((weight for of, weight in alive if of == kind), default=0) for kind in range(len(KINDS))]
    places = sum(heaviest[kind] for kind in PLACE_KINDS)
    return sum(heaviest) - places + min(places, MAX_KIND_WEIGHT_E6)


class Graph:
    """The ring graph, evaluated as a whole at every moment at which anything may change."""

    def __init__(self, product, trigger):
        self.product, self.trigger = product, trigger

    def alerts(self, batches, upto_ms):
        """(at_ms, ring_id, state, members, claims, held) of all alerts up to a moment."""
        moments = {links.at_ms for links in batches}
        for links in batches:
            moments.update(links.expires_at_ms.tolist(), links.member_until_ms.tolist())
        rings, alerts = {}, []
        for at_ms in sorted(moment for moment in moments if moment <= upto_ms):
            now = self.rings([links for links in batches if links.at_ms <= at_ms], at_ms)
            for ring in sorted(rings.keys() | now.keys()):
                if ring not in now:
                    alerts.append((at_ms, ring, "lifted", *rings[ring]))
                elif now[ring] != rings.get(ring):
                    alerts.append((at_ms, ring, "raised", *now[ring]))
            rings = now
        return alerts

    def state(self, batches, at_ms):
        """Claims, and the pairs that are edges at the moment."""
        claims, pairs, members = {}, {}, {}
        for moment in sorted({links.at_ms for links in batches}):
            now = [links for links in batches if links.at_ms == moment]
            for name in {name for links in now for name in links.relinked}:
                pairs = {pair: evidence for pair, evidence in pairs.items() if name not in pair}
                members = {key: until for key, until in members.items() if key[1] != name}
            for links in now:
                for row, name in enumerate(links.claim_id):
                    claims[name] = {
                        "worker": links.worker_id[row],
                        "confirmed_at_ms": int(links.confirmed_at_ms[row]),
                        "parent": int(links.parent[row]),
                    }
                evidence = defaultdict(list)
                columns = (links.edge, links.resource, links.weight_e6, links.expires_at_ms)
                for edge, resource, weight, until in zip(*(column.tolist() for column in columns), strict=True):
                    evidence[edge].append((KINDS.index(links.resources[resource][0]), weight, until))
                for row, (a, b) in enumerate(zip(links.first.tolist(), links.second.tolist(), strict=True)):
                    pairs[frozenset((links.claim_id[a], links.claim_id[b]))] = evidence[row]
                for claim, clique, until in zip(
                    links.member.tolist(), links.clique.tolist(), links.member_until_ms.tolist(), strict=True
                ):
                    account, device = links.cliques[clique][:2]
                    members[(links.resources[account], links.resources[device]), links.claim_id[claim]] = until
            pairs = {pair: each for pair, each in pairs.items() if weight_at(each, moment) >= EDGE_WEIGHT_E6}
        alive = {pair for pair, evidence in pairs.items() if weight_at(evidence, at_ms) >= EDGE_WEIGHT_E6}
        on_clique = [key for key, until in members.items() if until > at_ms]
        for (clique, one), (same, other) in combinations(on_clique, 2):
            if clique == same and claims[one]["worker"] != claims[other]["worker"] and near(claims[one], claims[other]):
                alive.add(frozenset((one, other)))
        return claims, alive, {name for _, name in on_clique}

    def rings(self, batches, at_ms):
        """{ring_id: (members, claims, held)} at a moment."""
        claims, pairs, alone = self.state(batches, at_ms)
        alive = {name for pair in pairs for name in pair} | alone
        session = {}
        for worker in {claims[name]["worker"] for name in alive}:
            own = sorted((claims[name]["confirmed_at_ms"], name) for name in alive if claims[name]["worker"] == worker)
            for (before_ms, before), (then_ms, name) in zip([(None, None), *own], own, strict=False):
                begins = before is None or then_ms - before_ms > SURROUNDINGS_MS
                session[name] = name if begins else session[before]
        neighbors = defaultdict(set)
        for one, other in (tuple(pair) for pair in pairs):
            neighbors[session[one]].add(session[other])
            neighbors[session[other]].add(session[one])
        core = set(neighbors)
        while leaves := {node for node in core if len(neighbors[node] & core) < 2}:
            core -= leaves
        rings, left = {}, set(core)
        while left:
            ring, frontier = set(), {min(left)}
            while frontier:
                ring |= frontier
                frontier = {other for node in frontier for other in neighbors[node] & core} - ring
            left -= ring
            members = {claims[node]["worker"] for node in ring}
            assert len(members) >= 3
            own = [name for name in alive if session[name] in ring]
            held = [name for name in alive if session[name] not in core and neighbors[session[name]] & ring]
            first = min(own, key=lambda name: (claims[name]["confirmed_at_ms"], name))
            rings[ring_id(self.product, self.trigger, first)] = (
                tuple(sorted(members)),
                tuple(sorted(own)),
                tuple(sorted(held)),
            )
        return rings
