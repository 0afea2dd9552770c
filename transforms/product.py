"""The product: triggers, plans, payout terms and decision tiers, parsed from a product file's document.

A product is data. `parse_product` turns the decoded YAML document into typed, checked terms; whatever a product
file can say is a field here, and the machines in `monsoon.transforms.triggers` and `monsoon.transforms.adjudication`
read nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import msgspec

from monsoon.transforms.triggers.metrics import METRICS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

Quality = Literal["official", "secondary", "fallback"]


class ProductError(ValueError):
    """A product file that cannot be used; the message names the file, the field and the mend."""


class _Terms(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Base of the file's sections: an unknown key is an error, not a comment."""


class Consensus(_Terms, frozen=True):
    """One way to reach consensus: at least `providers` distinct providers, of these qualities, if any are named."""

    providers: int
    quality: tuple[Quality, ...] = ("official", "secondary", "fallback")


class Pay(_Terms, frozen=True):
    """A payout as a share of an amount that the policy states."""

    share: float
    of: Literal["daily_wage"]


class _LevelTerms(_Terms, frozen=True):
    name: str
    breach: str
    pays: Pay


class _TriggerTerms(_Terms, frozen=True):
    name: str
    peril: str
    metric: str
    consensus: tuple[Consensus, ...]
    breach: str | None = None
    pays: Pay | None = None
    levels: tuple[_LevelTerms, ...] = ()
    sustained: str = "0 s"
    clear_after: str = "60 min"
    platform: Literal["own"] | None = None


class Cap(_Terms, frozen=True):
    """At most `times` x the named amount for the rider's disruptions of one period."""

    per: Literal["local_day", "iso_week"]
    times: float
    of: Literal["daily_wage"]


class _DecisionTerms(_Terms, frozen=True):
    score: str
    approve_below: float
    hold_up_to: float
    hold: str
    step_up: str
    trusted_tiers: tuple[int, ...] = ()
    trusted_step_up_above: float = 1.0
    signals_for_step_up: int = 3


class _ProductTerms(_Terms, frozen=True):
    name: str
    title: str
    zone_resolution: int
    plans: dict[str, dict[str, Any]]
    triggers: tuple[_TriggerTerms, ...]
    decision: _DecisionTerms
    caps: tuple[Cap, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """`value operator threshold`, literally: `>` is not `>=`."""

    operator: str
    threshold: float

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.threshold)

    @property
    def larger_is_worse(self) -> bool:
        """Whether the larger of two breaching values is the more extreme one."""
        return not self.operator.startswith("<")


_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda value, threshold: value >= threshold,
    ">": lambda value, threshold: value > threshold,
    "<=": lambda value, threshold: value <= threshold,
    "<": lambda value, threshold: value < threshold,
    "=": lambda value, threshold: value == threshold,
}


@dataclass(frozen=True)
class Level:
    """One level of a trigger, mildest first; an ungraded trigger has one without a name."""

    name: str | None
    breach: Comparison
    pays: Pay


@dataclass(frozen=True)
class Trigger:
    name: str
    peril: str
    metric: str
    levels: tuple[Level, ...]
    sustained_ms: int
    clear_after_ms: int
    ttl_ms: int
    max_gap_ms: int
    consensus: tuple[Consensus, ...]
    platform_only: bool

    def level_rank(self, name: str | None) -> int:
        """0 for the mildest level."""
        return next(rank for rank, level in enumerate(self.levels) if level.name == name)


@dataclass(frozen=True)
class Decision:
    score: str
    approve_below: float
    hold_up_to: float
    hold_ms: int
    step_up_ms: int
    trusted_tiers: tuple[int, ...]
    trusted_step_up_above: float
    signals_for_step_up: int


@dataclass(frozen=True)
class Product:
    name: str
    title: str
    version: str
    zone_resolution: int
    plans: tuple[str, ...]
    triggers: tuple[Trigger, ...]
    caps: tuple[Cap, ...]
    decision: Decision

    def accepts_plan(self, plan: str) -> bool:
        """Whether a policy may name this plan; no plan of this grammar takes options yet."""
        return plan in self.plans

    def trigger(self, name: str) -> Trigger:
        return next(trigger for trigger in self.triggers if trigger.name == name)


def content_version(content: bytes) -> str:
    """The version of a product or model file: 12 hexadecimal digits of its content's BLAKE2 hash."""
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def parse_product(document: object, *, version: str, where: str) -> Product:
    """The checked terms of one product file.

    `document` is the decoded file, `where` its name for messages. Raises ProductError with file, field and reason.
    """
    try:
        terms = msgspec.convert(document, _ProductTerms)
    except msgspec.ValidationError as error:
        raise ProductError(f"{where}: {error}") from error
    if not 0 <= terms.zone_resolution <= 15:
        raise ProductError(f"{where}: zone_resolution {terms.zone_resolution} is no H3 resolution (0 to 15)")
    if not terms.plans or not terms.triggers:
        raise ProductError(f"{where}: a product needs at least one plan and one trigger")
    triggers = tuple(_trigger(trigger, where) for trigger in terms.triggers)
    names = [trigger.name for trigger in triggers]
    for name in names:
        if names.count(name) > 1:
            raise ProductError(f"{where}: two triggers are named {name!r}; a disruption's id needs distinct names")
    decision = terms.decision
    if not 0 <= decision.approve_below <= decision.hold_up_to <= 1:
        raise ProductError(f"{where}: decision: 0 <= approve_below <= hold_up_to <= 1 does not hold")
    return Product(
        name=terms.name,
        title=terms.title,
        version=version,
        zone_resolution=terms.zone_resolution,
        plans=tuple(terms.plans),
        triggers=triggers,
        caps=terms.caps,
        decision=Decision(
            score=decision.score,
            approve_below=decision.approve_below,
            hold_up_to=decision.hold_up_to,
            hold_ms=duration_ms(decision.hold, f"{where}: decision.hold"),
            step_up_ms=duration_ms(decision.step_up, f"{where}: decision.step_up"),
            trusted_tiers=decision.trusted_tiers,
            trusted_step_up_above=decision.trusted_step_up_above,
            signals_for_step_up=decision.signals_for_step_up,
        ),
    )


def _trigger(terms: _TriggerTerms, where: str) -> Trigger:
    at = f"{where}: trigger {terms.name!r}"
    if terms.metric not in METRICS:
        raise ProductError(f"{at}: unknown metric {terms.metric!r}; one of {', '.join(sorted(METRICS))}")
    single = terms.breach is not None and terms.pays is not None
    if single == bool(terms.levels) or (terms.levels and (terms.breach or terms.pays)):
        raise ProductError(f"{at}: give either breach and pays, or levels")
    if terms.breach is not None and terms.pays is not None:
        levels: tuple[Level, ...] = (Level(None, _comparison(terms.breach, at), terms.pays),)
    else:
        levels = tuple(Level(level.name, _comparison(level.breach, at), level.pays) for level in terms.levels)
    for milder, harsher in pairwise(levels):
        if milder.breach.operator != harsher.breach.operator or not milder.breach.holds(harsher.breach.threshold):
            raise ProductError(f"{at}: levels must share one operator and stand mildest first")
    if not terms.consensus or any(way.providers < 1 for way in terms.consensus):
        raise ProductError(f"{at}: consensus needs at least one provider")
    metric = METRICS[terms.metric]
    return Trigger(
        name=terms.name,
        peril=terms.peril,
        metric=terms.metric,
        levels=levels,
        sustained_ms=duration_ms(terms.sustained, f"{at}: sustained"),
        clear_after_ms=duration_ms(terms.clear_after, f"{at}: clear_after"),
        ttl_ms=metric.ttl_ms,
        max_gap_ms=metric.ttl_ms,
        consensus=terms.consensus,
        platform_only=terms.platform == "own",
    )


_COMPARISON = re.compile(r"(>=|>|<=|<|=)\s*(-?\d+(?:\.\d+)?)")


def _comparison(text: str, at: str) -> Comparison:
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ProductError(f"{at}: breach {text!r} is not like '>= 75' (one of >=, >, <=, <, = and a number)")
    return Comparison(match[1], float(match[2]))


_DURATIONS_MS = {"ms": 1, "s": 1_000, "min": MINUTE_MS, "h": HOUR_MS, "d": 24 * HOUR_MS}


def duration_ms(text: str, at: str) -> int:
    """`3 h`, `30 min`, `0 s` in milliseconds; raises ProductError naming `at`."""
    match = re.fullmatch(r"(\d+)\s*([a-z]+)", text.strip())
    if match is None or match[2] not in _DURATIONS_MS:
        units = ", ".join(_DURATIONS_MS)
        raise ProductError(f"{at}: {text!r} is not a whole number and a unit ({units}), like '30 min'")
    return int(match[1]) * _DURATIONS_MS[match[2]]
