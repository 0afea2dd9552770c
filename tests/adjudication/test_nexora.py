"""Nexora through its file and the machine: flat payouts, the model's threshold, once a peril and day."""

import pytest
from kit import at, update
from kit.rider import PRODUCTS, Always, Rider
from msgspec.structs import replace

HOUR = 60


def nexora(**score):
    return Rider(Always(**score), "nexora")


def lost(name, minutes, trigger="rain", **fields):
    peril = PRODUCTS["nexora"].trigger(trigger).peril
    return update(name, minutes, trigger, level=None, **({"peril": peril, "end_ms": at(minutes + 1)} | fields))


@pytest.mark.parametrize(
    ("trigger", "inr"), [("rain", 400), ("heat", 300), ("aqi", 350), ("flood", 500), ("bandh", 450)]
)
def test_flat_payouts(trigger, inr):
    rider = nexora().at(lost("d", 0, trigger))
    assert rider.paid_inr == inr
    assert rider.last()["payout_terms"]["formula"] == f"{inr} * INR"


@pytest.mark.parametrize(
    ("risk", "signals", "status"),
    [(0.4999, 9, "approved"), (0.5, 9, "manual_review"), (0.5, 2, "approved"), (None, 0, "approved")],
)
def test_the_threshold(risk, signals, status):
    assert nexora(risk=risk, signals=signals).at(lost("d", 0)).finish().story() == [status]


def test_once_a_peril_and_local_day_of_start():
    rider = (
        nexora()
        .at(lost("a", 0))
        .at(lost("b", 11 * HOUR + 59))
        .at(lost("c", 12 * HOUR))
        .at(lost("h", 13 * HOUR, "heat"))
    )
    assert [rider.last(name)["reasons"] for name in "abch"] == [[], ["duplicate"], [], []]
    assert rider.paid_inr == 400 + 400 + 300


def test_at_one_moment_the_once_rule_takes_the_larger_first_and_then_the_claim_id():
    rider = nexora().at(lost("a", 0), lost("b", 0, start_ms=at(-5), end_ms=at(-3)))
    assert sorted(rider.end(name)[0] for name in "ab") == ["approved", "ineligible"]


def test_what_was_not_paid_takes_no_day():
    rider = nexora(risk=0.9).at(lost("a", 0))
    rider.scores.score = replace(rider.scores.score, risk=0.0)
    assert rider.at(lost("b", 60)).end("b") == ("approved", [])


def test_only_claims_of_the_same_peril_overlap():
    rider = nexora().at(lost("rain", 0, end_ms=None)).at(lost("flood", 1, "flood", end_ms=None))
    assert rider.paid_inr == 900
    yesterday = lost("a", -13 * HOUR, end_ms=None)
    rider = nexora().at(yesterday).at(lost("b", 0))
    assert rider.end("b") == ("ineligible", ["overlap"])


def test_a_claim_on_a_withdrawn_disruption_that_was_paid_takes_its_day():
    first = lost("a", 0, end_ms=None)
    rider = nexora().at(first)
    rider.at(lost("a", 0, at_ms=at(30), withdrawn=True, end_ms=None)).at(lost("b", 100))
    assert rider.end("b") == ("ineligible", ["duplicate"])
