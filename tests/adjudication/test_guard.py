"""The guard in every product: what it asks, what an answer and a re-read release, and what stays as it was paid."""

import pytest
from kit import Rereads, ScriptedScores, at, signal, terms, update
from kit.rider import PRODUCTS, Always, Rider
from msgspec.structs import replace

from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.transforms.adjudication.claims import Answer, Claim, ClaimScore
from monsoon.transforms.guard.signals import SIGNALS

HOUR = 60
MOCK, CELL, RING = signal("mock"), signal("cell"), signal("ring")
PLANS = {"offshift": "weekly_pass"}


def lost(product="kawaach", minutes=0, trigger=None, **fields):
    """A claim on the product's first trigger that pays without an activity test."""
    terms_ = terms(plan=PLANS.get(product, "standard"))
    trigger = trigger or {"kawaach": "curfew", "jugaad": "heat"}.get(product, "rain")
    return update("d", minutes, trigger, level=None, terms=terms_, **fields)


class Guarded(Always):
    """Scores with these signals, one set after another, then the last; re-reads as scripted."""

    def __init__(self, guards, rereads, **fields):
        super().__init__(**fields)
        self._guards, self.reread = list(guards), Rereads(*rereads)

    def __call__(self, claim, at_ms):
        guard = self._guards.pop(0) if len(self._guards) > 1 else self._guards[0]
        return replace(super().__call__(claim, at_ms), guard=guard)


def rider_of(*guards, product="kawaach", rereads=("released",), **fields):
    """A rider whose scores carry these signals."""
    return Rider(Guarded(guards or [()], rereads, **fields), product)


def verified(*rereads, **fields):
    """A claim that the guard verifies, asked at minute 0."""
    return rider_of((MOCK,), rereads=rereads or ("released",), **fields).at(lost(fields.get("product", "kawaach")))


@pytest.mark.parametrize("product", sorted(set(PRODUCTS) - {"gic"}))
def test_one_contradiction_is_a_question_in_every_product(product):
    rider = verified(product=product)
    assert rider.end() == ("step_up", ["verify:mock"])
    assert rider.last()["answer_by"] == at(4 * HOUR)
    assert rider.payouts == []
    assert rider.finish().end() == ("manual_review", ["step_up_unanswered", "mock"])
    assert rider.last()["decided_at"] == at(4 * HOUR)


@pytest.mark.parametrize("product", sorted(set(PRODUCTS) - {"gic"}))
@pytest.mark.parametrize(("guard", "reasons"), [((MOCK, CELL), ["mock", "cell"]), ((RING,), ["ring"])])
def test_two_or_a_ring_are_reviewed(product, guard, reasons):
    rider = rider_of(guard, product=product).at(lost(product)).finish()
    assert rider.story() == ["manual_review"]
    assert rider.last()["reasons"] == reasons


@pytest.mark.parametrize("signals", [0, 1, 9])
def test_the_guard_needs_no_count_of_sensor_groups(signals):
    assert rider_of((MOCK,), signals=signals).at(lost()).end()[0] == "step_up"


def test_clear_and_unmeasured_signals_change_nothing():
    guard = (signal("mock", "clear"), signal("cell", None))
    rider = rider_of(guard).at(lost())
    assert rider.story() == ["approved"]
    assert rider.last()["guard"] == [
        {"signal": "mock", "status": "clear", "feature": "mock_location_share", "value": 0.0, "threshold": 0.0,
         "reports": 9},
        {"signal": "cell", "status": None, "feature": "cell_tower_zone_match", "value": 0.0, "threshold": 0.0,
         "reports": 9},
    ]  # fmt: skip
    assert rider.last()["reread"] is None


# The product's rules, which may only be stricter.


def test_a_soft_hold_of_the_product_is_less_than_a_verification():
    rider = verified(risk=0.5).answer(10).finish()
    assert rider.story() == ["step_up", "approved"]
    assert rider.last()["reasons"] == []


def test_a_step_up_of_both_is_one_question():
    rider = verified(risk=0.9).answer(10)
    assert rider.story() == ["step_up", "approved"]


def test_a_step_up_of_both_waits_as_long_as_the_guard():
    rider = verified("waits", product="offshift", trust=0.5)
    assert rider.last()["answer_by"] == at(4 * HOUR)
    assert rider.answer(10).finish().end() == ("manual_review", ["reread_not_measured"])


def test_a_review_of_the_product_counts():
    rider = rider_of((MOCK,), product="nexora", risk=0.9).at(lost("nexora")).finish()
    assert rider.story() == ["manual_review"]
    assert rider.last()["reasons"] == ["accelerometer_variance"]


def test_a_review_of_both_has_all_reasons():
    claim = lost("offshift")
    claim = replace(claim, terms=replace(claim.terms, activated_at_ms=at(-5)), first_alert_ms=at(-10))
    rider = rider_of((MOCK, CELL), product="offshift").at(claim)
    assert rider.end() == ("manual_review", ["mock", "cell", "bought_in_alert_window"])


@pytest.mark.parametrize("guard", [(MOCK,), (MOCK, CELL)])
def test_what_a_rule_excludes_is_ineligible_whatever_the_guard_says(guard):
    claim = lost("nexora")
    rider = rider_of((), guard, product="nexora").at(claim)
    rider.at(replace(claim, at_ms=at(5), disruption_id="e", start_ms=at(5), confirmed_at_ms=at(5)))
    assert rider.end("e") == ("ineligible", ["overlap"])
    refused = lost("jugaad")
    refused = replace(refused, terms=replace(refused.terms, covered=False))
    assert rider_of(guard, product="jugaad").at(refused).end() == ("ineligible", ["plan_lacks_trigger"])


@pytest.mark.parametrize(
    ("then", "story"),
    [
        ((), ["soft_hold", "approved"]),
        ((MOCK,), ["soft_hold", "step_up", "manual_review"]),
        ((MOCK, CELL), ["soft_hold", "manual_review"]),
    ],
)
def test_a_hold_that_runs_out_meets_the_guard_again(then, story):
    rider = rider_of((), then, product="jugaad", risk=0.3).at(lost("jugaad")).finish()
    assert rider.story() == story
    if "step_up" in story:
        assert [claim["decided_at"] for claim in rider.claims] == [at(0), at(15), at(15 + 4 * HOUR)]


# Answers.


def test_an_answer_with_a_good_reread_pays():
    rider = verified().answer(10)
    assert rider.end() == ("approved", [])
    assert rider.scores.reread.asked == [(at(0), at(10), "a10")]
    assert rider.paid_inr == 375
    assert rider.last()["reread"] == {
        "asked_at": at(0), "at": at(10), "outcome": "released",
        "guard": [{"signal": "cell", "status": "clear", "feature": "cell_tower_zone_match", "value": 0.0,
                   "threshold": 0.0, "reports": 9}],
    }  # fmt: skip


@pytest.mark.parametrize("asked", [{"guard": ((MOCK,),)}, {"risk": 0.9}], ids=["the guard", "kawaach"])
@pytest.mark.parametrize(
    ("rereads", "end", "decided"),
    [
        (["waits", "released"], ("approved", []), 4 * HOUR),
        (["waits", "waits"], ("manual_review", ["reread_not_measured"]), 4 * HOUR),
        (["waits", "wifi"], ("manual_review", ["wifi"]), 4 * HOUR),
        (["untied"], ("manual_review", ["reread_elsewhere"]), 10),
        (["cell"], ("manual_review", ["cell"]), 10),
        (["lost"], ("manual_review", ["score_missing", "accelerometer_variance"]), 10),
        (["waits", "lost"], ("manual_review", ["score_missing", "accelerometer_variance"]), 4 * HOUR),
    ],
)
def test_an_answer_alone_releases_nothing(asked, rereads, end, decided):
    fields = dict(asked)
    rider = rider_of(*fields.pop("guard", ()), rereads=rereads, **fields).at(lost()).answer(10).finish()
    assert rider.story() == ["step_up", end[0]]
    assert rider.end() == end
    assert rider.last()["decided_at"] == at(decided)
    moments = [(at(0), at(10), "a10"), (at(0), at(4 * HOUR), "")]
    assert rider.scores.reread.asked == moments[: len(rereads)]
    assert rider.paid_inr == (375 if end[0] == "approved" else 0)


@pytest.mark.parametrize(
    ("reread", "end"),
    [("waits", "approved"), ("untied", "approved"), ("released", "approved"), ("cell", "manual_review")],
)
def test_offshifts_one_message_releases_unless_it_is_contradicted(reread, end):
    rider = rider_of(product="offshift", trust=0.5, rereads=[reread]).at(lost("offshift")).answer(20 * HOUR)
    assert rider.story() == ["step_up", end]
    assert rider.last()["reasons"] == ([] if end == "approved" else ["cell"])


def test_a_denial_is_reviewed():
    rider = verified().answer(10, confirms=False).finish()
    assert rider.end()[0] == "manual_review"
    assert rider.last()["reasons"][0] == "answer_denied"
    assert rider.scores.reread.asked == []


@pytest.mark.parametrize("answer_id", ["a10", "another"])
def test_answers_while_the_claim_waits_for_a_reread(answer_id):
    """The same answer from another device is another answer, and changes nothing."""
    rider = verified("waits", "released").answer(10)
    rider.answer(11, answer_id="another").answer(12, confirms=False, answer_id="third")
    assert [each.reason for each in rider.machine.take_refused()] == ["answered_already"] * 2
    assert rider.story() == ["step_up"]
    assert rider.finish().end() == ("approved", [])


def test_an_answer_at_the_end_of_the_wait_is_looked_at_twice_at_once():
    rider = verified("waits").answer(4 * HOUR)
    assert rider.end() == ("manual_review", ["reread_not_measured"])
    assert [each[1:] for each in rider.scores.reread.asked] == [(at(4 * HOUR), f"a{4 * HOUR}"), (at(4 * HOUR), "")]


def test_answers_too_early_and_too_late():
    rider = verified().answer(4 * HOUR + 1)
    assert [each.reason for each in rider.machine.take_refused()] == ["answer_late"]
    rider = rider_of((MOCK,))
    rider.at(lost(), Answer(at(0), "early", "p1", verified().last()["claim_id"], True))
    assert [each.reason for each in rider.machine.take_refused()] == ["nothing_asked"]
    assert rider.last()["status"] == "step_up"


# Corrections, withdrawals, top-ups.


def test_paid_stays_paid_and_a_rise_is_topped_up_without_a_new_look():
    rain = update("d", 0, "rain")
    rider = rider_of((), (MOCK, CELL)).at(rain).at(replace(rain, at_ms=at(20), level="full"))
    assert rider.story() == ["approved", "approved"]
    assert rider.paid_inr == 500


def test_a_rise_while_the_claim_is_verified_pays_the_whole_when_released():
    rain = update("d", 0, "rain")
    rider = rider_of((MOCK,)).at(rain).at(replace(rain, at_ms=at(20), level="full")).answer(30)
    assert [payout["amount_paise"] for payout in rider.payouts] == [50_000]


def test_a_rise_after_a_review_does_not_pay():
    rain = update("d", 0, "rain")
    rider = rider_of((MOCK, CELL)).at(rain).at(replace(rain, at_ms=at(20), level="full")).finish()
    assert rider.end()[0] == "manual_review"
    assert rider.payouts == []


@pytest.mark.parametrize(
    ("rereads", "end"),
    [
        (["released"], ("approved", [])),
        (["untied"], ("manual_review", ["reread_elsewhere"])),
        (["lost"], ("manual_review", ["score_missing", "accelerometer_variance"])),
        (["waits", "released"], ("approved", [])),
        (["waits", "waits"], ("manual_review", ["reread_not_measured"])),
    ],
)
def test_what_a_reread_said_stands_when_a_withdrawn_disruption_returns(rereads, end):
    rider, opened = verified(*rereads).answer(10), lost()
    rider.at(replace(opened, at_ms=at(30), withdrawn=True)).at(replace(opened, at_ms=at(40))).finish()
    assert rider.end() == end
    assert rider.paid_inr == (375 if end[0] == "approved" else 0)
    if rereads[0] == "waits":
        assert rider.scores.reread.asked[1:] == [(at(40), at(40 + 4 * HOUR), "")]


def test_a_withdrawal_while_the_claim_is_verified():
    rider = verified()
    rider.at(replace(lost(), at_ms=at(30), withdrawn=True)).finish()
    assert rider.end() == ("withdrawn", ["disruption_withdrawn"])


def test_restored_a_verified_claim_goes_on():
    rider = verified("waits", "released").answer(10)
    kept = [pack(claim) for claim in rider.machine.take_changed()]
    rider.machine.resume(unpack(claim, Claim) for claim in kept)
    assert rider.finish().end() == ("approved", [])
    assert rider.scores.reread.asked[-1] == (at(0), at(4 * HOUR), "")


def test_state_of_before_the_guard():
    """A score without signals; a claim that was asked then; one that had been confirmed then."""
    assert unpack(pack({"risk": 0.1, "signals": 3}), ClaimScore).guard == ()
    rider = Rider(ScriptedScores(default=0.9)).at(update("d", 0))
    (claim,) = rider.machine.take_changed()
    rider.machine.resume([unpack(pack(replace(claim, hold="asked")), Claim)])
    rider.answer(10)
    assert rider.last()["status"] == "approved"
    assert rider.scores.reread.asked == [(at(0), at(10), "a10")]


def test_every_signal_has_words():
    from monsoon.transforms.plain_words import REASONS

    assert set(SIGNALS) <= set(REASONS)
    assert {f"verify:{name}" for name in SIGNALS if name != "ring"} <= set(REASONS)


@pytest.mark.parametrize(("ratio", "story"), [(None, "approved"), (2.0, "approved"), (2.000001, "manual_review")])
def test_a_wage_of_more_than_twice_what_is_usual_is_reviewed(ratio, story):
    rider = rider_of((), features={"stated_wage_ratio": ratio}).at(lost()).finish()
    assert rider.story() == [story]
    if story != "approved":
        assert rider.last()["reasons"][0] == "stated_wage_ratio"
        assert rider.payouts == []


@pytest.mark.parametrize(
    ("guard", "reasons"),
    [
        ((MOCK, CELL), ["mock", "cell", "stated_wage_ratio"]),
        ((MOCK,), ["stated_wage_ratio"]),
        ((), ["stated_wage_ratio"]),
    ],
)
def test_a_wage_is_one_more_reason_where_the_guard_reviews(guard, reasons):
    """A question to the rider could not release it, so none is asked."""
    rider = rider_of(guard, features={"stated_wage_ratio": 3.0}, weightiest=()).at(lost()).finish()
    assert rider.story() == ["manual_review"]
    assert rider.last()["reasons"] == reasons
