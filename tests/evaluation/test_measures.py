"""Measures on records made by hand, their targets and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.models.evaluation import targets
from monsoon.models.evaluation.claims import GROUPS, claim_facts
from monsoon.models.evaluation.document import lost_targets, met_targets
from monsoon.models.evaluation.floors import (
    _OWN_CUT_OFFS,
    DECISION,
    FOREST,
    GUARD,
    ONE_SCALE,
    OWN_SCORE,
    PER_MASK,
    WITH_GUARD,
    WITH_RINGS,
    ablation_of,
    curves_of,
    floors_of,
)
from monsoon.models.evaluation.measures import (
    MIN_SLICE,
    Measure,
    Slice,
    amounts_of,
    measures_of,
    sensor_loss_measures,
    slices_of,
)
from monsoon.models.evaluation.rings import RingMember, part_evidence_measures, ring_measures, ring_members
from monsoon.models.evaluation.targets import Target, recall_of, target_of, verdict_on
from monsoon.models.rates import Rate
from monsoon.sources.product_files import load_products

HOUR_MS = 3_600_000


def revision(status, at_h=0.0, reasons=(), **fields):
    return {
        "claim_id": "c1",
        "revision": 0,
        "status": status,
        "decided_at": round(at_h * HOUR_MS),
        "worker_id": "w1",
        "product": "kawaach",
        "zone": "893da115007ffff",
        "features": {"mock_location_share": 0.0},
        "reasons": list(reasons),
        "guard": [],
        "anomaly_score": 0.1,
        "trust_score": None,
    } | fields


def facts(*revisions, kind="honest", true=False, paid_paise=0, risks=(None, None), slices=(), **labels):
    return claim_facts(
        revisions,
        {"kind": kind} | labels,
        scenario="s",
        true=true,
        paid_paise=paid_paise,
        risks=risks,
        slices=slices,
    )


def one_of(worker, *revisions, **more):
    return facts(*(each | {"worker_id": worker, "claim_id": f"c-{worker}"} for each in revisions), **more)


def test_a_claim_that_was_held_on_suspicion_and_then_paid_is_late():
    found = facts(revision("soft_hold", 1, ["gps_jitter_m"]), revision("approved", 3), paid_paise=38_000)
    assert (found.held, found.escalated, found.held_otherwise, found.paid) == (True, False, False, True)
    assert found.delay_ms == 2 * HOUR_MS
    amounts = amounts_of("kawaach", [found, facts(revision("approved"), paid_paise=10_000)])
    assert (amounts.honest_claims, amounts.late, amounts.never, amounts.attackers_paid_paise) == (2, 1, 0, 0)
    assert (amounts.late_inr_per_1000(), amounts.late_hours_per_1000()) == (190_000.0, 1_000.0)


@pytest.mark.parametrize("reason", ["too_few_peers", "activity_not_measured", "nothing_measured", "reserve_queue"])
@pytest.mark.parametrize("status", ["soft_hold", "manual_review"])
def test_what_a_text_asks_for_is_counted_apart(status, reason):
    found = facts(revision(status, 0, [reason, "gps_jitter_m"]))
    assert found.held_otherwise
    assert not found.held
    assert not found.escalated


def test_a_hold_without_a_reason_is_one_on_suspicion():
    assert facts(revision("soft_hold")).held


@pytest.mark.parametrize(
    ("reasons", "denied"),
    [
        (["overlap"], False),
        (["lockout", "plan_lacks_trigger"], False),
        (["mock"], True),
        (["activity_not_measured"], True),
    ],
)
def test_a_denial_is_one_by_the_terms_or_counts(reasons, denied):
    found = facts(revision("ineligible", 0, reasons))
    assert found.denied_on_suspicion is denied
    (measure, *_) = measures_of("kawaach", [found])
    assert (measure.name, measure.verdict) == (targets.DENIED, "missed" if denied else "met")


def test_recall_counts_every_eligible_claim_and_no_other():
    claims = [
        one_of("w1", revision("approved"), kind="mock_app", paid_paise=100),
        one_of("w2", revision("step_up"), revision("manual_review"), kind="mock_app"),
        one_of("w3", revision("soft_hold", features={}), kind="mock_app"),
        one_of("w4", revision("ineligible", 0, ["overlap"]), kind="mock_app"),
        one_of("w5", revision("withdrawn", 0, ["not_present"]), kind="mock_app"),
        one_of("w6", revision("approved"), kind="mock_app", true=True, paid_paise=7),
        one_of("w7", revision("approved"), kind="mock_app", paid_paise=50),
    ]
    found = {measure.name: measure for measure in measures_of("kawaach", claims)}
    assert found[recall_of("mock_app")].rate == Rate(2, 4)
    assert found[recall_of("radio_spoof")].verdict == "not measured"
    assert amounts_of("kawaach", claims).attackers_paid_paise == 150


def test_kinds_and_conditions_are_open_sets_and_ways_in_must_not_pay():
    ways = ("way_7_quorum", "way_5_renewed_after_alert", "way_6_wage_restated")
    claims = [facts(revision("approved"), kind="way_in", condition=condition) for condition in ways]
    claims += [facts(revision("approved"), kind="adaptive", condition="adaptive_alone")]
    found = {measure.name: measure for measure in measures_of("kawaach", claims)}
    verdicts = [found[recall_of(name)].verdict for name in ("way_in", *ways, "adaptive", "adaptive_alone")]
    assert verdicts == ["no target", "missed", "no target", "no target", "no target", "missed"]
    assert target_of(recall_of(ways[1]), "offshift") == Target(1.0, at_most=False)


def test_sensor_loss_is_compared_with_the_ordinary_over_all_products():
    slices = [
        Slice(product, "condition", condition, Rate(count, 400))
        for product in ("gic", "kawaach")
        for condition, count in (("ordinary", 4), ("sensor_loss_30", 4), ("sensor_loss_60", 6), ("squad", 90))
    ]
    values = [(measure.value, measure.verdict) for measure in sensor_loss_measures(slices)]
    assert values == [(1.0, "met"), (pytest.approx(1.5), "missed")]
    assert [measure.verdict for measure in sensor_loss_measures(slices[:1])] == ["not measured"] * 2


def test_honest_rates_are_of_riders():
    claims = [
        one_of("w1", revision("step_up", 0, ["verify:cell"]), revision("approved", 1)),
        one_of("w1", revision("step_up", 0, ["verify:cell"]), revision("approved", 1)),
        one_of("w2", revision("approved")),
        one_of("w3", revision("ineligible", 0, ["overlap"])),
    ]
    found = {measure.name: measure for measure in measures_of("kawaach", claims)}
    assert found[targets.ESCALATED].rate == Rate(1, 2)
    assert found[targets.HELD].rate == Rate(0, 2)


def test_the_worst_slice_is_compared_with_the_mean_where_it_is_large_enough():
    def rider(number, tier):
        held = number % 10 == 0
        first = [revision("soft_hold", 0, ["gps_jitter_m"])] if held and tier == "entry" else []
        return one_of(f"{tier}{number}", *first, revision("approved"), slices=[("device tier", tier)])

    claims = [rider(number, tier) for tier in ("entry", "mid", "high") for number in range(200)]
    claims += [one_of("odd", revision("soft_hold", 0, ["wifi"]), slices=[("condition", "developer")])]
    worst = next(m for m in measures_of("kawaach", claims) if m.name == targets.WORST_SLICE)
    assert worst.detail == "device tier: entry"
    assert worst.value == pytest.approx((20 / 200) / (21 / 601))
    assert worst.verdict == "missed"
    sizes = {(each.dimension, each.value): each.rate.total for each in slices_of("kawaach", claims)}
    assert sizes["condition", "developer"] == 1 < MIN_SLICE
    assert sizes["not measured", GROUPS[1]] == 601


def test_rings_are_measured_by_claims_that_were_in_a_raised_alert():
    claims = [one_of(f"w{number}", revision("manual_review"), kind="ring", ring="ring-001") for number in range(4)]
    claims += [one_of("h", revision("approved"))]
    assert [measure.verdict for measure in ring_measures("kawaach", claims[4:], set())] == [
        "not measured",
        "not measured",
        "met",
    ]
    alerts = [
        {"ring_id": "a", "state": "raised", "claim_ids": ["c-w0", "c-w1", "c-w2"]},
        {"ring_id": "a", "state": "lifted", "claim_ids": []},
        {"ring_id": "b", "state": "lifted", "claim_ids": ["c-h"]},
    ]
    members = ring_members("s", alerts)
    assert members == {RingMember("s", f"c-w{number}", "a") for number in range(3)}
    precision, recall, strangers = ring_measures("kawaach", claims, members)
    assert (precision.rate, recall.rate, strangers.rate) == (Rate(3, 3), Rate(3, 4), Rate(0, 1))


def test_rings_of_part_of_the_evidence_have_measures_of_their_own():
    part = {"kind": "ring", "ring": "ring-002", "condition": "ring_part_evidence"}
    claims = [one_of(f"p{number}", revision("manual_review"), **part) for number in range(4)]
    claims += [one_of(f"w{number}", revision("manual_review"), kind="ring", ring="ring-001") for number in range(3)]
    claims += [one_of("h", revision("manual_review")), one_of("g", revision("manual_review"))]
    alerts = [
        {"ring_id": "a", "state": "raised", "claim_ids": ["c-p0", "c-p1", "c-h"]},
        {"ring_id": "b", "state": "raised", "claim_ids": ["c-w0", "c-w1", "c-w2", "c-g"]},
    ]
    members = ring_members("s", alerts)
    _, recall, _ = ring_measures("kawaach", claims, members)
    assert recall.rate == Rate(3, 3)
    precision, recall = part_evidence_measures(claims, members)
    assert (precision.rate, recall.rate) == (Rate(2, 3), Rate(2, 4))
    assert {precision.product, recall.product} == {targets.ALL}


def test_floors_flag_by_the_first_score_and_never_without_one():
    strong = [{"signal": "mock", "status": "strong"}, {"signal": "cell", "status": None}]
    claims = [
        one_of("a", revision("step_up", guard=strong, anomaly_score=0.8), kind="mock_app"),
        one_of("b", revision("approved", anomaly_score=None), kind="mock_app"),
        one_of("c", revision("approved", anomaly_score=0.4)),
        one_of("d", revision("approved", anomaly_score=0.1)),
    ]
    found = {floor.detector: floor for floor in floors_of("kawaach", claims)}
    assert list(found) == [GUARD, FOREST, OWN_SCORE, DECISION]
    assert [(f.honest.count, f.attackers.count) for f in found.values()] == [(0, 1), (0, 1), (1, 1), (0, 1)]
    assert found[FOREST].measured == Rate(3, 4)
    (curve,) = curves_of("kawaach", claims)
    assert curve.points == ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (1.0, 0.5))


def test_an_ablation_adds_one_part_after_another():
    ring = [{"signal": "ring", "status": "strong"}]
    wifi = [{"signal": "wifi", "status": "strong"}]
    claims = [
        one_of("a", revision("approved"), kind="mock_app", risks=(0.1, 0.9)),
        one_of("b", revision("approved"), kind="mock_app", risks=(0.72, 0.1)),
        one_of("c", revision("step_up", guard=wifi), kind="mock_app", risks=(0.1, 0.1)),
        # A ring is found after the first score.
        one_of("d", revision("approved"), revision("manual_review", guard=ring), kind="ring", risks=(None, None)),
        one_of("e", revision("approved"), risks=(0.719, 0.72)),
    ]
    found = {floor.detector: (floor.honest.count, floor.attackers.count) for floor in ablation_of(claims)}
    assert found == {ONE_SCALE: (1, 1), PER_MASK: (0, 1), WITH_GUARD: (0, 2), WITH_RINGS: (0, 3)}
    assert ablation_of([]) == []


def test_own_cut_offs_are_those_of_the_product_files():
    rules = {name: product.decision.first for name, product in load_products().items()}
    assert set(rules) == set(_OWN_CUT_OFFS)
    for name, (score, cut_off) in _OWN_CUT_OFFS.items():
        said = " ".join(str(rule.when.text) for rule in rules[name] if rule.when is not None and rule.then == "approve")
        assert score in said
        assert f"{cut_off:g}" in said or f"{1 - cut_off:g}" in said


SHARES = st.integers(0, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(SHARES)
def test_bounds_hold_the_share_and_are_those_of_its_complement(counts):
    count, total = counts
    low, high = Rate(count, total).interval()
    assert 0 <= low <= high <= 1
    if total:
        assert low - 1e-12 <= count / total <= high + 1e-12
        other_low, other_high = Rate(total - count, total).interval()
        assert (low, high) == pytest.approx((1 - other_high, 1 - other_low))
        more_low, more_high = Rate(count * 4, total * 4).interval()
        assert more_high - more_low <= high - low + 1e-12


@given(SHARES, st.floats(0, 1), st.booleans())
def test_a_verdict_never_calls_a_share_beyond_its_target_met(counts, value, at_most):
    rate = Rate(*counts)
    target = Target(value, at_most, bound=value if at_most else None, riders=100 if at_most else 0)
    verdict = verdict_on(target, rate.share if rate.total else None, rate)
    if not rate.total:
        assert verdict == "not measured"
    elif verdict == "met":
        assert rate.share <= value if at_most else rate.share >= value
        assert not at_most or (rate.total >= 100 and rate.interval()[1] <= value)


def measured(name, value, total=20_000, product="gic"):
    return Measure(product, name, value, Rate(round(value * total), total))


def test_each_target_that_was_met_and_is_lost_is_named():
    before = met_targets(
        [measured(targets.HELD, 0.0), measured(targets.ESCALATED, 0.0, 50), measured(targets.DENIED, 0.5)]
    )
    assert before == {"gic": [targets.HELD, targets.ESCALATED]}
    assert lost_targets(before, [measured(targets.HELD, 0.01), measured(targets.ESCALATED, 0.001)]) == []
    lost = lost_targets(before, [measured(targets.HELD, 0.02), Measure("gic", targets.ESCALATED, None, None)])
    assert [line.split(":")[1].strip() for line in lost] == [targets.HELD, targets.ESCALATED]
    assert "missed: 0.02" in lost[0]
    assert "not measured" in lost[1]
    assert len(lost_targets(before, [])) == 2
    assert lost_targets(before, [], products=["kawaach"]) == []


def test_every_expected_measure_has_a_target():
    assert all(target_of(name, "gic") is not None for name in targets.EXPECTED)
