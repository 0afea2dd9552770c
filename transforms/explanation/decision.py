"""The decision of a claim: scores, the rule that decided, holds, answers and timers.

A record names neither the rule nor the hold. They follow from the record where the rules' inputs are in it: each rule
is applied to the record's values, and one whose inputs are missing is called so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.evidence import thresholds, value_words
from monsoon.transforms.explanation.records import (
    WAITING,
    ClaimRecords,
    Record,
    StatusRun,
    disruption_at,
    status_runs,
    terms_of,
)
from monsoon.transforms.explanation.text import is_number, number
from monsoon.transforms.plain_words import reason_in_words
from monsoon.transforms.product import Hold, ModelScore, Product, Rule
from monsoon.transforms.product.score_terms import MODEL_SCALE, CutOff
from monsoon.transforms.product.wording.decisions import outcome_words, score_words
from monsoon.transforms.product.wording.phrases import Section, duration, formula_words

_BAR = 50

_NO_RULE = {
    "plan_lacks_trigger": "Eligibility comes before the rules, whatever the scores.",
    "lockout": "Eligibility comes before the rules, whatever the scores.",
    "no_activity_drop": "The activity test comes before the rules, whatever the scores.",
    "activity_not_measured": "The activity test could not be made, so a person reviews the claim, whatever the scores.",
    "overlap": "Nothing would be left to pay, so the claim is not held or reviewed either.",
    "below_minimum": "Nothing would be left to pay, so the claim is not held or reviewed either.",
    "duplicate": "Nothing would be left to pay, so the claim is not held or reviewed either.",
    "cap_reached": "Nothing would be left to pay, so the claim is not held or reviewed either.",
    "disruption_withdrawn": "The disruption was withdrawn before anything was paid.",
    "not_present": "The disruption was corrected before anything was paid.",
    "score_missing": "No score arrived, which is a fault and nothing against the rider: a person reviews the claim.",
    "answer_denied": "The rider's answer sends it to a person, whatever the scores.",
}
"""By the first reason: decisions that no rule makes."""

_LATER = ("paid_before_withdrawal", "paid_above_corrected_level")
"""Reasons of claims that stay as they were decided before."""


class Applied(NamedTuple):
    """A rule, applied: whether it holds (None: cannot be told), its inputs as the record states them, and those that
    the record lacks. `by_reason`: some are lacking, but the reason that the record gives tells."""

    rule: Rule
    holds: bool | None
    by_reason: bool
    inputs: Mapping[str, Any]
    lacking: tuple[str, ...]


def score_section(claim: Record, product: Product | None) -> Section:
    """The scores, and where they lie between the product's cut-offs."""
    points = []
    for name, meaning in (("anomaly", "0 like an honest claim, 1 not at all"), ("trust", "1 fully trusted, 0 not")):
        score = claim.get(f"{name}_score")
        terms = None if product is None else product.decision.scores.get(name)
        if score is None and terms is None:
            continue
        points.append(f"{name.capitalize()} score: {'not measured' if score is None else number(score)} ({meaning})")
        if product is not None and terms is not None:
            points.append(f"  It comes about so: {score_words(terms, product)}")
        held = [f"{text} ({where})" for text, where in thresholds(name, product)]
        if held:
            points.append(f"  held against: {'; '.join(held)}")
        cut_offs = (terms.cut_offs or MODEL_SCALE) if isinstance(terms, ModelScore) else ()
        if score is not None and cut_offs:
            points += [f"  {line}" for line in _scale(score, cut_offs)]
    return Section("Scores", tuple(points) or ("None: the claim was decided without a score.",))


def _scale(score: float, cut_offs: Sequence[CutOff]) -> list[str]:
    """A bar from 0 to 1 with the score (*) and the cut-offs (|), and the share of honest claims beyond."""
    bar = ["-"] * (_BAR + 1)
    for each in cut_offs:
        bar[round(each.at * _BAR)] = "|"
    bar[round(min(1.0, max(0.0, score)) * _BAR)] = "*"
    above = [each for each in cut_offs if score > each.at]
    beyond = f"{(above[-1]).honest_beyond * 100:g}% of honest claims score above {above[-1].at:g}" if above else ""
    place = f"above {above[-1].at:g}: {beyond}" if above else f"at most {cut_offs[0].at:g}, as most honest claims are"
    marks = ", ".join(f"{each.at:g}" for each in cut_offs)
    return [f"0 {''.join(bar)} 1   (* this claim, | {marks})", f"{place}"]


def decision_section(records: ClaimRecords, product: Product | None) -> Section:
    """The decision with its rule and reasons."""
    claim, runs = records.claim, status_runs(records.revisions)
    points = [f"{claim['status'].replace('_', ' ')}, {local_minute(claim['decided_at'])}"]
    if claim["reasons"]:
        points.append("Reasons, the weightiest first, in the words that the rider is told:")
        points += [f'  {code}: "{reason_in_words(code)}"' for code in claim["reasons"]]
    else:
        points.append("No reason is given: nothing spoke against it.")
    points += _how(runs, records, product)
    return Section("Decision", tuple(points))


def _how(runs: Sequence[StatusRun], records: ClaimRecords, product: Product | None) -> list[str]:
    run = runs[-1]
    reasons = run.first["reasons"]
    if (words := _by_guard(run)) is not None:
        return [words]
    if reasons and reasons[0] in _NO_RULE and reasons[0] not in _LATER:
        return [_NO_RULE[reasons[0]]]
    if run.before is not None and run.before["status"] == "step_up" and run.first["status"] == "approved":
        due_ms = run.before.get("answer_by")
        if due_ms is None or run.first["decided_at"] < due_ms:
            return ["No rule decided it: it waited for the rider's answer, and was approved before the time was over."]
    if product is None:
        return [_NO_PRODUCT]
    rules, where = _rules_for(runs, records, product)
    if rules is None:
        return ["The record does not name the hold that ran out, so the rule cannot be told."]
    found = applied(rules, run.first, records, product)
    points = [f"The product's rules{where}, in their order (the first that holds decides):"]
    points += _told(found, run.first, product)
    return points


def _by_guard(run: StatusRun) -> str | None:
    """Which part of the guard decided, where it did: it counts beside the product's rules, the stricter of both."""
    reason = next(iter(run.first["reasons"]), None)
    strong = [each["signal"] for each in run.first.get("guard") or () if each["status"] == "strong"]
    outcome = (run.first.get("reread") or {}).get("outcome")
    if _is_verification(run.first):
        return "The guard asks for a verification, whatever the product's rules say: one of its signals is strong."
    if run.first["status"] == "manual_review" and reason in strong:
        return (
            "The guard sends it to a person, whatever the product's rules say: more than one of its signals is strong, "
            "or one since the rider was asked, or the claim is of a ring."
        )
    if run.before is None or run.before["status"] != "step_up":
        return None
    if reason in _REREAD:
        return "The re-read of the phone after the rider's answer decided it."
    if run.first["status"] == "approved" and outcome == "released":
        return "No rule decided it: the rider confirmed, and the re-read of the phone supports the claim."
    if _is_verification(run.before):
        return "The guard's verification ran out, and a person reviews what was not answered."
    return None


_REREAD = ("reread_not_measured", "reread_elsewhere")


def _is_verification(claim: Record) -> bool:
    """Whether a revision waits in the guard's own hold, which is of no product file."""
    return claim["status"] == "step_up" and next(iter(claim["reasons"]), "").startswith("verify:")


_NO_PRODUCT = (
    "The rule that decided cannot be told without the product's file of this version; give it with --product-file."
)


def _told(found: Sequence[Applied], first: Record, product: Product) -> list[str]:
    points = []
    for place, each in enumerate(found, 1):
        when = "otherwise" if each.rule.when is None else f"if {formula_words(each.rule.when, product)}"
        verdict = {True: "holds", False: "does not hold", None: "cannot be told"}[each.holds]
        values = ", ".join(f"{name} = {value_words(value)}" for name, value in each.inputs.items())
        verdict += " (as the reason tells)" if each.by_reason else ""
        lack = f"; the record lacks {', '.join(each.lacking)}" if each.holds is None else ""
        points.append(
            f"  {place}. {when}: {_outcome(each.rule, product)} -> {verdict}{values and f' ({values})'}{lack}"
        )
    deciding = next((each.rule for each in found if each.holds), None)
    if deciding is None or any(each.holds is None for each in found):
        if deciding is None or not _leads_to(deciding, first, product):
            points.append("Which rule decided cannot be told from the record alone.")
        return points
    if not _leads_to(deciding, first, product):
        points.append(
            f"That is stricter than what happened ({first['status'].replace('_', ' ')}). With fewer than "
            f"{product.decision.signals_for_stricter} independent signals measured nothing stricter than waiting "
            "happens because of a score; the record does not state how many signals there were."
        )
    return points


def _outcome(rule: Rule, product: Product) -> str:
    return outcome_words(rule, product).replace('", below)', '")')


def applied(rules: Sequence[Rule], first: Record, records: ClaimRecords, product: Product) -> list[Applied]:
    """Rules applied to what a revision states, up to the first that holds."""
    inputs, found = rule_inputs(first, records), []
    for rule in rules:
        names = sorted(rule.when.names) if rule.when is not None else []
        lacking = tuple(name for name in names if name not in inputs)
        holds: bool | None = True
        by_reason = False
        if rule.when is not None:
            try:
                holds = bool(rule.when.value(inputs))
            except KeyError:
                # A rule's own reason is the first of the record's, if that rule decided.
                by_reason = rule.reason is not None
                holds = rule.reason == next(iter(first["reasons"]), None) if by_reason else None
        stated = {name: inputs[name] for name in names if name in inputs}
        found.append(Applied(rule, holds, by_reason, stated, lacking))
        if holds:
            break
    return found


def rule_inputs(claim: Record, records: ClaimRecords) -> dict[str, Any]:
    """The inputs of rules that the records state; None: not measured."""
    terms = terms_of(claim)
    inputs: dict[str, Any] = dict(claim["features"])
    inputs |= {"anomaly": claim.get("anomaly_score"), "trust": claim.get("trust_score")}
    disruption = disruption_at(records.disruptions, claim["decided_at"])
    if disruption is not None:
        inputs["providers"] = len(disruption["providers"])
    stated = {"trust_tier": terms.get("trust_tier", "absent")}
    if isinstance(activity := terms.get("activity"), Mapping):
        stated |= {name: activity.get(field) for name, field in _ACTIVITY.items()}
    # payout_terms are open: what is no number there is not stated.
    return inputs | {name: value for name, value in stated.items() if value is None or is_number(value)}


_ACTIVITY = {"peers": "peers", "sigma": "sigma", "activity_drop": "drop"}
"""Inputs of rules, by their names in an activity test's result."""


def _rules_for(runs: Sequence[StatusRun], records: ClaimRecords, product: Product) -> tuple[Sequence[Rule] | None, str]:
    """The rules that decided the last status: the first ones, or those of the hold before (None: not known)."""
    before = runs[-1].before
    if before is None or before["status"] not in WAITING:
        return product.decision.first, ""
    hold = hold_of(runs[:-1], records, product)
    return (None, "") if hold is None else (hold.then, f" after {hold.name}")


def hold_of(runs: Sequence[StatusRun], records: ClaimRecords, product: Product) -> Hold | None:
    """The hold of the last of some runs of a status; None where it does not follow from the record."""
    status = runs[-1].first["status"]
    if _is_verification(runs[-1].first):
        return None
    holds = [hold for hold in product.decision.holds.values() if hold.status == status]
    if len(holds) == 1:
        return holds[0]
    rules, _ = _rules_for(runs, records, product)
    found = applied(rules or (), runs[-1].first, records, product)
    deciding = next((each.rule.then for each in found if each.holds), None)
    if deciding is None or any(each.holds is None for each in found):
        return None
    hold = product.decision.holds.get(deciding)
    return hold if hold is not None and hold.status == status else None


def _leads_to(rule: Rule, claim: Record, product: Product) -> bool:
    """Whether a rule's outcome is a claim's status."""
    hold = product.decision.holds.get(rule.then)
    return claim["status"] == (hold.status if hold is not None else {"approve": "approved"}.get(rule.then, rule.then))


def waiting_section(records: ClaimRecords, product: Product | None) -> Section:
    """Holds, answers and timers, in their order."""
    runs, points = status_runs(records.revisions), []
    for place, run in enumerate(runs):
        first, status = run.first, run.first["status"]
        if status not in WAITING:
            continue
        hold = None if product is None else hold_of(runs[: place + 1], records, product)
        name = "" if hold is None else f" ({hold.name})"
        name = " (the guard's verification)" if _is_verification(first) else name
        until_ms = first.get("answer_by") or (None if hold is None else first["decided_at"] + hold.wait_ms)
        lasts = f", for {duration(hold.wait_ms)}" if hold is not None else ""
        until = f", until {local_minute(until_ms)}" if until_ms is not None else ""
        what = "waits, to be scored again" if status == "soft_hold" else "the rider is asked to confirm"
        points.append(
            f"{status.replace('_', ' ')}{name} from {local_minute(first['decided_at'])}{lasts}{until}: {what}"
        )
        points.append(f"  {_ended(run, until_ms)}")
    return Section("Holds, answers and timers", tuple(points) or ("None: the claim never waited.",))


def _ended(run: StatusRun, until_ms: int | None) -> str:
    after, status = run.after, run.first["status"]
    if after is None:
        return "It still waits as of this revision."
    at = local_minute(after["decided_at"])
    then = after["status"].replace("_", " ")
    if after["reasons"] and after["reasons"][0] == "answer_denied":
        return f"The rider answered at {at} that the claim is not theirs: {then}."
    if after["status"] in ("withdrawn", "ineligible"):
        return f"It ended at {at}, before the time was over: {then}."
    if until_ms is not None and after["decided_at"] < until_ms:
        if status == "step_up" and after["status"] == "approved":
            return f"The rider confirmed at {at}, in time: {then}."
        return f"It ended at {at}, before the time was over: {then}."
    if until_ms is None:
        return f"It ended at {at}: {then}."
    answer = " without an answer that counts" if status == "step_up" else ""
    return f"The time ran out at {at}{answer}: {then}."
