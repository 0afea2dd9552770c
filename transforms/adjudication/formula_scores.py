"""Scores of a claim by the product's formulas, beside those of its models."""

from __future__ import annotations

from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import Claim, ClaimScore
from monsoon.transforms.adjudication.decision import RuleInputs
from monsoon.transforms.product import ModelScore, Product
from monsoon.transforms.scoring.product_scores import score_value


def with_formula_scores(product: Product, claim: Claim, score: ClaimScore) -> ClaimScore:
    """The score with `anomaly` (risk) and `trust` as formulas of the product define them; those already there stay."""
    risk = _formula_score(product, "anomaly", claim, score) if score.risk is None else score.risk
    trust = _formula_score(product, "trust", claim, score) if score.trust is None else score.trust
    return replace(score, risk=risk, trust=trust)


def _formula_score(product: Product, name: str, claim: Claim, score: ClaimScore) -> float | None:
    terms = product.decision.scores.get(name)
    if terms is None or isinstance(terms, ModelScore):
        return None
    return score_value(terms, RuleInputs(product, claim, score))
