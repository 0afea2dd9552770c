"""Claims linked as they are opened: whom they are compared with, and payout accounts of many riders."""

import h3.api.basic_int as h3
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.rings.limits import KINDS
from monsoon.transforms.rings.opened_claims import linked_cells
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.resources import Stays

HOUR_MS = 3_600_000
NOW_MS = 1_719_554_100_000
ZONE = h3.int_to_str(h3.latlng_to_cell(28.5, 77.2, 9))
FAR = h3.int_to_str(h3.latlng_to_cell(19.0, 72.8, 9))
MANY = 5_000
"""Active riders, of whom two kinds in common weigh enough."""


def opening(rider, at_ms=NOW_MS, **fields):
    known = {"device": f"dev-{rider}", "payout_account": f"upi-{rider}", "purchased_at_ms": 60_000 * rider}
    return Opening(at_ms, f"c{rider}", f"w{rider}", "rain", fields.pop("zone", ZONE), at_ms, **(known | fields))


def shared(rider, at_ms=NOW_MS, **fields):
    return opening(rider, at_ms, **({"device": "dev-shared", "payout_account": "upi-shared"} | fields))


def found(openings, after_ms=-1, upto_ms=2**60):
    none = np.empty(0, dtype=np.int64)
    stays = Stays(none, none.astype(np.int8), none, none, none, none)
    names = [()] * len(KINDS)
    return list(linked_cells(openings, stays, names, after_ms, upto_ms, lambda *_: True, lambda *_: MANY))


def edges(openings, **span):
    """Pairs of claims that are linked."""
    return {
        frozenset((each.links.claim_id[a], each.links.claim_id[b]))
        for each in found(openings, **span)
        if each.links is not None
        for a, b in zip(each.links.first.tolist(), each.links.second.tolist(), strict=True)
    }


def most_said(openings, name):
    """The most riders that updates state by a name, of each claim."""
    most = {}
    for each in found(openings):
        for _, update in each.shared:
            riders = getattr(update, name)
            if riders is not None:
                most[update.claim_id] = max(riders, most.get(update.claim_id, 0))
    return most


def accounts(openings):
    """The most riders that are said to be on each claim's account."""
    return most_said(openings, "riders_on_payout_account")


def phones(openings):
    """The most riders that are said to be on each claim's phone."""
    return most_said(openings, "riders_on_device")


def test_claims_on_one_phone_and_account_are_linked_and_others_not():
    openings = [shared(1), shared(2), opening(3), opening(4, device="dev-shared")]
    assert edges(openings) == {frozenset(("c1", "c2"))}


def test_claims_elsewhere_or_a_day_apart_are_not_compared():
    assert edges([shared(1), shared(2, zone=FAR)]) == set()
    assert edges([shared(1), shared(2, NOW_MS + 24 * HOUR_MS)]) == set()
    assert edges([shared(1), shared(2, NOW_MS + 6 * HOUR_MS)]) == {frozenset(("c1", "c2"))}


def test_a_claim_that_is_withdrawn_loses_its_links_and_finds_them_again():
    gone = Opening(NOW_MS + HOUR_MS, "c1", "w1", "rain", ZONE, NOW_MS, opens=False)
    (withdrawn,) = (each for each in found([shared(1), gone]) if each.links is not None)
    assert withdrawn.links.relinked == ("c1",)
    assert edges([shared(1), gone, shared(2, NOW_MS + 2 * HOUR_MS)]) == set()
    again = shared(1, NOW_MS + 3 * HOUR_MS)
    assert edges([shared(1), gone, shared(2, NOW_MS + 2 * HOUR_MS), again]) == {frozenset(("c1", "c2"))}


def test_more_than_two_riders_of_no_squad_in_common_are_many_on_an_account():
    family = [opening(n, payout_account="upi") for n in (1, 2)]
    assert accounts(family) == {}
    assert accounts([*family, opening(3, payout_account="upi")]) == {"c1": 3, "c2": 3, "c3": 3}
    squad = [opening(n, payout_account="upi", squad="s1") for n in range(1, 6)]
    assert accounts(squad) == {}
    assert accounts([*squad, opening(6, payout_account="upi"), opening(7, payout_account="upi")])["c7"] == 3


def test_more_than_two_riders_are_many_on_a_phone_that_their_policies_state():
    two = [opening(n, device="dev") for n in (1, 2)]
    assert phones(two) == {}
    assert phones([*two, opening(3, device="dev"), opening(4)]) == {"c1": 3, "c2": 3, "c3": 3}
    later = opening(4, NOW_MS + HOUR_MS, device="dev")
    assert phones([*two, opening(3, device="dev"), later]) == {"c1": 3, "c2": 3, "c3": 3, "c4": 4}


def test_a_squad_shares_no_phone():
    squad = [opening(n, device="dev", payout_account="upi", squad="s1") for n in range(1, 6)]
    assert phones(squad) == {f"c{n}": 5 for n in range(1, 6)}
    assert edges(squad) == set()


def test_who_is_paid_nothing_counts_on_an_account_and_is_in_no_ring():
    idle = [shared(n, pays=False) for n in (1, 2)]
    assert accounts([*idle, shared(3)])["c3"] == 3
    assert edges([*idle, shared(3)]) == set()


@given(st.permutations([*(shared(n, NOW_MS + (n % 3) * HOUR_MS) for n in range(5)), opening(7), shared(1)]))
def test_neither_order_nor_repeats_matter(openings):
    expected = {frozenset((f"c{a}", f"c{b}")) for a in range(5) for b in range(a)}
    assert edges(openings) == expected


@given(st.integers(0, 3))
def test_nor_does_how_time_is_cut(hours):
    openings = [shared(n, NOW_MS + n * HOUR_MS) for n in range(4)]
    cut_ms = NOW_MS + hours * HOUR_MS
    assert edges(openings, upto_ms=cut_ms) | edges(openings, after_ms=cut_ms) == edges(openings)
