"""GIC through its file and the machine: the activity test, the payout formula, bands, once an hour."""

import pytest
from kit import at, terms, update
from kit.rider import Always, Rider, activity
from msgspec.structs import replace

HOUR = 60


def gic(**score):
    return Rider(Always(**score), "gic")


def rain(name="d", minutes=0, **fields):
    fields.setdefault("terms", terms(shift_baseline_inr=310))
    return update(name, minutes, "rain", level=None, severity=20.0, **fields)


def passed(minutes=5, **values):
    return activity("d", minutes, **values)


@pytest.mark.parametrize(
    ("mm", "sigma", "baseline", "inr"),
    [
        (21, 2.5, 310, 245),
        (15, 0, 310, 170),
        (35, 3, 310, 310),
        (60, 3, 600, 500),
        (15, 0, 100, 100),
        (15, 0, None, 275),
    ],
)
def test_the_payout_formula(mm, sigma, baseline, inr):
    rider = gic().at(rain(terms=terms(shift_baseline_inr=baseline))).at(passed(rain=float(mm), sigma=float(sigma)))
    assert rider.paid_inr == inr
    assert rider.last()["payout_terms"]["inputs"] == {
        "rain_mm_h": mm, "shift_earnings": 500 if baseline is None else baseline, "sigma": sigma,
    }  # fmt: skip


def test_a_payout_between_two_rupees_is_rounded_as_the_exact_number_of_deviations_says():
    # 8 orders below the mean at a deviation of 3: 450 * (0.55 + 0.20 * 8 / 9) = 327.50, half to even 328.
    rider = gic().at(rain(terms=terms(shift_baseline_inr=450))).at(passed(rain=15.0, sigma=8 / 3))
    assert rider.paid_inr == 328


def test_nothing_is_said_before_the_activity_test_and_the_payout_is_of_its_moment():
    rider = gic().at(rain())
    assert rider.claims == []
    rider.at(passed(35))
    assert [claim["decided_at"] for claim in rider.claims] == [at(35)]
    assert rider.payouts[0]["created_at"] == at(35)
    assert rider.last()["payout_terms"]["activity"]["peers"] == 10


def test_a_drop_that_never_came():
    ended = rain(end_ms=at(120), absent_since_ms=at(60), at_ms=at(120))
    rider = gic().at(rain()).at(ended, activity("d", 120, passed=False, measured=1.0))
    assert rider.end() == ("ineligible", ["no_activity_drop"])
    assert rider.last()["payout_terms"]["gross_inr"] == 0
    assert rider.scores.asked == []


def test_activity_that_nobody_measured_is_looked_at_by_people():
    rider = gic().at(rain()).at(activity("d", 120, passed=False))
    assert rider.end() == ("manual_review", ["activity_not_measured"])
    assert rider.scores.asked == []


def test_what_was_not_measured_under_one_confirmation_may_be_under_a_corrected_one():
    rider = gic().at(rain()).at(activity("d", 120, passed=False))
    rider.at(rain(at_ms=at(200), confirmed_at_ms=at(-10)), activity("d", 200, -10))
    assert rider.story() == ["manual_review", "approved"]


@pytest.mark.parametrize(
    ("risk", "story"),
    [
        (0.3999, ["approved"]),
        (0.40, ["soft_hold", "manual_review"]),
        (0.65, ["soft_hold", "manual_review"]),
        (0.6501, ["manual_review"]),
    ],
)
def test_bands(risk, story):
    rider = gic(risk=risk).at(rain()).at(passed()).finish()
    assert rider.story() == story
    moments = [at(5), at(5) + 2 * HOUR * 60_000]
    assert [claim["decided_at"] for claim in rider.claims] == moments[: len(story)]


def test_few_signals_hold_for_review_and_then_pay():
    assert gic(risk=0.9, signals=2).at(rain()).at(passed()).finish().story() == ["soft_hold", "approved"]


@pytest.mark.parametrize(("peers", "story"), [(5, ["approved"]), (4, ["soft_hold", "manual_review"])])
def test_fewer_than_five_peers_never_pay_by_themselves(peers, story):
    rider = gic(signals=0).at(rain()).at(passed(peers=float(peers))).finish()
    assert rider.story() == story
    assert "too_few_peers" in rider.last()["reasons"] or peers == 5


@pytest.mark.parametrize(("minutes", "status"), [(59, "ineligible"), (60, "approved")])
def test_once_a_clock_hour_of_confirmation(minutes, status):
    first = rain(end_ms=at(1))
    rider = gic().at(first).at(passed(5))
    rider.at(rain("e", minutes)).at(activity("e", minutes + 5, minutes))
    assert rider.last("e")["status"] == status
    assert rider.last("e")["reasons"] == (["duplicate"] if status == "ineligible" else [])


def test_a_held_claim_does_not_take_the_hour():
    rider = Rider(Always(risk=0.5), "gic").at(rain(end_ms=at(1))).at(passed(5))
    rider.scores.score = replace(rider.scores.score, risk=0.0)
    rider.at(rain("e", 50)).at(activity("e", 55, 50)).finish()
    assert rider.end("e") == ("approved", [])
    assert rider.end("d") == ("ineligible", ["duplicate"])


def test_a_finding_that_shrinks_after_payment_is_listed_for_review():
    rider = gic().at(rain()).at(passed(5, rain=35.0, sigma=3.0)).at(passed(400, rain=15.0, sigma=0.0))
    assert rider.paid_inr == 310
    assert rider.end() == ("approved", ["paid_above_corrected_level"])


def test_findings_on_a_withdrawn_disruption_are_nothing_until_it_returns():
    gone = replace(rain(), at_ms=at(3), withdrawn=True)
    rider = gic().at(rain()).at(gone).at(passed(5))
    assert rider.claims == []
    rider.at(rain(at_ms=at(30)))
    assert rider.paid_inr > 0
