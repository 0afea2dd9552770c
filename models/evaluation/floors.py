"""Floors: what each part would do alone, from the first scored record of each claim, without another replay.

A detector flags a claim or not; what it could not measure it does not flag. A product's rules without the guard are
not among them: a record gives the reasons of the stricter of both, so that only a second replay could tell. The
product's own score beyond the cut-off of its file stands for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from monsoon.models.evaluation.claims import ClaimFacts
from monsoon.models.evaluation.targets import ALL
from monsoon.models.rates import Rate
from monsoon.transforms.guard.signals import RING

GUARD, FOREST, OWN_SCORE, DECISION = "guard alone", "plain forest", "own score", "as decided"
ONE_SCALE, PER_MASK, WITH_GUARD, WITH_RINGS = "1 forest", "2 by mask", "3 and guard", "4 and rings"
"""Of the ablation, each with those before it: a forest on the one scale of claims that measured everything; calibrated
for what was measured; and the guard's signals that one claim has by itself; and rings."""
CURVE_POINTS = 200

_OWN_CUT_OFFS = {
    "kawaach": ("anomaly", 0.40),
    "nexora": ("anomaly", 0.50),
    "jugaad": ("anomaly", 0.15),
    "gic": ("anomaly", 0.40),
    "offshift": ("trust", 0.75),
}
"""The score that a product decides by, and from where on it does not approve at once (anomaly: from there on; trust: up
to there); the cut-offs of the files in `products/`, which a test compares."""
_FOREST_CUT_OFF = 0.72
"""Of the model's calibrated risk: one honest claim in a thousand."""
_WITHOUT_FOREST = frozenset(("gic",))
"""Its `anomaly_score` is a formula of its own."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What a detector flags: of honest claims, of all attackers' and of each kind's; `measured` of all claims."""

    product: str
    detector: str
    measured: Rate
    honest: Rate
    attackers: Rate
    kinds: tuple[tuple[str, Rate], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Shares flagged as the cut-off of a score moves from strict to lax: (honest, attackers), both growing."""

    product: str
    score: str
    points: tuple[tuple[float, float], ...]


def floors_of(product: str, claims: Iterable[ClaimFacts]) -> list[Floor]:
    """The floors of a product's claims, and as the last line what was decided."""
    counted = [claim for claim in claims if claim.counted]
    found = [
        _floor(product, GUARD, counted, lambda c: bool(c.signals), lambda c: c.scored),
    ]
    if product not in _WITHOUT_FOREST and any(claim.anomaly is not None for claim in counted):
        found.append(_floor(product, FOREST, counted, lambda c: _at_least(c.anomaly, _FOREST_CUT_OFF), _has("anomaly")))
    if product in _OWN_CUT_OFFS:
        score, cut_off = _OWN_CUT_OFFS[product]
        flags = _anomaly_from(cut_off) if score == "anomaly" else _trust_to(cut_off)
        found.append(_floor(product, OWN_SCORE, counted, flags, _has(score)))
    found.append(_floor(product, DECISION, counted, lambda c: c.escalated or c.held, lambda c: c.scored))
    return found


def ablation_of(claims: Iterable[ClaimFacts]) -> list[Floor]:
    """What each part adds to those before it, over all products. The forest flags beyond the risk that 1 in 1,000
    honest claims should have, the guard by its first signals, rings by any."""
    counted = [claim for claim in claims if claim.counted]

    def by_mask(claim: ClaimFacts) -> bool:
        return _at_least(claim.risk, _FOREST_CUT_OFF)

    def guarded(claim: ClaimFacts) -> bool:
        return by_mask(claim) or any(signal != RING for signal in claim.signals)

    detectors: tuple[tuple[str, Callable[[ClaimFacts], bool]], ...] = (
        (ONE_SCALE, lambda claim: _at_least(claim.one_scale_risk, _FOREST_CUT_OFF)),
        (PER_MASK, by_mask),
        (WITH_GUARD, guarded),
        (WITH_RINGS, lambda claim: guarded(claim) or claim.in_ring),
    )
    return [_floor(ALL, name, counted, flags, lambda c: c.scored) for name, flags in detectors] if counted else []


def curves_of(product: str, claims: Iterable[ClaimFacts]) -> list[Curve]:
    """A curve for each score that claims of the product have."""
    counted = [claim for claim in claims if claim.counted]
    curves = []
    for score, sign in (("anomaly", 1.0), ("trust", -1.0)):
        values = [getattr(claim, score) for claim in counted]
        if any(value is not None for value in values):
            risks = [None if value is None else sign * value for value in values]
            points = _points(risks, [claim.honest for claim in counted])
            if points:
                curves.append(Curve(product, score, points))
    return curves


def _points(risks: Sequence[float | None], honest: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    """Cumulative shares by falling risk, ties together; what has no risk is never flagged. Empty without claims of
    both."""
    of_honest, of_attackers = sum(honest), len(honest) - sum(honest)
    if not of_honest or not of_attackers:
        return ()
    known = sorted(((risk, is_honest) for risk, is_honest in zip(risks, honest, strict=True) if risk is not None))
    points, flagged = [(0.0, 0.0)], [0, 0]
    for number in range(len(known) - 1, -1, -1):
        flagged[known[number][1]] += 1
        if not number or known[number - 1][0] != known[number][0]:
            points.append((flagged[True] / of_honest, flagged[False] / of_attackers))
    step = -(-len(points) // CURVE_POINTS)
    return (*points[:-1:step], points[-1])


def _floor(
    product: str,
    detector: str,
    claims: Sequence[ClaimFacts],
    flags: Callable[[ClaimFacts], bool],
    measured: Callable[[ClaimFacts], bool],
) -> Floor:
    def rate(of: Iterable[ClaimFacts]) -> Rate:
        listed = [flags(claim) for claim in of]
        return Rate(sum(listed), len(listed))

    attackers = [claim for claim in claims if not claim.honest]
    kinds = sorted({claim.kind for claim in attackers})
    return Floor(
        product,
        detector,
        Rate(sum(map(measured, claims)), len(claims)),
        rate(claim for claim in claims if claim.honest),
        rate(attackers),
        tuple((kind, rate(claim for claim in attackers if claim.kind == kind)) for kind in kinds),
    )


def _at_least(value: float | None, cut_off: float) -> bool:
    return value is not None and value >= cut_off


def _has(score: str) -> Callable[[ClaimFacts], bool]:
    return lambda claim: getattr(claim, score) is not None


def _anomaly_from(cut_off: float) -> Callable[[ClaimFacts], bool]:
    return lambda claim: _at_least(claim.anomaly, cut_off)


def _trust_to(cut_off: float) -> Callable[[ClaimFacts], bool]:
    return lambda claim: claim.trust is not None and claim.trust <= cut_off
