"""The evidence of a claim: what was measured, over how many reports, what it was held against, and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monsoon.transforms.evidence.features import FEATURES, Feature
from monsoon.transforms.explanation.records import Record
from monsoon.transforms.explanation.text import number, quantity
from monsoon.transforms.expressions import comparisons
from monsoon.transforms.product import Product, Rule
from monsoon.transforms.product.wording.phrases import Section

_POINTS = {
    "high": "high values point to a false claim",
    "low": "low values point to a false claim",
    "either": "unusual values point to a false claim",
}


def evidence_section(claim: Record, product: Product | None) -> Section:
    """The features of a claim, the weightiest first, then the others in the glossary's order."""
    features: Mapping[str, Any] = claim["features"]
    reports: Mapping[str, int] = claim.get("feature_reports") or {}
    if not features:
        scored = claim.get("anomaly_score") is not None or claim.get("trust_score") is not None
        why = "The record has none." if scored else "None: the claim was decided without being scored."
        return Section("Evidence", (why,))
    weightiest = list(claim.get("weightiest_features") or ())
    known = {each.name: each for each in FEATURES}
    measured = [name for name in [*weightiest, *features] if features.get(name) is not None]
    points = [
        "What the rider's phone and records showed up to the decision; docs/glossary.md defines each feature. None "
        "of it decides by itself: it goes into the scores, or into the rules named with it."
    ]
    points.append(
        f"Weightiest in the score: {', '.join(weightiest)}." if weightiest else "No feature stands out in the score."
    )
    for name in dict.fromkeys(measured):
        points += _measured(name, features[name], reports.get(name), known.get(name), claim, product)
    missing = [name for name, value in features.items() if value is None]
    if missing:
        points.append(
            f"Not measured ({len(missing)} of {len(features)}), which counts neither for nor against a claim:"
        )
        points += [f"  {name}: {known[name].null if name in known else 'not said why'}" for name in missing]
    return Section("Evidence", tuple(points))


def _measured(
    name: str, value: float, reports: int | None, feature: Feature | None, claim: Record, product: Product | None
) -> Iterator[str]:
    weightiest = list(claim.get("weightiest_features") or ())
    mark = f" [weightiest {weightiest.index(name) + 1}]" if name in weightiest else ""
    over = f", over {reports:,} report{'s' * (reports != 1)}" if reports else ", from records rather than reports"
    unit = "" if feature is None or feature.unit in ("share", "count", "ratio") else feature.unit
    kind = "" if feature is None or unit else f" ({feature.unit})"
    yield f"{name}{mark}: {quantity(value, unit)}{kind}{over}"
    if feature is not None:
        yield f"  {feature.meaning}; {_POINTS[feature.fraud]}"
    for text, where in thresholds(name, product):
        yield f"  held against: {text} ({where})"


def thresholds(name: str, product: Product | None) -> Iterator[tuple[str, str]]:
    """The comparisons of a product's rules with an input, in words, each with where the rule stands."""
    if product is None:
        return
    for where, rule in numbered_rules(product):
        if rule.when is None or name not in rule.when.names:
            continue
        for names, text in comparisons(rule.when, {}):
            if name in names:
                yield text, where


def numbered_rules(product: Product) -> Iterator[tuple[str, Rule]]:
    """The rules of a product, each with its name: `rule 2`, `rule 1 after rescore_hold`."""
    decision = product.decision
    yield from ((f"rule {place}", rule) for place, rule in enumerate(decision.first, 1))
    for name, hold in decision.holds.items():
        yield from ((f"rule {place} after {name}", rule) for place, rule in enumerate(hold.then, 1))


def value_words(value: Any) -> str:
    """A value of a record, as a rule's input."""
    return "not measured" if value is None else number(float(value))
