"""Jugaad through its file and the machine: seven triggers, plans, durations, Slab Shield, lockout, weekly maxima."""

import dataclasses

import pytest
from kit import at, signal, terms, update
from kit.rider import PRODUCTS, Always, Rider, work
from msgspec.structs import replace

from monsoon.transforms.triggers.alerts import Alert

HOUR = 60
DAY = 24 * HOUR
JUGAAD = PRODUCTS["jugaad"]


def jugaad(**score):
    return Rider(Always(**score), "jugaad")


def policy(plan="standard", **fields):
    base = {"plan": plan, "daily_wage_inr": 500, "shift_baseline_inr": 400, "slab_orders": 60, "planned_hours_week": 50}
    return terms(**(base | fields))


def lost(name="d", minutes=0, trigger="rain", plan="standard", **fields):
    fields.setdefault("terms", policy(plan))
    fields.setdefault("peril", JUGAAD.trigger(trigger).peril)
    return update(name, minutes, trigger, level=None, **fields)


def over(opened, hours):
    """The same disruption, gone `hours` after its start, and ended an hour later."""
    since_ms = opened.start_ms + round(hours * HOUR * 60_000)
    return replace(opened, at_ms=since_ms + HOUR * 60_000, absent_since_ms=since_ms, end_ms=since_ms + HOUR * 60_000)


def through(opened, hours, **score):
    return jugaad(**score).at(opened).at(over(opened, hours))


@pytest.mark.parametrize(("plan", "share"), [("basic", 60), ("standard", 70), ("full_shield", 80)])
@pytest.mark.parametrize(("trigger", "inr_at_full_share"), [("heat", 500), ("rain", 400)])
def test_the_plans_share(plan, share, trigger, inr_at_full_share):
    assert jugaad().at(lost(trigger=trigger, plan=plan)).paid_inr == inr_at_full_share * share / 100


@pytest.mark.parametrize(("trigger", "inr"), [("fog", 200), ("aqi", 125), ("bandh", 400)])
@pytest.mark.parametrize("plan", ["standard", "full_shield"])
def test_what_is_the_same_in_every_plan(trigger, inr, plan):
    assert jugaad().at(lost(trigger=trigger, plan=plan)).paid_inr == inr


def test_without_a_shift_baseline_the_daily_wage_counts():
    assert jugaad().at(lost(trigger="bandh", terms=policy(shift_baseline_inr=None))).paid_inr == 500


@pytest.mark.parametrize(("trigger", "inr"), [("congestion", 23.44), ("outage", 156.25)])
def test_durations_pay_when_the_disruption_has_ended(trigger, inr):
    """Rs 62.5 an hour, 2.5 hours; 23.4375 is rounded half to even, to the paisa."""
    opened = lost(trigger=trigger)
    rider = jugaad().at(opened)
    assert rider.claims == []
    rider.at(over(opened, 2.5))
    assert rider.paid_inr == inr
    assert [p["created_at"] for p in rider.payouts] == [at(3.5 * HOUR)]
    assert rider.last()["payout_terms"]["inputs"] == {"disrupted_hours": 2.5, "hourly_wage": 62.5}


@pytest.mark.parametrize(
    ("before", "after", "paid", "reasons"), [(2, 3, 187.5, []), (3, 2, 187.5, ["paid_above_corrected_level"])]
)
def test_a_correction_after_the_end_changes_the_duration(before, after, paid, reasons):
    opened = lost(trigger="outage")
    rider = jugaad().at(opened).at(over(opened, before))
    rider.at(replace(over(opened, after), at_ms=at(10 * HOUR)))
    assert rider.paid_inr == paid
    assert rider.last()["reasons"] == reasons


def test_a_correction_that_opens_it_again_waits_for_the_new_end():
    opened = lost(trigger="outage")
    rider = jugaad().at(opened).at(over(opened, 2)).at(replace(opened, at_ms=at(4 * HOUR)))
    assert rider.paid_inr == 125
    assert rider.at(over(opened, 4)).paid_inr == 250


def test_a_withdrawn_disruption_of_which_nothing_was_decided_is_nothing():
    opened = lost(trigger="outage")
    rider = jugaad().at(opened).at(replace(opened, at_ms=at(30), withdrawn=True))
    assert rider.claims == []
    rider.at(replace(opened, at_ms=at(40))).at(over(opened, 2))
    assert rider.paid_inr == 125


SLAB = work("d", orders=30.0, hours=25.0)
"""1.2 orders an hour: on course for 60 in 50 hours, and not in fewer."""


def test_slab_shield_is_a_second_instalment():
    opened = lost()
    rider = jugaad().at(opened, SLAB).at(over(opened, 2))
    assert [(p["instalment"], p["amount_paise"]) for p in rider.payouts] == [(0, 28_000), (1, 80_000)]
    assert rider.payouts[1]["created_at"] == at(3 * HOUR)
    assert [c["payout_terms"]["slab_shield"] for c in rider.claims] == [None, True]
    assert rider.last()["payout_terms"]["gross_inr"] == 1080


@pytest.mark.parametrize(
    ("orders", "hours", "slab", "planned", "lasts", "said"),
    [
        (30, 25, 60, 50, 0.0, False),  # 1.2 x 50 = 60 either way
        (30, 25, 60, 50, 0.01, True),
        (29.9, 25, 60, 50, 2, False),  # was not on course
        (40, 25, 60, 50, 12.5, False),  # 1.6 x 37.5 = 60: still on course
        (40, 25, 60, 50, 12.51, True),
        (100, 33 + 20 / 60, 120, 40, 2, True),  # 3 an hour, and 40 hours of it exactly the slab
        (None, 25, 60, 50, 2, None),
        (30, None, 60, 50, 2, None),
        (30, 25, None, 50, 2, None),
        (30, 25, 60, None, 2, None),
        (30, 0, 60, 50, 2, False),  # no hours so far: on course for nothing
    ],
)
def test_whether_the_slab_was_broken(orders, hours, slab, planned, lasts, said):
    opened = lost(terms=policy(slab_orders=slab, planned_hours_week=planned))
    rider = jugaad().at(opened, work("d", orders, hours)).at(over(opened, lasts))
    assert rider.last()["payout_terms"]["slab_shield"] is said
    assert rider.paid_inr == (1080 if said else 280)


def test_without_a_finding_nothing_is_added():
    opened = lost()
    rider = jugaad().at(opened).at(over(opened, 2))
    assert rider.last()["payout_terms"]["slab_shield"] is None
    assert len(rider.claims) == 1


def test_basic_has_no_slab_shield():
    opened = lost(plan="basic")
    rider = jugaad().at(opened, SLAB).at(over(opened, 2))
    assert rider.paid_inr == 240
    assert "slab_shield" not in rider.last()["payout_terms"]


def test_slab_shield_once_an_iso_week():
    rider = jugaad()
    for name, minutes in (("a", -2 * DAY), ("b", 0), ("c", 4 * DAY)):
        opened = lost(name, minutes, terms=policy("full_shield"))
        rider.at(opened, work(name, 30.0, 25.0, minutes)).at(over(opened, 2))
    assert [rider.last(name)["payout_terms"]["slab_shield"] for name in "abc"] == [True, False, True]
    assert rider.paid_inr == 3 * 320 + 2 * 800


def test_slab_shield_of_one_moment_goes_to_the_one_confirmed_first():
    first, second = lost("a", 0), lost("b", 10, start_ms=at(10), zone="893da1162cbffff")
    ends_ms = at(5 * HOUR)
    ended = [replace(over(first, 1), at_ms=ends_ms), replace(over(second, 1), at_ms=ends_ms)]
    rider = jugaad().at(first, work("a", 30.0, 25.0)).at(second, work("b", 30.0, 25.0, 10)).at(*ended)
    assert rider.last("a")["payout_inr"] == 1080
    assert rider.end("b") == ("ineligible", ["overlap"])


def test_a_held_claim_gets_its_slab_shield_when_it_is_released():
    holds = {"rescore_hold": dataclasses.replace(JUGAAD.decision.holds["rescore_hold"], wait_ms=10 * HOUR * 60_000)}
    slow = dataclasses.replace(JUGAAD, decision=dataclasses.replace(JUGAAD.decision, holds=holds))
    opened = lost()
    rider = Rider(Always(risk=0.2), slow).at(opened, SLAB).at(over(opened, 2))
    assert [claim["payout_terms"]["slab_shield"] for claim in rider.claims] == [None, None]
    assert rider.payouts == []
    rider.finish()
    assert rider.last()["payout_terms"]["slab_shield"] is True
    assert [p["amount_paise"] for p in rider.payouts] == [108_000]


@pytest.mark.parametrize(("plan", "maximum"), [("basic", 720), ("standard", 1400), ("full_shield", 2400)])
def test_weekly_maxima(plan, maximum):
    rider = jugaad()
    for day in range(-4, 4):  # Monday 24 June to Monday 1 July
        rider.at(lost(f"day{day}", day * DAY, "bandh", plan, end_ms=at(day * DAY + 1)))
    assert rider.paid_inr == maximum + 400
    assert rider.last("day3")["payout_inr"] == 400
    assert rider.last("day2")["reasons"] in (["cap_reached"], ["cap_partial"])


@pytest.mark.parametrize(
    ("activated_ms", "ended_ms", "reasons"),
    [
        (at(-10 * HOUR - 48 * HOUR), None, []),
        (at(-10 * HOUR - 48 * HOUR) + 1, None, ["lockout"]),
        (at(-1), None, ["lockout"]),
        (at(-1), at(-24 * HOUR), []),
        (at(-1), at(-24 * HOUR) + 1, ["lockout"]),
        (None, None, []),
    ],
)
def test_lockout(activated_ms, ended_ms, reasons):
    alert = Alert(at(-10 * HOUR), ended_ms)
    rider = jugaad().at(lost(terms=policy(activated_at_ms=activated_ms), alert=alert))
    assert rider.last()["reasons"] == reasons
    assert rider.last()["payout_terms"]["gross_inr"] == (0 if reasons else 280)
    assert bool(rider.scores.asked) == (not reasons)


@pytest.mark.parametrize(("ended_ms", "reasons"), [(at(-24 * HOUR), []), (at(-24 * HOUR) + 1, ["lockout"])])
def test_an_alert_that_another_followed_still_locks_out(ended_ms, reasons):
    alert = Alert(at(-HOUR), None, (Alert(at(-40 * HOUR), ended_ms),))
    rider = jugaad().at(lost(terms=policy(activated_at_ms=at(-80 * HOUR)), alert=alert))
    assert rider.last()["reasons"] == reasons


def test_no_alert_no_lockout():
    assert jugaad().at(lost(terms=policy(activated_at_ms=at(-1)))).paid_inr == 280


def test_a_correction_that_takes_the_alert_away_opens_the_claim():
    locked = lost(terms=policy(activated_at_ms=at(-1)), alert=Alert(at(-10), None))
    rider = jugaad().at(locked).at(replace(locked, at_ms=at(30), alert=None))
    assert rider.story() == ["ineligible", "approved"]


def test_an_alert_that_a_correction_brings_after_payment_is_listed_for_review():
    opened = lost(terms=policy(activated_at_ms=at(-1)))
    rider = (
        jugaad()
        .at(opened, SLAB)
        .at(over(opened, 2))
        .at(replace(over(opened, 2), at_ms=at(400), alert=Alert(at(-10), None)))
    )
    assert rider.end() == ("approved", ["paid_above_corrected_level"])
    assert (rider.last()["payout_inr"], rider.last()["payout_terms"]["gross_inr"]) == (1080, 0)


def test_a_lockout_is_known_before_the_duration_is():
    rider = jugaad().at(lost(trigger="outage", terms=policy(activated_at_ms=at(-1)), alert=Alert(at(-10), None)))
    assert rider.end() == ("ineligible", ["lockout"])


@pytest.mark.parametrize(
    ("risk", "signals", "story"),
    [
        (0.15, 9, ["approved"]),
        (0.1501, 9, ["soft_hold", "approved"]),
        (0.50, 9, ["soft_hold", "approved"]),
        (0.5001, 9, ["soft_hold", "manual_review"]),
        (0.5001, 3, ["soft_hold", "manual_review"]),
        (1.0, 2, ["soft_hold", "approved"]),
        (None, 0, ["approved"]),
    ],
)
def test_confidence(risk, signals, story):
    rider = jugaad(risk=risk, signals=signals).at(lost()).finish()
    assert rider.story() == story
    assert rider.last()["decided_at"] == at(15 * (len(story) - 1))


@pytest.mark.parametrize(("then", "end"), [(0.15, "approved"), (0.4, "approved"), (0.6, "manual_review")])
def test_a_hold_is_decided_by_what_came_since(then, end):
    rider = jugaad(risk=0.9).at(lost())
    rider.scores.score = replace(rider.scores.score, risk=then)
    assert rider.finish().story() == ["soft_hold", end]


@pytest.mark.parametrize("risk", [0.1, 0.9])
def test_a_phone_that_contradicts_itself_is_the_guards(risk):
    """Whatever the score: neither approved nor in the product's hold."""
    rider = jugaad(risk=risk, guard=(signal("mock"),)).at(lost())
    assert rider.end() == ("step_up", ["verify:mock"])


def test_a_held_claim_is_looked_at_again():
    rider = jugaad(risk=0.5).at(lost())
    rider.scores.score = replace(rider.scores.score, guard=(signal("mock"), signal("motion")))
    assert rider.finish().end() == ("manual_review", ["mock", "motion"])
