"""Money under every product, whatever happens in whatever order: caps and rules "once per ..." hold, one disruption is
paid once, revisions and instalments add up, and a machine told in pieces or twice says the same."""

import dataclasses
import random
from collections import defaultdict

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from kit import Rereads, at, signal, terms, update
from kit.rider import PRODUCTS, activity, work
from msgspec.structs import replace

from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.transforms.adjudication.claims import ActivityResult, Answer, Claim, ClaimScore, DisruptionUpdate
from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.adjudication.rules import rules_of
from monsoon.transforms.adjudication.scoring_schedule import (
    RereadTime,
    ScoringTime,
    reread_times,
    scoring_times,
)
from monsoon.transforms.calendar import clock_hour, iso_week, local_day
from monsoon.transforms.guard.signals import SIGNALS
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.plain_words import REASONS
from monsoon.transforms.triggers.alerts import Alert

HOUR = 60
PLANS = {"offshift": "weekly_pass", "jugaad": "standard"}
POLICY = {
    "daily_wage_inr": 500.5, "shift_baseline_inr": 333.3, "slab_orders": 60, "planned_hours_week": 50,
    "activated_at_ms": at(-50 * HOUR),
}  # fmt: skip
MAXIMUM_PAISE = {
    ("kawaach", "local_day"): 50_050,
    ("kawaach", "iso_week"): 150_150,
    ("offshift", "coverage_period"): 150_000,
    ("jugaad", "iso_week"): 140_000,
}

FOUND = {
    "much": {"rain": 40.0, "sigma": 3.0},
    "some": {"rain": 15.0, "sigma": 1.8},
    "little": {"rain": 15.0, "sigma": 1.3, "peers": 4.0},
}
"""What an activity test that is met finds: much is worth more than some, and little is held for its few peers."""

drawn_disruptions = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(0, 300),  # of half hours
            "lasts": st.integers(61, 400),
            "late": st.sampled_from([0, 0, 25]),
            "trigger": st.integers(0, 6),
            "fate": st.sampled_from(["stays", "stays", "withdrawn", "withdrawn and back", "longer", "shorter"]),
            "risks": st.tuples(*[st.sampled_from([None, 0.1, 0.5, 0.9])] * 2),
            "trust": st.sampled_from([0.2, 0.6, 0.9]),
            "signals": st.sampled_from([1, 9]),
            "found": st.sampled_from([*FOUND, "no drop", "not measured"]),
            "orders": st.sampled_from([None, 30.0]),
            "answers": st.lists(st.tuples(st.integers(0, 1600), st.booleans()), max_size=2),
            "covered": st.sampled_from([True, True, True, False]),
            "alert": st.sampled_from([None, None, -1]),
            "period": st.sampled_from([0, 1]),
            "guard": st.tuples(*[st.sampled_from([(), (), ("mock",), ("mock", "cell"), ("ring",)])] * 2),
            "reread": st.sampled_from(["released", "waits", "untied", "wifi", "lost"]),
        }
    ),
    max_size=8,
)


class Told:
    """What a rider's machine is told of drawn disruptions, and the scores it gets."""

    def __init__(self, product, drawn):
        self.product = PRODUCTS[product] if isinstance(product, str) else product
        self.items, self.drawn = [], {}
        for number, each in enumerate(drawn):
            self.drawn[f"d{number}"] = each
            self._disruption(f"d{number}", 30 * each["start"], each)

    def _disruption(self, name, start, each):
        trigger = self.product.triggers[each["trigger"] % len(self.product.triggers)]
        level = trigger.levels[0].name
        policy = terms(
            plan=PLANS.get(self.product.name, "standard"),
            covered=each["covered"], period_start_ms=each["period"], policy_id=f"p{each['period']}", **POLICY,
        )  # fmt: skip
        confirmed = start + each["late"]
        alert = None if each["alert"] is None else Alert(at(each["alert"]), None)
        opened = update(
            name, confirmed, trigger.name, peril=trigger.peril, start_ms=at(start), level=level, terms=policy,
            severity=20.0, alert=alert,
        )  # fmt: skip
        since = start + each["lasts"]
        ended = replace(opened, at_ms=at(since + 60), end_ms=at(since + 60), absent_since_ms=at(since))
        history = [opened, ended]
        fate, middle = each["fate"], confirmed + 31
        if fate.startswith("withdrawn"):
            history = [opened, replace(opened, at_ms=at(middle), withdrawn=True)]
        if fate == "withdrawn and back":
            history += [replace(opened, at_ms=at(middle + 3)), ended]
        if fate in ("longer", "shorter"):
            moved = since + (90 if fate == "longer" else -30)
            corrected = replace(ended, end_ms=at(moved + 60), absent_since_ms=at(moved))
            history.append(replace(corrected, at_ms=at(since + 300)))
        self.items += history
        if trigger.activity is not None:
            self.items.append(self._finding(name, confirmed, since, each["found"]))
        if trigger.supplements:
            self.items.append(work(name, each["orders"], 25.0, confirmed))
        for number, (later, confirms) in enumerate(each["answers"]):
            claim = claim_id(policy.policy_id, name)
            self.items.append(Answer(at(confirmed + later), f"{name}-{number}", policy.policy_id, claim, confirms))

    def _finding(self, name, confirmed, since, found):
        if found in FOUND:
            values = FOUND[found]
            return activity(name, confirmed + 10, confirmed, **values)
        values = {"measured": 1.0} if found == "no drop" else {}
        return activity(name, since + 60, confirmed, passed=False, **values)

    def score(self, claim, at_ms):
        each = self.drawn[claim.update.disruption_id]
        half_hour = at_ms // 1_800_000 % 2
        guard = tuple(map(signal, each.get("guard", ((), ()))[half_hour]))
        return ClaimScore(each["risks"][half_hour], each["signals"], trust=each["trust"], guard=guard)

    def __call__(self, claim, at_ms):
        return self.score(claim, at_ms)

    def reread(self, claim, at_ms, asked_at_ms, answer_id):
        each = self.drawn[claim.update.disruption_id]
        return Rereads(each.get("reread", "released"))(claim, at_ms, asked_at_ms, answer_id)

    def machine(self):
        return RiderMachine(self.product, "m1", self)

    def play(self, items=None):
        return run_rider(self.machine(), self.items if items is None else items)

    @property
    def starts_ms(self):
        return {item.disruption_id: item.start_ms for item in self.items if isinstance(item, DisruptionUpdate)}


products = st.sampled_from(sorted(PRODUCTS))


@given(products, drawn_disruptions, st.integers(0, 1000))
def test_order_and_duplication_are_nothing(product, drawn, seed):
    told = Told(product, drawn)
    mixed = [*told.items, *told.items[: len(drawn)]]
    random.Random(seed).shuffle(mixed)
    assert told.play(mixed) == told.play()


@given(products, drawn_disruptions, st.lists(st.integers(-10, 13_000), max_size=3))
def test_cut_anywhere_and_restored_a_machine_goes_on_alike(product, drawn, cuts):
    """Claim by claim, as a step keeps them."""
    told = Told(product, drawn)
    machine, kept, claims, payouts, since_ms = told.machine(), {}, [], [], at(-100)
    for cut_ms in [*map(at, sorted(cuts)), at(10**7)]:
        some = [item for item in told.items if since_ms < item.at_ms <= cut_ms]
        decided = run_rider(machine, some, cut_ms)
        claims, payouts, since_ms = claims + decided[0], payouts + decided[1], cut_ms
        kept |= {claim.claim_id: pack(claim) for claim in machine.take_changed()}
        machine = told.machine()
        machine.resume(unpack(claim, Claim) for claim in kept.values())
    assert (claims, payouts) == told.play()


dense_disruptions = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(0, 60),  # of half hours: of a day and the next
            "lasts": st.integers(31, 120),
            "late": st.sampled_from([0, 25]),
            "trigger": st.integers(0, 6),
            "fate": st.sampled_from(["stays", "stays", "withdrawn", "withdrawn and back", "longer", "shorter"]),
            "risks": st.just((0.1, 0.1)),
            "trust": st.just(0.9),
            "signals": st.just(9),
            "found": st.sampled_from(["much", "some"]),
            "orders": st.just(None),
            "answers": st.just([]),
            "covered": st.just(True),
            "alert": st.just(None),
            "period": st.just(0),
        }
    ),
    max_size=8,
)
"""Claims of one rider that all would be paid: what limits them is caps, overlap, and rules "once per ..."."""


@given(products, drawn_disruptions | dense_disruptions)
def test_nobody_is_paid_above_a_cap_or_twice_for_what_is_paid_once(product, drawn):
    assert paid_too_much(Told(product, drawn)) == []


@pytest.mark.parametrize(
    ("product", "without"),
    [("gic", "once"), ("nexora", "once"), ("kawaach", "caps"), ("offshift", "caps"), ("jugaad", "caps")],
)
def test_without_its_limits_a_product_does_pay_too_much(product, without):
    """Else the test above would say nothing of them."""
    unlimited = dataclasses.replace(PRODUCTS[product], **{without: ()})
    first = settings(phases=[Phase.generate], max_examples=2000)  # any will do, so none is made smaller
    found = find(dense_disruptions, lambda drawn: paid_too_much(Told(unlimited, drawn)), settings=first)
    assert paid_too_much(Told(unlimited, found))


def paid_too_much(told):
    """What was paid above a cap of the product's file, or more than once where there may be one payout."""
    product = told.product.name
    claims, payouts = told.play()
    last = {claim["claim_id"]: claim for claim in claims}
    used, once = defaultdict(int), defaultdict(set)
    for payout in payouts:
        claim = last[payout["claim_id"]]
        start_ms = told.starts_ms[claim["disruption_id"]]
        periods = {
            "local_day": local_day(start_ms),
            "iso_week": iso_week(start_ms),
            "coverage_period": claim["policy_id"],
        }
        for per, period in periods.items():
            used[per, period] += payout["amount_paise"]
        if product == "nexora":
            once[claim["peril"], periods["local_day"]].add(payout["claim_id"])
        if product == "gic":
            confirmed = told.drawn[claim["disruption_id"]]
            once[clock_hour(at(30 * confirmed["start"] + confirmed["late"]))].add(payout["claim_id"])
    above = [(key, paise) for key, paise in used.items() if paise > MAXIMUM_PAISE.get((product, key[0]), paise)]
    return above + [(key, paid) for key, paid in once.items() if len(paid) > 1]


@given(products, drawn_disruptions)
def test_nobody_is_paid_twice_for_one_moment_of_lost_work(product, drawn):
    """Where no correction takes back what was paid by then."""
    steady = [each for each in drawn if each["fate"] == "stays"]
    told = Told(product, steady)
    claims, payouts = told.play()
    last = {claim["disruption_id"]: claim for claim in claims}
    paid, spans = defaultdict(int), {}
    for payout in payouts:
        paid[payout["claim_id"]] += payout["amount_paise"]
    for item in told.items:
        if isinstance(item, DisruptionUpdate) and item.end_ms is not None and item.disruption_id in last:
            spans[item.disruption_id] = (item.start_ms, item.end_ms)
    for moment_ms, _ in spans.values():
        running = defaultdict(list)
        for name, (start_ms, end_ms) in spans.items():
            if start_ms <= moment_ms < end_ms:
                running[last[name]["peril"] if told.product.overlap_same_peril_only else None].append(last[name])
        for together in running.values():
            grosses = [round(claim["payout_terms"]["gross_inr"] * 100) for claim in together]
            assert sum(paid[claim["claim_id"]] for claim in together) <= max(grosses)


@given(products, drawn_disruptions)
def test_revisions_and_instalments_add_up(product, drawn):
    """And every reason that is ever given has its words."""
    claims, payouts = Told(product, drawn).play()
    assert {reason for claim in claims for reason in claim["reasons"]} <= set(REASONS)
    revisions, instalments = defaultdict(list), defaultdict(list)
    for claim in claims:
        revisions[claim["claim_id"]].append(claim)
    for payout in payouts:
        instalments[payout["claim_id"]].append(payout)
    for name, mine in revisions.items():
        assert [claim["revision"] for claim in mine] == list(range(len(mine)))
        assert [p["instalment"] for p in instalments[name]] == list(range(len(instalments[name])))
        before_paise = 0
        for claim in mine:
            paise = round((claim["payout_inr"] or 0) * 100)
            now = [p["amount_paise"] for p in instalments[name] if p["created_at"] == claim["decided_at"]]
            assert paise - before_paise == sum(now)
            before_paise = paise
        assert before_paise == sum(p["amount_paise"] for p in instalments[name])
        assert all(p["amount_paise"] >= 100 for p in instalments[name])


@given(products, drawn_disruptions)
def test_withdrawing_and_confirming_again_ends_where_never_withdrawing_would(product, drawn):
    """Of one disruption, of which the rider is asked nothing meanwhile."""
    for each in drawn[:1]:
        never = Told(product, [each | {"fate": "stays", "answers": []}])
        often = Told(product, [each | {"fate": "withdrawn and back", "answers": []}])
        never.drawn["d0"]["risks"] = often.drawn["d0"]["risks"] = each["risks"][:1] * 2
        (expected, paid), (got, got_paid) = never.play(), often.play()
        same = ("status", "reasons", "payout_inr")
        assert [got[-1][name] for name in same] == [expected[-1][name] for name in same]
        assert got[-1]["payout_terms"]["gross_inr"] == expected[-1]["payout_terms"]["gross_inr"]
        assert [p["reference_id"] for p in got_paid] == [p["reference_id"] for p in paid]
        assert sum(p["amount_paise"] for p in got_paid) == sum(p["amount_paise"] for p in paid)


@given(products, dense_disruptions)
def test_withdrawing_what_is_limited_by_others_and_confirming_again_says_the_same(product, drawn):
    """Of a rider all of whose claims are paid as far as they may be: the reasons why not more too."""
    *others, each = [one | {"fate": "stays"} for one in drawn] or [None]
    if each is None or any(other["start"] + 3 > each["start"] for other in others):
        return  # what comes while it is withdrawn, or after, may be paid what it leaves
    never, often = Told(product, [*others, each]), Told(product, [*others, each | {"fate": "withdrawn and back"}])
    (expected, paid), (got, got_paid) = never.play(), often.play()
    same = ("status", "reasons", "payout_inr")
    if expected:
        assert [got[-1][name] for name in same] == [expected[-1][name] for name in same]
    assert {p["reference_id"]: p["amount_paise"] for p in got_paid} == {
        p["reference_id"]: p["amount_paise"] for p in paid
    }


@given(products, drawn_disruptions)
def test_no_machine_asks_for_a_score_that_was_not_foretold(product, drawn):
    told = Told(product, drawn)
    asked = set()

    def score(claim, at_ms):
        moment = ScoringTime(claim.update.confirmed_at_ms, at_ms, rescored=claim.score is not None)
        asked.add((claim.update.disruption_id, moment))
        return Told.score(told, claim, at_ms)

    def reread(claim, at_ms, asked_at_ms, answer_id):
        moment = RereadTime(claim.update.confirmed_at_ms, asked_at_ms, at_ms, answer_id)
        asked.add((claim.update.disruption_id, moment))
        return Told.reread(told, claim, at_ms, asked_at_ms, answer_id)

    told.score, told.reread = score, reread
    told.play()
    scheduled = set()
    for name in told.drawn:
        mine = [item for item in told.items if isinstance(item, DisruptionUpdate) and item.disruption_id == name]
        found = [item for item in told.items if isinstance(item, ActivityResult) and item.disruption_id == name]
        scheduled |= {(name, moment) for moment in scoring_times(told.product, mine, found)}
        claims = {claim_id(each.terms.policy_id, name) for each in mine if each.terms is not None}
        answers = [
            (each.at_ms, each.answer_id)
            for each in told.items
            if isinstance(each, Answer) and each.claim_id in claims and each.confirms
        ]
        if answers:
            rereads = reread_times(told.product, mine, found, min(answers)[0], answers)
            scheduled |= {(name, moment) for moment in rereads}
    assert asked <= scheduled


@given(products, drawn_disruptions, st.sampled_from([name for name in SIGNALS if name != "ring"]))
def test_one_contradiction_alone_ends_in_review_only_without_an_answer_or_a_good_reread(product, drawn, strong):
    """Of claims that the product's own rules would pay at once."""
    for each in drawn:
        each |= {"risks": (0.1, 0.1), "trust": 0.9, "signals": 9, "guard": ((strong,), (strong,)), "alert": None}
        each |= {"found": "much", "orders": None, "reread": "released", "fate": "stays"}
        each["answers"] = [(minutes, True) for minutes, _ in each["answers"]]
    told = Told(product, drawn)
    claims, _ = told.play()
    answers = defaultdict(list)
    for item in told.items:
        if isinstance(item, Answer):
            answers[item.claim_id].append(item.at_ms)
    asked = {claim["claim_id"]: claim for claim in claims if claim["status"] == "step_up"}
    for claim in claims:
        assert claim["status"] in ("step_up", "manual_review", "approved", "ineligible")
        if claim["status"] == "manual_review":
            question = asked[claim["claim_id"]]
            assert question["reasons"] == [f"verify:{strong}"]
            assert claim["reasons"] == ["step_up_unanswered", strong]
            waited = range(question["decided_at"] + 1, question["answer_by"] + 1)
            assert not [at_ms for at_ms in answers[claim["claim_id"]] if at_ms in waited]


STRICTER = ("approve", "soft_hold", "step_up", "manual_review")


@given(products, st.data())
def test_missing_evidence_never_escalates_and_the_guard_never_softens(product, data):
    """Of the first outcome: with a signal less it is never stricter, and never milder than the product's own."""
    drawn = data.draw(drawn_disruptions.filter(bool))[0]
    told = Told(product, [drawn])
    names = data.draw(st.lists(st.sampled_from(list(SIGNALS)), unique=True))
    fewer = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    opened = next(item for item in told.items if isinstance(item, DisruptionUpdate))
    claim = Claim("c", opened, opened.terms)
    rules = rules_of(told.product).of(claim).decision

    def strictness(names):
        score = replace(told.score(claim, opened.at_ms), guard=tuple(signal(each) for each in SIGNALS if each in names))
        then = rules.first(claim, score).then
        return STRICTER.index(rules.holds[then].status if then in rules.holds else then)

    assert strictness([]) <= strictness(fewer) <= strictness(names)
    assert strictness(names) >= 2 * bool(names)


@pytest.mark.parametrize("product", sorted(PRODUCTS))
def test_the_histories_drawn_do_pay(product):
    """Else the tests above would say nothing."""
    each = {
        "start": 0, "lasts": 120, "late": 0, "trigger": 0, "fate": "stays", "risks": (0.1, 0.1), "trust": 0.9,
        "signals": 9, "found": "much", "orders": 30.0, "answers": [], "covered": True, "alert": None, "period": 0,
    }  # fmt: skip
    assert Told(product, [each]).play()[1]
