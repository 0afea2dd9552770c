"""The triggers of a product file: sections to terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import h3
from msgspec import UNSET

from monsoon.transforms.documents import Path, quoted, value_or_none
from monsoon.transforms.expressions import Expression, Unit
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import inputs, quantities
from monsoon.transforms.product import trigger_document as sections
from monsoon.transforms.product.document import ProductSection
from monsoon.transforms.product.faults import FaultCollector
from monsoon.transforms.product.formulas import FormulaReader
from monsoon.transforms.product.terms import (
    ActivityTest,
    Comparison,
    Level,
    OrderDrop,
    PeerThreshold,
    SecondaryCondition,
    SilentQuorum,
    Supplement,
    TelemetryCondition,
    Trigger,
)


class TriggerReader:
    """The triggers of one file; faults go to the report of `formulas`."""

    def __init__(self, terms: ProductSection, formulas: FormulaReader) -> None:
        self._terms, self._formulas = terms, formulas
        self._report: FaultCollector = formulas.report

    def triggers(self) -> tuple[Trigger, ...]:
        names = [trigger.name for trigger in self._terms.triggers]
        for index, name in enumerate(names):
            if name in names[:index]:
                self._report.add(("triggers", index, "name"), f"{quoted(name)} is the name of another trigger too")
        return tuple(self._trigger(trigger, ("triggers", index)) for index, trigger in enumerate(self._terms.triggers))

    def _trigger(self, terms: sections.TriggerSection, path: Path) -> Trigger:
        metric, formulas = METRICS[terms.metric], self._formulas
        self._platform(terms, path)
        levels = self._levels(terms, path)
        return Trigger(
            name=terms.name,
            peril=terms.peril,
            metric=terms.metric,
            levels=levels,
            sustained_ms=formulas.duration_ms(terms.sustained, (*path, "sustained")),
            clear_after_ms=formulas.duration_ms(terms.clear_after, (*path, "clear_after")),
            ttl_ms=metric.ttl_ms,
            max_gap_ms=metric.ttl_ms,
            consensus=formulas.consensus(terms.consensus, (*path, "consensus")),
            platform_only=terms.platform == "own",
            also=tuple(self._also(also, (*path, "also", index)) for index, also in enumerate(terms.also)),
            telemetry_condition=self._telemetry_condition(terms, path),
            hours=self._hours(terms.hours, (*path, "hours")),
            zone_breaches=self._zones(terms, levels, path),
            activity=None if terms.activity is UNSET else self._activity(terms.activity, (*path, "activity")),
            supplements=self._supplements(terms, path),
        )

    def _platform(self, terms: sections.TriggerSection, path: Path) -> None:
        metrics = [terms.metric, *[also.metric for also in terms.also]]
        needing = [metric for metric in metrics if METRICS[metric].needs_platform]
        if needing and terms.platform is UNSET:
            self._report.add(path, f'{needing[0]} is measured by platform; the field "platform" is missing')
        if terms.platform is not UNSET and not METRICS[terms.metric].needs_platform:
            by_platform = " and ".join(sorted(name for name, each in METRICS.items() if each.needs_platform))
            self._report.add((*path, "platform"), f"{terms.metric} is of no platform; only {by_platform} are")

    def _levels(self, terms: sections.TriggerSection, path: Path) -> tuple[Level, ...]:
        known = {**self._formulas.policy, terms.metric: inputs.metric_unit(terms.metric)}
        if terms.activity is not UNSET:
            known |= inputs.ACTIVITY
        if terms.breach is not UNSET and terms.pays is not UNSET:
            return (self._level(None, terms.breach, terms.pays, terms.metric, known, path),)
        names = [level.name for level in terms.levels]
        levels = []
        for index, level in enumerate(terms.levels):
            at: Path = (*path, "levels", index)
            if level.name in names[:index]:
                self._report.add((*at, "name"), f"{quoted(level.name)} is the name of another level too")
            levels.append(self._level(level.name, level.breach, level.pays, terms.metric, known, at))
        for index, (milder, harsher) in enumerate(pairwise(levels), 1):
            if (
                milder.breach is not None
                and harsher.breach is not None
                and not _stricter(milder.breach, harsher.breach)
            ):
                problem = f'"{harsher.breach}" is no stricter than "{milder.breach}"'
                self._report.add(
                    (*path, "levels", index, "breach"), f"{problem}; levels share one operator and stand mildest first"
                )
        return tuple(levels)

    def _level(
        self, name: str | None, breach: str, pays: str, metric: str, known: Mapping[str, Unit], path: Path
    ) -> Level:
        found = Level(
            name,
            self._formulas.comparison(breach, metric, (*path, "breach")),
            self._formulas.payout(pays, known, (*path, "pays")),
        )
        if found.breach is not None and found.pays is not None:
            self._pays_something(found, metric, (*path, "pays"))
        return found

    def _pays_something(self, level: Level, metric: str, path: Path) -> None:
        """A fault where the formula comes to nothing, or less, whatever a rider earns and however hard it strikes."""
        for plan in self._terms.plans.values():
            terms = {term: quantities.bare_number(value) for term, value in plan.terms.items()}
            if any(_value_for(level.pays, {**sample, **terms}) for sample in _samples(level.breach, metric)):
                return
        self._report.add(path, f"{quoted(level.pays.text)} never comes to an amount above 0")

    def _also(self, also: sections.AlsoSection, path: Path) -> SecondaryCondition:
        return SecondaryCondition(
            also.metric,
            self._formulas.comparison(also.breach, also.metric, (*path, "breach")),
            self._formulas.consensus(also.consensus, (*path, "consensus")),
            METRICS[also.metric].ttl_ms,
        )

    def _telemetry_condition(self, terms: sections.TriggerSection, path: Path) -> TelemetryCondition | None:
        quorum, drop, formulas = terms.silent_quorum, terms.order_drop, self._formulas
        if quorum is not UNSET and drop is not UNSET:
            self._report.add((*path, "order_drop"), "silent_quorum is there too; a trigger has one of them")
        if quorum is not UNSET:
            at: Path = (*path, "silent_quorum")
            self._report.known((*at, "trust"), quorum.trust, self._terms.decision.scores, "score")
            if terms.platform is UNSET:
                self._report.add(at, 'it counts the riders of one platform; "platform: own" is missing')
            before_ms = formulas.positive_duration_ms(quorum.before, (*at, "before"))
            silent_ms = formulas.positive_duration_ms(quorum.silent, (*at, "silent"))
            if before_ms is not None and silent_ms is not None and silent_ms >= before_ms:
                self._report.add(
                    (*at, "silent"), f"{quoted(quorum.silent)} is not shorter than before, {quorum.before}"
                )
            return SilentQuorum(
                quorum.min_trust,
                quorum.reach,
                before_ms,
                silent_ms,
                quorum.trust,
                value_or_none(quorum.model),
                quorum.min_measured,
                None
                if quorum.insured_for is UNSET
                else formulas.positive_duration_ms(quorum.insured_for, (*at, "insured_for")),
            )
        if drop is UNSET:
            return None
        at = (*path, "order_drop")
        if drop.min_weeks > drop.weeks:
            self._report.add((*at, "min_weeks"), f"{drop.min_weeks} is more than weeks, {drop.weeks}")
        return OrderDrop(
            formulas.share(drop.min_drop, (*at, "min_drop")),
            formulas.positive_duration_ms(drop.window, (*at, "window")),
            drop.weeks,
            drop.min_weeks,
            formulas.positive_duration_ms(drop.seen, (*at, "seen")),
        )

    def _hours(self, texts: tuple[str, ...], path: Path) -> tuple[tuple[int, int], ...]:
        found: list[tuple[int, int]] = []
        for index, text in enumerate(texts):
            mine = self._report.attempt((*path, index), quantities.hours, text)
            if mine is None:
                continue
            for other in found:
                if mine[0] < other[1] and other[0] < mine[1]:
                    self._report.add((*path, index), f"{quoted(text)} overlaps other hours of the list")
                    break
            found.append(mine)
        return tuple(found)

    def _zones(self, terms: sections.TriggerSection, levels: tuple[Level, ...], path: Path) -> Mapping[str, Comparison]:
        resolution, found = self._terms.zone_resolution, {}
        for zone, text in terms.zones.items():
            at: Path = (*path, "zones", zone)
            if not h3.is_valid_cell(zone) or h3.get_resolution(zone) != resolution:
                self._report.add(at, f"{quoted(zone)} is no H3 cell of resolution {resolution}")
            breach = self._formulas.comparison(text, terms.metric, at)
            if len(levels) > 1:
                self._report.add(at, "a graded trigger has no thresholds by zone")
            elif breach is not None and levels[0].breach is not None and breach.operator != levels[0].breach.operator:
                self._report.add(at, f'{quoted(text)} has another operator than breach, "{levels[0].breach}"')
            found[zone] = breach
        return found

    def _activity(self, terms: sections.ActivitySection, path: Path) -> ActivityTest:
        thresholds: list[PeerThreshold] = []
        for index, each in enumerate(terms.thresholds):
            at: Path = (*path, "thresholds", index)
            above, inclusive = -1.0, True
            if each.share is not UNSET:
                match = re.fullmatch(r"(>=|>)\s*(.*)", each.share.strip())
                number = self._formulas.share(match[2] if match else each.share, (*at, "share"))
                above, inclusive = (0.0 if number is None else number), match is not None and match[1] == ">="
            if thresholds and (above, not inclusive) >= (thresholds[-1].above, not thresholds[-1].inclusive):
                self._report.add(at, "it never applies: those before it leave nothing to it")
            thresholds.append(PeerThreshold(above, each.sigma, inclusive))
        if thresholds[-1].above >= 0:
            self._report.add(
                (*path, "thresholds", len(thresholds) - 1), "the last one must apply always: without share"
            )
        return ActivityTest(
            self._formulas.positive_duration_ms(terms.every, (*path, "every")),
            self._formulas.positive_duration_ms(terms.window, (*path, "window")),
            terms.severe_drop,
            tuple(thresholds),
            terms.min_peers,
            terms.few_peers_sigma,
            terms.min_deviation,
        )

    def _supplements(self, terms: sections.TriggerSection, path: Path) -> tuple[Supplement, ...]:
        names = [each.name for each in terms.supplements]
        found = []
        for index, each in enumerate(terms.supplements):
            at: Path = (*path, "supplements", index)
            if each.name in names[:index]:
                self._report.add((*at, "name"), f"{quoted(each.name)} is the name of another supplement too")
            found.append(self._supplement(each, terms.name, at))
        return tuple(found)

    def _supplement(self, terms: sections.SupplementSection, trigger: str, path: Path) -> Supplement:
        plans = tuple(self._terms.plans) if terms.plans is UNSET else terms.plans
        for index, name in enumerate(plans):
            at: Path = (*path, "plans", index)
            if not self._report.known(at, name, self._terms.plans, "plan"):
                continue
            plan = self._terms.plans[name]
            covers = plan.triggers == "all" or trigger in plan.triggers or plan.choice is not UNSET
            if terms.plans is not UNSET and not covers:
                self._report.add(at, f"the plan {quoted(name)} does not cover the trigger {quoted(trigger)}")
        known = {**self._formulas.policy, **inputs.WEEK}
        return Supplement(
            terms.name,
            self._formulas.payout(terms.amount, known, (*path, "amount")),
            self._formulas.formula(terms.when, known, None, (*path, "when")),
            value_or_none(terms.once_per),
            plans,
        )


def _stricter(milder: Comparison, harsher: Comparison) -> bool:
    return (
        milder.operator == harsher.operator
        and milder.threshold != harsher.threshold
        and milder.holds(harsher.threshold)
    )


def _samples(breach: Comparison, metric: str) -> list[dict[str, float]]:
    """A rider of Rs 800 a day, and the metric from its threshold to far beyond."""
    rider = {"daily_wage": 800.0, "hourly_wage": 100.0, "shift_earnings": 800.0, "disrupted_hours": 4.0}
    values = [
        breach.threshold,
        1.2 * breach.threshold,
        4 * breach.threshold,
        breach.threshold / 4,
        breach.threshold + 50,
    ]
    return [{**rider, "sigma": 3.0, metric: value} for value in values]


def _value_for(pays: Expression, sample: Mapping[str, float]) -> bool:
    value = pays.value({**dict.fromkeys(pays.names, 1.0), **sample})
    return value is not None and value > 0
