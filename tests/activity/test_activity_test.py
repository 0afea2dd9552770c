"""The activity test of gic: when it is made, what is measured, who the peers are, what they ask."""

from dataclasses import replace

import h3.api.basic_int as h3
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, subscription_record
from kit.examples import examples

from monsoon.sources.product_files import load_products
from monsoon.transforms.activity.activity_test import activity_test_results
from monsoon.transforms.activity.evaluation_schedule import schedule_of
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers, threshold_of
from monsoon.transforms.adjudication.candidates import CandidateFinder
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.event_detector import EventState
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series

GIC = load_products(["gic"])["gic"]
RAIN = GIC.trigger("rain")
TEST = RAIN.activity
ZONE = h3.latlng_to_cell(LAT, LON, 7)


def event(confirmed, values, absent=None, end=None):
    """An episode from minute `confirmed`; `values` lists (minute, rain)."""
    trace = tuple((at(minute), value) for minute, value in values)
    absent_ms, end_ms = (None if minute is None else at(minute) for minute in (absent, end))
    return EventState(
        at(confirmed), at(confirmed), 20.0, None, ("imd",), ("r",), at(confirmed), absent_ms, end_ms, values=trace
    )


def revision(minute, number, state, *args, **fields):
    return Revision(at(minute), number, state, event(*args, **fields))


def times(*revisions, upto=10_000):
    """{confirmation: [(made, of)]} in minutes, and when each was found to have ended."""
    minute = at(1) - at(0)
    found = schedule_of(TEST.every_ms, RAIN.levels[0].breach, revisions, at(upto))
    made = {
        (confirmed - at(0)) / minute: [((t.at_ms - at(0)) / minute, (t.t_ms - at(0)) / minute) for t in schedule.times]
        for confirmed, schedule in found.items()
    }
    ends = {(c - at(0)) / minute: [(end - at(0)) / minute for end in schedule.ends_ms] for c, schedule in found.items()}
    return made, ends


def test_whole_multiples_from_the_confirmation_to_the_absence_which_is_excluded():
    absent = revision(20, 0, "confirmed", 3, [(3, 20.0)], absent=20)
    ended = revision(80, 1, "ended", 3, [(3, 20.0)], absent=20, end=80)
    first = revision(3, 0, "confirmed", 3, [(3, 20.0)])
    assert times(first, absent, ended) == ({3: [(5, 5), (10, 10), (15, 15)]}, {3: [80]})


def test_a_confirmation_at_a_multiple_is_tested_at_once():
    absent = revision(10.001, 0, "confirmed", 5, [(5, 20.0)], absent=10.001)
    assert times(revision(5, 0, "confirmed", 5, [(5, 20.0)]), absent)[0] == {5: [(5, 5), (10, 10)]}


def test_while_providers_pause_nothing_is_tested():
    first = revision(0, 0, "confirmed", 0, [(0, 20.0)])
    pause = revision(4, 0, "confirmed", 0, [(0, 20.0), (4, 0.0)], absent=4)
    again = revision(12, 0, "confirmed", 0, [(0, 20.0), (4, 0.0), (12, 15.0)])
    absent = revision(20, 0, "confirmed", 0, [(0, 20.0), (4, 0.0), (12, 15.0)], absent=20)
    assert times(first, pause, again, absent)[0] == {0: [(0, 0), (15, 15)]}


def test_what_a_correction_adds_is_tested_when_it_is_issued():
    first = revision(0, 0, "confirmed", 0, [(0, 20.0)])
    absent = revision(10, 0, "confirmed", 0, [(0, 20.0)], absent=10)
    ended = revision(70, 1, "ended", 0, [(0, 20.0)], absent=10, end=70)
    longer = revision(100, 2, "ended", 0, [(0, 20.0)], absent=20, end=80)
    made = [(0, 0), (5, 5), (100, 10), (100, 15)]
    assert times(first, absent, ended, longer) == ({0: made}, {0: [70, 100]})


def test_nothing_is_tested_while_a_disruption_is_withdrawn():
    first = revision(0, 0, "confirmed", 0, [(0, 20.0)])
    gone = revision(7, 1, "withdrawn", 0, [(0, 20.0)])
    back = revision(18, 2, "confirmed", 0, [(0, 20.0)])
    assert times(first, gone, back, upto=20)[0] == {0: [(0, 0), (5, 5), (18, 10), (18, 15), (20, 20)]}


@given(st.lists(st.integers(1, 60), max_size=4, unique=True), st.integers(0, 90))
def test_stopping_on_the_way_tests_the_same(stops, last):
    """What is tested up to a moment does not depend on when one looks."""
    revisions = (
        revision(0, 0, "confirmed", 0, [(0, 20.0)]),
        revision(22, 0, "confirmed", 0, [(0, 20.0), (22, 0.0)], absent=22),
        revision(33, 0, "confirmed", 0, [(0, 20.0), (22, 0.0), (33, 30.0)]),
        revision(100, 1, "ended", 0, [(0, 20.0), (22, 0.0), (33, 30.0)], absent=40, end=100),
    )
    whole = times(*revisions, upto=last)[0].get(0, [])
    for stop in sorted(stops):
        known = tuple(each for each in revisions if each.at_ms <= at(stop))
        assert times(*known, upto=min(stop, last))[0].get(0, []) == [time for time in whole if time[0] <= stop]


@pytest.mark.parametrize(
    ("peers", "severe", "asked"),
    [(5, 3, 1.3), (5, 2, 1.5), (5, 1, 1.5), (6, 1, 1.8), (4, 4, 1.8), (0, 0, 1.8), (10, 4, 1.5), (1000, 401, 1.3)],
)
def test_the_share_of_severe_drops_sets_the_threshold(peers, severe, asked):
    share, threshold = threshold_of(TEST, np.array([peers]), np.array([severe]))
    assert threshold.tolist() == [asked]
    assert share.tolist() == [severe / peers if peers else 0.0]


def rider(number, orders=0, mean=2.5, deviation=1.0, platform="swiggy", place=(LAT, LON), minute=-5.0, **fields):
    """A policy and a report of orders (None: not stated)."""
    policy = subscription_record(
        "activated", -10_000, -10_000, 10_000, product="gic", policy_id=f"p{number}", worker_id=f"w{number}",
        orders_per_hour=mean, orders_per_hour_sd=deviation, platform=platform, **fields,
    )  # fmt: skip
    return policy, (f"w{number}", at(minute), place, orders)


def found(*riders, revisions=None):
    """The findings of everybody by worker, with a disruption from minute 0, tested at 0 and 5."""
    policies, reports = zip(*riders, strict=True)
    telemetry = TelemetryTable.from_columns(
        worker=[r[0] for r in reports],
        event_time_ms=[r[1] for r in reports],
        lat=[r[2][0] for r in reports],
        lon=[r[2][1] for r in reports],
        orders_completed=[r[3] for r in reports],
        mock=[r[4] if len(r) > 4 else None for r in reports],
    )
    revisions = revisions or (
        revision(0, 0, "confirmed", 0, [(0, 20.0)]),
        revision(10, 0, "confirmed", 0, [(0, 20.0)], absent=10),
        revision(70, 1, "ended", 0, [(0, 20.0)], absent=10, end=70),
    )
    coverage, places = Coverage(GIC, policies), ReportCells(telemetry)
    series = Series(RAIN, None, np.array([ZONE], dtype=np.uint64), revisions)
    disruptions = list(CandidateFinder(GIC, coverage, Presence(places, coverage.workers, 7)).disruptions(series))
    codes = {worker: code for code, worker in enumerate(telemetry.workers)}
    return activity_test_results(disruptions, RAIN, Peers(coverage, places, 7, TEST), Orders(telemetry), codes)


def values(activity_results, worker="w0"):
    (activity_result,) = activity_results[worker]
    assert activity_result.passed
    return activity_result.values


def test_a_drop_among_five_peers_with_the_same_drop_is_met_at_the_first_moment():
    activity_results = found(*(rider(number) for number in range(6)))
    assert {activity_result.at_ms for mine in activity_results.values() for activity_result in mine} == {at(0)}
    expected = {"at": at(0), "rain": 20, "sigma": 2.5, "drop": 1, "threshold": 1.3, "share": 1, "peers": 5}
    assert values(activity_results) == expected


def test_peers_are_others_of_the_platform_whose_orders_were_measured_in_the_zone():
    away = (LAT + 0.2, LON)
    others = [
        rider(1),
        rider(2, platform="zomato"),
        rider(3, platform=None),
        rider(4, mean=None),
        rider(5, orders=None),
        rider(6, place=away),
        rider(7, minute=-60),
        rider(8, minute=-59.999),
    ]
    assert values(found(rider(0), *others))["peers"] == 2


def test_who_states_a_mock_location_is_nobodys_peer():
    policy, sent = rider(1)
    honest = [rider(number) for number in range(2, 5)]
    for mock, peers in ((1, 3), (0, 4), (None, 4)):
        assert values(found(rider(0), (policy, (*sent, mock)), *honest))["peers"] == peers


def test_a_rider_without_a_platform_has_no_peers():
    activity_results = found(rider(0, platform=None), *(rider(number, platform=None) for number in range(1, 7)))
    assert (values(activity_results)["peers"], values(activity_results)["threshold"]) == (0, 1.8)


def test_a_peer_whose_mean_is_0_is_a_peer_without_a_drop():
    assert values(found(rider(0), *(rider(number, mean=0.0) for number in range(1, 6))))["share"] == 0


def test_a_drop_too_small_for_what_the_peers_ask_is_never_met_and_said_so_at_the_end():
    activity_results = found(rider(0, orders=1), *(rider(number, orders=3) for number in range(1, 7)))
    (activity_result,) = activity_results["w0"]
    assert (activity_result.passed, activity_result.at_ms, activity_result.values) == (False, at(70), {"measured": 1.0})


@pytest.mark.parametrize(("mean", "deviation", "sigma"), [(2.8, 1.0, 1.8), (2.26, 0.7, 1.8), (2.98, 1.1, 1.8)])
def test_a_drop_that_just_reaches_the_threshold_is_met_whatever_doubles_leave(mean, deviation, sigma):
    assert (mean - 1) / deviation < sigma
    assert values(found(rider(0, orders=1, mean=mean, deviation=deviation)))["sigma"] == sigma


@pytest.mark.parametrize(
    "unknown", [{"orders": None}, {"mean": None}, {"deviation": None}, {"mean": 0.0, "deviation": 0.0}]
)
def test_what_was_never_measured_is_told_apart(unknown):
    (activity_result,) = found(rider(0, **unknown), *(rider(number) for number in range(1, 7)))["w0"]
    assert (activity_result.passed, activity_result.at_ms, activity_result.values) == (False, at(70), {})


@pytest.mark.parametrize(
    ("mean", "stated", "used"),
    [(2.5, 0.01, 0.75), (2.5, 0.0, 0.75), (2.5, 0.7499, 0.75), (2.5, 0.7501, 0.7501), (2.7, 0.1, 0.81)],
)
def test_a_deviation_counts_as_at_least_three_tenths_of_the_mean(mean, stated, used):
    assert values(found(rider(0, orders=1, mean=mean, deviation=stated)))["sigma"] == (mean - 1) / used


def test_accounts_with_a_tiny_deviation_are_not_paid_for_an_order_less():
    """Seven who are each other's peers: with the deviation that they state every hour would be a disaster."""
    assert not any(each.passed for mine in found(*(rider(n, orders=2, deviation=0.01) for n in range(7))).values()
                   for each in mine)  # fmt: skip


def test_orders_are_those_of_the_hour_up_to_the_moment_its_beginning_excluded():
    policy, _ = rider(0)
    nothing = found((policy, ("w0", at(-60), (LAT, LON), 9)), *(rider(n, minute=-60) for n in range(1, 6)))
    assert [each.passed for each in nothing["w0"]] == [False]
    at_the_moment = found((policy, ("w0", at(0), (LAT, LON), 0)), *(rider(n, minute=0) for n in range(1, 6)))
    assert values(at_the_moment)["peers"] == 5


@examples(40)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["swiggy", "zomato"]), st.integers(-70, 4)), min_size=1, max_size=9
    )
)
def test_peers_agree_with_counting_them_one_by_one(drawn):
    riders = [rider(n, orders=orders, platform=name, minute=minute) for n, (orders, name, minute) in enumerate(drawn)]
    activity_results = found(*riders)
    for number, (orders, name, minute) in enumerate(drawn):
        expected = None
        for t in (0, 5):
            others = [(o, m) for n, (o, p, m) in enumerate(drawn) if n != number and p == name and t - 60 < m <= t]
            severe = sum((2.5 - o) / 2.5 >= 0.55 for o, _ in others)
            share, sigma = severe / len(others) if others else 0.0, 2.5 - orders
            asked = 1.8 if len(others) < 5 else 1.3 if share > 0.4 else 1.5 if share >= 0.2 else 1.8
            if expected is None and t - 60 < minute <= t and sigma >= asked:
                expected = {"at": at(t), "peers": len(others), "share": share, "threshold": asked, "sigma": sigma}
        passed = [
            activity_result.values
            for activity_result in activity_results.get(f"w{number}", ())
            if activity_result.passed
        ]
        assert [{name: each[name] for name in expected} for each in passed] == ([] if expected is None else [expected])


def test_a_zone_with_a_threshold_of_its_own_is_tested_by_that():
    low = replace(RAIN, zone_breaches={h3.int_to_str(ZONE): replace(RAIN.levels[0].breach, threshold=12.0)})
    assert low.zone_breaches[h3.int_to_str(ZONE)].holds(13.0)
    schedule = schedule_of(
        TEST.every_ms, low.zone_breaches[h3.int_to_str(ZONE)], (revision(0, 0, "confirmed", 0, [(0, 13.0)]),), at(5)
    )
    assert [time.t_ms for time in schedule[at(0)].times] == [at(0), at(5)]
