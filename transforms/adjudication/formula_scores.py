"""Scores of a claim by the product's formulas, beside those of its models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monsoon.transforms.adjudication.claims import Claim, ClaimScore
from monsoon.transforms.adjudication.decision import RuleInputs
from monsoon.transforms.product import ModelScore, Product
from monsoon.transforms.scoring.product_scores import score_value


def with_formula_scores(product: Product, claim: Claim, score: ClaimScore) -> ClaimScore:
    """The score with `anomaly` (risk) and `trust` as formulas of the product define them; those already there stay."""
    scores = product.decision.scores
    named: dict[str, Any] = {}
    for field, name in (("risk", "anomaly"), ("trust", "trust")):
        terms = scores.get(name)
        if terms is not None and not isinstance(terms, ModelScore) and getattr(score, field) is None:
            named[field] = score_value(terms, RuleInputs(product, claim, score))
    return replace(score, **named) if named else score
