"""Whole explanations: what an analyst reads of a claim of each kind, word by word.

`golden/` has the texts. After a change of wording `cd tests && python -m explanation.test_claims` writes them anew, to
be read before they are committed.
"""

import sys
from dataclasses import replace as with_fields
from pathlib import Path

import pytest
from kit import at, kawaach, terms, update
from kit.explained import records_of
from kit.rider import PRODUCTS, Always, Rider, activity, work
from msgspec.structs import replace

from monsoon.transforms.explanation import explain_claim, laid_out
from monsoon.transforms.triggers.alerts import Alert

GOLDEN = Path(__file__).parent / "golden"

MEASURED = {
    "accelerometer_variance": 0.0002,
    "mock_location_share": 0.0,
    "cell_tower_zone_match": 0.25,
    "max_implied_speed_mps": 12.5,
    "second_implied_speed_mps": 9.0,
    "account_age_d": 69.444444,
}


def score(risk, **fields):
    return Always(
        risk=risk,
        features={**MEASURED, "barometric_delta_match": None, "gps_jitter_m": None},
        reports={name: 1 if name == "cell_tower_zone_match" else 117 for name in MEASURED if name != "account_age_d"},
        weightiest=("accelerometer_variance", "cell_tower_zone_match"),
        trust=None,
        **fields,
    )


def over(opened, minutes):
    return replace(opened, at_ms=at(minutes), end_ms=at(minutes), absent_since_ms=at(minutes - 60))


def top_up():
    """Paid half at level partial, and the rest as the rain went on."""
    opened = update("d", 0, "rain", severity=81.0, providers=2, terms=terms(trust_tier=3))
    risen = replace(opened, at_ms=at(30), level="full")
    return Rider(score(0.05)).at(opened).at(risen), [opened, risen, over(risen, 600)]


def held():
    """Waits for the rider's answer."""
    opened = update("d", 0, providers=1, terms=terms(trust_tier=None))
    return Rider(score(0.9)).at(opened), [opened]


def confirmed():
    """The rider answered in time."""
    rider, updates = held()
    return rider.answer(45), updates


def reviewed():
    """Held, scored again, asked, and never answered."""
    opened = update("d", 0, terms=terms(trust_tier=None))
    return Rider(score(0.5)).at(opened).finish(), [opened]


def few_signals():
    """Too little was measured for anything stricter than waiting."""
    opened = update("d", 0)
    return Rider(score(0.9, signals=2)).at(opened), [opened]


def lockout():
    """Bought into a red alert."""
    alert = Alert(first_issued_ms=at(-60), ended_ms=None)
    opened = update("d", 0, "rain", level=None, terms=terms(activated_at_ms=at(-30)), alert=alert)
    return Rider(Always(), "jugaad").at(opened), [opened]


def overlapping():
    """Another claim pays for the same time."""
    wind, curfew = update("other", 0, "wind"), update("d", 10)
    return Rider(score(0.05)).at(wind).at(curfew), [curfew]


def withdrawn_after_payment():
    """The readings were corrected when it had been paid."""
    opened = update("d", 0, "wind", severity=64.0, providers=2)
    gone = replace(opened, at_ms=at(90), withdrawn=True)
    return Rider(score(0.05)).at(opened).at(gone), [opened, gone]


def capped():
    """The day's cap leaves a part."""
    first, second = update("first", 0), update("d", 240, "wind")
    rider = Rider(score(0.05)).at(first).at(over(first, 200))
    return rider.at(second), [second]


def supplement():
    """Jugaad's slab shield, added when the disruption has ended."""
    policy = terms(shift_baseline_inr=400, slab_orders=60, planned_hours_week=50)
    opened = update("d", 0, "rain", level=None, terms=policy)
    ended = over(opened, 180)
    rider = Rider(Always(risk=0.0), "jugaad").at(opened, work("d", 30.0, 25.0)).at(ended)
    return rider, [opened, ended]


def few_peers():
    """Gic's activity test found too few riders to compare with; the hold that ran out is the one of that reason."""
    opened = update("d", 0, "rain", level=None)
    opened = replace(opened, severity=20.0)
    return Rider(Always(), "gic").at(opened).at(activity("d", 30, peers=2.0)).finish(), [opened]


KINDS = (
    top_up,
    held,
    confirmed,
    reviewed,
    few_signals,
    lockout,
    overlapping,
    withdrawn_after_payment,
    capped,
    supplement,
    few_peers,
)


def text_of(kind):
    """The explanation, without the versions of product files."""
    rider, updates = kind()
    text = "\n".join(laid_out(explain_claim(records_of(rider, updates), rider.product))) + "\n"
    return text.replace(rider.product.version, "V" * 12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_text_is_as_it_was_read(kind):
    assert text_of(kind) == (GOLDEN / f"{kind.__name__}.txt").read_text(encoding="ascii")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_without_the_product_what_needs_its_rules_is_left_out(kind):
    rider, updates = kind()
    records = records_of(rider, updates)
    lines = laid_out(explain_claim(records, None))
    assert any("No product file of this version is at hand" in line for line in lines)
    assert not any("held against" in line for line in lines)
    total = next(line for line in lines if "Paid in all" in line)
    assert total.endswith(f"Rs {sum(each['amount_paise'] for each in records.payouts) / 100:,.2f}")


def test_a_hold_that_two_could_be_is_told_by_its_reason():
    text = text_of(few_peers)
    assert "soft hold (few_peers)" in text
    assert "after few_peers" in text


def test_rules_that_the_record_cannot_answer_are_called_so():
    """A record without trust_tier: rules before the one that decided cannot be told."""
    rider, updates = top_up()
    records = records_of(rider, updates)
    bare = [{**each, "payout_terms": {}} for each in records.revisions]
    text = " ".join(laid_out(explain_claim(with_fields(records, revisions=bare), kawaach())))
    assert "cannot be told" in text
    assert "the record lacks trust_tier" in " ".join(text.split())
    assert "does not state the steps" in text


def test_lines_are_ascii_and_no_wider_than_a_terminal():
    rider, updates = top_up()
    records = records_of(rider, updates)
    odd = [{**each, "plan": "\x1b[31m\u2028standard\N{SNOWMAN}" + "x" * 300} for each in records.revisions]
    lines = laid_out(explain_claim(with_fields(records, revisions=odd), kawaach()))
    assert max(map(len, lines)) <= 100
    assert all(" " <= each <= "~" for line in lines for each in line)


def test_as_of_an_earlier_revision():
    rider, updates = top_up()
    records = records_of(rider, updates).until(0)
    text = "\n".join(laid_out(explain_claim(records, PRODUCTS["kawaach"])))
    assert "Paid in all, by 1 payout record " in text
    assert "Revision 1" not in text
    assert "Paid so far: Rs 250.00" in text


def test_the_example_of_the_page_is_of_a_golden_text(root):
    page = (root / "docs" / "output.md").read_text(encoding="utf-8")
    example = page.partition("## One claim explained")[2].split("```")[1].strip().splitlines()
    text = (GOLDEN / "top_up.txt").read_text(encoding="ascii").splitlines()
    assert len(example) > 30
    assert [line for line in example if line not in text] == []


GUARD = [
    {
        "signal": "cell",
        "status": "strong",
        "feature": "cell_tower_zone_match",
        "value": 0.0,
        "threshold": 0.2,
        "reports": 40,
    }
]


def section(claim_fields, title):
    rider, updates = top_up()
    records = records_of(rider, updates)
    last = [*records.revisions[:-1], {**records.revisions[-1], **claim_fields}]
    sections = explain_claim(with_fields(records, revisions=last), kawaach())
    return laid_out([next(each for each in sections if each.title.startswith(title))])


def test_the_guard_has_a_section_where_the_claim_has_the_field():
    reread = {"asked_at": at(0), "at": at(45), "outcome": "released", "guard": []}
    text = " ".join(" ".join(section({"guard": GUARD, "reread": reread}, "Guard")).split())
    assert "cell: strong; cell_tower_zone_match = 0, threshold 0.2, over 40 reports" in text
    assert "released - it supports the claim" in text
    records = records_of(*top_up())
    bare = [{name: value for name, value in each.items() if name != "guard"} for each in records.revisions]
    sections = explain_claim(with_fields(records, revisions=bare), kawaach())
    assert not any("Guard" in each.title for each in sections)


REREAD = {"asked_at": at(0), "at": at(45), "outcome": "released", "guard": []}


@pytest.mark.parametrize(
    ("revisions", "told"),
    [
        ([("step_up", ["verify:cell"], None)], "The guard asks for a verification"),
        ([("manual_review", ["cell", "radio"], None)], "The guard sends it to a person"),
        ([("step_up", ["verify:cell"], None), ("approved", [], REREAD)], "the re-read of the phone supports"),
        ([("step_up", ["verify:cell"], None), ("manual_review", ["reread_elsewhere"], REREAD)], "The re-read of the"),
        ([("step_up", ["verify:cell"], None), ("manual_review", ["step_up_unanswered", "cell"], None)], "ran out"),
    ],
)
def test_what_the_guard_decided_is_no_rules(revisions, told):
    """The records are as contracts/claim.schema.json will have them with the guard."""
    rider, updates = held()
    records = records_of(rider, updates)
    made = [
        {
            **records.claim,
            "revision": number,
            "decided_at": at(45 * number),
            "status": status,
            "reasons": reasons,
            "guard": GUARD,
            "reread": reread,
            "answer_by": at(240) if status == "step_up" else None,
        }
        for number, (status, reasons, reread) in enumerate(revisions)
    ]
    text = " ".join(" ".join(laid_out(explain_claim(with_fields(records, revisions=made), kawaach()))).split())
    assert told in text
    assert "The product's rules" not in text
    if len(made) > 1:
        assert "step up (the guard's verification) from 12:00 on 28 June 2024, until 16:00" in text


def ring_alert(claim, **fields):
    return {
        "alert_id": "g1",
        "ring_id": "r1",
        "event_time": at(0),
        "state": "raised",
        "product": "kawaach",
        "trigger": "rain",
        "members": ["w1", "w2", "worker-3"],
        "claim_ids": [claim, "c2", "c3"],
        "held_claim_ids": [],
        "evidence": [
            {"kind": "device", "resource": "dev-1", "riders": 3, "weight": 5.25},
            {"kind": "network_prefix", "resource": "net-9", "riders": 2, "weight": 0.6},
        ],
        **fields,
    }


def test_a_ring_is_drawn():
    records = records_of(*top_up())
    claim = records.claim["claim_id"]
    lifted = ring_alert(claim, state="lifted", event_time=at(60), evidence=[])
    for alerts, told in (
        ([ring_alert(claim)], "one of the ring"),
        ([ring_alert("c9", held_claim_ids=[claim])], "attached to the ring by one link"),
        ([ring_alert(claim), lifted], "Lifted 13:00"),
    ):
        (ring,) = (
            each
            for each in explain_claim(with_fields(records, ring_alerts=alerts), kawaach())
            if each.title.startswith("Ring")
        )
        assert ring.points[2:5] == (
            "[*w1      ]--+-- device dev-1: 3 of 3, 5.25",
            "[ w2      ]--+-- network_prefix net-9: 2 of 3, 0.60",
            "[ worker-3]--+",
        )
        assert told in " ".join(ring.points)


def test_the_risk_of_a_ring_is_told_as_no_decision():
    records = records_of(*top_up())
    alert = ring_alert(records.claim["claim_id"], risk=0.998765, model_version="syndicate-1")
    (ring,) = (
        each
        for each in explain_claim(with_fields(records, ring_alerts=[alert]), kawaach())
        if each.title.startswith("Ring")
    )
    assert "Risk 0.998765" in ring.points[-1]
    assert "model syndicate-1" in ring.points[-1]
    assert "decides about no claim" in ring.points[-1]


def test_a_ring_of_which_no_alert_is_at_hand_is_named():
    assert "ring score 0.75" in " ".join(section({"ring_id": "g1", "ring_score": 0.75}, "Ring"))


def write_golden():
    for kind in KINDS:
        (GOLDEN / f"{kind.__name__}.txt").write_text(text_of(kind), encoding="ascii")


if __name__ == "__main__":
    sys.exit(write_golden())
