"""Who counts toward a silent quorum, and what their trust comes to."""

from dataclasses import replace

import numpy as np
import pytest
from telemetry_conditions.conftest import MINUTE, PLACE, T, ask, column, holders, holders_of, report, tallied, zone_at

from monsoon.transforms.telemetry_conditions.outage import quorum_values
from monsoon.transforms.telemetry_conditions.silent_quorum import RiderTrust, quorum_weight, rider_trust, trust_tallies

MS = 1 / MINUTE
DAY_MS = 24 * 60 * MINUTE


TOWERS = {"here": (*PLACE, 1_000.0), "elsewhere": (PLACE[0] + 1.0, PLACE[1], 1_000.0)}


@pytest.fixture
def silent(outage, products):
    def found(reports, held=None, moment=T, terms=outage, **asked):
        """Who is silent, and who worked, of the platform."""
        tallies = tallied(terms, products["offshift"], reports, ask(moment, **asked), held)
        return column(tallies, "silent")[0], column(tallies, "worked")[0]

    return found


@pytest.fixture
def weight(outage, products):
    def found(reports, held=None, terms=outage):
        """What the silence of these riders is worth."""
        tallies = tallied(terms, products["offshift"], reports, ask(T), held, TOWERS)
        return quorum_weight(tallies).tolist()[0]

    return found


def riders(count, name="rider", minutes=(80, 60, 40), idle=0, **fields):
    """Riders who work, and then fall silent; `idle` of their reports are offline."""
    each = {"accel_var": 0.01, "cell": "here"} | fields
    states = ["offline"] * idle + ["online"] * (len(minutes) - idle)
    return [
        report(f"{name}-{n}", minute, state, **each)
        for n in range(count)
        for minute, state in zip(minutes, states, strict=True)
    ]


def insured(reports, hours=1_000.0, **changes):
    """A policy for each of the riders, begun so many hours before T."""
    start_ms = T - round(hours * 60 * MINUTE)
    begun = {"event_time": start_ms, "coverage_start": start_ms} | changes
    names = sorted({each["worker"] for each in reports})
    return holders(*((f"p-{name}", name, begun) for name in names))


def test_sums_of_the_specification(outage):
    """500 spoofers at 0.1 are 0, 50 genuine riders at 0.9 are 45, and only the latter make the quorum."""
    for count, micro, value in ((500, 100_000, 0.0), (50, 900_000, 45.0), (100, 400_000, 40.0), (100, 399_999, 0.0)):
        trust = RiderTrust(np.full(count, micro), np.ones(count, dtype=np.bool_))
        tallies = trust_tallies(outage, 1, np.zeros(count, dtype=np.int64), trust)
        assert quorum_values(tallies, None).tolist() == [value]
        assert column(tallies, "trusted") == [count if value else 0]
    assert outage.reach == 40.0


def test_spoofers_at_home_are_worth_nothing_and_riders_make_the_quorum(weight):
    """Fixes in the zone, the serving cell far off, the phones on a table and shared."""
    spoofers = riders(500, "spoofer", accel_var=1e-6, cell="elsewhere", device="one of few")
    genuine = riders(50, idle=1)
    assert weight(spoofers, insured(spoofers)) == 0.0
    # Cell, accelerometer, timing and phone as they should be, a third of the reports offline; no habits are known.
    each = round((0.25 + 0.20 + 0.20 * 2 / 3 + 0.10 + 0.10) / 0.85, 6)
    assert weight(genuine, insured(genuine)) == pytest.approx(50 * each, abs=1e-9)
    assert weight(spoofers + genuine, insured(spoofers + genuine)) == pytest.approx(50 * each, abs=1e-9)
    assert 50 * each >= 40 > 43 * each


@pytest.mark.parametrize(("hours", "counts"), [(24.0, 1), (24 - 1 / 3_600_000, 0), (1_000.0, 1)])
def test_only_riders_insured_for_a_day_count(weight, hours, counts):
    one = riders(1)
    assert weight(one, insured(one, hours)) == float(counts)


def test_accounts_without_a_policy_are_worth_nothing(weight):
    """Way in 7: forty-five accounts without policy or sensors go silent."""
    accounts = [report(f"account-{n}", 40) for n in range(45)]
    assert weight(accounts) == 0.0
    assert weight(riders(45)) == 0.0
    lapsed = insured(riders(45), coverage_end=T - 1)
    assert weight(riders(45), lapsed) == 0.0


def test_a_gap_in_cover_counts_anew(weight):
    one = riders(1)
    events = [
        {"coverage_start": T - 50 * DAY_MS, "coverage_end": T - DAY_MS + 1, "event_time": T - 50 * DAY_MS},
        {"coverage_start": T - DAY_MS + 1, "coverage_end": T + DAY_MS, "event_time": T - DAY_MS + 1, "type": "renewed"},
    ]
    assert weight(one, holders_of("p", "rider-0", *events)) == 1.0
    events[1]["coverage_start"] += 1
    assert weight(one, holders_of("p", "rider-0", *events)) == 0.0


def test_who_was_hardly_measured_counts_half_for_the_rest_and_nothing_for_the_quorum(outage, products, weight):
    """App state, timing and phone alone are 0.40 of the weights; with the accelerometer they are 0.60."""
    product = products["offshift"]
    bare = riders(1, accel_var=None, cell=None)
    tallies = tallied(outage, product, bare, ask(T), insured(bare), TOWERS)
    assert column(tallies, "trust_micro") == [400_000 + 300_000]
    assert weight(bare, insured(bare)) == 0.0
    assert weight(bare, insured(bare), replace(outage, min_measured=0.40)) == 0.7
    shaken = riders(1, cell=None)
    assert weight(shaken, insured(shaken)) == 1.0


@pytest.mark.parametrize(
    ("minutes", "counts"),
    [(90 + MS, 0), (90, 0), (90 - MS, 1), (60, 1), (30 + MS, 1), (30, 1), (30 - MS, 0), (0, 0)],
)
def test_the_time_of_work_excludes_its_start_and_includes_its_end(silent, minutes, counts):
    assert silent([report("w", minutes)])[1] == counts


@pytest.mark.parametrize(("minutes", "gone"), [(30, 1), (30 - MS, 0), (0, 0), (-MS, 1)])
def test_a_report_in_the_last_half_hour_is_no_silence(silent, minutes, gone):
    assert silent([report("w", 45), report("w", minutes)])[0] == gone


@pytest.mark.parametrize(("state", "gone"), [("offline", 1), ("online", 0), ("on_trip", 0), (None, 0)])
def test_only_offline_reports_are_silence(silent, outage, products, state, gone):
    reports = [report("w", 45), report("w", 20, state)]
    assert silent(reports)[0] == gone
    tallies = tallied(outage, products["offshift"], reports, ask(T))
    assert column(tallies, "silent_offline") == [gone]


def test_one_online_report_among_offline_ones_is_no_silence(silent):
    assert silent([report("w", 45), report("w", 20, "offline"), report("w", 10)])[0] == 0


@pytest.mark.parametrize(("mock", "counts"), [(1, 0), (0, 1), (None, 1)])
def test_who_states_a_mock_location_once_is_no_part_of_a_quorum(silent, mock, counts):
    assert silent([report("w", 80), report("w", 60, mock=mock), report("w", 40)]) == (counts, counts)


def test_offline_in_the_zone_is_no_work(silent):
    assert silent([report("w", 45, "offline")]) == (0, 0)
    assert silent([report("w", 45, None)]) == (0, 0)


def test_who_moved_to_another_zone_is_not_silent_and_who_never_was_here_did_not_work_here(silent):
    elsewhere = (19.6, 73.4)
    assert zone_at(elsewhere) != zone_at()
    assert silent([report("w", 45), report("w", 20, place=elsewhere)])[0] == 0
    assert silent([report("w", 45, place=elsewhere)]) == (0, 0)
    assert silent([report("w", 45), report("w", 35, place=elsewhere)]) == (1, 1)


def test_who_went_on_for_another_platform_is_not_silent(silent):
    assert silent([report("w", 45), report("w", 20, platform="swiggy")])[0] == 0


def test_the_platform_is_what_the_reports_name_else_the_policys(silent):
    assert silent([report("w", 45, platform="swiggy")]) == (0, 0)
    assert silent([report("w", 45, platform="swiggy"), report("w", 44)]) == (1, 1)
    nameless = [report("w", 45, platform=None)]
    assert silent(nameless) == (0, 0)
    assert silent(nameless, holders(("p", "w", {"platform": "zomato"}))) == (1, 1)
    assert silent(nameless, holders(("p", "w", {"platform": "swiggy"}))) == (0, 0)
    assert silent(nameless, holders(("p", "w", {"platform": None}))) == (0, 0)
    over = holders(("p", "w", {"platform": "zomato", "coverage_end": T - 1}))
    assert silent(nameless, over) == (0, 0)
    named = holders(("p", "w", {"platform": "zomato"}))
    assert silent([report("w", 45, platform="swiggy")], named) == (0, 0)


def test_riders_of_other_platforms_are_told_apart_and_those_of_none_left_out(outage, products):
    reports = [
        report("mine", 45),
        report("stays", 45, platform="swiggy"),
        report("stays", 5, platform="swiggy"),
        report("leaves", 45, platform="swiggy"),
        report("nameless", 45, platform=None),
    ]
    tallies = tallied(outage, products["offshift"], reports, ask(T))
    assert (column(tallies, "worked"), column(tallies, "others_worked")) == ([1], [2])
    assert column(tallies, "others_silent") == [1]


def test_a_platform_nobody_named_and_questions_of_several_moments(silent, outage, products):
    reports = [report("a", 45), report("b", 45), report("b", 5)]
    assert silent(reports, platform="dunzo") == (0, 0)
    tallies = tallied(outage, products["offshift"], reports, ask(T, T + 60 * MINUTE, T - 60 * MINUTE))
    assert column(tallies, "silent") == [1, 1, 0]
    assert column(tallies, "worked") == [2, 1, 0]


def test_trust_is_the_products_score_over_the_time_they_worked(outage, products):
    product = products["offshift"]
    busy = {"accel_var": 0.01, "cell": None}
    reports = [report("w", minutes, **busy) for minutes in (85, 60, 35)]
    # Half an hour of lying still after they fell silent is not in the window of their trust, nor is what came before.
    reports += [report("w", 20, "offline", accel_var=0.0), report("w", 95, accel_var=0.0)]
    trust = column(tallied(outage, product, reports, ask(T)), "trust_micro")[0]
    # log10(0.01 / 0.0002) / log10(50) = 1; always at work; alone on the phone; the rest, half the weight, counts 0.5.
    assert trust == 500_000 + 250_000
    lazy = [*reports, report("w", 50, "offline", accel_var=0.01)]
    # A quarter of the reports offline: 0.20 + 0.20 * 0.75 + 0.10 + 0.50 / 2.
    assert column(tallied(outage, product, lazy, ask(T)), "trust_micro") == [700_000]


def test_riders_who_share_a_phone_trust_each_other_less_and_the_last_phone_counts(outage, products):
    product = products["offshift"]
    alone = [report("w", 80, device="one"), report("w", 60, device="two")]
    assert column(tallied(outage, product, alone, ask(T)), "trust_micro") == [300_000 + 350_000]
    shared = [*alone, report("x", 600, device="one"), report("y", 600, device="two"), report("z", 599, device="two")]
    # 0.20 * 1 + 0.10 / 3, of the phone of the last report, and 0.70 / 2.
    assert column(tallied(outage, product, shared, ask(T)), "trust_micro") == [583_333]


def test_trust_of_nothing_measured_adds_nothing(outage, products):
    score, one = products["offshift"].decision.scores["trust"], np.array([True])
    nothing = rider_trust(outage, score, {"app_activity": np.array([np.nan])}, one)
    assert (nothing.micro.tolist(), nothing.counts.tolist()) == ([-1], [False])
    worked = {
        "cell_tower_zone_match": np.array([0.95]),
        "accelerometer_variance": np.array([2e-4 * 50**0.88]),
        "app_activity": np.array([0.85]),
        "shift_pattern": np.array([0.92]),
        "bought_in_alert_window": np.array([0.10]),
        "riders_on_device_28d": np.array([1.0]),
    }
    whole = rider_trust(outage, score, worked, one)
    assert (whole.micro.tolist(), whole.counts.tolist()) == ([911_500], [True])
    assert rider_trust(outage, score, worked, ~one).counts.tolist() == [False]


def test_when_the_policy_was_bought_counts_for_those_who_hold_one(outage, products):
    product = products["offshift"]
    rows = [report("holder", 45, accel_var=1e-5), report("nobody", 45, accel_var=1e-5)]
    alone = column(tallied(outage, product, rows, ask(T)), "trust_micro")
    held = column(tallied(outage, product, rows, ask(T), holders(("p1", "holder", {}))), "trust_micro")
    # An active, still phone of one's own: 0.20 + 0.10, and 0.50 / 2; with a policy 0.40 of 0.60 measured.
    assert alone == [2 * 550_000]
    assert held == [550_000 + 666_667]


def test_tallies_of_parts_of_the_riders_add_up_whatever_the_order(outage, products):
    product = products["offshift"]
    rng = np.random.default_rng(5)
    reports = [
        report(
            f"w{rng.integers(40)}",
            float(rng.integers(0, 100)),
            rng.choice(["online", "on_trip", "offline", None]),
            rng.choice(["zomato", "swiggy"]),
            battery_pct=float(rng.integers(1, 100)),
            accel_var=float(rng.random()),
        )
        for _ in range(400)
    ]
    zone_queries = ask(T, T - 7 * MINUTE, T + 31 * MINUTE)
    whole = tallied(outage, product, reports, zone_queries)
    parts = [[each for each in reports if int(each["worker"][1:]) % 3 == part] for part in range(3)]
    assert (sum(tallied(outage, product, part, zone_queries) for part in parts) == whole).all()
    shuffled = [reports[place] for place in rng.permutation(len(reports))]
    assert (tallied(outage, product, shuffled, zone_queries) == whole).all()
    assert whole[:, 0].sum() > 20


def test_another_threshold_of_the_same_kind(silent, weight, outage):
    terms = replace(outage, before_ms=50 * MINUTE, silent_ms=10 * MINUTE, min_trust=0.95)
    assert silent([report("w", 45), report("w", 20)], terms=terms)[0] == 1
    lazy = riders(1, minutes=(45, 44, 43), idle=1)
    assert weight(lazy, insured(lazy)) > 0.9
    assert weight(lazy, insured(lazy), terms) == 0.0
