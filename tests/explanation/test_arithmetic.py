"""The arithmetic of an explanation comes to the payout records, of every claim, at every revision."""

import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import ScriptedScores, at, terms, update
from kit.examples import examples, mostly_slow
from kit.explained import records_of
from kit.rider import PRODUCTS, Rider, work
from msgspec.structs import replace

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.output_folder import read_claim
from monsoon.sources.simulator import load_storm, simulate
from monsoon.transforms.explanation import ClaimRecords, explain_claim, laid_out
from monsoon.transforms.explanation.arithmetic import arithmetic

VERSIONS = {version.version: version for product in PRODUCTS.values() for version in product.versions}
STORMS = {
    "delhi-2024-07-31-cloudburst": (200, {"approved", "ineligible", "manual_review"}),
    "delhi-2024-05-29-heat": (100, {"approved", "ineligible", "manual_review", "withdrawn"}),
    "chennai-2016-12-12-vardah": (100, {"approved", "ineligible", "manual_review"}),
    "mumbai-2025-10-20-outage": (100, {"approved", "ineligible", "manual_review"}),
}
"""By storm its riders, and the statuses that their claims end in."""

WITH_RESERVES = "delhi-2024-07-31-cloudburst"


def assert_comes_to_the_payouts(records):
    """At every revision: every step computed from the record's amounts, the sum that of the payout records."""
    for each in records.revisions:
        until = records.until(each["revision"])
        product = VERSIONS[each["product_version"]]
        found = arithmetic(until, product)
        paid_paise = sum(payout["amount_paise"] for payout in until.payouts)
        assert (found.paid_paise, found.payouts_paise) == (paid_paise, paid_paise)
        assert found.lines[-1].endswith(f" Rs {paid_paise / 100:,.2f}")
        text = "\n".join(found.lines)
        assert "disagree" not in text
        assert "does not state the steps" not in text
        assert "No payout record and no notification" not in text
    assert laid_out(explain_claim(records, VERSIONS[records.claim["product_version"]]))


def by(records, field):
    found = defaultdict(list)
    for record in records:
        found[record[field]].append(record)
    return found


@pytest.fixture(scope="module", params=mostly_slow(STORMS))
def storm(request, tmp_path_factory):
    """(name, output folder)"""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    simulate(load_storm(name), STORMS[name][0], 1, folder / "in")
    if name == WITH_RESERVES:  # of its many riders, of whom these are few
        reserves = folder / "in" / "reserves" / "part-00000.jsonl"
        reserves.write_text(reserves.read_text().replace(":250000", ":50000"))
    replay(folder / "in", folder / "out", PRODUCTS, sorted(PRODUCTS), load_scorer())
    return name, folder / "out"


def lines(folder, stream):
    return [json.loads(line) for line in (folder / stream / "part-00000.jsonl").read_text().splitlines()]


def test_of_every_claim_of_a_simulated_storm(storm):
    name, folder = storm
    payouts, notifications = (by(lines(folder, stream), "claim_id") for stream in ("payouts", "notifications"))
    disruptions = by(lines(folder, "disruptions"), "disruption_id")
    claims = by(lines(folder, "claims"), "claim_id")
    for claim, revisions in claims.items():
        assert_comes_to_the_payouts(
            ClaimRecords(
                revisions=sorted(revisions, key=lambda each: each["revision"]),
                disruptions=sorted(disruptions[revisions[0]["disruption_id"]], key=lambda each: each["revision"]),
                payouts=sorted(payouts[claim], key=lambda each: each["created_at"]),
                notifications=notifications[claim],
            )
        )
    assert {revisions[-1]["status"] for revisions in claims.values()} >= STORMS[name][1]
    assert len(payouts) > 10


def test_a_payout_that_waited_for_a_reserve_is_told(storm):
    name, folder = storm
    queued = [each["claim_id"] for each in lines(folder, "notifications") if each["kind"] == "queued"]
    assert bool(queued) == (name == WITH_RESERVES)
    if not queued:
        return
    records = read_claim(folder, queued[0])
    assert any("waited for a reserve since" in line for line in arithmetic(records, None).lines)
    assert [each["state"] for each in records.reserve_alerts] == ["exhausted", "released"]


drawn = st.lists(
    st.tuples(
        st.integers(0, 700),
        st.integers(61, 600),
        st.integers(0, 6),
        st.sampled_from(["stays", "rises", "withdrawn", "back"]),
        st.sampled_from([0.1, 0.5, 0.9]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@examples(40)
@given(drawn, st.sampled_from(sorted({"kawaach", "jugaad", "nexora", "offshift"})))
def test_whatever_happens_in_whatever_order(cases, product):
    """Overlaps, caps, rules "once per ...", supplements, rises, withdrawals: each claim of a rider."""
    triggers = PRODUCTS[product].triggers
    plan = {"offshift": "weekly_pass"}.get(product, "standard")
    policy = terms(plan=plan, daily_wage_inr=500.5, shift_baseline_inr=333.3, slab_orders=60, planned_hours_week=50)
    moments, scores, updates = defaultdict(list), {}, {}
    for number, (slot, lasts, which, fate, risk, broken) in enumerate(cases):
        name, start, trigger = f"d{number}", 20 * slot, triggers[which % len(triggers)]
        level = trigger.levels[0].name
        opened = update(name, start, trigger.name, peril=trigger.peril, level=level, terms=policy)
        scores[name] = [risk, 0.1]
        middle, end = at(start + 30), at(start + lasts)
        over = replace(opened, at_ms=end, end_ms=end)
        revisions = [opened, over]
        if fate == "rises":
            highest = trigger.levels[-1].name
            revisions = [opened, replace(opened, at_ms=middle, level=highest), replace(over, level=highest)]
        if fate in ("withdrawn", "back"):
            revisions = [opened, replace(opened, at_ms=middle, withdrawn=True), *([over] if fate == "back" else [])]
        updates[name] = revisions
        for each in revisions:
            moments[each.at_ms].append(each)
        if broken:
            moments[opened.at_ms].append(work(name, 30.0, 25.0, start))
    rider = Rider(ScriptedScores(**scores), product)
    for moment in sorted(moments):
        rider.at(*moments[moment])
    rider.finish()
    for name, revisions in updates.items():
        if rider.all(name):
            assert_comes_to_the_payouts(records_of(rider, revisions))


def test_an_instalment_that_is_not_what_its_steps_come_to_is_told():
    opened = update("d", 0)
    records = records_of(Rider(ScriptedScores()).at(opened), [opened])
    wrong = [{**each, "amount_paise": each["amount_paise"] + 1} for each in records.payouts]
    found = arithmetic(ClaimRecords(records.revisions, records.disruptions, wrong), None)
    assert found.paid_paise + 1 == found.payouts_paise
    assert sum("disagree" in line for line in found.lines) == 2
    assert found.lines[-1].endswith(f"Rs {found.payouts_paise / 100:,.2f}")


def test_a_payout_that_is_missing_is_told():
    opened = update("d", 0)
    records = records_of(Rider(ScriptedScores()).at(opened), [opened])
    found = arithmetic(ClaimRecords(records.revisions, records.disruptions), None)
    assert any("says what became of it" in line for line in found.lines)
    assert found.lines[-1].endswith("Rs 0.00")
