"""What policies in force state: counted at any moment, however policies change and wherever they are kept."""

from collections import Counter
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, kawaach, product_of, subscription_record, terms, update

from monsoon.transforms.claim_scores import StatedWage, stated_wage
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.limits import MIN_WAGE_POLICIES
from monsoon.transforms.evidence.wages import AMOUNT_NAMES, AmountCounts, usual_amounts
from monsoon.transforms.geo.cells import cell_of, parents_of
from monsoon.transforms.stated_amounts import StatedAmounts

PRODUCT = kawaach()
HOMES = ((LAT, LON), (LAT - 9.5, LON - 4.3))
CELLS = [cell_of(*home, 5) for home in HOMES]


def events_of(policy, drawn):
    kinds = ("activated", "renewed", "upgraded", "cancelled")
    return [
        subscription_record(
            kinds[kind],
            minutes,
            minutes + ahead,
            minutes + ahead + length,
            policy_id=policy,
            event_id=f"{policy}-{number}",
            worker_id=f"w{worker}",
            daily_wage_inr=wage,
            shift_baseline_inr=shift,
            home_lat=HOMES[home][0],
            home_lon=HOMES[home][1],
        )
        for number, (kind, minutes, ahead, length, worker, wage, shift, home) in enumerate(drawn)
    ]


DAY = 24 * 60
EVENT = st.tuples(
    st.integers(0, 3),
    st.integers(0, 20).map(lambda n: n * DAY // 4),
    st.integers(0, 2).map(lambda n: n * DAY // 2),
    st.integers(1, 6).map(lambda n: n * DAY // 2),
    st.integers(0, 2),
    st.sampled_from([400.0, 500.0, 650.5]),
    st.sampled_from([None, 300.0, 450.0]),
    st.integers(0, 1),
)
POLICIES = st.lists(st.lists(EVENT, min_size=1, max_size=4), max_size=6)


def counted(counts):
    found = Counter()
    for home, amount, policies in zip(*(column.tolist() for column in vars(counts).values()), strict=True):
        found[home, amount] += policies
    return +found


def naively(coverage, name, at_ms):
    states = [policy.in_force(at_ms) for policy in coverage.policies.values()]
    return Counter(
        (cell_of(state.record["home_lat"], state.record["home_lon"], 5), state.record[name])
        for state in states
        if state is not None and state.record[name] is not None
    )


@given(POLICIES, POLICIES, st.lists(st.integers(0, 40), min_size=1, max_size=4), st.sampled_from(AMOUNT_NAMES))
def test_counts_are_those_of_the_policies_in_force_however_they_were_replaced(before, after, moments, name):
    coverage, amounts = Coverage(PRODUCT), None
    of_each = {bucket: Coverage(PRODUCT) for bucket in range(2)}
    parts = [
        kept.stated_amounts(lambda worker, bucket=bucket: int(worker[1:]) % 2 == bucket)
        for bucket, kept in of_each.items()
    ]
    for drawn in (before, after):
        for number in range(max(len(before), len(after))):
            events = events_of(f"p{number}", drawn[number]) if number < len(drawn) else []
            for kept in (coverage, *of_each.values()):
                kept.replace_events(f"p{number}", events)
        for moment in moments:
            at_ms = at(moment * DAY / 8)
            amounts = amounts or coverage.stated_amounts()
            expected = naively(coverage, name, at_ms)
            assert counted(amounts.at(name, at_ms)) == expected
            assert counted(AmountCounts.join([part.at(name, at_ms) for part in parts])) == expected


def test_many_policies_of_which_few_change():
    """Columns are kept for those that did not."""
    amounts = StatedAmounts()
    events = {n: events_of(f"p{n}", [(0, 0, 0, DAY, 0, 400.0 + n, None, 0)]) for n in range(100)}
    coverage = Coverage(PRODUCT, [event for mine in events.values() for event in mine])
    for n in range(100):
        amounts.replace(f"p{n}", coverage.policies[f"p{n}"].timeline)
    assert len(amounts.at("daily_wage_inr", at(1)).home) == 100
    amounts.replace("p7", None)
    amounts.replace("p8", coverage.policies["p9"].timeline)
    found = counted(amounts.at("daily_wage_inr", at(1)))
    assert found == Counter({(CELLS[0], 400.0 + n): 1 + (n == 9) for n in range(100) if n not in (7, 8)})


AMOUNTS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 5), st.integers(1, 30)), max_size=8)


@given(AMOUNTS, st.randoms(use_true_random=False))
def test_the_median_does_not_depend_on_order_or_parts(drawn, chance):
    zone = np.array([cell_of(*home, 9) for home in HOMES], dtype=np.uint64)
    expected = []
    every = [float(amount) for _, amount, policies in drawn for _ in range(policies)]
    for place in range(2):
        here = [float(amount) for home, amount, policies in drawn if home == place for _ in range(policies)]
        of = here if len(here) >= MIN_WAGE_POLICIES else every
        expected.append(median(of) if of else None)
    chance.shuffle(drawn)
    zone_parents = np.array(CELLS[: chance.choice([1, 2])], dtype=np.uint64)
    zone, expected = zone[: len(zone_parents)], expected[: len(zone_parents)]
    counts = AmountCounts(
        np.array([CELLS[home] for home, _, _ in drawn], dtype=np.uint64),
        np.array([amount for _, amount, _ in drawn], dtype=np.float64),
        np.array([policies for _, _, policies in drawn], dtype=np.int64),
    )
    usual = usual_amounts(zone, counts if chance.random() < 0.5 else counts.around(zone_parents))
    assert [None if np.isnan(mine) else mine for mine in usual.tolist()] == expected


@pytest.mark.parametrize("resolution", [3, 5, 7, 9])
def test_a_zone_of_any_size_has_a_parent(resolution):
    zone = np.array([cell_of(LAT, LON, resolution)], dtype=np.uint64)
    counts = AmountCounts(parents_of(zone, 5), np.array([700.0]), np.array([20]))
    far = AmountCounts(np.array([CELLS[1]], dtype=np.uint64), np.array([100.0]), np.array([50]))
    assert usual_amounts(zone, AmountCounts.join([far, counts])).tolist() == [700.0]


@pytest.mark.parametrize(
    ("product", "trigger", "shift", "stated"),
    [
        ("kawaach", "curfew", 400.0, ("daily_wage_inr", 500)),
        ("gic", "rain", 400.0, ("shift_baseline_inr", 400.0)),
        ("gic", "rain", None, ("daily_wage_inr", 500)),
        ("jugaad", "heat", 400.0, ("daily_wage_inr", 500)),
        ("jugaad", "bandh", 400.0, ("shift_baseline_inr", 400.0)),
        ("jugaad", "congestion", 400.0, ("daily_wage_inr", 500)),
        ("nexora", "rain", 400.0, None),
        ("offshift", "rain", 400.0, None),
    ],
)
def test_which_amount_decides(product, trigger, shift, stated):
    claim = update("d", 0, trigger, terms=terms(shift_baseline_inr=shift))
    assert stated_wage(product_of(product), claim) == (stated and StatedWage(*stated))
