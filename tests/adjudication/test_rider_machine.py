"""One rider's claims: tiers, holds and their timers, overlap, caps, top-ups, withdrawals."""

import pytest
from kit import LOST, ScriptedScores, at, kawaach, terms, update
from kit.rider import Rider
from msgspec.structs import replace

from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.machine import RiderMachine

KAWAACH = kawaach()
HOURS = 60
DAYS = 24 * HOURS


@pytest.mark.parametrize(
    ("trigger", "level", "inr"),
    [
        ("rain", "partial", 250), ("rain", "full", 500), ("aqi", None, 500), ("wind", None, 500),
        ("curfew", None, 375), ("platform_downtime", None, 200),
    ],
)  # fmt: skip
def test_what_each_trigger_pays(trigger, level, inr):
    rider = Rider().at(update("d", 0, trigger, level=level))
    assert rider.paid_inr == inr
    assert rider.last("d")["payout_inr"] == inr


@pytest.mark.parametrize(
    ("risk", "tier", "story"),
    [
        (0.0, None, ["approved"]),
        (0.3999, None, ["approved"]),
        (0.40, None, ["soft_hold", "step_up", "manual_review"]),
        (0.72, None, ["soft_hold", "step_up", "manual_review"]),
        (0.7201, None, ["step_up", "manual_review"]),
        (0.79, 3, ["step_up", "manual_review"]),
        (0.79, 5, ["approved"]),
        (0.85, 4, ["approved"]),
        (0.8501, 4, ["step_up", "manual_review"]),
        (0.8501, 5, ["step_up", "manual_review"]),
        (None, None, ["approved"]),
    ],
)
def test_tiers(risk, tier, story):
    rider = Rider(ScriptedScores(default=risk)).at(update("d", 0, terms=terms(trust_tier=tier))).finish()
    assert rider.story("d") == story
    assert bool(rider.payouts) == (story == ["approved"])


def test_a_soft_hold_lasts_two_hours_and_pays_when_the_score_came_down():
    rider = Rider(ScriptedScores(d=[0.5, 0.39])).at(update("d", 0)).finish()
    assert rider.story("d") == ["soft_hold", "approved"]
    assert rider.scores.asked == [("d", at(0)), ("d", at(2 * HOURS))]
    assert rider.payouts[0]["created_at"] == at(2 * HOURS)


def test_a_step_up_without_an_answer_goes_to_manual_review_after_four_hours():
    rider = Rider(ScriptedScores(d=[0.5, 0.5])).at(update("d", 0)).finish()
    assert [claim["decided_at"] for claim in rider.claims] == [at(0), at(2 * HOURS), at(6 * HOURS)]
    assert rider.last("d")["reasons"][0] == "step_up_unanswered"
    assert rider.payouts == []


@pytest.mark.parametrize(("signals", "story"), [(2, ["soft_hold", "approved"]), (3, ["step_up", "manual_review"])])
def test_nobody_is_escalated_on_fewer_than_three_signals(signals, story):
    rider = Rider(ScriptedScores(default=1.0, signals=signals)).at(update("d", 0)).finish()
    assert rider.story("d") == story


def test_a_claim_that_no_score_comes_for_goes_to_people_and_harms_no_other():
    rider = Rider(ScriptedScores(lost=[LOST])).at(update("lost", 0)).at(update("fine", 600)).finish()
    assert rider.story("lost") == ["manual_review"]
    assert rider.last("lost")["reasons"] == ["score_missing"]
    assert rider.last("lost")["features"] == {}
    assert rider.story("fine") == ["approved"]


def test_a_held_claim_that_no_new_score_comes_for_goes_to_people_with_what_is_known():
    rider = Rider(ScriptedScores(d=[0.5, LOST])).at(update("d", 0)).finish()
    assert rider.story("d") == ["soft_hold", "manual_review"]
    assert rider.last("d")["reasons"] == ["score_missing", "accelerometer_variance"]
    assert rider.last("d")["anomaly_score"] == 0.5


def test_nobody_is_looked_at_by_people_for_a_claim_worth_nothing():
    scores = ScriptedScores(lost=[LOST])
    rider = Rider(scores).at(update("first", 0, "rain")).at(update("lost", 10, "platform_downtime"))
    assert rider.last("lost")["reasons"] == ["overlap"]


def test_a_held_claim_says_what_weighed():
    rider = Rider(ScriptedScores(default=0.9)).at(update("d", 0))
    assert rider.last("d")["reasons"] == ["accelerometer_variance"]


def test_a_rise_tops_up_the_difference_and_never_pays_twice():
    partial = update("d", 0, "rain")
    rider = Rider().at(partial).at(replace(partial, at_ms=at(30), level="full"))
    assert [payout["amount_paise"] for payout in rider.payouts] == [25_000, 25_000]
    assert [payout["instalment"] for payout in rider.payouts] == [0, 1]
    assert len({payout["reference_id"] for payout in rider.payouts}) == 2
    assert rider.last("d")["payout_inr"] == 500


def test_a_rise_while_held_pays_the_whole_when_released():
    partial = update("d", 0, "rain")
    rider = Rider(ScriptedScores(d=[0.5, 0.1])).at(partial).at(replace(partial, at_ms=at(30), level="full")).finish()
    assert [payout["amount_paise"] for payout in rider.payouts] == [50_000]


def test_the_end_of_a_disruption_is_no_new_decision():
    confirmed = update("d", 0)
    rider = Rider().at(confirmed).at(replace(confirmed, at_ms=at(90), end_ms=at(90)))
    assert len(rider.claims) == 1


def test_overlapping_disruptions_pay_only_the_excess():
    rider = Rider().at(update("wind", 0, "platform_downtime")).at(update("rain", 10, "rain", level="full"))
    assert [payout["amount_paise"] for payout in rider.payouts] == [20_000, 30_000]
    rider.at(update("more", 20, "curfew"))
    assert rider.last("more")["status"] == "ineligible"
    assert rider.last("more")["reasons"] == ["overlap"]


def test_at_one_moment_the_larger_gross_is_taken_first():
    rider = Rider().at(update("small", 0, "platform_downtime"), update("large", 0, "aqi"))
    assert rider.last("large")["payout_inr"] == 500
    assert rider.last("small")["reasons"] == ["overlap"]


def test_a_disruption_that_has_ended_overlaps_nothing_after_it():
    first = update("a", 0, "platform_downtime")
    rider = Rider().at(first).at(replace(first, at_ms=at(60), end_ms=at(60))).at(update("b", 60, "platform_downtime"))
    assert rider.paid_inr == 400


def test_a_held_claim_counts_as_nothing_until_it_pays():
    rider = Rider(ScriptedScores(a=[0.5, 0.1])).at(update("a", 0, "curfew")).at(update("b", 10, "aqi")).finish()
    assert rider.last("b")["payout_inr"] == 500
    assert rider.story("a") == ["soft_hold", "ineligible"]
    assert rider.last("a")["reasons"] == ["overlap"]


def separate(name, minutes, trigger="curfew", **fields):
    """A disruption over within the minute, so that caps and not overlap decide."""
    return update(name, minutes, trigger, end_ms=at(minutes + 1), **fields)


def test_one_daily_wage_a_local_day():
    rider = Rider().at(separate("a", 0)).at(separate("b", 60)).at(separate("c", 120))
    assert rider.last("b")["reasons"] == ["cap_partial"]
    assert rider.last("c")["reasons"] == ["cap_reached"]
    assert [payout["amount_paise"] for payout in rider.payouts] == [37_500, 12_500]


def test_a_disruption_belongs_to_the_local_day_of_its_start():
    before = separate("a", 12 * HOURS - 1, "aqi")
    after = separate("b", 12 * HOURS, "aqi")
    assert Rider().at(before).at(after).paid_inr == 1000


def test_three_daily_wages_an_iso_week():
    # 28 June 2024 is a Friday: its week ends with Sunday the 30th.
    rider = Rider()
    for day in (-4, -3, -2, -1, 0, 1, 2, 3):
        rider.at(separate(f"day{day}", day * DAYS, "aqi"))
    paid = [rider.last(f"day{day}")["payout_inr"] for day in (-4, -3, -2, -1, 0, 1, 2, 3)]
    assert paid == [500, 500, 500, 0, 0, 0, 0, 500]


def test_caps_take_the_larger_first_at_one_moment():
    small = separate("small", 0, "platform_downtime", confirmed_at_ms=at(0))
    large = separate("large", 5, "curfew", at_ms=at(0), confirmed_at_ms=at(5))
    rider = Rider().at(small, large)
    assert (rider.last("large")["payout_inr"], rider.last("small")["payout_inr"]) == (375, 125)


def test_overlap_deducts_what_is_paid_within_the_caps_not_what_was_asked_for():
    rider = Rider().at(separate("earlier", 0))
    wind = update("wind", 12 * HOURS, "wind", start_ms=at(12 * HOURS - 30))
    rider.at(wind, update("rain", 12 * HOURS, "rain"))
    assert rider.last("wind")["reasons"] == ["cap_partial"]
    assert [rider.last(name)["payout_inr"] for name in ("wind", "rain")] == [125, 125]


def test_a_rise_and_a_confirmation_of_one_moment():
    rider = Rider().at(separate("earlier", 0))
    partial = update("rain", 12 * HOURS - 10, "rain")
    rider.at(partial)
    rider.at(replace(partial, at_ms=at(12 * HOURS), level="full"), update("curfew", 12 * HOURS))
    assert [rider.last(name)["payout_inr"] for name in ("rain", "curfew")] == [125, 250]


def test_two_corrections_of_one_moment():
    rider = Rider().at(separate("earlier", 0))
    confirmed = at(12 * HOURS - 10)
    rain = update("rain", 15 * HOURS, "rain", level="full", start_ms=confirmed, confirmed_at_ms=confirmed)
    midnight = at(12 * HOURS)
    curfew = update("curfew", 15 * HOURS, start_ms=midnight, confirmed_at_ms=midnight)
    rider.at(rain, curfew)
    assert [rider.last(name)["payout_inr"] for name in ("rain", "curfew")] == [125, 250]


def test_what_overlap_leaves_may_still_meet_the_cap():
    rider = Rider().at(separate("earlier", 0, "curfew")).at(separate("second", 60, "platform_downtime"))
    rider.at(update("a", 120, "curfew"), update("b", 120, "platform_downtime"))
    assert [rider.last(name)["reasons"] for name in ("a", "b")] == [["cap_reached"], ["cap_reached"]]


def test_held_claims_use_no_cap():
    rider = Rider(ScriptedScores(a=[0.5, 0.1])).at(separate("a", 0)).at(separate("b", 60)).finish()
    assert rider.last("b")["payout_inr"] == 375
    assert rider.last("a")["payout_inr"] == 125


def test_an_unpaid_claim_on_a_withdrawn_disruption_is_withdrawn():
    confirmed = update("d", 0)
    rider = (
        Rider(ScriptedScores(default=0.5)).at(confirmed).at(replace(confirmed, at_ms=at(30), withdrawn=True)).finish()
    )
    assert rider.story("d") == ["soft_hold", "withdrawn"]
    assert rider.payouts == []


def test_a_paid_claim_on_a_withdrawn_disruption_stays_paid_and_counts():
    confirmed = update("d", 0, "aqi")
    rider = Rider().at(confirmed).at(replace(confirmed, at_ms=at(30), withdrawn=True))
    assert rider.story("d") == ["approved", "approved"]
    assert rider.last("d")["reasons"] == ["paid_before_withdrawal"]
    rider.at(separate("e", 60))
    assert rider.last("e")["reasons"] == ["cap_reached"]


def test_withdrawn_and_confirmed_again_pays_once():
    confirmed = update("d", 0)
    gone = replace(confirmed, at_ms=at(30), withdrawn=True)
    back = replace(confirmed, at_ms=at(60))
    rider = Rider().at(confirmed).at(gone).at(back)
    assert rider.paid_inr == 375
    assert rider.last("d")["reasons"] == []
    held = Rider(ScriptedScores(d=[0.5, 0.1])).at(confirmed).at(gone).at(back).finish()
    assert held.paid_inr == 375


def test_a_level_that_falls_after_payment_is_listed_for_review():
    full = update("d", 0, "rain", level="full")
    rider = Rider().at(full).at(replace(full, at_ms=at(30), level="partial"))
    assert rider.last("d")["reasons"] == ["paid_above_corrected_level"]
    assert rider.paid_inr == 500


@pytest.mark.parametrize("fate", ["withdrawn", "fallen"])
def test_what_a_cap_left_keeps_its_reason_through_corrections(fate):
    """A curfew takes 75% of the day's wage, rain of 100% the rest; the rain is corrected away, or down, and back."""
    curfew = update("a", 0, end_ms=at(60))
    rain = update("b", 200, "rain", level="full")
    gone = {"withdrawn": True} if fate == "withdrawn" else {"level": "partial"}
    rider = Rider().at(curfew).at(rain)
    assert (rider.end("b"), rider.last("b")["payout_inr"]) == (("approved", ["cap_partial"]), 125)
    rider.at(replace(rain, at_ms=at(230), **gone))
    assert rider.last("b")["payout_inr"] == 125
    rider.at(replace(rain, at_ms=at(240)))
    assert (rider.end("b"), rider.last("b")["payout_inr"]) == (("approved", ["cap_partial"]), 125)
    ended = replace(rain, at_ms=at(400), end_ms=at(400))
    assert rider.at(ended).end("b") == ("approved", ["cap_partial"])


def test_a_rider_no_longer_present_under_a_correction_is_withdrawn_if_unpaid():
    confirmed = update("d", 0)
    elsewhere = replace(confirmed, at_ms=at(30), confirmed_at_ms=at(-30), terms=None)
    rider = Rider(ScriptedScores(default=0.5)).at(confirmed).at(elsewhere).finish()
    assert rider.last("d")["status"] == "withdrawn"
    assert rider.last("d")["reasons"] == ["not_present"]


def test_a_payout_under_one_rupee_is_not_paid():
    rider = Rider().at(update("d", 0, terms=terms(daily_wage_inr=1.32)))
    assert rider.last("d")["reasons"] == ["below_minimum"]
    assert Rider().at(update("d", 0, terms=terms(daily_wage_inr=1.33))).paid_inr == 1.0


def test_half_a_paisa_goes_to_the_even_one():
    assert Rider().at(update("d", 0, "rain", terms=terms(daily_wage_inr=500.01))).paid_inr == 250.0
    assert Rider().at(update("d", 0, "rain", terms=terms(daily_wage_inr=500.03))).paid_inr == 250.02


def test_ids_are_functions_of_what_they_name():
    first, second = Rider().at(update("d", 0)), Rider(ScriptedScores(default=0.1)).at(update("d", 0))
    assert first.claims[0]["claim_id"] == second.claims[0]["claim_id"]
    assert len(first.claims[0]["claim_id"]) <= 36


def test_a_machine_restored_in_the_middle_of_a_hold_goes_on_alike():
    partial = update("d", 0, "rain")
    script = {"d": [0.5, 0.1]}
    whole = Rider(ScriptedScores(**script)).at(partial).at(replace(partial, at_ms=at(30), level="full")).finish()
    cut = Rider(ScriptedScores(d=[0.5, 0.1])).at(partial)
    kept = [pack(claim) for claim in cut.machine.take_changed()]
    cut.machine = RiderMachine(KAWAACH, "m1", cut.scores)
    cut.machine.resume(unpack(claim, Claim) for claim in kept)
    cut.at(replace(partial, at_ms=at(30), level="full")).finish()
    assert (cut.claims, cut.payouts) == (whole.claims, whole.payouts)


@pytest.mark.parametrize("wage_inr", [1e27, 1.79e308])
def test_an_absurd_wage_stops_at_64_bits(wage_inr):
    rider = Rider().at(update("d", 0, terms=terms(daily_wage_inr=wage_inr)))
    assert [payout["amount_paise"] for payout in rider.payouts] == [2**63 - 1]
