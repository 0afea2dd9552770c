"""The `decision` section of a product file to terms: scores, rules and holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import UNSET

from monsoon.transforms.documents import Path, did_you_mean, quoted, value_or_none
from monsoon.transforms.expressions import Unit
from monsoon.transforms.product import document as sections
from monsoon.transforms.product import inputs
from monsoon.transforms.product.faults import FaultCollector
from monsoon.transforms.product.formulas import RATIO, FormulaReader
from monsoon.transforms.product.terms import (
    MIN_P,
    CutOff,
    Decision,
    FormulaScore,
    Hold,
    ModelScore,
    Rule,
    ScoreTerms,
    WeightedPart,
    WeightedScore,
)

OUTCOMES = ("approve", "manual_review")

_NEEDS = {
    "bought_in_alert_window": "an alert_window",
    "syndicate": "a syndicate",
    "peers": "a trigger with activity",
    "sigma": "a trigger with activity",
    "activity_drop": "a trigger with activity",
}
"""Inputs that need a section of the product file."""


class DecisionReader:
    """The decision of one file; faults go to the report of `formulas`."""

    def __init__(self, terms: sections.ProductSection, formulas: FormulaReader, models: Collection[str] | None) -> None:
        self._terms, self._formulas, self._models = terms, formulas, models
        self._report: FaultCollector = formulas.report
        self._evidence = {**inputs.feature_units(), **inputs.CLAIM}
        activity = any(trigger.activity is not UNSET for trigger in terms.triggers)
        there = {
            "an alert_window": terms.alert_window is not UNSET,
            "a syndicate": terms.syndicate is not UNSET,
            "a trigger with activity": activity,
        }
        self._absent = {name: what for name, what in _NEEDS.items() if not there[what]}

    def decision(self) -> Decision:
        terms = self._terms.decision
        scores: dict[str, ScoreTerms] = {}
        for name, score in terms.scores.items():
            scores[name] = self._score(score, ("decision", "scores", name))
        known = {**self._evidence, **dict.fromkeys(scores, RATIO)}
        for hold_name in terms.holds:
            if hold_name in OUTCOMES:
                problem = f"{quoted(hold_name)} is an outcome, and no name for a hold"
                self._report.add(("decision", "holds", hold_name), problem)
        holds = {name: self._hold(name, hold, known) for name, hold in terms.holds.items()}
        first = self._rules(terms.rules, known, ("decision", "rules"))
        self._holds_end(first, holds)
        return Decision(scores, first, holds, terms.signals_for_stricter)

    def _score(self, terms: sections.ScoreSection, path: Path) -> ScoreTerms:
        if terms.unmeasured is not UNSET and not terms.weighted:
            self._report.add((*path, "unmeasured"), "only a score of weighted parts has parts that are not measured")
        if terms.cut_offs and terms.model is UNSET:
            self._report.add((*path, "cut_offs"), "only a model's score has a scale that cut-offs can set")
        if terms.model is not UNSET:
            if self._models is not None:
                self._report.known((*path, "model"), terms.model, sorted(self._models), "model")
            return ModelScore(terms.model, self._cut_offs(terms.cut_offs, (*path, "cut_offs")))
        if terms.formula is not UNSET:
            return FormulaScore(self._formula(terms.formula, self._evidence, RATIO, (*path, "formula")))
        names = [part.part for part in terms.weighted]
        parts = []
        for index, part in enumerate(terms.weighted):
            at: Path = (*path, "weighted", index)
            if part.part in names[:index]:
                self._report.add((*at, "part"), f"{quoted(part.part)} is the name of another part too")
            parts.append(
                WeightedPart(part.part, part.weight, self._formula(part.value, self._evidence, RATIO, (*at, "value")))
            )
        if terms.unmeasured is UNSET:
            return WeightedScore(tuple(parts))
        return WeightedScore(tuple(parts), terms.unmeasured.counts, terms.unmeasured.below)

    def _cut_offs(self, terms: tuple[sections.CutOffSection, ...], path: Path) -> tuple[CutOff, ...]:
        """Rising scores, each with fewer honest claims beyond it; shares that a calibration can resolve."""
        found: list[CutOff] = []
        for index, each in enumerate(terms):
            at: Path = (*path, index)
            share = self._formulas.share(each.honest_beyond, (*at, "honest_beyond"))
            if share is None:
                continue
            if not MIN_P <= share < 1:
                min_share = f"{MIN_P * 100:g} %"
                self._report.add(
                    (*at, "honest_beyond"),
                    f"{quoted(each.honest_beyond)} cannot be resolved; shares from {min_share} to less than 100 % can",
                )
            if found and not (each.at > found[-1].at and share < found[-1].honest_beyond):
                self._report.add(
                    at, "cut-offs rise, and fewer honest claims lie beyond each than beyond the one before"
                )
            found.append(CutOff(each.at, share))
        if found and found[-1].at == 1 and found[-1].honest_beyond > MIN_P:
            self._report.add((*path, len(terms) - 1, "at"), "nothing lies beyond 1, the end of the scale")
        return tuple(found)

    def _hold(self, name: str, hold: sections.HoldSection, known: Mapping[str, Unit]) -> Hold:
        path: Path = ("decision", "holds", name)
        if hold.status == "step_up" and hold.answered is UNSET:
            self._report.add(path, 'a step_up asks the rider; the field "answered" is missing')
        if hold.status == "soft_hold" and hold.answered is not UNSET:
            self._report.add((*path, "answered"), "a soft_hold asks the rider nothing; step_up does")
        if hold.status == "soft_hold" and hold.reread is not UNSET:
            self._report.add((*path, "reread"), "a soft_hold asks the rider nothing; step_up does")
        wait_ms = self._formulas.positive_duration_ms(hold.wait, (*path, "wait"))
        return Hold(
            name,
            hold.status,
            wait_ms,
            self._rules(hold.rules, known, (*path, "rules")),
            value_or_none(hold.answered),
            reread_required=hold.reread != "optional",
        )

    def _rules(
        self, terms: tuple[sections.RuleSection, ...], known: Mapping[str, Unit], path: Path
    ) -> tuple[Rule, ...]:
        possible = (*OUTCOMES, *self._terms.decision.holds)
        rules = []
        for index, rule in enumerate(terms):
            at: Path = (*path, index)
            if rule.then not in possible:
                problem = f"{quoted(rule.then)} is none of {', '.join(possible)}"
                self._report.add((*at, "then"), problem + did_you_mean(rule.then, possible))
            if any(before.when is UNSET for before in terms[:index]):
                self._report.add(at, "this rule never holds: one before it holds always")
            when = None if rule.when is UNSET else self._formula(rule.when, known, None, (*at, "when"))
            rules.append(Rule(rule.then, when, value_or_none(rule.reason), rule.certain))
        if all(rule.when is not UNSET for rule in terms):
            self._report.add((*path, len(terms) - 1), "the last rule must hold always: without when")
        return tuple(rules)

    def _formula(self, text: str, known: Mapping[str, Unit], unit: Unit | None, path: Path) -> Any:
        found = self._formulas.formula(text, known, unit, path)
        if found is not None:
            for name in sorted(found.names & self._absent.keys()):
                self._report.add(path, f"{quoted(name)} is never measured: the product has not {self._absent[name]}")
        return found

    def _holds_end(self, first: tuple[Rule, ...], holds: Mapping[str, Hold]) -> None:
        """Every hold is reached, and none leads back to itself."""
        reached: set[str] = set()
        paths: list[tuple[str, ...]] = [(rule.then,) for rule in first if rule.then in holds]
        while paths:
            way = paths.pop()
            if way[-1] in reached and way[-1] not in way[:-1]:
                continue
            reached.add(way[-1])
            for index, rule in enumerate(holds[way[-1]].then):
                if rule.then in way:
                    loop = " -> ".join((*way[way.index(rule.then) :], rule.then))
                    place: Path = ("decision", "holds", way[-1], "rules", index, "then")
                    self._report.add(place, f"{quoted(rule.then)} leads back to where the claim was held: {loop}")
                elif rule.then in holds:
                    paths.append((*way, rule.then))
        for name in holds:
            if name not in reached:
                self._report.add(("decision", "holds", name), "no rule leads to this hold")
