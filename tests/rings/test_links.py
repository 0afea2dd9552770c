"""Edges between claims: exactly those of the definition, whatever is shared by however many."""

from dataclasses import replace

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rings import naive
from rings.conftest import HOUR_MS, MINUTE_MS, NAMES, NOW_MS, ZONE, Names, claim, claims_of, crowd, stays

from monsoon.transforms.rings import pairs, resources
from monsoon.transforms.rings.limits import KINDS, LINKS_KEPT_MS, SURROUNDINGS_RESOLUTION
from monsoon.transforms.rings.links import link_claims
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.resources import Stays
from monsoon.transforms.rings.sightings import PhonePanes, stays_of_openings

PARENT = h3.cell_to_parent(ZONE, SURROUNDINGS_RESOLUTION)
NEXT = h3.cell_to_center_child(sorted(set(h3.grid_disk(PARENT, 1)) - {PARENT})[0], 7)
FAR = h3.cell_to_center_child(sorted(set(h3.grid_disk(PARENT, 2)) - set(h3.grid_disk(PARENT, 1)))[0], 7)
FEW = 3
"""Above so many riders a resource is dropped, or not enumerated, in these tests."""

CODES = st.sampled_from([-1, 0, 0, 0, 1])
TIMES_MS = st.sampled_from([0, 1, 10, 15, 16, 30, 60, 23 * 60, 25 * 60]).map(lambda back: NOW_MS - back * MINUTE_MS)


@st.composite
def storms(draw):
    """Claims of up to nine riders and what was seen of them."""
    rows = []
    for rider in draw(st.lists(st.integers(0, 8), min_size=2, max_size=12)):
        back_h = draw(st.sampled_from([0, 0, 0, 3, 6]))
        rows.append(
            claim(
                rider,
                claim_id=f"c{len(rows):03}",
                confirmed_at_ms=NOW_MS - back_h * HOUR_MS,
                zone=draw(st.sampled_from([ZONE, ZONE, NEXT, FAR])),
                device=draw(CODES),
                account=draw(CODES),
                purchased_at_ms=draw(st.sampled_from([-1, 0, 59_999, 60_000])),
                squad=draw(st.sampled_from([-1, -1, 0])),
            )
        )
    seen = draw(
        st.lists(
            st.tuples(
                st.integers(0, 9),
                st.sampled_from([0, 2, 4, 5]),
                st.integers(0, 2),
                TIMES_MS,
                st.sampled_from([-1, 0, 1]),
            ),
            max_size=60,
        )
    )
    return rows, seen


def turned(code):
    return 2 - code if code in (0, 1, 2) else code


class Turned(Names):
    """The names of codes that are `turned`."""

    def __getitem__(self, code):
        return super().__getitem__(turned(code))


@pytest.fixture
def few(monkeypatch):
    for module in (resources, pairs):
        monkeypatch.setattr(module, "MAX_RIDERS", FEW)
    monkeypatch.setattr(pairs, "MAX_SQUAD_RIDERS", 2)


def pairs_of(links):
    """{(claim, claim): {(kind, name): (weight, expiry)}}"""
    found = {}
    for row, (a, b) in enumerate(zip(links.first.tolist(), links.second.tolist(), strict=True)):
        of = np.flatnonzero(links.edge == row)
        found[tuple(sorted((links.claim_id[a], links.claim_id[b])))] = {
            links.resources[links.resource[at]]: (int(links.weight_e6[at]), int(links.expires_at_ms[at])) for at in of
        }
    return found


def clique_pairs(links, rows):
    """All pairs of the members of cliques that are in each other's surroundings."""
    by_id = {row["claim_id"]: {**row, "parent": h3.cell_to_parent(row["zone"], 5)} for row in rows}
    found = set()
    for clique in range(len(links.cliques)):
        names = [links.claim_id[at] for at in links.member[links.clique == clique]]
        for a in names:
            for b in names:
                if a < b and by_id[a]["rider"] != by_id[b]["rider"] and naive.near(by_id[a], by_id[b]):
                    found.add((a, b))
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(storm=storms(), active=st.sampled_from([3, 500, 60_000]))
def test_edges_are_those_of_the_definition(few, storm, active):
    rows, seen = storm
    base = len({row["rider"] for row in rows} | {rider for rider, *_ in seen})
    lots = crowd(max(active - base, 0))
    within = [each for each in seen if NOW_MS - each[3] < 24 * HOUR_MS or each[1] == 0]
    riders = {row["rider"] for row in rows} | {each[0] for each in within} | {each[0] for each in lots}
    links = link_claims(claims_of(rows), stays([*seen, *lots]), NOW_MS, NAMES)
    expected = naive.edges(
        [{**row, "parent": h3.cell_to_parent(row["zone"], 5)} for row in rows], seen, NOW_MS, len(riders), FEW, 2
    )
    expected = {tuple(sorted(pair)): evidence for pair, evidence in expected.items()}
    found, cliques = pairs_of(links), clique_pairs(links, rows)
    new = {row["claim_id"] for row in rows if row["confirmed_at_ms"] == NOW_MS}
    assert {*found, *(pair for pair in cliques if new.intersection(pair))} == set(expected)
    assert all(until - NOW_MS <= LINKS_KEPT_MS for until in (*links.expires_at_ms, *links.member_until_ms))
    for pair, evidence in found.items():
        named = {
            (KINDS[kind], f"{KINDS[kind]} {code}" if kind != 3 else str(code)): value
            for (kind, code), value in expected[pair].items()
        }
        assert evidence.items() <= named.items()
        for at_ms in {until for _, until in named.values()} | {NOW_MS}:
            weights = [
                naive.weight_at([(KINDS.index(kind), *value) for (kind, _), value in each.items()], at_ms)
                for each in (evidence, named)
            ]
            assert weights[0] == weights[1]
    assert set(links.claim_id) == {name for pair in {*found, *cliques} for name in pair} | {
        links.claim_id[at] for at in links.member
    }


@settings(max_examples=25, deadline=None)
@given(storm=storms(), data=st.data())
def test_the_order_of_rows_and_the_division_of_riders_do_not_matter(storm, data):
    rows, seen = storm
    seen += crowd(3_000)
    links = link_claims(claims_of(rows), stays(seen), NOW_MS, NAMES)
    mixed = data.draw(st.permutations(rows))
    halves = [stays([each for each in reversed(seen) if each[0] % 2 == part]) for part in (1, 0)]
    again = link_claims(claims_of(mixed), Stays.concatenated(halves).joined(), NOW_MS, NAMES)
    assert pairs_of(again) == pairs_of(links)
    assert sorted(again.claim_id) == sorted(links.claim_id)
    # Nor do the codes of resources, which are named the other way round.
    coded = [{**row, "device": turned(row["device"]), "account": turned(row["account"])} for row in rows]
    other = [(rider, kind, turned(code), at_ms, cell) for rider, kind, code, at_ms, cell in seen]
    names = [Turned(kind) for kind in KINDS]
    assert pairs_of(link_claims(claims_of(coded), stays(other), NOW_MS, names)) == pairs_of(links)


def test_blocks_of_pairs_are_the_same_pairs(monkeypatch):
    rows = [claim(rider, account=rider // 4, purchased_at_ms=rider // 8 * MINUTE_MS) for rider in range(80)]
    seen = [*crowd(8_000), *((rider, 2, rider // 8, NOW_MS, -1) for rider in range(80))]
    whole = pairs_of(link_claims(claims_of(rows), stays(seen), NOW_MS, NAMES))
    monkeypatch.setattr(pairs, "_BLOCK_PAIRS", 5)
    monkeypatch.setattr(pairs, "_OWNER_BITS", 2)
    assert pairs_of(link_claims(claims_of(rows), stays(seen), NOW_MS, NAMES)) == whole
    assert len(whole) == 20 * 6  # of one payout account; eight on an access point and a minute weigh 6.92


def test_a_stay_is_sightings_at_most_15_min_apart():
    minutes = [0, 15, 30, 46, 60, 24 * 60 - 1, 24 * 60]
    found = stays([(7, 2, 5, NOW_MS - minute * MINUTE_MS, minute) for minute in minutes])
    assert ((NOW_MS - found.last_ms) // MINUTE_MS).tolist() == [24 * 60 - 1, 46, 0]
    assert ((NOW_MS - found.first_ms) // MINUTE_MS).tolist() == [24 * 60 - 1, 60, 30]
    assert found.cells.tolist() == [6, 6, 6]


def test_what_comes_after_the_moment_is_not_seen():
    assert len(stays([(1, 2, 5, NOW_MS + 1, -1)])) == 0


def test_a_corrected_claim_is_linked_again_to_earlier_and_later_ones():
    rows = [
        claim(rider, confirmed_at_ms=NOW_MS - hours * HOUR_MS, account=1, purchased_at_ms=0)
        for rider, hours in enumerate([5, 3, 0])
    ]
    seen = stays(crowd(8_000))
    claims = claims_of(rows)
    assert pairs_of(link_claims(claims, seen, NOW_MS, NAMES)).keys() == {("c000", "c002"), ("c001", "c002")}
    again = link_claims(claims, seen, NOW_MS, NAMES, relink=np.array([False, True, False]))
    assert pairs_of(again).keys() == {("c000", "c001"), ("c001", "c002")}
    assert again.relinked == ("c001",)
    other = replace(claims, payout_account=np.array([1, -1, 1]))
    again = link_claims(other, seen, NOW_MS, NAMES, relink=np.array([False, True, False]))
    assert (again.claim_id, again.relinked) == ((), ("c001",))


def test_too_many_claims_are_refused(monkeypatch):
    monkeypatch.setattr("monsoon.transforms.rings.links.MAX_CLAIMS", 2)
    with pytest.raises(ValueError, match="3 claims of one product and trigger at a moment; at most 2"):
        link_claims(claims_of([claim(rider) for rider in range(3)]), stays([]), NOW_MS, NAMES)


def test_sightings_are_taken_from_a_telemetry_table_as_received():
    from monsoon.transforms.telemetry_table import TelemetryTable

    telemetry = TelemetryTable.from_columns(
        worker=["a", "b"],
        device=["x", "y"],
        event_time_ms=[NOW_MS, NOW_MS],
        received_time_ms=[None, NOW_MS + 1],
        lat=[28.0, 28.0],
        lon=[77.0, 77.0],
        bssids=[["p", "q"], ["p"]],
        ip_prefix=[None, "n"],
        cell=["t", None],
    )

    nothing = np.empty(0, dtype=np.int64)
    phones = PhonePanes.of(nothing, nothing, nothing, nothing, 2)

    def seen(at_ms):
        openings = [Opening(at_ms, "c", worker, "rain", "z", at_ms) for worker in ("a", "b")]
        found = stays_of_openings(telemetry, phones, {"a": 0, "b": 1}, openings)
        return sorted(zip(found.rider.tolist(), found.kind.tolist(), found.resource.tolist(), strict=True))

    assert seen(NOW_MS) == [(0, 0, 0), (0, 2, 0), (0, 2, 1), (0, 5, 0)]
    assert seen(NOW_MS + 1) == [(0, 0, 0), (0, 2, 0), (0, 2, 1), (0, 5, 0), (1, 0, 1), (1, 2, 0), (1, 4, 0)]
    assert len(stays([])) == 0


@settings(max_examples=60, deadline=None)
@given(
    seen=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 120)), max_size=40),
    halves=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_stays_are_joined_as_their_sightings(seen, halves):
    """What a rider showed up to one claim and up to the next overlaps."""
    rows = [(rider, 4, network, NOW_MS - minute * MINUTE_MS, -1) for rider, network, minute in seen]
    some = [row for row, half in zip(rows, halves, strict=False) if half]
    whole, joined = stays(rows), Stays.concatenated([stays(some), stays(rows[::2]), stays(rows)]).joined()
    for name in Stays.__dataclass_fields__:
        assert getattr(joined, name).tolist() == getattr(whole, name).tolist()
    others = [row for row, half in zip(rows, halves, strict=False) if not half]
    parts = Stays.concatenated([stays(some), stays(others)]).joined()
    near = {(a[0], b[0], a[2]) for a in rows for b in rows if a[2] == b[2] and abs(a[3] - b[3]) <= 15 * MINUTE_MS}
    for a in range(len(parts)):
        for b in range(len(parts)):
            if parts.resource[a] == parts.resource[b]:
                gap_ms = max(parts.first_ms[a], parts.first_ms[b]) - min(parts.last_ms[a], parts.last_ms[b])
                if gap_ms <= 15 * MINUTE_MS:
                    assert (parts.rider[a], parts.rider[b], parts.resource[a]) in near
