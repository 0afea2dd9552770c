"""Money, whatever happens in whatever order: caps hold, overlapping disruptions are paid once, instalments add up."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from kit import ScriptedScores, at, kawaach, terms, update
from msgspec.structs import replace

from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.calendar import iso_week, local_day

KAWAACH = kawaach()
TRIGGERS = ("rain", "aqi", "wind", "curfew", "platform_downtime")
WAGE_PAISE = 50_000

disruptions = st.lists(
    st.tuples(
        st.integers(0, 700), st.integers(61, 600), st.sampled_from(TRIGGERS), st.integers(0, 120),
        st.sampled_from(["stays", "rises", "withdrawn", "withdrawn and back"]), st.sampled_from([0.1, 0.5, 0.9]),
        st.sampled_from([0.1, 0.6]),
    ),
    max_size=12,
)  # fmt: skip


def scripted(drawn):
    """Happenings by moment (ms), and the scores, of drawn disruptions (in units of 20 minutes)."""
    moments, scores = defaultdict(list), {}
    for n, (slot, minutes, trigger, late, fate, first, second) in enumerate(drawn):
        name, start = f"d{n}", 20 * slot
        opened = update(name, start, trigger, at_ms=at(start + late % 30))
        ended = at(start + minutes)
        scores[name] = [first, second]
        updates = [opened, replace(opened, at_ms=ended, end_ms=ended)]
        middle = at(start + 31 + late // 10)
        if fate == "rises" and trigger == "rain":
            updates[1:] = [replace(h, level="full") for h in (replace(opened, at_ms=middle), updates[1])]
        if fate.startswith("withdrawn"):
            updates.insert(1, replace(opened, at_ms=middle, withdrawn=True))
            if fate == "withdrawn":
                updates.pop()
        for item in updates:
            moments[item.at_ms].append(item)
    return moments, scores


def play(moments, scores, order=sorted):
    machine = RiderMachine(KAWAACH, "m1", ScriptedScores(**scores))
    claims, payouts = [], []
    ahead = sorted(moments, reverse=True)
    while ahead or machine.next_due_ms is not None:
        due = machine.next_due_ms
        moment = ahead.pop() if ahead and (due is None or ahead[-1] <= due) else due
        updates = list(moments.get(moment, ()))
        got = machine.decide(moment, order(updates, key=lambda h: h.disruption_id))
        claims += got[0]
        payouts += got[1]
    return claims, payouts


@given(disruptions)
def test_no_rider_is_paid_above_a_cap(drawn):
    moments, scores = scripted(drawn)
    claims, payouts = play(moments, scores)
    start_of = {h.disruption_id: h.start_ms for hs in moments.values() for h in hs}
    disruption_of = {claim["claim_id"]: claim["disruption_id"] for claim in claims}
    by_day, by_week = defaultdict(int), defaultdict(int)
    for payout in payouts:
        start_ms = start_of[disruption_of[payout["claim_id"]]]
        by_day[local_day(start_ms)] += payout["amount_paise"]
        by_week[iso_week(start_ms)] += payout["amount_paise"]
    assert all(paise <= WAGE_PAISE for paise in by_day.values())
    assert all(paise <= 3 * WAGE_PAISE for paise in by_week.values())


@given(disruptions)
def test_nobody_is_paid_twice_for_one_moment_of_lost_work(drawn):
    drawn = [entry for entry in drawn if not entry[4].startswith("withdrawn")]
    moments, scores = scripted(drawn)
    claims, payouts = play(moments, scores)
    interval, paid, gross = {}, defaultdict(int), {}
    for updates in moments.values():
        for h in updates:
            if h.end_ms is not None:
                interval[h.disruption_id] = (h.start_ms, h.end_ms)
    disruption_of = {claim["claim_id"]: claim["disruption_id"] for claim in claims}
    for claim in claims:
        gross[claim["disruption_id"]] = round(claim["payout_terms"]["gross_inr"] * 100)
    for payout in payouts:
        paid[disruption_of[payout["claim_id"]]] += payout["amount_paise"]
    for moment, _ in interval.values():
        running = [name for name, (start, end) in interval.items() if start <= moment < end and name in gross]
        if running:
            assert sum(paid[name] for name in running) <= max(gross[name] for name in running)


@given(disruptions)
def test_the_order_within_a_moment_is_nothing(drawn):
    moments, scores = scripted(drawn)
    assert play(moments, scores) == play(moments, scores, order=lambda items, key: sorted(items, key=key)[::-1])


@given(disruptions)
def test_payouts_add_up_to_what_the_last_revisions_say(drawn):
    claims, payouts = play(*scripted(drawn))
    last = {claim["claim_id"]: claim for claim in claims}
    paid = defaultdict(int)
    for payout in payouts:
        assert payout["amount_paise"] >= 100
        paid[payout["claim_id"]] += payout["amount_paise"]
    for name, claim in last.items():
        said = 0 if claim["payout_inr"] is None else round(claim["payout_inr"] * 100)
        assert said == paid[name]
    references = [payout["reference_id"] for payout in payouts]
    assert len(references) == len(set(references))


@given(disruptions)
def test_revisions_count_up_and_moments_never_go_back(drawn):
    claims, _ = play(*scripted(drawn))
    seen = {}
    for claim in claims:
        revision, decided_at = seen.get(claim["claim_id"], (-1, 0))
        assert claim["revision"] == revision + 1
        assert claim["decided_at"] >= decided_at
        seen[claim["claim_id"]] = (claim["revision"], claim["decided_at"])


@given(st.sampled_from(TRIGGERS), st.integers(30, 59), st.integers(1, 5), st.sampled_from([0.1, 0.5]))
def test_withdrawing_and_confirming_again_ends_where_never_withdrawing_would(trigger, minutes, times, risk):
    opened = update("d", 0, trigger, terms=terms())
    ended = replace(opened, at_ms=at(600), end_ms=at(600))
    never = {opened.at_ms: [opened], ended.at_ms: [ended]}
    often = dict(never)
    for n in range(times):
        gone, back = at(minutes * (n + 1)), at(minutes * (n + 1) + 10)
        often[gone] = [replace(opened, at_ms=gone, withdrawn=True)]
        often[back] = [replace(opened, at_ms=back)]
    scores = {"d": [risk, 0.1]}
    expected, got = play(never, scores), play(often, scores)
    assert [p["amount_paise"] for p in got[1]] == [p["amount_paise"] for p in expected[1]]
    assert [p["reference_id"] for p in got[1]] == [p["reference_id"] for p in expected[1]]
    same = ("status", "reasons", "payout_inr")
    assert [got[0][-1][name] for name in same] == [expected[0][-1][name] for name in same]
