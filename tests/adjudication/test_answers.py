"""Riders' answers: which release or escalate a claim, which change nothing and why."""

import random

import pytest
from kit import ScriptedScores, at, update
from kit.rider import Always, Rider
from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import Answer
from monsoon.transforms.adjudication.driver import run_rider

HOUR = 60


def asked(at_minute=0, **fields):
    """A kawaach claim in step-up until minute 240."""
    return Rider(ScriptedScores(default=0.9)).at(update("d", at_minute, **fields))


def refused(rider):
    return [each.reason for each in rider.machine.take_refused()]


@pytest.mark.parametrize("minutes", [0.001, 4 * HOUR])
def test_a_confirmation_pays_up_to_the_very_moment_the_wait_runs_out(minutes):
    rider = asked().answer(minutes).finish()
    assert rider.story() == ["step_up", "approved"]
    assert rider.last()["reasons"] == []
    assert [p["created_at"] for p in rider.payouts] == [at(minutes)]
    assert refused(rider) == []
    assert rider.scores.asked == [("d", at(0))], "an answer needs no new score"


def test_a_denial_goes_to_review():
    rider = asked().answer(10, confirms=False).finish()
    assert rider.end() == ("manual_review", ["answer_denied", "accelerometer_variance"])
    assert rider.payouts == []


def test_until_when_the_rider_may_answer_stands_in_the_record():
    rider = asked().finish()
    assert [claim["answer_by"] for claim in rider.claims] == [at(4 * HOUR), None]


def test_offshifts_message_releases_the_claim():
    claim = update("d", 0, "rain", level=None)
    claim = replace(claim, terms=replace(claim.terms, plan="weekly_pass"))
    rider = Rider(Always(trust=0.5), "offshift").at(claim).answer(23 * HOUR)
    assert rider.paid_inr == 1500


def test_a_second_answer():
    rider = asked().answer(10).answer(11, confirms=False)
    assert rider.end()[0] == "approved"
    assert refused(rider) == ["answered_already"]


def test_two_answers_of_one_moment_go_by_their_ids():
    for order in (1, -1):
        rider = asked()
        claim = rider.last()
        both = [Answer(at(5), name, "p1", claim["claim_id"], name == "a") for name in ("a", "b")]
        rider.at(*both[::order])
        assert rider.end()[0] == "approved"
        assert refused(rider) == ["answered_already"]


def test_the_same_answer_again_is_the_same_answer():
    rider = asked()
    answer = Answer(at(5), "a", "p1", rider.last()["claim_id"], True)
    rider.at(answer, answer, answer)
    assert len(rider.payouts) == 1
    assert refused(rider) == []


def test_one_that_comes_too_late():
    rider = asked().answer(4 * HOUR + 0.001)
    assert rider.end()[0] == "manual_review"
    assert refused(rider) == ["answer_late"]


@pytest.mark.parametrize("risk", [0.1, 0.5])
def test_one_that_nobody_asked_for(risk):
    rider = Rider(ScriptedScores(d=[risk, 0.1])).at(update("d", 0)).answer(10)
    assert refused(rider) == ["nothing_asked"]
    assert rider.finish().paid_inr == 375


def test_one_to_a_claim_that_is_not_decided_yet():
    claim = update("d", 0, "outage", level=None)
    rider = Rider(Always(), "jugaad").at(replace(claim, terms=replace(claim.terms, plan="standard")))
    name = next(iter(rider.machine.take_changed())).claim_id
    rider.at(Answer(at(5), "a", "p1", name, True))
    assert refused(rider) == ["nothing_asked"]


@pytest.mark.parametrize("fields", [{"claim_id": "c0"}, {"policy_id": "p2"}])
def test_one_about_nothing(fields):
    rider = asked().answer(10, **fields)
    assert refused(rider) == ["unknown_claim"]
    assert rider.end()[0] == "step_up"


def test_one_from_before_the_claim():
    name = asked().last()["claim_id"]
    rider = Rider(ScriptedScores(default=0.9)).at(Answer(at(-5), "a", "p1", name, True)).at(update("d", 0))
    assert rider.end()[0] == "step_up"
    assert refused(rider) == ["unknown_claim"]


def test_a_withdrawal_at_the_moment_of_the_answer_comes_first():
    rider = asked()
    gone = replace(update("d", 0), at_ms=at(30), withdrawn=True)
    rider.at(Answer(at(30), "a", "p1", rider.last()["claim_id"], True), gone)
    assert rider.end()[0] == "withdrawn"
    assert refused(rider) == ["nothing_asked"]


@pytest.mark.parametrize(("confirms", "end"), [(True, "approved"), (False, "manual_review")])
def test_what_was_answered_stands_when_a_withdrawn_disruption_returns(confirms, end):
    rider = asked().answer(10, confirms)
    opened = update("d", 0)
    rider.at(replace(opened, at_ms=at(30), withdrawn=True)).at(replace(opened, at_ms=at(40))).finish()
    assert rider.end()[0] == end
    assert rider.paid_inr == (375 if confirms else 0)


def test_asked_again_after_a_withdrawal_the_rider_may_answer_again():
    rider, opened = asked(), update("d", 0)
    rider.at(replace(opened, at_ms=at(30), withdrawn=True)).at(replace(opened, at_ms=at(40))).answer(50)
    assert rider.end()[0] == "approved"


def test_a_rise_after_the_answer_is_topped_up_unasked():
    rain = update("d", 0, "rain")
    rider = Rider(ScriptedScores(default=0.9)).at(rain).answer(10).at(replace(rain, at_ms=at(20), level="full"))
    assert rider.paid_inr == 500
    assert rider.story() == ["step_up", "approved", "approved"]


def test_answers_in_any_order():
    claims = [update(f"d{n}", 10 * n, end_ms=at(10 * n + 1)) for n in range(4)]
    names = {}
    for claim in claims:
        names[claim.disruption_id] = Rider(ScriptedScores(default=0.9)).at(claim).claims[0]["claim_id"]
    answers = [Answer(at(5 + 15 * n), f"a{n}", "p1", names[f"d{n % 4}"], n % 3 != 0) for n in range(12)]
    told = set()
    for seed in range(10):
        items = [*claims, *answers]
        random.Random(seed).shuffle(items)
        rider = Rider(ScriptedScores(default=0.9))
        decided = run_rider(rider.machine, items)
        told.add((repr(decided), tuple(refused(rider))))
    assert len(told) == 1
