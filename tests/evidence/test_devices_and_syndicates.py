"""Whose phone it is, and groups of claims that share phones and payout accounts, by hand-computed values."""

import math
from dataclasses import replace

import pytest
from evidence.conftest import NOW_MS, evidence_of, reports

from monsoon.sources.product_files import load_products
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.syndicate_alerts import Linked, alerts_of, members_of

DAY_MS = 24 * 3_600_000
MINUTE_MS = 60_000
OFFSHIFT = load_products(["offshift"])["offshift"]
ALERT_MS = NOW_MS - 2 * 3_600_000


def riders(rows):
    return evidence_of([*reports("w", 40, device="phone"), *rows]).values["riders_on_device_28d"][0]


def test_riders_seen_on_the_phone():
    assert riders([]) == 1
    assert riders(reports("other", 4, device="another phone")) == 1
    assert riders(reports("other", 4, end_ms=NOW_MS - DAY_MS, device="phone")) == 2
    assert riders([*reports("b", 4, device="phone"), *reports("c", 4, end_ms=NOW_MS - 600_000, device="phone")]) == 3
    assert math.isnan(evidence_of(reports("other", 4, device="phone")).values["riders_on_device_28d"][0])


def test_twenty_eight_local_days_count():
    midnight_ms = NOW_MS - (NOW_MS + 19_800_000) % DAY_MS  # of Kolkata's day
    first_ms = midnight_ms - 27 * DAY_MS
    assert riders(reports("other", 1, end_ms=first_ms, device="phone")) == 2
    assert riders(reports("other", 1, end_ms=first_ms - 1, device="phone")) == 1


def test_what_comes_after_the_decision_is_not_looked_at():
    later = reports("other", 4, end_ms=NOW_MS + 600_000, device="phone")
    assert riders(later) == 1


def test_app_activity(one):
    rows = reports("w", 5, app_state=["online", "on_trip", "offline", "offline", None])
    assert one(rows, "app_activity") == (0.5, 4)
    assert math.isnan(one(reports("w", 3), "app_activity")[0])


def group(count, **shared):
    known = {
        "disruption_id": "d",
        "confirmed_at_ms": NOW_MS,
        "zone": "861e3496fffffff",
        "start_ms": NOW_MS,
        "alert_ms": ALERT_MS,
        "device": None,
        "payout_account": None,
        "activated_at_ms": ALERT_MS - DAY_MS,
        "accelerometer_variance": 2.0,
        "towers": (),
    } | shared
    return [
        Linked(
            worker_id=f"w{each:03}",
            policy_id=f"p{each:03}",
            **{
                **known,
                "device": known["device"] or f"own {each}",
                "payout_account": known["payout_account"] or f"u{each}",
            },
        )
        for each in range(count)
    ]


def signals(claims):
    return [[found["signal"] for found in alert["evidence"]] for alert in alerts_of(OFFSHIFT, claims)]


def test_three_of_five_make_an_alert():
    still = {"device": "one", "accelerometer_variance": 2e-4}
    assert signals(group(5, **still)) == []  # two of five
    assert signals(group(5, **still, towers=("t1", "t2"))) == [
        ["shared_device", "shared_towers", "still_accelerometers"]
    ]
    assert signals(group(4, **still, towers=("t1",))) == []  # four riders on a phone
    assert signals(group(5, device="one", accelerometer_variance=2.1e-4, towers=("t1",))) == []
    assert signals(group(5, **still, towers=("t1", "t2", "t3"))) == []
    paid = group(3, payout_account="u", accelerometer_variance=1e-4, towers=("t1",))
    assert signals(paid) == [["shared_towers", "shared_payout_account", "still_accelerometers"]]


@pytest.mark.parametrize(("count", "gap_ms", "holds"), [(50, 3_600_000, True), (49, 0, False), (50, 3_600_001, False)])
def test_subscriptions_within_the_hour_of_the_alert(count, gap_ms, holds):
    claims = group(count, payout_account="u", towers=("t",), activated_at_ms=ALERT_MS + gap_ms)
    assert any("subscriptions_near_alert" in found for found in signals(claims)) is holds


def test_relatives_are_no_group_and_strangers_are_left_alone():
    still = {"accelerometer_variance": 1e-5, "towers": ("t",)}
    assert signals(group(2, payout_account="u", device="one", **still)) == []
    strangers = [
        replace(claim, worker_id=f"x{claim.worker_id}", policy_id=f"x{claim.policy_id}") for claim in group(40, **still)
    ]
    alerts = alerts_of(OFFSHIFT, [*strangers, *group(6, payout_account="u", device="one", **still)])
    assert [alert["members"] for alert in alerts] == [[f"w{each:03}" for each in range(6)]]
    assert members_of(alerts) == {(claim_id(f"p{each:03}", "d"), NOW_MS) for each in range(6)}


def test_what_was_not_measured_is_no_signal():
    claims = group(6, device="one", payout_account="u", accelerometer_variance=None)
    assert signals(claims) == []
    one_still = [replace(claims[0], accelerometer_variance=1e-6), *claims[1:]]
    assert signals([replace(claim, towers=("t",)) for claim in one_still]) == [
        ["shared_device", "shared_towers", "shared_payout_account"]
    ]


def test_a_group_is_known_by_most_of_it():
    claims = group(6, device="one", payout_account="u", accelerometer_variance=1e-4, towers=("t",))
    half = [
        replace(claim, towers=(), accelerometer_variance=None) if n < 3 else claim for n, claim in enumerate(claims)
    ]
    shaken = [replace(claim, accelerometer_variance=3.0) if n < 2 else claim for n, claim in enumerate(claims)]
    everything = ["shared_device", "shared_towers", "shared_payout_account", "still_accelerometers"]
    assert signals(half) == signals(shaken) == [everything]
    assert signals([replace(claims[0], towers=(), accelerometer_variance=None), *half[1:3], *half[3:5]]) == []


def test_batches_are_apart_and_their_order_is_nothing():
    claims = group(6, device="one", payout_account="u", towers=("t",))
    other = [replace(claim, disruption_id="e") for claim in claims[:2]]
    alerts = alerts_of(OFFSHIFT, [*claims, *other])
    assert [alert["disruption_id"] for alert in alerts] == ["d"]
    assert alerts_of(OFFSHIFT, [*other, *reversed(claims)]) == alerts


def test_a_product_without_the_rule_has_no_alerts():
    assert (
        alerts_of(load_products(["kawaach"])["kawaach"], group(60, device="one", payout_account="u", towers=("t",)))
        == []
    )
