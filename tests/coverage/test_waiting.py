"""The waiting period: what an event raises waits, what it lowers does not; to the millisecond, and in any order."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, product_of, subscription_record

from monsoon.transforms.coverage import Policy
from monsoon.transforms.geo.sphere import EARTH_RADIUS_M, distance_m
from monsoon.transforms.waiting_period import WaitingRules

JUGAAD, KAWAACH, OFFSHIFT = map(product_of, ("jugaad", "kawaach", "offshift"))
HOUR = 60
DAY = 24 * HOUR
WAIT_MS = {"jugaad": 48 * HOUR * 60_000, "kawaach": 24 * HOUR * 60_000, "offshift": 24 * HOUR * 60_000}


def event(minutes, kind="renewed", start=-10 * DAY, end=30 * DAY, **fields):
    base = {"product": "jugaad", "plan": "standard", "daily_wage_inr": 500, "shift_baseline_inr": 400}
    return subscription_record(kind, minutes, start, end, **(base | fields))


def policy(*events, product=JUGAAD):
    return Policy("p1", events, WaitingRules(product))


def north(meters):
    return {"home_lat": LAT + math.degrees(meters / EARTH_RADIUS_M), "home_lon": LON}


@pytest.mark.parametrize("product", [JUGAAD, KAWAACH], ids=lambda product: product.name)
@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("daily_wage_inr", 500, 500.01),
        ("shift_baseline_inr", 400, 401),
        ("orders_per_hour", 2.5, 2.6),
        ("orders_per_hour", None, 0.1),
        ("orders_per_hour_sd", 1.0, 0.9),
        ("orders_per_hour_sd", None, 5.0),
    ],
)
def test_a_raise_counts_after_the_wait_to_the_millisecond(product, field, before, after):
    wait_ms = WAIT_MS[product.name]
    held = policy(event(-DAY, **{field: before}), event(0, **{field: after}), product=product)
    assert held.in_force(at(0)).record[field] == before
    assert held.in_force(at(0) + wait_ms - 1).record[field] == before
    assert held.in_force(at(0) + wait_ms).record[field] == after
    back = policy(event(-DAY, **{field: after}), event(0, **{field: before}), product=product)
    assert back.in_force(at(0) - 1).record[field] == after
    assert back.in_force(at(0)).record[field] == before


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [
        ("basic", "standard", True),
        ("standard", "full_shield", True),
        ("full_shield", "standard", False),
        ("standard", "basic", False),
        ("basic:rain,aqi,heat", "basic", False),
        ("basic", "basic:rain,aqi", False),
        ("basic", "basic:rain,aqi,fog", True),
        ("basic:fog,bandh,outage", "basic", True),
    ],
)
def test_a_plan_waits_that_pays_more_in_anything(before, after, waits):
    held = policy(event(-DAY, plan=before), event(0, plan=after))
    assert held.in_force(at(0)).record["plan"] == (before if waits else after)
    assert held.in_force(at(2 * DAY)).record["plan"] == after


def test_a_larger_maximum_waits():
    held = policy(event(-DAY, plan="weekly_pass"), event(0, plan="monthly_pro"), product=OFFSHIFT)
    assert [held.in_force(at(minutes)).record["plan"] for minutes in (0, DAY)] == ["weekly_pass", "monthly_pro"]


def test_a_bridge_and_a_supplement_more_wait_in_any_product():
    plans = {name: replace(plan, terms=JUGAAD.plans["basic"].terms) for name, plan in JUGAAD.plans.items()}
    level = replace(JUGAAD, plans=plans)
    for before, after in (("standard", "full_shield"), ("basic:rain", "standard")):
        held = policy(event(-DAY, plan=before), event(0, plan=after), product=level)
        assert held.in_force(at(0)).record["plan"] == before


def test_each_field_waits_for_itself():
    held = policy(event(-DAY), event(0, plan="basic", daily_wage_inr=900, shift_baseline_inr=300))
    record = held.in_force(at(1)).record
    assert (record["plan"], record["daily_wage_inr"], record["shift_baseline_inr"]) == ("basic", 500, 300)


def test_platform_slab_and_account_count_at_once():
    said = {"platform": "zepto", "slab_orders": 90, "planned_hours_week": 60, "trust_tier": 5, "fund_account_id": "f2"}
    record = policy(event(-DAY), event(0, daily_wage_inr=900, **said)).in_force(at(0)).record
    assert {name: record[name] for name in said} == said
    assert (record["event_time"], record["daily_wage_inr"]) == (at(0), 500)


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        ([(500, None), (900, None)], (500, 500)),
        ([(500, 800), (900, None)], (500, 800)),
        ([(500, 1000), (900, None)], (500, 900)),
        ([(500, None), (450, 600)], (450, 500)),
        ([(500, None), (450, None)], (450, 450)),
    ],
)
def test_usual_earnings_that_are_absent_are_the_daily_wage(stated, counts):
    events = [event(n - 2, daily_wage_inr=wage, shift_baseline_inr=shift) for n, (wage, shift) in enumerate(stated)]
    record = policy(*events).in_force(at(0)).record
    shift = record["shift_baseline_inr"]
    assert (record["daily_wage_inr"], record["daily_wage_inr"] if shift is None else shift) == counts


@pytest.mark.parametrize(
    ("wages", "counts"),
    [
        ([500, 700, 900], [500, 500, 500, 700, 900]),  # raised twice
        ([500, 900, 700], [500, 500, 500, 700, 700]),  # raised, and lowered a little
        ([900, 500, 900], [900, 500, 500, 500, 900]),  # lowered and back
        ([500, 900, 500], [500, 500, 500, 500, 500]),  # taken back
        ([500, 900, 900], [500, 500, 500, 900, 900]),  # said again: it does not wait again
    ],
)
def test_raises_and_reductions_while_others_wait(wages, counts):
    events = [
        event(at_minutes, daily_wage_inr=wage) for at_minutes, wage in zip((-5 * DAY, 0, DAY), wages, strict=True)
    ]
    held = policy(*events)
    asked = (-1, 0, DAY, 2 * DAY, 3 * DAY)
    assert [held.in_force(at(minutes)).record["daily_wage_inr"] for minutes in asked] == counts


@pytest.mark.parametrize(("gap_min", "gap_ms", "counts"), [(2 * DAY, -1, 500), (2 * DAY, 0, 900), (0, 1, 500)])
@pytest.mark.parametrize("kind", ["activated", "renewed", "upgraded"])
def test_only_after_a_gap_of_the_whole_wait_everything_counts_at_once(kind, gap_min, gap_ms, counts):
    late = event(gap_min, kind, gap_min, 30 * DAY, daily_wage_inr=900, **north(50_000))
    late["event_time"] += gap_ms
    held = policy(event(-5 * DAY, end=0), late)
    state = held.in_force(late["event_time"] + 1)
    assert state.record["daily_wage_inr"] == counts
    assert (state.record["home_lat"] != LAT) == (counts == 900)
    assert state.activated_at_ms == late["event_time"]


def test_a_cancellation_ends_cover_before_its_time():
    events = [event(-5 * DAY), event(-2 * DAY, "cancelled"), event(0, start=0, daily_wage_inr=900)]
    assert policy(*events).in_force(at(0)).record["daily_wage_inr"] == 900


def test_what_a_gap_let_through_does_not_lift_what_came_before_it():
    events = [event(-5 * DAY, end=-3 * DAY), event(0, start=0, daily_wage_inr=900), event(1, daily_wage_inr=950)]
    assert policy(*events).in_force(at(2)).record["daily_wage_inr"] == 900


def test_terms_are_known_where_nothing_is_covered():
    held = policy(event(-5 * DAY, end=-4 * DAY, orders_per_hour=2.0))
    assert held.in_force(at(0)) is None
    assert held.terms.at(at(0))["orders_per_hour"] == 2.0
    assert held.terms.at(at(-6 * DAY)) is None


@pytest.mark.parametrize(("meters", "waits"), [(0, False), (1_999.9, False), (2_000.1, True), (60_000, True)])
def test_a_home_that_is_far_off_waits(meters, waits):
    held = policy(event(-DAY, **north(0)), event(0, **north(meters)))
    lat = north(meters)["home_lat"]
    assert (held.in_force(at(0)).record["home_lat"] == lat) == (not waits or meters == 0)
    assert held.in_force(at(2 * DAY) - 1).record["home_lat"] == (LAT if waits else lat)
    assert held.in_force(at(2 * DAY)).record["home_lat"] == lat
    assert [from_ms for from_ms, _, _ in held.homes][1:] == ([] if not meters else [at(2 * DAY if waits else 0)])


def test_small_moves_do_not_add_up_within_the_wait():
    steps = [event(n * HOUR, **north(1_500 * n)) for n in range(4)]
    held = policy(event(-5 * DAY, **north(0)), *steps)
    homes = [round(distance_m(LAT, LON, *home).item()) for _, *home in held.homes]
    assert homes == [0, 1_500, 3_000, 4_500]
    assert [from_ms for from_ms, *_ in held.homes][1:] == [at(HOUR), at(2 * DAY + 2 * HOUR), at(2 * DAY + 3 * HOUR)]


def test_a_move_that_is_taken_back_never_counts():
    held = policy(event(-5 * DAY, **north(0)), event(0, **north(9_000)), event(HOUR, **north(0)))
    assert [home[1] for home in held.homes] == [LAT]


def test_a_version_with_another_wait_waits_so_long():
    later = replace(JUGAAD, version="2", waiting_ms=WAIT_MS["kawaach"], from_ms=at(DAY + HOUR), earlier=(JUGAAD,))
    held = policy(event(-5 * DAY), event(0, daily_wage_inr=900), product=later)
    assert held.in_force(at(DAY + HOUR) - 1).record["daily_wage_inr"] == 500
    assert held.in_force(at(DAY + HOUR)).record["daily_wage_inr"] == 900


WAGES = st.sampled_from([300, 500, 700])
OPTIONAL = st.sampled_from([None, 1.0, 2.0, 3.0])
PLANS = st.sampled_from(["basic", "basic:fog", "basic:rain,aqi", "basic:bandh,outage", "standard", "full_shield"])
KINDS = st.sampled_from(["activated", "renewed", "upgraded", "cancelled"])
drawn_events = st.lists(
    st.fixed_dictionaries(
        {
            "hour": st.integers(0, 200),
            "kind": KINDS,
            "starts": st.integers(-40, 40),
            "lasts": st.integers(1, 150),
            "plan": PLANS,
            "daily_wage_inr": WAGES,
            "shift_baseline_inr": st.none() | WAGES,
            "orders_per_hour": OPTIONAL,
            "orders_per_hour_sd": OPTIONAL,
            "meters": st.sampled_from([0, 1_200, 2_400, 9_000]),
        }
    ),
    min_size=1,
    max_size=7,
)


def made(drawn):
    fields = ("plan", "daily_wage_inr", "shift_baseline_inr", "orders_per_hour", "orders_per_hour_sd")
    return [
        event(
            each["hour"] * HOUR,
            each["kind"],
            (each["hour"] + each["starts"]) * HOUR,
            (each["hour"] + each["starts"] + each["lasts"]) * HOUR,
            event_id=f"e{number:03d}",
            **north(each["meters"]),
            **{name: each[name] for name in fields},
        )
        for number, each in enumerate(drawn)
    ]


def rank(name, record):
    """How much may be paid by what a record states in a field."""
    value = record[name]
    if name == "shift_baseline_inr":
        return record["daily_wage_inr"] if value is None else value
    if value is None:
        return -1e9
    return -value if name == "orders_per_hour_sd" else value


def raises(name, after, before):
    if name != "plan":
        return rank(name, after) > rank(name, before)
    (plan, covered), (other, known) = (JUGAAD.plan_of(record["plan"]) for record in (after, before))
    return bool(set(covered) - set(known)) or any(plan.terms[term] > other.terms[term] for term in plan.terms)


def by_the_text(events, at_ms, name):
    """The event whose field counts at a moment: the sentences of `products.md`, one after another."""
    counts, ended_ms, starts = None, None, set()
    for each in sorted(events, key=lambda each: (each["event_time"], each["event_id"])):
        if each["event_time"] > at_ms:
            break
        first = ended_ms is None or each["event_time"] - ended_ms >= WAIT_MS["jugaad"]
        if first or at_ms >= each["event_time"] + WAIT_MS["jugaad"] or not raises(name, each, counts):
            counts = each
        if each["type"] == "cancelled":
            ended_ms = min(each["coverage_end"] if ended_ms is None else ended_ms, each["event_time"])
        elif each["type"] != "upgraded" or each["coverage_start"] not in starts:
            ended_ms = max(ended_ms or 0, each["coverage_end"])
        starts.add(each["coverage_start"])
    return counts


@given(drawn_events, st.integers(-1, 1))
def test_what_counts_is_what_the_text_says(drawn, offset_ms):
    events = made(drawn)
    held = policy(*events)
    for each in events:
        for at_ms in (each["event_time"] + offset_ms, each["event_time"] + WAIT_MS["jugaad"] + offset_ms):
            record = held.terms.at(at_ms)
            for name in ("plan", "daily_wage_inr", "shift_baseline_inr", "orders_per_hour", "orders_per_hour_sd"):
                counts = by_the_text(events, at_ms, name)
                if counts is None:
                    assert record is None
                elif name == "plan":
                    assert record["plan"] == counts["plan"]
                else:
                    assert rank(name, record) == rank(name, counts)


@given(drawn_events, st.randoms())
def test_order_of_arrival_and_what_comes_later_are_nothing(drawn, chance):
    events = made(drawn)
    held = policy(*events)
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert policy(*shuffled).timeline == held.timeline
    assert policy(*shuffled).terms == held.terms
    for until_h in (20, 60, 100, 150):
        known = [each for each in events if each["event_time"] <= at(until_h * HOUR)]
        if known:
            assert policy(*known).in_force(at(until_h * HOUR)) == held.in_force(at(until_h * HOUR))
            assert policy(*known).terms.at(at(until_h * HOUR)) == held.terms.at(at(until_h * HOUR))


@given(drawn_events, st.integers(0, 250))
def test_nothing_counts_that_was_not_stated_and_more_only_after_the_wait(drawn, hour):
    """A last event can only lower what counts until it has waited, and then counts whole."""
    events = made(drawn)
    *before, last = sorted(events, key=lambda each: (each["event_time"], each["event_id"]))
    record = policy(*events).terms.at(at(hour * HOUR))
    if record is not None:
        homes = {(each["home_lat"], each["home_lon"]) for each in events}
        assert (record["home_lat"], record["home_lon"]) in homes
        assert record["plan"] in {each["plan"] for each in events}
    waited_ms = last["event_time"] + WAIT_MS["jugaad"]
    after = policy(*events).terms.at(waited_ms)
    for name in ("plan", "daily_wage_inr", "orders_per_hour", "orders_per_hour_sd", "home_lat", "home_lon"):
        assert after[name] == last[name]
    if before:
        without, now = policy(*before).terms.at(waited_ms - 1), policy(*events).terms.at(waited_ms - 1)
        gap = policy(*before, last).terms.at(last["event_time"])
        if gap != last:
            assert rank("daily_wage_inr", now) <= max(rank("daily_wage_inr", without), rank("daily_wage_inr", last))


def test_many_changes_of_one_policy_cost_as_many():
    """A policy that is restated every hour for a year: what is looked at is what still waits."""
    chance = random.Random(1)
    events = [event(n * HOUR, daily_wage_inr=chance.choice([400, 500, 600])) for n in range(2_000)]
    held = policy(*events)
    assert len(held.terms.moments_ms) <= 2 * len(events)
    assert held.terms.at(at(3_000 * HOUR))["daily_wage_inr"] == events[-1]["daily_wage_inr"]
