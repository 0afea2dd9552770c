"""Who is never a ring, whatever they share; and the ways in that are one."""

import numpy as np
import pytest
from rings.conftest import DAY_MS, HOUR_MS, MINUTE_MS, NAMES, NOW_MS, claim, claims_of, crowd, stays

from monsoon.transforms.rings.cliques import sparse_edges
from monsoon.transforms.rings.graph import RingGraph
from monsoon.transforms.rings.limits import ACCESS_POINT, DEVICE, NETWORK_PREFIX, SERVING_CELL
from monsoon.transforms.rings.links import link_claims

STORM = 8_000
COUNTRY = 120_000
"""Among so many, whatever two share weighs much: an access point 5.5."""


def rings(rows, seen=(), active=STORM):
    """Links, and (members, held) of each ring."""
    links = link_claims(claims_of(rows), stays([*crowd(active), *seen]), NOW_MS, NAMES)
    graph = RingGraph("gic", "rain")
    graph.add(links)
    return links, [(alert.members, alert.held) for alert in graph.advance(NOW_MS)]


def at_home(riders, home=1, back_ms=0):
    """What flatmates show: two access points, the network and the tower."""
    for rider in riders:
        for point in (0, 1):
            yield rider, ACCESS_POINT, home * 10 + point, NOW_MS - back_ms, 3
        yield rider, NETWORK_PREFIX, home, NOW_MS - back_ms, 3
        yield rider, SERVING_CELL, 3, NOW_MS - back_ms, 3


@pytest.mark.parametrize("active", [STORM, COUNTRY])
def test_a_family_on_one_upi_handle(active):
    """Two who share the account, the flat, the minute and the phone: an edge, and no ring, as often as they claim."""
    rows = [
        claim(rider, claim_id=f"c{rider}-{number}", account=7, device=5, purchased_at_ms=0)
        for rider in (1, 2)
        for number in range(4)
    ]
    links, found = rings(rows, at_home([1, 2]), active)
    assert (len(links.first), found) == (16, [])


@pytest.mark.parametrize("active", [STORM, COUNTRY])
@pytest.mark.parametrize("riders", [3, 20, 25, 26, 400])
def test_flatmates_and_colleagues_at_a_depot(active, riders):
    """The same Wi-Fi, its network and the tower outside are one place, however few know it."""
    rows = [claim(rider) for rider in range(riders)]
    links, found = rings(rows, at_home(range(riders)), active)
    assert (len(links.first), found) == (0, [])


@pytest.mark.parametrize("riders", [3, 25, 400])
def test_carrier_nat_and_one_tower_in_a_storm(riders):
    seen = [
        (rider, kind, 1, NOW_MS - minute * MINUTE_MS, 1)
        for rider in range(riders)
        for kind in (NETWORK_PREFIX, SERVING_CELL)
        for minute in range(0, 60, 20)
    ]
    assert rings([claim(rider) for rider in range(riders)], seen)[1] == []


def test_a_phone_sold_on():
    """Twice in four weeks, to colleagues of one depot: a phone counts less where its users were seen on it apart."""
    seen = [(rider, DEVICE, 1, NOW_MS - days * DAY_MS, -1) for rider, days in ((1, 20), (2, 9), (3, 0))]
    seen += [(rider, NETWORK_PREFIX, 1, NOW_MS, -1) for rider in range(1, 21)]
    seen += [(rider, SERVING_CELL, 1, NOW_MS, -1) for rider in range(1, 21)]
    links, found = rings([claim(rider) for rider in range(1, 21)], seen)
    assert (len(links.first), found) == (0, [])


def test_a_phone_in_turn():
    """Two on one phone, and in one flat."""
    seen = [(rider, DEVICE, 1, NOW_MS - rider * 8 * HOUR_MS, -1) for rider in (1, 2)]
    assert rings([claim(1), claim(2)], [*seen, *at_home([1, 2])])[1] == []


def test_who_buys_in_the_same_minute():
    rows = [claim(rider, purchased_at_ms=30_000 + rider) for rider in range(20)]
    assert rings(rows)[1] == []


def squad(size, number=1):
    """Who shares a depot, a pooled UPI handle and the minute in which all joined."""
    return [claim(size * number + rider, account=number, purchased_at_ms=0, squad=number) for rider in range(size)]


def test_a_squad_is_no_ring():
    rows = squad(10)
    links, found = rings(rows, at_home([row["rider"] for row in rows]))
    assert (len(links.first), found) == (0, [])


def test_what_calls_itself_a_squad_may_be_a_ring():
    rows = squad(11)  # a squad has ten at most
    ((members, _),) = rings(rows, at_home([row["rider"] for row in rows]))[1]
    assert len(members) == 11
    rows = [{**row, "account": 1, "squad": number} for number in (1, 2) for row in squad(8, number)]
    ((members, _),) = rings(rows, at_home([row["rider"] for row in rows]))[1]
    assert len(members) == 16  # two squads on one account


@pytest.mark.parametrize(("cells", "linked"), [(1, True), (8, True), (9, False)])
def test_a_hotspot_that_rides_along_links_nobody(cells, linked):
    """One of three friends who ride together, and who bought together, has his hotspot on."""
    seen = [
        (rider, ACCESS_POINT, 1, NOW_MS - cell * 5 * MINUTE_MS, cell if rider == 1 else -1)
        for rider in (1, 2, 3)
        for cell in range(cells)
    ]
    rows = [claim(rider, purchased_at_ms=0) for rider in (1, 2, 3)]
    assert bool(rings(rows, seen)[1]) == linked


def test_a_place_is_shared_less_by_who_is_there_at_other_times():
    """An access point of three and a minute of six among 8,000: 3.9 and 3.6 in one quarter of an hour, else 2.8."""
    for minutes, linked in ((15, True), (16, False)):
        seen = [(rider, ACCESS_POINT, 1, NOW_MS - rider * minutes * MINUTE_MS, -1) for rider in (0, 1, 2)]
        rows = [claim(rider, purchased_at_ms=0) for rider in range(6)]
        assert bool(len(rings(rows, seen)[0].first)) == linked


def silent(count, **known):
    """Accounts without a report, on one phone and one payout account."""
    return [claim(rider, device=1, account=1, **known) for rider in range(count)]


def test_twenty_five_silent_accounts_are_a_ring():
    ((members, held),) = rings(silent(25))[1]
    assert (len(members), held) == (25, ())


def test_in_a_small_storm_they_are_not():
    """0.9 ln(n / 25) twice is 7 from 1,222 active riders on; below, the signal `device` of the guard holds them."""
    assert rings(silent(25), active=1_195)[1] == []
    assert len(rings(silent(25), active=1_197)[1]) == 1


def test_a_phone_and_an_account_of_thousands_are_a_ring_without_pairs():
    links, ((members, held),) = rings([*silent(3_000), claim(3_001, account=1)], active=160_000)
    assert (len(links.first), len(links.member)) == (0, 3_000)
    assert (len(members), held) == (3_000, ())
    graph = RingGraph("gic", "rain")
    graph.add(links)
    graph.advance(NOW_MS)
    store = graph._store
    node = np.arange(3_000)
    assert len(sparse_edges(store.members, node, store.confirmed_at_ms, store.parent).first) <= 2 * 3_000


def test_a_squad_is_no_excuse_for_a_phone_of_many():
    rows = [claim(rider, device=1, account=1, squad=rider // 10) for rider in range(30)]
    ((members, _),) = rings(rows)[1]
    assert len(members) == 30


def test_what_all_share_links_nobody():
    rows = [claim(rider, device=1, account=1, purchased_at_ms=0) for rider in range(2_000)]
    links, found = rings(rows, at_home(range(2_000)), active=2_000)
    assert (len(links.first), len(links.member), found) == (0, 0, [])


def test_a_phone_of_many_counts_in_full_whenever_they_were_on_it():
    """Up to 25 riders who were on it in turn count 0.7 of it: between 1,271 and 2,523 active riders that decides."""
    for count, linked in ((25, False), (26, True)):
        rows = [claim(rider, account=1) for rider in range(count)]
        seen = [(rider, DEVICE, 1, NOW_MS - rider * HOUR_MS, -1) for rider in range(count)]
        assert bool(rings(rows, seen, active=2_000 - count)[1]) == linked
