"""The conditions of a trigger: one for its own metric, one for each further metric, one for a public alert; thresholds
of single zones, and hours of the day."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import h3.api.basic_int as h3

from monsoon.transforms.calendar import ms_of_local_day
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import (
    MINUTE_MS,
    Comparison,
    Consensus,
    OrderDrop,
    Product,
    ProductError,
    SilentQuorum,
    TelemetryCondition,
    Trigger,
)

OWN_ROLE = 0
"""The role of a trigger's own metric among its conditions."""


@dataclass(frozen=True)
class Condition:
    """What the readings of one metric must satisfy; `breaches` by level, mildest first."""

    metric: str
    breaches: tuple[Comparison, ...]
    consensus: tuple[Consensus, ...]
    ttl_ms: int
    max_gap_ms: int = 0
    """Between neighbors of a run; where nothing must be sustained, no run is kept."""
    sustained_ms: int = 0
    hours: tuple[tuple[int, int], ...] = ()
    retention_ms: int = 0
    """Of a public alert: for how long after its end it is kept, whatever alerts follow."""

    @cached_property
    def named(self) -> frozenset[str]:
        """Providers whom a way to consensus names."""
        return frozenset(name for way in self.consensus for name in way.named)

    def in_hours(self, at_ms: int) -> bool:
        """Whether readings of that moment count toward runs."""
        if not self.hours:
            return True
        minutes = ms_of_local_day(at_ms) / MINUTE_MS
        return any(first <= minutes < last for first, last in self.hours)


def alert_condition(product: Product) -> Condition | None:
    """The condition of the public alert that a version of a product uses; None for one without such a rule.

    Raises ProductError where its rules use two different ones: a disruption carries one.
    """
    alerts = {(rule.alert, rule.breach) for rule in (product.lockout, product.alert_window) if rule is not None}
    if not alerts:
        return None
    if len(alerts) > 1:
        raise ProductError(f"{product.name}: lockout and alert_window must use the same alert")
    ((metric, breach),) = alerts
    retention_ms = 0 if product.lockout is None else product.lockout.ended_within_ms
    return Condition(metric, (breach,), (Consensus(1),), METRICS[metric].ttl_ms, retention_ms=retention_ms)


def zone_threshold(trigger: Trigger, cell: int) -> Comparison | None:
    """The zone's own threshold; None where the trigger's holds."""
    return trigger.zone_breaches.get(h3.int_to_str(cell)) if trigger.zone_breaches else None


def with_threshold(trigger: Trigger, breach: Comparison | None) -> Trigger:
    """The trigger with a zone's own threshold (None: as it is)."""
    if breach is None:
        return trigger
    return replace(trigger, levels=tuple(replace(level, breach=breach) for level in trigger.levels))


def telemetry_condition_holds(telemetry_condition: TelemetryCondition, value: float) -> bool:
    """Whether the value that telemetry measured of a zone at a moment satisfies the trigger's telemetry condition."""
    match telemetry_condition:
        case SilentQuorum():
            return value >= telemetry_condition.reach
        case OrderDrop():
            return value >= telemetry_condition.min_drop


@dataclass(frozen=True)
class SeriesRules:
    """The rules by which one series is evaluated. `conditions`: the trigger's own, then those that must hold too, last
    the public alert where `alert` is true, which need not hold; a condition's role is its place among them."""

    trigger: Trigger
    conditions: tuple[Condition, ...]
    alert: bool = False
    corroborated: Set[int] = frozenset()
    """The moments (ms) at which the riders' telemetry corroborates the readings, for a trigger with a telemetry
    condition."""
    query_times_ms: dict[int, None] = field(default_factory=dict)
    """The moments (ms) at which all other conditions breached, so that telemetry must be queried, in the order in which
    they were found; for a trigger with a telemetry condition."""

    @staticmethod
    def of(trigger: Trigger, alert: Condition | None = None, corroborated: Set[int] = frozenset()) -> SeriesRules:
        """By the trigger's own threshold (`with_threshold` for a zone's)."""
        own = Condition(
            metric=trigger.metric,
            breaches=tuple(level.breach for level in trigger.levels),
            consensus=trigger.consensus,
            ttl_ms=trigger.ttl_ms,
            max_gap_ms=trigger.max_gap_ms,
            sustained_ms=trigger.sustained_ms,
            hours=trigger.hours,
        )
        also = (Condition(each.metric, (each.breach,), each.consensus, each.ttl_ms) for each in trigger.also)
        known = () if alert is None else (alert,)
        return SeriesRules(trigger, (own, *also, *known), alert is not None, corroborated)

    @cached_property
    def required_roles(self) -> range:
        """The roles of the conditions that must hold."""
        return range(len(self.conditions) - self.alert)

    @cached_property
    def roles_by_metric(self) -> dict[str, tuple[int, ...]]:
        """By metric, the roles of its conditions."""
        metrics = [condition.metric for condition in self.conditions]
        return {metric: tuple(role for role, each in enumerate(metrics) if each == metric) for metric in metrics}

    @property
    def evaluated_at_readings(self) -> bool:
        """Whether telemetry is queried at readings of the trigger's own metric only; the last result holds in
        between."""
        return isinstance(self.trigger.telemetry_condition, OrderDrop)


def metrics_of(trigger: Trigger, alert: Condition | None) -> frozenset[str]:
    """The metrics of a trigger's conditions."""
    return frozenset({trigger.metric, *(each.metric for each in trigger.also), *((alert.metric,) if alert else ())})
