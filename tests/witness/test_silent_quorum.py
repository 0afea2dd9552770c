"""Who counts toward a silent quorum, and what their trust comes to."""

from dataclasses import replace

import numpy as np
import pytest
from witness.conftest import MINUTE, T, ask, column, holders, report, tallied, zone_at

from monsoon.transforms.witness.outage import quorum_values
from monsoon.transforms.witness.silence import quorum_weight, trust_micro

MS = 1 / MINUTE


def silent(outage, reports, held=None, moment=T, trust=0.9, **asked):
    """Who is silent, and who worked, of the platform."""
    names = {each["worker"] for each in reports}
    found = tallied(outage, None, reports, ask(moment, **asked), held, dict.fromkeys(names, trust))
    return column(found, "silent")[0], column(found, "worked")[0]


def test_five_hundred_spoofers_are_worth_nothing_and_fifty_riders_forty_five(outage):
    spoofers = [report(f"spoofer-{n}", 40) for n in range(500)]
    riders = [report(f"rider-{n}", 40) for n in range(50)]
    trust = {each["worker"]: 0.1 if "spoofer" in each["worker"] else 0.9 for each in spoofers + riders}
    assert quorum_values(tallied(outage, None, spoofers, ask(T), trust=trust), None).tolist() == [0.0]
    values = quorum_values(tallied(outage, None, riders, ask(T), trust=trust), None)
    assert values.tolist() == [45.0]
    assert values[0] >= outage.reach
    assert quorum_values(tallied(outage, None, spoofers + riders, ask(T), trust=trust), None).tolist() == [45.0]


def test_trust_of_exactly_the_least_counts_and_a_sum_of_exactly_the_quorum_reaches_it(outage):
    hundred = [report(f"r{n}", 40) for n in range(100)]
    just = quorum_weight(tallied(outage, None, hundred, ask(T), trust={f"r{n}": 0.40 for n in range(100)}))
    assert just.tolist() == [40.0]
    assert just[0] >= outage.reach
    below = tallied(outage, None, hundred, ask(T), trust={f"r{n}": 0.399999 for n in range(100)})
    assert quorum_weight(below).tolist() == [0.0]
    assert column(below, "trusted") == [0]


@pytest.mark.parametrize(
    ("minutes", "counts"),
    [(90 + MS, 0), (90, 0), (90 - MS, 1), (60, 1), (30 + MS, 1), (30, 1), (30 - MS, 0), (0, 0)],
)
def test_the_time_of_work_excludes_its_start_and_includes_its_end(outage, minutes, counts):
    assert silent(outage, [report("w", minutes)])[1] == counts


@pytest.mark.parametrize(("minutes", "gone"), [(30, 1), (30 - MS, 0), (0, 0), (-MS, 1)])
def test_a_report_in_the_last_half_hour_is_no_silence(outage, minutes, gone):
    assert silent(outage, [report("w", 45), report("w", minutes)])[0] == gone


@pytest.mark.parametrize(("state", "gone"), [("offline", 1), ("online", 0), ("on_trip", 0), (None, 0)])
def test_only_offline_reports_are_silence(outage, state, gone):
    reports = [report("w", 45), report("w", 20, state)]
    assert silent(outage, reports)[0] == gone
    tallies = tallied(outage, None, reports, ask(T), trust={"w": 0.9})
    assert column(tallies, "silent_offline") == [gone]


def test_one_online_report_among_offline_ones_is_no_silence(outage):
    assert silent(outage, [report("w", 45), report("w", 20, "offline"), report("w", 10)])[0] == 0


def test_offline_in_the_zone_is_no_work(outage):
    assert silent(outage, [report("w", 45, "offline")]) == (0, 0)
    assert silent(outage, [report("w", 45, None)]) == (0, 0)


def test_who_moved_to_another_zone_is_not_silent_and_who_never_was_here_did_not_work_here(outage):
    elsewhere = (19.6, 73.4)
    assert zone_at(elsewhere) != zone_at()
    assert silent(outage, [report("w", 45), report("w", 20, place=elsewhere)])[0] == 0
    assert silent(outage, [report("w", 45, place=elsewhere)]) == (0, 0)
    assert silent(outage, [report("w", 45), report("w", 35, place=elsewhere)]) == (1, 1)


def test_who_went_on_for_another_platform_is_not_silent(outage):
    assert silent(outage, [report("w", 45), report("w", 20, platform="swiggy")])[0] == 0


def test_the_platform_is_what_the_reports_name_else_the_policys(outage):
    assert silent(outage, [report("w", 45, platform="swiggy")]) == (0, 0)
    assert silent(outage, [report("w", 45, platform="swiggy"), report("w", 44)]) == (1, 1)
    nameless = [report("w", 45, platform=None)]
    assert silent(outage, nameless) == (0, 0)
    assert silent(outage, nameless, holders(("p", "w", {"platform": "zomato"}))) == (1, 1)
    assert silent(outage, nameless, holders(("p", "w", {"platform": "swiggy"}))) == (0, 0)
    assert silent(outage, nameless, holders(("p", "w", {"platform": None}))) == (0, 0)
    over = holders(("p", "w", {"platform": "zomato", "coverage_end": T - 1}))
    assert silent(outage, nameless, over) == (0, 0)
    named = holders(("p", "w", {"platform": "zomato"}))
    assert silent(outage, [report("w", 45, platform="swiggy")], named) == (0, 0)


def test_riders_of_other_platforms_are_told_apart_and_those_of_none_left_out(outage):
    reports = [
        report("mine", 45),
        report("stays", 45, platform="swiggy"),
        report("stays", 5, platform="swiggy"),
        report("leaves", 45, platform="swiggy"),
        report("nameless", 45, platform=None),
    ]
    tallies = tallied(outage, None, reports, ask(T), trust={"mine": 0.9})
    assert (column(tallies, "worked"), column(tallies, "others_worked")) == ([1], [2])
    assert column(tallies, "others_silent") == [1]


def test_a_platform_nobody_named_and_questions_of_several_moments(outage):
    reports = [report("a", 45), report("b", 45), report("b", 5)]
    assert silent(outage, reports, platform="dunzo") == (0, 0)
    tallies = tallied(outage, None, reports, ask(T, T + 60 * MINUTE, T - 60 * MINUTE), trust={"a": 0.9, "b": 0.9})
    assert column(tallies, "silent") == [1, 1, 0]
    assert column(tallies, "worked") == [2, 1, 0]


def test_trust_is_the_products_score_over_the_time_they_worked(outage, products):
    score = products["offshift"].decision.scores["trust"]
    busy = {"accel_var": 0.01, "cell": None}
    reports = [report("w", minutes, **busy) for minutes in (85, 60, 35)]
    # Half an hour of lying still after they fell silent is not in the window of their trust, nor is what came before.
    reports += [report("w", 20, "offline", accel_var=0.0), report("w", 95, accel_var=0.0)]
    trust = column(tallied(outage, score, reports, ask(T)), "trust_micro")[0]
    # log10(0.01 / 0.0002) / log10(50) = 1; always at work; alone on the phone; the rest was not measured.
    assert trust == 1_000_000
    lazy = [*reports, report("w", 50, "offline", accel_var=0.01)]
    # A quarter of the reports offline: (0.20 + 0.20 * 0.75 + 0.10) / 0.50.
    assert column(tallied(outage, score, lazy, ask(T)), "trust_micro") == [900_000]


def test_riders_who_share_a_phone_trust_each_other_less_and_the_last_phone_counts(outage, products):
    score = products["offshift"].decision.scores["trust"]
    alone = [report("w", 80, device="one"), report("w", 60, device="two")]
    assert column(tallied(outage, score, alone, ask(T)), "trust_micro") == [1_000_000]
    shared = [*alone, report("x", 600, device="one"), report("y", 600, device="two"), report("z", 599, device="two")]
    # (0.20 * 1 + 0.10 / 3) / 0.30, of the phone of the last report.
    assert column(tallied(outage, score, shared, ask(T)), "trust_micro") == [777_778]


def test_trust_of_nothing_measured_adds_nothing(products):
    score = products["offshift"].decision.scores["trust"]
    none = np.array([np.nan])
    assert trust_micro(score, {"app_activity": none}).tolist() == [-1]
    worked = {
        "cell_tower_zone_match": np.array([0.95]),
        "accelerometer_variance": np.array([2e-4 * 50**0.88]),
        "app_activity": np.array([0.85]),
        "shift_pattern": np.array([0.92]),
        "bought_in_alert_window": np.array([0.10]),
        "riders_on_device_28d": np.array([1.0]),
    }
    assert trust_micro(score, worked).tolist() == [911_500]


def test_when_the_policy_was_bought_counts_for_those_who_hold_one(outage, products):
    score = products["offshift"].decision.scores["trust"]
    rows = [report("holder", 45, accel_var=1e-5), report("nobody", 45, accel_var=1e-5)]
    alone = column(tallied(outage, score, rows, ask(T)), "trust_micro")
    held = column(tallied(outage, score, rows, ask(T), holders(("p1", "holder", {}))), "trust_micro")
    # (0.20 x 1 + 0.10 x 1) / 0.50 of an active, still phone of one's own; 0.10 more of 0.60 for a policy.
    assert alone == [1_200_000]
    assert held == [600_000 + 666_667]


def test_tallies_of_parts_of_the_riders_add_up_whatever_the_order(outage, products):
    score = products["offshift"].decision.scores["trust"]
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
    questions = ask(T, T - 7 * MINUTE, T + 31 * MINUTE)
    whole = tallied(outage, score, reports, questions)
    parts = [[each for each in reports if int(each["worker"][1:]) % 3 == part] for part in range(3)]
    assert (sum(tallied(outage, score, part, questions) for part in parts) == whole).all()
    shuffled = [reports[place] for place in rng.permutation(len(reports))]
    assert (tallied(outage, score, shuffled, questions) == whole).all()
    assert whole[:, 0].sum() > 20


def test_another_threshold_of_the_same_kind(outage):
    terms = replace(outage, before_ms=50 * MINUTE, silent_ms=10 * MINUTE, least_trust=0.95)
    assert silent(terms, [report("w", 45), report("w", 20)])[0] == 1
    tallies = tallied(terms, None, [report("w", 45)], ask(T), trust={"w": 0.9})
    assert quorum_weight(tallies).tolist() == [0.0]
