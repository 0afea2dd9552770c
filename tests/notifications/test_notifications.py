"""What riders hear: which words for which decision, and never an accusation."""

import json
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from kit import ScriptedScores, at, kawaach, update

from monsoon.sources.product_files import load_products
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.exposure import Reserve, instructions_of, unlimited, within_reserves
from monsoon.transforms.guard.signals import RING, SIGNALS
from monsoon.transforms.notifications import KINDS, claim_notifications, order, payment_notifications, rupees_in_words
from monsoon.transforms.plain_words import FEATURES, PERILS, REASONS, because, peril_in_words, reason_in_words

SCHEMA = json.loads((resources.files("monsoon.contracts") / "notification.schema.json").read_text())
CLAIM = {
    "claim_id": "c1",
    "decided_at": at(0),
    "worker_id": "w1",
    "policy_id": "p1",
    "product": "kawaach",
    "peril": "rain",
    "reasons": [],
    "revision": 1,
    "answer_by": at(240),
}
STARTS = {"d": at(0), "a": at(0)}
ACCUSING = re.compile(r"fraud|fake|cheat|spoof|suspicious|suspect|liar|\blied?\b|abuse|guilty|anomal|risk", re.I)


def heard(updates, *risks, reserves=()):
    """Every notification of a rider's story under kawaach."""
    machine = RiderMachine(kawaach(), "m", ScriptedScores(d=list(risks)))
    claims, payouts = run_rider(machine, updates)
    instructions, standings = instructions_of(claims, payouts, STARTS)
    decided = within_reserves([*reserves, *instructions, *standings]) if reserves else unlimited(instructions)
    return sorted(claim_notifications(claims, {}) + payment_notifications(decided.transitions), key=order)


def kinds(*decisions, **how):
    return [(each["kind"], (each["event_time"] - at(0)) // 60_000) for each in heard(*decisions, **how)]


def test_a_claim_paid_at_once():
    opened, paid = heard([update("d", 0)], 0.1)
    assert (opened["kind"], opened["amount_paise"], opened["reasons"]) == ("claim_opened", None, [])
    assert opened["text"] == "We opened a claim for you: a curfew in your zone. You need to do nothing."
    assert (paid["kind"], paid["amount_paise"], paid["answer_by"]) == ("paid", 37_500, None)
    assert paid["text"] == "Rs 375 is on its way to you."


def test_a_claim_held_then_asked_about_then_reviewed():
    _, held, asked, review = heard([update("d", 0)], 0.5, 0.9)
    assert (held["kind"], held["event_time"]) == ("held", at(0))
    assert held["reasons"] == ["accelerometer_variance"]
    assert held["text"].startswith("We are taking a little longer over your claim because your phone's motion sensor")
    assert (asked["kind"], asked["event_time"], asked["answer_by"]) == ("confirm_please", at(120), at(360))
    assert "were you working in your zone during a curfew?" in asked["text"]
    assert "Answer by 18:00 on 28 June 2024." in asked["text"]
    assert (review["kind"], review["event_time"]) == ("under_review", at(360))
    assert review["reasons"][0] == "step_up_unanswered"
    assert "because we had no answer from you in time" in review["text"]


def test_a_held_claim_whose_disruption_is_withdrawn():
    decisions = [update("d", 0), update("d", 0, at_ms=at(30), withdrawn=True)]
    assert kinds(decisions, 0.5) == [("claim_opened", 0), ("held", 0), ("withdrawn", 30)]
    assert heard(decisions, 0.5)[-1]["reasons"] == ["disruption_withdrawn"]


def test_a_claim_that_nothing_is_left_for():
    first, second = update("a", 0), update("d", 1)
    told = heard([first, second], 0.1)
    mine = [each for each in told if each["kind"] == "refused"]
    assert [each["reasons"] for each in mine] == [["overlap"]]
    assert mine[0]["text"].startswith("This claim is not paid because another claim of yours already pays")


def test_a_rise_while_held_says_nothing_new():
    decisions = [update("d", 0, "rain"), update("d", 0, "rain", at_ms=at(30), level="full")]
    assert kinds(decisions, 0.5, 0.1)[1:] == [("held", 0), ("paid", 120)]


def test_a_payment_that_waits_and_is_made_or_withdrawn():
    instructions, _ = instructions_of(
        *run_rider(RiderMachine(kawaach(), "m", ScriptedScores()), [update("d", 0)]), STARTS
    )
    pool = instructions[0].pool
    none, enough = Reserve(pool, at(-9), "r1", 0), Reserve(pool, at(60), "r2", 10**6)
    told = heard([update("d", 0)], 0.1, reserves=[none, enough])
    assert [each["kind"] for each in told] == ["claim_opened", "queued", "paid"]
    assert told[1]["text"].startswith("Your claim is approved. Rs 375 waits until more money is set aside")
    assert (told[2]["event_time"], told[2]["amount_paise"]) == (at(60), 37_500)
    decisions = [update("d", 0), update("d", 0, at_ms=at(30), withdrawn=True)]
    told = heard(decisions, 0.1, reserves=[none, enough])
    assert [each["kind"] for each in told] == ["claim_opened", "queued", "withdrawn"]
    assert told[2]["text"] == (
        "Rs 375 that was approved and waited to be paid is not paid because the readings that it rested on were "
        "corrected, and there was no disruption."
    )


@pytest.mark.parametrize("status", ["soft_hold", "step_up", "manual_review", "ineligible", "withdrawn", "approved"])
@pytest.mark.parametrize("reasons", [[], ["overlap"], ["brand_new:code"], [""], list(FEATURE_NAMES), list(REASONS)])
def test_every_notification_keeps_to_its_contract_and_accuses_nobody(status, reasons):
    for revision in (0, 1):
        claim = CLAIM | {"status": status, "reasons": reasons, "revision": revision}
        told = claim_notifications([claim], {})
        assert len(told) == (revision == 0) + (status != "approved")
        for each in told:
            jsonschema.validate(each, SCHEMA)
            assert not ACCUSING.search(each["text"])
            assert re.fullmatch(r"[A-Z].*[.?]", each["text"])
            assert "_" not in each["text"]
            assert len(each["text"]) < 500


def test_a_step_up_that_takes_no_answer_is_a_hold():
    asked = CLAIM | {"status": "step_up", "answer_by": None}
    assert [each["kind"] for each in claim_notifications([asked], {})] == ["held"]


def test_a_status_is_told_once():
    told = {}
    held = CLAIM | {"status": "soft_hold"}
    assert [each["kind"] for each in claim_notifications([held, held | {"revision": 2}], told)] == ["held"]
    assert claim_notifications([held | {"revision": 3}], told) == []
    assert told == {"c1": "soft_hold"}


def test_ids_are_those_of_the_content():
    one = heard([update("d", 0)], 0.5, 0.1)
    assert heard([update("d", 0)], 0.5, 0.1) == one
    assert len({each["notification_id"] for each in one}) == len(one)


def test_there_are_words_for_all_that_a_claim_may_say():
    assert set(FEATURES) == set(FEATURE_NAMES)
    perils = {trigger.peril for product in load_products().values() for trigger in product.triggers}
    assert perils <= set(PERILS)
    decisions = [product.decision for product in load_products().values()]
    rules = [
        rule for each in decisions for rules in (each.first, *(h.then for h in each.holds.values())) for rule in rules
    ]
    ruled = {rule.reason for rule in rules if rule.reason is not None}
    assert "step_up_unanswered" in ruled <= set(REASONS)
    folder = Path(__file__).resolve().parents[2] / "transforms" / "adjudication"
    text = "".join(module.read_text(encoding="utf-8") for module in sorted(folder.glob("*.py")))
    said = set(re.findall(r'"([a-z_]+)"', text))
    guard = {*SIGNALS, *(f"verify:{name}" for name in SIGNALS if name != RING)}
    assert guard <= set(REASONS) <= said | ruled | guard, "words for what nobody says"
    assert not [words for words in (*REASONS.values(), *FEATURES.values()) if ACCUSING.search(words)]


def test_unknown_codes_still_make_sentences():
    assert reason_in_words("lunar_eclipse:total") == 'of a check that we call "lunar eclipse total"'
    assert because(["lunar_eclipse"]) == ' because of a check that we call "lunar eclipse"'
    assert because([]) == ""
    assert peril_in_words("locust_swarm") == '"locust swarm"'


def test_reasons_that_read_the_same_are_said_once_and_only_the_weightiest():
    assert because(["ring_score", "syndicate_alert"]).count("because") == 1
    assert because(list(FEATURE_NAMES)).count("because") == 3


def test_amounts():
    assert [rupees_in_words(paise) for paise in (100, 25_050, 5, 10_000_001)] == [
        "Rs 1", "Rs 250.50", "Rs 0.05", "Rs 100000.01",
    ]  # fmt: skip


def test_kinds_are_those_of_the_contract():
    """Those of the job; the rest are the dispatcher's (tests/dispatcher/test_dispatcher.py)."""
    kinds = SCHEMA["properties"]["kind"]["enum"]
    assert kinds[: len(KINDS)] == list(KINDS)
    assert kinds[len(KINDS) :] == ["payment_completed", "payment_failed", "payment_returned"]
