"""OffShift through its file and the machine: the plan's maximum, tiers by trust, the alert window, what is left of a
coverage period."""

import pytest
from kit import MINUTE_MS, at, terms, update
from kit.rider import Always, Rider

from monsoon.transforms.triggers.alerts import Alert

HOUR = 60
DAY = 24 * HOUR
MAXIMUM_INR = {"shift_pass": 500, "weekly_pass": 1500, "monthly_pro": 4000}


def offshift(**score):
    return Rider(Always(**score), "offshift")


def lost(name="d", minutes=0, trigger="rain", plan="weekly_pass", policy=None, **fields):
    fields.setdefault("terms", terms(plan=plan, **(policy or {})))
    return update(name, minutes, trigger, level=None, **({"providers": 2} | fields))


@pytest.mark.parametrize("plan", MAXIMUM_INR)
def test_a_disruption_pays_the_plans_maximum(plan):
    assert offshift().at(lost(plan=plan)).paid_inr == MAXIMUM_INR[plan]


@pytest.mark.parametrize("trigger", ["rain", "heat", "aqi", "outage", "curfew"])
def test_every_trigger_pays_it(trigger):
    assert offshift().at(lost(trigger=trigger, plan="monthly_pro")).paid_inr == 4000


def test_a_plan_without_the_trigger():
    rider = offshift(trust=0.1).at(lost(policy={"covered": False}))
    assert rider.end() == ("ineligible", ["plan_lacks_trigger"])
    assert (rider.last()["payout_inr"], rider.last()["payout_terms"]["gross_inr"]) == (0, 0)
    assert rider.scores.asked == []


@pytest.mark.parametrize(
    ("trust", "story"),
    [
        (0.7501, ["approved"]),
        (0.75, ["step_up", "manual_review"]),
        (0.40, ["step_up", "manual_review"]),
        (0.3999, ["soft_hold", "manual_review"]),
    ],
)
def test_tiers(trust, story):
    rider = offshift(trust=trust).at(lost()).finish()
    assert rider.story() == story
    assert rider.last()["trust_score"] == trust
    wait_h = {"step_up": 24, "soft_hold": 0.25}.get(story[0], 0)
    assert rider.last()["decided_at"] == at(wait_h * HOUR)
    assert "step_up_unanswered" in rider.last()["reasons"] or story[0] != "step_up"


GOOD = {
    "cell_tower_zone_match": 1.0,
    "accelerometer_variance": 0.01,
    "app_activity": 1.0,
    "shift_pattern": 1.0,
    "riders_on_device_28d": 1.0,
}


@pytest.mark.parametrize(
    ("measured", "signals", "trust", "story"),
    [
        # When the policy was bought is always known: 0.10, and half of the 0.90 that nobody measured.
        ((), 0, 0.55, ["soft_hold", "approved"]),
        (("app_activity",), 1, 0.65, ["soft_hold", "approved"]),
        (("app_activity", "riders_on_device_28d"), 3, 0.70, ["step_up", "manual_review"]),
        (("app_activity", "riders_on_device_28d", "accelerometer_variance"), 3, 1.0, ["approved"]),
        (tuple(GOOD), 9, 1.0, ["approved"]),
    ],
)
def test_nobody_is_trusted_on_little(measured, signals, trust, story):
    """A phone that says nothing is paid after the hold: nothing speaks against it. One that says little is asked."""
    rider = offshift(trust=None, signals=signals, features={name: GOOD[name] for name in measured}).at(lost()).finish()
    assert (rider.story(), rider.last()["trust_score"]) == (story, trust)


class Later(Always):
    """Nothing is measured when the claim is opened, and this score is given from then on."""

    def __call__(self, claim, at_ms):
        later = super().__call__(claim, at_ms)
        return Always(signals=0, trust=0.6, weightiest=()).score if len(self.asked) == 1 else later


@pytest.mark.parametrize(
    ("signals", "trust", "story"),
    [
        (9, 0.76, ["soft_hold", "approved"]),
        (9, 0.75, ["soft_hold", "step_up", "manual_review"]),
        (9, 0.39, ["soft_hold", "manual_review"]),
        (0, 0.6, ["soft_hold", "approved"]),
    ],
)
def test_who_was_held_since_nothing_was_measured_is_decided_by_the_tiers(signals, trust, story):
    rider = Rider(Later(signals=signals, trust=trust), "offshift").at(lost(providers=1)).finish()
    assert rider.story() == story
    assert rider.all("d")[0]["reasons"] == ["nothing_measured"]


@pytest.mark.parametrize(
    ("providers", "tower", "status"),
    [(2, 0.5, "approved"), (1, 1.0, "manual_review"), (2, 0.4, "manual_review"), (2, None, "manual_review")],
)
def test_a_hold_is_released_where_two_providers_and_the_cell_tower_confirm(providers, tower, status):
    rider = offshift(trust=0.2, features={"cell_tower_zone_match": tower}).at(lost(providers=providers)).finish()
    assert rider.story() == ["soft_hold", status]


@pytest.mark.parametrize(("signals", "end"), [(2, "approved"), (3, "manual_review")])
@pytest.mark.parametrize("trust", [0.6, 0.2])
def test_no_claim_is_turned_down_on_fewer_than_three_signals(trust, signals, end):
    assert offshift(trust=trust, signals=signals).at(lost()).finish().last()["status"] == end


@pytest.mark.parametrize(
    ("activated_ms", "status"),
    [
        (at(-100) - 1, "approved"),
        (at(-100), "manual_review"),
        (at(-90), "manual_review"),
        (at(-90) + 1, "approved"),
        (None, "approved"),
    ],
)
@pytest.mark.parametrize("known", ["run", "alert"])
def test_bought_within_ten_minutes_of_an_alert(activated_ms, status, known):
    alert = {"first_alert_ms": at(-100)} if known == "run" else {"alert": Alert(at(-100), None)}
    rider = offshift(signals=0).at(lost(policy={"activated_at_ms": activated_ms}, **alert)).finish()
    assert rider.last()["status"] == status
    if status == "manual_review":
        assert rider.last()["reasons"][0] == "bought_in_alert_window"
        assert len(rider.claims) == 1, "never an instant payout, always manual review"


def test_a_syndicate_alert_freezes_the_claim_whatever_its_trust():
    rider = offshift(trust=1.0, signals=1, facts={"syndicate": 1.0}).at(lost())
    assert rider.last()["status"] == "manual_review"
    assert rider.last()["reasons"][0] == "syndicate_alert"


def separate(name, minutes, **fields):
    return lost(name, minutes, end_ms=at(minutes + 1), **fields)


def test_what_a_coverage_period_was_paid_is_not_paid_again():
    rider = offshift().at(separate("a", 0)).at(separate("b", 2 * DAY))
    assert rider.end("b") == ("ineligible", ["cap_reached"])
    rider.at(separate("c", 3 * DAY, policy={"period_start_ms": at(3 * DAY)}))
    assert rider.paid_inr == 3000, "a renewal has a maximum of its own"


def test_an_upgrade_in_the_period_leaves_the_difference():
    rider = offshift().at(separate("a", 0)).at(separate("b", DAY, plan="monthly_pro"))
    assert rider.end("b") == ("approved", ["cap_partial"])
    assert rider.last("b")["payout_inr"] == 2500
    assert rider.last("b")["payout_terms"]["coverage_period"] == {"period": 0, "limit_inr": 4000, "used_inr": 1500}


def test_another_policys_period_is_another():
    rider = offshift().at(separate("a", 0)).at(separate("b", 60, policy={"policy_id": "p2"}))
    assert rider.paid_inr == 3000


def test_severity_and_providers_stand_in_the_record():
    rider = offshift().at(lost(severity=70.0))
    assert rider.last()["payout_terms"]["formula"] == "maximum"
    assert rider.last()["payout_terms"]["inputs"] == {"maximum": 1500}
    assert rider.last()["answer_by"] is None
    assert offshift(trust=0.5).at(lost()).last()["answer_by"] == at(0) + DAY * MINUTE_MS
