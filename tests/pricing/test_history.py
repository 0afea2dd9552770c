"""What policies and claims say of a rider at a moment."""

import pytest
from kit import at, kawaach, subscription_record
from kit.output_records import claim

from monsoon.sources.product_files import load_products
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.pricing.history import HISTORY_INPUTS, histories

DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN


def policy(worker, weeks_ago, **fields):
    begun = -weeks_ago * WEEK_MIN
    ids = {"worker_id": worker, "policy_id": f"p-{worker}", "event_id": f"s-{worker}-{weeks_ago}"}
    return subscription_record("activated", begun, begun, 100_000, **ids, **fields)


def decided(number, worker, days_ago, status="approved", revision=0, product="kawaach"):
    moment = {"decided_at": at(-days_ago * DAY_MIN), "worker_id": worker, "product": product}
    return claim(number, revision, status=status, **moment)


def told(events, claims=(), refuted=(), minutes=0):
    return histories("kawaach", Coverage(kawaach(), events), claims, set(refuted), at(minutes))


def test_every_input_that_is_counted_is_given():
    assert set(told([policy("w1", 1)])["w1"]) == {"plan", *HISTORY_INPUTS}


def test_products_ask_for_what_is_counted_by_its_name():
    asked = {name for product in load_products().values() for name in product.premium.inputs}
    assert {"weeks_covered", "claim_free_weeks", "squad_size", "squad_claims_1_week", "month", "daily_wage"} <= asked


@pytest.mark.parametrize(("weeks", "counted"), [(0, 0), (0.99, 0), (1, 1), (29.5, 29)])
def test_weeks_are_whole_weeks_of_unbroken_cover(weeks, counted):
    assert told([policy("w1", weeks)])["w1"]["weeks_covered"] == counted


def test_cover_that_had_ended_begins_anew():
    first = policy("w1", 30) | {"coverage_end": at(-10 * WEEK_MIN)}
    again = policy("w1", 8) | {"type": "renewed"}
    assert told([first, again])["w1"]["weeks_covered"] == 8


def test_a_refuted_claim_sets_the_weeks_back_and_a_paid_one_only_the_streak():
    claims = [decided(1, "w1", 40), decided(2, "w1", 20)]
    paid = told([policy("w1", 30)], claims)["w1"]
    assert (paid["weeks_covered"], paid["claim_free_weeks"]) == (30, 2)
    refuted = told([policy("w1", 30)], claims, ["c-1"])["w1"]
    assert (refuted["weeks_covered"], refuted["claim_free_weeks"]) == (5, 2)


def test_claims_count_by_their_last_revision_and_first_decision():
    reviewed = [decided(1, "w1", 40, "manual_review"), decided(1, "w1", 2, "approved", 1)]
    rejected = [decided(2, "w1", 3, "approved"), decided(2, "w1", 1, "rejected", 1)]
    others = [decided(3, "w2", 3), decided(4, "w1", 3, product="gic")]
    found = told([policy("w1", 30)], reviewed + rejected + others)["w1"]
    assert (found["claims_4_weeks"], found["rider_claim_frequency"]) == (0, 0)
    found = told([policy("w1", 30)], [decided(1, "w1", 27), decided(2, "w1", 28)])["w1"]
    assert (found["claims_4_weeks"], found["rider_claim_frequency"]) == (1, 0.25)


def test_nothing_is_known_of_later_decisions():
    claims = [decided(1, "w1", 1), decided(1, "w1", -1, "rejected", 1), decided(2, "w1", -2)]
    assert told([policy("w1", 30)], claims)["w1"]["claims_4_weeks"] == 1


def test_a_squad_is_who_is_in_force_with_its_id():
    events = [policy(f"w{number}", 5, squad_id="s1") for number in range(6)] + [policy("w9", 5)]
    events.append(policy("w5", 1, squad_id="s1") | {"type": "cancelled", "event_id": "s-end"})
    found = told(events, [decided(1, "w3", 2), decided(2, "w4", 8)])
    assert {worker: each["squad_size"] for worker, each in found.items()} == dict.fromkeys(
        ["w0", "w1", "w2", "w3", "w4"], 5
    ) | {"w9": 0}
    assert found["w0"]["squad_claims_1_week"] == 1
    assert found["w9"]["squad_claims_1_week"] == 0
    assert "w5" not in found


def test_days_and_months_are_those_of_india():
    before, after = (histories("kawaach", Coverage(kawaach(), [policy("w1", 9)]), [], (), ms)["w1"] for ms in LIMIT)
    assert (before["month"], before["day_of_week"]) == (6, 7)
    assert (after["month"], after["day_of_week"]) == (7, 1)


LIMIT = (1_719_772_199_999, 1_719_772_200_000)
"""The last millisecond of Sunday, 30 June 2024, in Asia/Kolkata, and the first of July."""
