"""The ring graph: incremental as from scratch, in any order; what is a ring, who is held, when it lifts."""

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rings import naive
from rings.conftest import DAY_MS, HOUR_MS, MINUTE_MS, NAMES, NOW_MS, ZONE, claim, claims_of, crowd, stays

from monsoon.transforms.identifiers import ring_id
from monsoon.transforms.rings.alerts import RingEvidence
from monsoon.transforms.rings.graph import RingGraph
from monsoon.transforms.rings.links import Links, link_claims, withdrawn

PARENT = h3.cell_to_parent(ZONE, 5)
PARENTS = [PARENT, sorted(set(h3.grid_disk(PARENT, 1)) - {PARENT})[0], sorted(h3.grid_ring(PARENT, 2))[0]]
RESOURCES = (("device", "d"), ("payout_account", "p"), ("access_point", "a"), ("payout_account", "q"))
FOREVER_MS = NOW_MS + 100 * DAY_MS


def ints(values):
    return np.array(values, dtype=np.int64)


def links_of(at_ms, claims, edges=(), members=(), cliques=((1, 0, 5_000_000, 4_000_000),), relinked=()):
    """Links of claims (name, worker, confirmation, parent), edges (claim, claim, evidence) and members (claim, clique,
    until)."""
    place = {each[0]: row for row, each in enumerate(claims)}
    evidence = [(row, *each) for row, (_, _, of) in enumerate(edges) for each in of]
    return Links(
        at_ms=at_ms,
        claim_id=tuple(each[0] for each in claims),
        worker_id=tuple(each[1] for each in claims),
        confirmed_at_ms=ints([each[2] for each in claims]),
        parent=np.array([each[3] for each in claims], dtype=np.uint64),
        first=ints([place[a] for a, _, _ in edges]),
        second=ints([place[b] for _, b, _ in edges]),
        edge=ints([each[0] for each in evidence]),
        resource=ints([each[1] for each in evidence]),
        weight_e6=ints([each[2] for each in evidence]),
        expires_at_ms=ints([each[3] for each in evidence]),
        member=ints([place[name] for name, _, _ in members]),
        clique=ints([clique for _, clique, _ in members]),
        member_until_ms=ints([until for _, _, until in members]),
        cliques=cliques,
        resources=RESOURCES,
        relinked=tuple(relinked),
    )


def meet(one, other):
    """Whether two claims (name, worker, confirmation, parent) are in each other's surroundings."""
    return naive.near(*({"confirmed_at_ms": each[2], "parent": each[3]} for each in (one, other)))


@st.composite
def histories(draw):
    """Batches of links about the same few claims, of riders with one to three each."""
    claims = []
    for number in range(draw(st.integers(3, 10))):
        confirmed_ms = NOW_MS + draw(st.sampled_from([0, 0, 3, 6, 7, 13])) * HOUR_MS
        worker = f"w{draw(st.integers(0, 6))}"
        claims.append((f"c{number}", worker, confirmed_ms, draw(st.sampled_from(PARENTS))))
    different = [(a, b) for a in claims for b in claims if a[0] < b[0] and a[1] != b[1] and meet(a, b)]
    expiries = st.sampled_from([1, 2, 3, 24, 48]).map(lambda hours: NOW_MS + 13 * HOUR_MS + hours * HOUR_MS)
    batches = []
    for _ in range(draw(st.integers(1, 5))):
        at_ms = NOW_MS + draw(st.sampled_from([13, 14, 15, 30])) * HOUR_MS
        pairs = draw(st.lists(st.sampled_from(different), max_size=9, unique=True)) if different else []
        edges = [
            (
                a[0],
                b[0],
                [(0, 4_000_000, draw(expiries)), (1, 4_000_000, draw(expiries)), (2, 3_500_000, draw(expiries))],
            )
            for a, b in pairs
        ]
        # What has expired by the moment is no evidence, and less than 7 no edge.
        edges = [(a, b, [each for each in of if each[2] > at_ms]) for a, b, of in edges]
        edges = [edge for edge in edges if len(edge[2]) > 1]
        members = [
            (name, clique, until)
            for name, *_ in claims
            for clique in (0, 1)
            if draw(st.integers(0, 3)) == 0 and (until := draw(expiries)) > at_ms
        ]
        relinked = draw(st.lists(st.sampled_from(claims).map(lambda each: each[0]), max_size=2, unique=True))
        if any(batch.at_ms == at_ms for batch in batches):
            continue
        cliques = ((1, 0, 5_000_000, 4_000_000), (3, 0, 5_000_000, 4_000_000))
        batches.append(links_of(at_ms, claims, edges, members, cliques, relinked))
    return batches


def told(alerts):
    return [(each.at_ms, each.ring_id, each.state, each.members, each.claims, each.held) for each in alerts]


@settings(max_examples=150, deadline=None)
@given(batches=histories(), data=st.data())
def test_incremental_as_from_scratch(batches, data):
    graph = RingGraph("gic", "rain")
    waiting = data.draw(st.permutations(batches))
    alerts = []
    for upto_ms in sorted(
        data.draw(st.lists(st.sampled_from([NOW_MS + h * HOUR_MS for h in range(13, 40)]), max_size=4))
    ):
        for links in [each for each in waiting if each.at_ms <= upto_ms]:
            graph.add(links)
        waiting = [each for each in waiting if each.at_ms > upto_ms]
        alerts += graph.advance(upto_ms)
        expected = naive.Graph("gic", "rain").rings([each for each in batches if each.at_ms <= upto_ms], upto_ms)
        standings = {
            f"c{number}": (standing.ring_id, standing.held)
            for number in range(10)
            if (standing := graph._standing.get(f"c{number}"))
        }
        assert standings == {
            name: (ring, held)
            for ring, (_, own, attached) in expected.items()
            for names, held in ((own, False), (attached, True))
            for name in names
        }
    for links in waiting:
        graph.add(links)
    alerts += graph.advance(FOREVER_MS)
    assert told(alerts) == naive.Graph("gic", "rain").alerts(batches, FOREVER_MS)
    assert graph.next_ms is None


@settings(max_examples=80, deadline=None)
@given(batches=histories(), data=st.data())
def test_order_repeats_and_division_do_not_matter(batches, data):
    whole = RingGraph("gic", "rain")
    for links in batches:
        whole.add(links)
    expected = whole.advance(FOREVER_MS)
    mixed = RingGraph("gic", "rain")
    for links in data.draw(st.permutations([*batches, *data.draw(st.lists(st.sampled_from(batches), max_size=3))])):
        mixed.add(links)
    alerts = []
    for upto_ms in range(NOW_MS + 12 * HOUR_MS, NOW_MS + 40 * HOUR_MS, 7 * HOUR_MS):
        alerts += mixed.advance(upto_ms)
    assert alerts + mixed.advance(FOREVER_MS) == expected
    assert mixed.take_changes() == whole.take_changes()


@settings(max_examples=60, deadline=None)
@given(batches=histories(), after_h=st.integers(12, 80))
def test_a_graph_is_restored_from_its_links(batches, after_h):
    upto_ms = NOW_MS + after_h * HOUR_MS
    graphs = RingGraph("gic", "rain"), RingGraph("gic", "rain")
    for graph in graphs:
        for links in batches:
            graph.add(links)
    for at_ms in range(NOW_MS, upto_ms, 5 * HOUR_MS):
        graphs[0].advance(at_ms)
    for graph in graphs:
        graph.advance(upto_ms)
    assert graphs[0].advance(FOREVER_MS) == graphs[1].advance(FOREVER_MS)


@settings(max_examples=60, deadline=None)
@given(
    confirmed_h=st.lists(st.integers(0, 20), min_size=1, max_size=14),
    workers=st.integers(2, 14),
    places=st.lists(st.sampled_from(PARENTS), min_size=14, max_size=14),
)
def test_a_clique_is_all_of_its_pairs(confirmed_h, workers, places):
    """The graph of the members of a clique is the graph of its pairs given one by one."""
    claims = [
        (f"c{number:02}", f"w{number % workers}", NOW_MS + hours * HOUR_MS, places[number])
        for number, hours in enumerate(confirmed_h)
    ]
    at_ms = NOW_MS + 20 * HOUR_MS
    as_clique = links_of(at_ms, claims, members=[(name, 0, FOREVER_MS) for name, *_ in claims])
    one_by_one = [
        (a[0], b[0], [(0, 5_000_000, FOREVER_MS), (1, 4_000_000, FOREVER_MS)])
        for i, a in enumerate(claims)
        for j, b in enumerate(claims)
        if i < j and a[1] != b[1] and meet(a, b)
    ]
    linked = {name for a, b, _ in one_by_one for name in (a, b)}
    expected = RingGraph("gic", "rain")
    # Who is on the clique with nobody near counts for the rider's session all the same.
    expected.add(links_of(at_ms, [each for each in claims if each[0] in linked], one_by_one))
    graph = RingGraph("gic", "rain")
    graph.add(as_clique)
    found, wanted = graph.advance(at_ms), expected.advance(at_ms)
    assert [each.members for each in found] == [each.members for each in wanted]
    assert [set(each.claims) - linked for each in found] == [
        set(each.claims) - set(other.claims) for each, other in zip(found, wanted, strict=True)
    ]
    assert [each.held for each in found] == [each.held for each in wanted]


# By hand


def linked(rows, active=8_000, seen=()):
    return link_claims(claims_of(rows), stays([*crowd(active), *seen]), NOW_MS, NAMES)


def alerts_of(*batches, upto_ms=NOW_MS):
    graph = RingGraph("gic", "rain")
    for links in batches:
        graph.add(links)
    return graph.advance(upto_ms)


def trio(**more):
    return [claim(rider, account=1, purchased_at_ms=0, **more) for rider in (1, 2, 3)]


def test_three_riders_on_an_account_and_a_minute_are_a_ring():
    (alert,) = alerts_of(linked(trio()))
    assert alert.ring_id == ring_id("gic", "rain", "c001")
    assert (alert.at_ms, alert.state, alert.members) == (NOW_MS, "raised", ("w001", "w002", "w003"))
    assert (alert.claims, alert.held) == (("c001", "c002", "c003"), ())
    # 0.9 ln(8003 / 3) is above 7 and capped; 0.5 ln(8003 / 3) is 3.944.
    assert alert.evidence == (
        RingEvidence("payout_account", "payout_account 1", 3, 6_999_999),
        RingEvidence("subscription_minute", "0", 3, 3_944_480),
    )


def test_one_kind_is_no_ring():
    rows = [claim(rider, account=1) for rider in (1, 2, 3)]
    assert alerts_of(linked(rows)) == []


def test_who_is_attached_by_one_edge_is_held():
    rows = [*trio(), claim(4, account=2, purchased_at_ms=60_000)]
    rows[0] |= {"device": 5}
    rows[3] |= {"device": 5}
    seen = [(rider, 2, 9, NOW_MS, -1) for rider in (1, 4)]
    graph = RingGraph("gic", "rain")
    graph.add(linked(rows, seen=seen))
    (alert,) = graph.advance(NOW_MS)
    assert (alert.members, alert.held) == (("w001", "w002", "w003"), ("c004",))
    standing = graph._standing.get("c004")
    assert (standing.ring_id, standing.held) == (alert.ring_id, True)
    # A device capped below 7 and an access point of 0.5 ln(8004 / 2) = 4.147, of 14.
    assert standing.score == pytest.approx((6.999999 + 4.147274) / 14, abs=1e-6)
    assert graph._standing.get("c009") is None
    # One rider at the same access point; the ring has nothing but an account and a minute in common.
    assert (standing.proximity_degree, standing.shared_network_degree) == (1, 0)
    degrees = [graph._standing.get(f"c00{n}").proximity_degree for n in (1, 2, 3)]
    assert degrees == [1, 0, 0]
    (update,) = (each for worker, each in graph.take_changes() if worker == "w004")
    assert (update.held, update.proximity_degree, update.shared_network_degree) == (True, 1, 0)


def test_degrees_count_riders_and_not_claims_or_resources():
    rows = [claim(rider, account=1) for rider in (1, 2, 3)]
    rows.append(claim(3, account=1, claim_id="c903", confirmed_at_ms=NOW_MS - HOUR_MS))
    seen = [(rider, kind, code, NOW_MS, -1) for rider in (1, 2, 3) for kind, code in ((2, 7), (2, 8), (4, 9))]
    graph = RingGraph("gic", "rain")
    graph.add(linked(rows, seen=seen))
    graph.advance(NOW_MS)
    for name in ("c001", "c002", "c003"):
        standing = graph._standing.get(name)
        assert (standing.proximity_degree, standing.shared_network_degree) == (2, 2)


def test_a_ring_lifts_when_its_evidence_expires():
    seen = [(rider, 2, 9, NOW_MS - 90 * MINUTE_MS, -1) for rider in (1, 2, 3)]
    rows = [claim(rider, account=1) for rider in (1, 2, 3)]
    raised, lifted = alerts_of(linked(rows, seen=seen), upto_ms=NOW_MS + DAY_MS)
    assert (raised.state, lifted.state, lifted.claims) == ("raised", "lifted", raised.claims)
    assert lifted.at_ms == NOW_MS + DAY_MS - HOUR_MS  # 22.5 h from now, at the next whole hour
    assert lifted.evidence == ()
    _, lifted = alerts_of(linked(trio()), upto_ms=FOREVER_MS)
    assert lifted.at_ms == NOW_MS + 28 * DAY_MS


def test_a_ring_lifts_when_its_evidence_is_corrected():
    rows = trio()
    corrected = [*rows[:2], {**rows[2], "account": -1}]
    at_ms = NOW_MS + HOUR_MS
    again = link_claims(
        claims_of(corrected), stays(crowd(8_000), at_ms), at_ms, NAMES, relink=np.array([False, False, True])
    )
    raised, lifted = alerts_of(linked(rows), again, upto_ms=at_ms)
    assert (raised.state, lifted.state, lifted.at_ms) == ("raised", "lifted", at_ms)
    raised, lifted = alerts_of(linked(rows), withdrawn(["c002"], at_ms), upto_ms=at_ms)
    assert (raised.state, lifted.state, lifted.at_ms) == ("raised", "lifted", at_ms)


def test_a_ring_that_grows_keeps_its_id():
    later = [*trio(), claim(4, account=1, purchased_at_ms=0, confirmed_at_ms=NOW_MS + HOUR_MS)]
    seen = stays(crowd(8_000), NOW_MS + HOUR_MS)
    first, second = alerts_of(
        linked(trio()), link_claims(claims_of(later), seen, NOW_MS + HOUR_MS, NAMES), upto_ms=NOW_MS + HOUR_MS
    )
    assert first.ring_id == second.ring_id
    assert second.members == ("w001", "w002", "w003", "w004")


def test_two_riders_with_several_claims_are_no_ring():
    rows = [
        claim(rider, claim_id=f"c{rider}{number}", account=1, purchased_at_ms=0, confirmed_at_ms=NOW_MS - number)
        for rider in (1, 2)
        for number in range(3)
    ]
    batches = [
        link_claims(
            claims_of([row for row in rows if row["confirmed_at_ms"] <= at]), stays(crowd(8_000), at), at, NAMES
        )
        for at in (NOW_MS - 2, NOW_MS - 1, NOW_MS)
    ]
    assert sum(len(links.first) for links in batches) == 9
    assert alerts_of(*batches) == []


def test_claims_of_one_rider_connect_what_is_linked_to_them():
    """w1 and w2 are linked by two claims, and both to w3 by other claims of the same session."""
    claims = [(f"c{row}", f"w{worker}", NOW_MS, PARENT) for row, worker in enumerate([1, 2, 1, 3, 2])]
    evidence = [(0, 6_000_000, FOREVER_MS), (2, 2_000_000, FOREVER_MS)]
    first = links_of(NOW_MS + 1, claims, [("c0", "c1", evidence)])
    second = links_of(NOW_MS + 2, claims, [("c2", "c3", evidence), ("c3", "c4", evidence)])
    (alert,) = alerts_of(first, second, upto_ms=NOW_MS + 2)
    assert (alert.at_ms, alert.members) == (NOW_MS + 2, ("w1", "w2", "w3"))
    assert alert.claims == ("c0", "c1", "c2", "c3", "c4")


def test_links_of_a_moment_that_has_passed_are_refused():
    graph = RingGraph("gic", "rain")
    graph.advance(NOW_MS)
    with pytest.raises(ValueError, match="has passed"):
        graph.add(linked(trio()))


def test_state_is_forgotten():
    graph = RingGraph("gic", "rain")
    for day in range(0, 300, 30):
        at_ms = NOW_MS + day * DAY_MS
        rows = [{**row, "confirmed_at_ms": at_ms, "claim_id": f"{row['claim_id']}-{day}"} for row in trio()]
        graph.add(link_claims(claims_of(rows), stays([], at_ms), at_ms, NAMES))
        lots = [(rider, 5, rider, at_ms, -1) for rider in range(1000, 9000)]
        graph.add(link_claims(claims_of(rows), stays(lots, at_ms), at_ms, NAMES))
        assert [alert.state for alert in graph.advance(at_ms + HOUR_MS)] == (["lifted"] if day else []) + ["raised"]
        assert len(graph._store.claim_ids) <= 6
        assert len(graph._standing) == 3
        assert graph._component.max() < len(graph._store.claim_ids)
