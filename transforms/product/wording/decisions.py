"""What happens when a claim is checked, in words: scores, rules in their order, holds."""

from __future__ import annotations

from monsoon.transforms.evidence.limits import MAX_WAGE_RATIO
from monsoon.transforms.plain_words import REASONS
from monsoon.transforms.product.terms import (
    MODEL_SCALE,
    FormulaScore,
    Hold,
    ModelScore,
    Product,
    Rule,
    ScoreTerms,
    WeightedScore,
)
from monsoon.transforms.product.wording.phrases import Section, duration, formula_words, listed, sentence

_SCORES = {
    "anomaly": "Anomaly score (0: like an honest claim, 1: not at all)",
    "trust": "Trust score (1: fully trusted, 0: not at all)",
}

_CONFIRMED = {
    True: (
        "your confirmation pays it once your phone has shown where it is since you were asked, as described above; if "
        "it has sent nothing of that, we look again when the time is over, and then a person reviews it."
    ),
    False: "your confirmation pays it, unless your phone has contradicted its location since you were asked.",
}
"""By whether a re-read is required."""


def decision_section(product: Product) -> Section:
    """How a claim is decided."""
    decision = product.decision
    points = [f"{_SCORES[name]}: {score_words(score, product)}" for name, score in decision.scores.items()]
    points += _rules(decision.first, product)
    for name, hold in decision.holds.items():
        points.append(_hold(name, hold, product))
    points.append(
        f"Missing data is not fraud: on fewer than {decision.signals_for_stricter} independent signals nothing "
        "stricter than waiting happens because of a score, and no claim is turned down by one: the worst is a "
        "person's review."
    )
    if any(trigger.wages for trigger in product.triggers):
        points.append(
            f"Where your stated earnings decide what is paid, and they are more than {MAX_WAGE_RATIO:g} times the "
            "median of what policies around the zone state, a person reviews the claim."
        )
    return Section("How a claim is checked", tuple(points))


def score_words(score: ScoreTerms, product: Product) -> str:
    """How a score comes about."""
    if isinstance(score, ModelScore):
        scale = listed([f"{each.honest_beyond * 100:g}% above {each.at:g}" for each in score.cut_offs or MODEL_SCALE])
        return f"by the model {score.model}, from what your phone measured. Of honest claims {scale}."
    if isinstance(score, FormulaScore):
        return sentence(formula_words(score.formula, product))
    assert isinstance(score, WeightedScore)
    parts = [
        f"{part.weight:g} {part.name.replace('_', ' ')} ({formula_words(part.value, product)})" for part in score.parts
    ]
    few = ""
    if score.mean_from:
        few = (
            f" Where the parts measured weigh less than {score.mean_from:g} of all, each of the others counts "
            f"{score.unmeasured:g} instead."
        )
    return f"{' + '.join(parts)}; a part that was not measured leaves the sum, and the others count for it.{few}"


def _rules(rules: tuple[Rule, ...], product: Product) -> list[str]:
    points = []
    for index, rule in enumerate(rules):
        then = outcome_words(rule, product)
        if rule.when is None:
            start = "Otherwise" if index else "Always"
            points.append(f"{start}: {then}.")
        else:
            points.append(f"If {formula_words(rule.when, product)}: {then}.")
    return points


def outcome_words(rule: Rule, product: Product) -> str:
    """What a rule leads to: `it is paid at once`, `a person reviews it, because ...`."""
    because = f", because {REASONS.get(rule.reason, rule.reason.replace('_', ' '))}" if rule.reason else ""
    if rule.then == "approve":
        return "it is paid at once"
    if rule.then == "manual_review":
        return f"a person reviews it{because}"
    hold = product.decision.holds[rule.then]
    how = "you are asked to confirm it" if hold.status == "step_up" else f"it waits {duration(hold.wait_ms)}"
    return f'{how}{because} ("{rule.then.replace("_", " ")}", below)'


def _hold(name: str, hold: Hold, product: Product) -> str:
    after = duration(hold.wait_ms)
    if hold.status == "step_up":
        start = (
            f"You are asked to confirm the claim; {_CONFIRMED[hold.reread_required]} Without an answer, after {after}"
        )
    else:
        start = f"The claim waits {after}. Then, scored again with what came since"
    if len(hold.then) == 1:
        rules = f", {outcome_words(hold.then[0], product)}."
    else:
        rules = ". " + " ".join(_rules(hold.then, product))
    return f'"{name.replace("_", " ")}": {start}{rules}'.replace("it is paid at once", "it is paid").replace(
        "since. ", "since: "
    )
