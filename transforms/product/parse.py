"""From a product file's document to checked terms."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import h3
import msgspec

from monsoon.transforms.expressions import Expression, ExpressionError, Unit
from monsoon.transforms.product import document as sections
from monsoon.transforms.product import inputs
from monsoon.transforms.product.quantities import amount, comparison, duration_ms, hours
from monsoon.transforms.product.terms import (
    ALWAYS_MS,
    ActivityTest,
    AlertWindow,
    Also,
    Cap,
    Consensus,
    Decision,
    FormulaScore,
    Hold,
    Level,
    Lockout,
    ModelScore,
    OrderDrop,
    Part,
    PeerThreshold,
    Plan,
    Product,
    ProductError,
    Rule,
    ScoreTerms,
    SilentQuorum,
    Supplement,
    SyndicateRule,
    Trigger,
    WeightedScore,
    Witness,
)
from monsoon.transforms.triggers.metrics import METRICS

_RATIO, _RUPEES = Unit.parse("1"), Unit.parse("INR")
_OUTCOMES = ("approve", "manual_review")


def content_version(content: bytes) -> str:
    """The version of a product or model file: 12 hexadecimal digits of its content's BLAKE2 hash."""
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def parse_product(document: object, *, version: str, where: str) -> Product:
    """The checked terms of one product file.

    `document` is the decoded file, `where` its name for messages. Raises ProductError with file, field and reason.
    """
    try:
        terms = sections.convert(document)
    except msgspec.ValidationError as error:
        raise ProductError(f"{where}: {error}") from error
    return _Parser(terms, version, where).product()


class _Parser:
    """One file; messages begin with its name."""

    def __init__(self, terms: sections.ProductSection, version: str, where: str) -> None:
        self._terms, self._version, self._where = terms, version, where
        self._plan_terms = self._units_of_plans()

    def product(self) -> Product:
        terms, where = self._terms, self._where
        if not 0 <= terms.zone_resolution <= 15:
            raise ProductError(f"{where}: zone_resolution {terms.zone_resolution} is no H3 resolution (0 to 15)")
        if not terms.plans or not terms.triggers:
            raise ProductError(f"{where}: a product needs at least one plan and one trigger")
        names = [trigger.name for trigger in terms.triggers]
        for name in names:
            if names.count(name) > 1:
                raise ProductError(f"{where}: two triggers are named {name!r}; a disruption's id needs distinct names")
        lockout, window, syndicate = terms.lockout, terms.alert_window, terms.syndicate
        return Product(
            name=terms.name,
            title=terms.title,
            version=self._version,
            zone_resolution=terms.zone_resolution,
            plans={name: self._plan(name, plan, names) for name, plan in terms.plans.items()},
            triggers=tuple(self._trigger(trigger) for trigger in terms.triggers),
            caps=tuple(
                Cap(cap.per, self._formula(cap.limit, self._payout_inputs(), _RUPEES, f"{where}: caps: {cap.per}"))
                for cap in terms.caps
            ),
            decision=self._decision(),
            presence_margin_m=self._margin_m(),
            overlap_same_peril_only=terms.overlap == "same_peril",
            once=terms.once,
            lockout=None
            if lockout is None
            else Lockout(
                self._metric(lockout.alert, f"{where}: lockout"),
                comparison(lockout.breach, f"{where}: lockout: breach"),
                duration_ms(lockout.before, f"{where}: lockout: before"),
                duration_ms(lockout.ended_within, f"{where}: lockout: ended_within"),
            ),
            alert_window=None
            if window is None
            else AlertWindow(
                self._metric(window.alert, f"{where}: alert_window"),
                comparison(window.breach, f"{where}: alert_window: breach"),
                duration_ms(window.within, f"{where}: alert_window: within"),
            ),
            syndicate=None
            if syndicate is None
            else SyndicateRule(
                needed=syndicate.needed,
                subscriptions=syndicate.subscriptions,
                subscriptions_within_ms=duration_ms(syndicate.subscriptions_within, f"{where}: syndicate"),
                riders_on_a_device=syndicate.riders_on_a_device,
                towers=syndicate.towers,
                payout_accounts=syndicate.payout_accounts,
                resting_accel_var=syndicate.resting_accel_var,
            ),
            from_ms=self._from_ms(),
        )

    # Plans.

    def _units_of_plans(self) -> dict[str, Unit]:
        """The plans' own terms by name; every plan has the same, of the same units."""
        found: dict[str, dict[str, Unit]] = {}
        for name, plan in self._terms.plans.items():
            at = f"{self._where}: plan {name!r}: terms"
            found[name] = {term: Unit.parse(amount(value, f"{at}: {term}")[1]) for term, value in plan.terms.items()}
        units = next(iter(found.values()), {})
        for name, mine in found.items():
            if mine != units:
                raise ProductError(f"{self._where}: plan {name!r}: terms: all plans need the same terms and units")
        return units

    def _plan(self, name: str, plan: sections.PlanSection, triggers: list[str]) -> Plan:
        at = f"{self._where}: plan {name!r}"
        covered = tuple(triggers) if plan.triggers == "all" else plan.triggers
        for trigger in covered:
            if trigger not in triggers:
                raise ProductError(f"{at}: triggers: no trigger {trigger!r}; there are: {', '.join(triggers)}")
        if plan.choice is not None and not 1 <= plan.choice <= len(triggers):
            raise ProductError(f"{at}: choice {plan.choice} is not 1 to {len(triggers)}, the number of triggers")
        return Plan(
            name=name,
            terms={term: amount(value, f"{at}: terms: {term}")[0] for term, value in plan.terms.items()},
            triggers=covered,
            choice=plan.choice,
            bridge=plan.bridge,
            price_inr=None if plan.price is None else self._rupees(plan.price, f"{at}: price"),
            duration_ms=None if plan.duration is None else duration_ms(plan.duration, f"{at}: duration"),
        )

    def _rupees(self, text: str, at: str) -> float:
        number, unit = amount(text, at)
        if unit != "INR":
            raise ProductError(f"{at}: {text!r} is not an amount like '99 INR'")
        return number

    # Triggers.

    def _trigger(self, terms: sections.TriggerSection) -> Trigger:
        at = f"{self._where}: trigger {terms.name!r}"
        metric = METRICS[self._metric(terms.metric, at)]
        levels = self._levels(terms, at)
        for milder, harsher in pairwise(levels):
            if milder.breach.operator != harsher.breach.operator or not milder.breach.holds(harsher.breach.threshold):
                raise ProductError(f"{at}: levels must share one operator and stand mildest first")
        zones = {zone: comparison(breach, f"{at}: zones: {zone}") for zone, breach in terms.zones.items()}
        for zone, breach in zones.items():
            if not h3.is_valid_cell(zone) or h3.get_resolution(zone) != self._terms.zone_resolution:
                raise ProductError(f"{at}: zones: {zone!r} is no H3 cell of resolution {self._terms.zone_resolution}")
            if len(levels) > 1 or breach.operator != levels[0].breach.operator:
                raise ProductError(f"{at}: zones: a zone's own threshold needs one level and its operator")
        return Trigger(
            name=terms.name,
            peril=terms.peril,
            metric=terms.metric,
            levels=levels,
            sustained_ms=duration_ms(terms.sustained, f"{at}: sustained"),
            clear_after_ms=duration_ms(terms.clear_after, f"{at}: clear_after"),
            ttl_ms=metric.ttl_ms,
            max_gap_ms=metric.ttl_ms,
            consensus=self._consensus(terms.consensus, at),
            platform_only=terms.platform == "own",
            also=tuple(
                Also(
                    self._metric(also.metric, f"{at}: also"),
                    comparison(also.breach, f"{at}: also: breach"),
                    self._consensus(also.consensus, f"{at}: also"),
                    METRICS[also.metric].ttl_ms,
                )
                for also in terms.also
            ),
            witness=self._witness(terms, at),
            hours=tuple(hours(text, f"{at}: hours") for text in terms.hours),
            zone_breaches=zones,
            activity=None if terms.activity is None else self._activity(terms.activity, f"{at}: activity"),
            supplements=tuple(self._supplement(each, at) for each in terms.supplements),
        )

    def _metric(self, name: str, at: str) -> str:
        if name not in METRICS:
            raise ProductError(f"{at}: unknown metric {name!r}; one of {', '.join(sorted(METRICS))}")
        return name

    def _levels(self, terms: sections.TriggerSection, at: str) -> tuple[Level, ...]:
        if bool(terms.levels) == (terms.breach is not None and terms.pays is not None) or (
            terms.levels and (terms.breach or terms.pays)
        ):
            raise ProductError(f"{at}: give either breach and pays, or levels")
        known = {**self._payout_inputs(), terms.metric: inputs.metric_unit(terms.metric)}
        if terms.activity is not None:
            known |= inputs.ACTIVITY
        found = [(level.name, level.breach, level.pays) for level in terms.levels]
        if terms.breach is not None and terms.pays is not None:
            return (self._level(None, terms.breach, terms.pays, known, at),)
        return tuple(self._level(name, breach, pays, known, at) for name, breach, pays in found)

    def _level(self, name: str | None, breach: str, pays: str, known: Mapping[str, Unit], at: str) -> Level:
        return Level(name, comparison(breach, f"{at}: breach"), self._formula(pays, known, _RUPEES, f"{at}: pays"))

    def _consensus(self, ways: tuple[sections.ConsensusSection, ...], at: str) -> tuple[Consensus, ...]:
        if not ways or any(way.providers < 1 for way in ways):
            raise ProductError(f"{at}: consensus needs at least one provider")
        for way in ways:
            if way.named and len(set(way.named)) < way.providers:
                raise ProductError(f"{at}: consensus of {way.providers} providers names only {', '.join(way.named)}")
        return tuple(Consensus(way.providers, way.quality, way.named) for way in ways)

    def _witness(self, terms: sections.TriggerSection, at: str) -> Witness | None:
        quorum, drop = terms.silent_quorum, terms.order_drop
        if quorum is not None and drop is not None:
            raise ProductError(f"{at}: give silent_quorum or order_drop, not both")
        if quorum is not None:
            if quorum.trust not in self._terms.decision.scores:
                raise ProductError(f"{at}: silent_quorum: trust: no score {quorum.trust!r} among decision.scores")
            if terms.platform != "own":
                raise ProductError(f"{at}: silent_quorum needs platform: own")
            return SilentQuorum(
                quorum.least_trust,
                quorum.reach,
                duration_ms(quorum.before, f"{at}: silent_quorum: before"),
                duration_ms(quorum.silent, f"{at}: silent_quorum: silent"),
                quorum.trust,
                quorum.model,
            )
        if drop is None:
            return None
        return OrderDrop(
            self._share(drop.at_least, f"{at}: order_drop: at_least"),
            duration_ms(drop.window, f"{at}: order_drop: window"),
            drop.weeks,
            drop.least_weeks,
            duration_ms(drop.seen, f"{at}: order_drop: seen"),
        )

    def _share(self, value: float | str, at: str) -> float:
        number, unit = amount(value, at)
        if unit != "1" or not 0 <= number <= 1:
            raise ProductError(f"{at}: {value!r} is not a share like '65 %'")
        return number

    def _activity(self, terms: sections.ActivitySection, at: str) -> ActivityTest:
        thresholds = []
        for each in terms.thresholds:
            above, inclusive = -1.0, True
            if each.share is not None:
                match = re.fullmatch(r"(>=|>)\s*(.*)", each.share.strip())
                if match is None:
                    raise ProductError(f"{at}: thresholds: {each.share!r} is not like '> 40 %'")
                above, inclusive = self._share(match[2], f"{at}: thresholds"), match[1] == ">="
            thresholds.append(PeerThreshold(above, each.sigma, inclusive))
        if not thresholds or thresholds[-1].above >= 0:
            raise ProductError(f"{at}: thresholds: the last one must apply always (no share)")
        return ActivityTest(
            duration_ms(terms.every, f"{at}: every"),
            duration_ms(terms.window, f"{at}: window"),
            terms.severe_drop,
            tuple(thresholds),
            terms.fewest_peers,
            terms.few_peers_sigma,
        )

    def _supplement(self, terms: sections.SupplementSection, at: str) -> Supplement:
        at = f"{at}: supplement {terms.name!r}"
        plans = tuple(self._terms.plans) if terms.plans is None else terms.plans
        for plan in plans:
            if plan not in self._terms.plans:
                raise ProductError(f"{at}: plans: no plan {plan!r}")
        known = {**self._payout_inputs(), **inputs.WEEK}
        return Supplement(
            terms.name,
            self._formula(terms.amount, known, _RUPEES, f"{at}: amount"),
            self._formula(terms.when, known, None, f"{at}: when"),
            terms.once_per,
            plans,
        )

    # Decision.

    def _decision(self) -> Decision:
        terms, where = self._terms.decision, f"{self._where}: decision"
        evidence = inputs.feature_units() | inputs.CLAIM
        scores = {
            name: self._score(score, evidence, f"{where}: score {name!r}") for name, score in terms.scores.items()
        }
        known = evidence | dict.fromkeys(scores, _RATIO)
        holds = {}
        for name, hold in terms.holds.items():
            at = f"{where}: hold {name!r}"
            rules = self._rules(hold.rules, known, at)
            holds[name] = Hold(name, hold.status, duration_ms(hold.wait, f"{at}: wait"), rules, hold.answered)
        return Decision(scores, self._rules(terms.rules, known, where), holds, terms.signals_for_stricter)

    def _score(self, terms: sections.ScoreSection, known: Mapping[str, Unit], at: str) -> ScoreTerms:
        if [terms.model is not None, terms.formula is not None, bool(terms.weighted)].count(True) != 1:
            raise ProductError(f"{at}: give one of model, formula, weighted")
        if terms.model is not None:
            return ModelScore(terms.model)
        if terms.formula is not None:
            return FormulaScore(self._formula(terms.formula, known, _RATIO, f"{at}: formula"))
        parts = []
        for part in terms.weighted:
            if not part.weight > 0:
                raise ProductError(f"{at}: part {part.part!r}: weight {part.weight:g} is not above 0")
            parts.append(Part(part.part, part.weight, self._formula(part.value, known, _RATIO, f"{at}: {part.part}")))
        return WeightedScore(tuple(parts))

    def _rules(self, terms: tuple[sections.RuleSection, ...], known: Mapping[str, Unit], at: str) -> tuple[Rule, ...]:
        possible = (*_OUTCOMES, *self._terms.decision.holds)
        rules = []
        for rule in terms:
            if rule.then not in possible:
                raise ProductError(f"{at}: rules: then: {rule.then!r} is none of {', '.join(possible)}")
            when = None if rule.when is None else self._formula(rule.when, known, None, f"{at}: rules: when")
            rules.append(Rule(rule.then, when, rule.reason, rule.certain))
        if not rules or rules[-1].when is not None:
            raise ProductError(f"{at}: rules: the last one must hold always (no when)")
        return tuple(rules)

    # Formulas and the rest.

    def _payout_inputs(self) -> dict[str, Unit]:
        return {**inputs.POLICY, **self._plan_terms}

    def _formula(self, text: str, known: Mapping[str, Unit], unit: Unit | None, at: str) -> Expression:
        try:
            return Expression.parse(text, known, unit)
        except ExpressionError as error:
            raise ProductError(f"{at}: {text!r}: {error}") from error

    def _margin_m(self) -> float:
        number, unit = amount(self._terms.presence_margin, f"{self._where}: presence_margin")
        if unit != "m" or number < 0:
            raise ProductError(f"{self._where}: presence_margin: {self._terms.presence_margin!r} is not like '500 m'")
        return number

    def _from_ms(self) -> int:
        text: Any = self._terms.in_force_from
        if text is None:
            return ALWAYS_MS
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            example = "2026-04-01T00:00:00+05:30"
            raise ProductError(
                f"{self._where}: in_force_from: {text!r} is not a moment with an offset, like '{example}'"
            )
        return round(moment.timestamp() * 1000)
