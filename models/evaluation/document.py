"""An evaluation as a JSON document, in a fixed order, and the targets that it met, for a later run to be held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monsoon.models.evaluation.floors import Curve, Floor
from monsoon.models.evaluation.measures import Amounts, Measure, Slice
from monsoon.models.evaluation.targets import SENSORS_LOST, WORST_SLICE
from monsoon.models.rates import Rate

_DIGITS = 6
_HELD = frozenset(("met", "unproven"))
"""Verdicts of a measure that is within its target."""

Met = Mapping[str, Sequence[str]]
"""By product the names of measures that were within their targets."""


def measure_row(measure: Measure) -> dict[str, Any]:
    """One measure with its counts, 95% bounds, target and verdict."""
    target = measure.target
    return {
        "product": measure.product,
        "measure": measure.name,
        "value": _rounded(measure.value),
        "unit": "ratio" if measure.name in (WORST_SLICE, *SENSORS_LOST.values()) else "share",
        **_counts(measure.rate),
        "target": None if target is None else target.words(),
        "verdict": measure.verdict,
        "detail": measure.detail,
    }


def amounts_row(amounts: Amounts) -> dict[str, Any]:
    """Rupees and hours of one product."""
    return {
        "product": amounts.product,
        "honest_claims": amounts.honest_claims,
        "honest_approved_late": amounts.late,
        "delayed_inr_per_1000_honest_claims": _rounded(amounts.late_inr_per_1000()),
        "delayed_hours_per_1000_honest_claims": _rounded(amounts.late_hours_per_1000()),
        "honest_not_approved_by_the_end": amounts.never,
        "attackers_claims_paid": amounts.attackers_paid,
        "attackers_paid_inr": _rounded(amounts.attackers_paid_paise / 100),
    }


def slice_row(each: Slice) -> dict[str, Any]:
    """Honest riders held or escalated, of one slice."""
    return {"product": each.product, "dimension": each.dimension, "value": each.value, **_counts(each.rate)}


def floor_row(floor: Floor) -> dict[str, Any]:
    """What one detector flags."""
    return {
        "product": floor.product,
        "detector": floor.detector,
        "measured": _counts(floor.measured),
        "honest": _counts(floor.honest),
        "attackers": _counts(floor.attackers),
        "kinds": {kind: _counts(rate) for kind, rate in floor.kinds},
    }


def curve_row(curve: Curve) -> dict[str, Any]:
    """The points (honest, attackers) of one curve."""
    points = [[_rounded(honest), _rounded(attackers)] for honest, attackers in curve.points]
    return {"product": curve.product, "score": curve.score, "points": points}


def met_targets(measures: Iterable[Measure]) -> dict[str, list[str]]:
    """The measures within their targets, by product, both sorted; one of too few riders to prove it is."""
    found: dict[str, list[str]] = {}
    for measure in sorted(measures, key=lambda each: (each.product, each.name)):
        if measure.verdict in _HELD:
            found.setdefault(measure.product, []).append(measure.name)
    return found


def lost_targets(before: Met, measures: Iterable[Measure], products: Iterable[str] | None = None) -> list[str]:
    """A line for each target that was met and is no longer: missed, or not measured any more, in the order of
    `before`. `products`: those that were evaluated (None: all of `before`)."""
    now = {(measure.product, measure.name): measure for measure in measures}
    evaluated = set(before if products is None else products)
    lines = []
    for product, names in before.items():
        for name in names if product in evaluated else ():
            measure = now.get((product, name))
            if measure is None:
                lines.append(f"{product}: {name}: was met, is not measured")
            elif measure.verdict not in _HELD:
                target = measure.target
                wanted = "no target" if target is None else target.words()
                value = "nothing" if measure.value is None else f"{measure.value:.6g}"
                lines.append(f"{product}: {name}: was met, is {measure.verdict}: {value}, target {wanted}")
    return lines


def _counts(rate: Rate | None) -> dict[str, Any]:
    if rate is None or not rate.total:
        return {"count": 0, "total": 0, "share": None, "low": None, "high": None}
    low, high = rate.interval()
    return {
        "count": rate.count,
        "total": rate.total,
        "share": _rounded(rate.share),
        "low": _rounded(low),
        "high": _rounded(high),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
