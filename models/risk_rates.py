"""The table of a model card: what a model's risks alone do to claims of honest riders and attackers.

What follows from them, with rules, guard and answers, is in `models/evaluation/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monsoon.models.rates import Rate
from monsoon.transforms.scoring import Scores

HONEST = "honest"
APPROVE_BELOW, HOLD_UP_TO, SIGNALS_FOR_STEP_UP = 0.40, 0.72, 3  # kawaach's tiers
FALSE_POSITIVES = 0.001


@dataclass(frozen=True)
class Outcome:
    """How the claims of one kind of rider fare.

    `silent`: of all claims, those with fewer than SIGNALS_FOR_STEP_UP sensor groups measured; a phone that reports
    nothing is no evidence, so no model can catch it. The others are of the claims with evidence: approved at once,
    softly held, stepped up, and with a risk above the one that FALSE_POSITIVES of the honest exceed.
    """

    kind: str
    silent: Rate
    approved: Rate
    held: Rate
    stepped_up: Rate
    beyond: Rate


def evaluate(scores: Scores, kinds: np.ndarray) -> list[Outcome]:
    """One outcome a kind, the honest first. kinds: text (n,), HONEST for the honest. Raises ValueError without any."""
    evident = scores.measured_groups >= SIGNALS_FOR_STEP_UP
    honest = np.sort(scores.risk[evident & (kinds == HONEST)])
    if not len(honest):
        raise ValueError("no honest claim to evaluate on")
    cut_off = honest[len(honest) - 1 - int(FALSE_POSITIVES * len(honest))]
    flags = (
        scores.risk < APPROVE_BELOW,
        (scores.risk >= APPROVE_BELOW) & (scores.risk <= HOLD_UP_TO),
        scores.risk > HOLD_UP_TO,
        scores.risk > cut_off,
    )

    def outcome(kind: str) -> Outcome:
        these = kinds == kind
        rates = (_rate(flag, these & evident) for flag in flags)
        return Outcome(kind, _rate(~evident, these), *rates)

    return [outcome(kind) for kind in [HONEST, *sorted(set(kinds.tolist()) - {HONEST})]]


def honest_slices(
    scores: Scores, kinds: np.ndarray, tiers: np.ndarray, groups: tuple[str, ...]
) -> list[tuple[str, Rate]]:
    """Honest claims with evidence that are not approved at once: all, by device tier, by sensor group not measured."""
    honest = (kinds == HONEST) & (scores.measured_groups >= SIGNALS_FOR_STEP_UP)
    late = scores.risk >= APPROVE_BELOW
    rates = [("all", _rate(late, honest))]
    rates += [(f"{tier} phone", _rate(late, honest & (tiers == tier))) for tier in sorted(set(tiers.tolist()))]
    for bit, group in enumerate(groups):
        rates.append((f"no {group}", _rate(late, honest & ((scores.mask >> bit & 1) == 0))))
    return rates


def report(outcomes: Iterable[Outcome], slices: Iterable[tuple[str, Rate]]) -> str:
    """Both as text for people, in columns: share, 95% interval, counts."""
    lines = []
    for outcome in outcomes:
        lines += [
            f"{outcome.kind}",
            f"  hardly any evidence    {outcome.silent}",
            "  of the rest",
            f"    approved at once     {outcome.approved}",
            f"    soft hold            {outcome.held}",
            f"    step-up              {outcome.stepped_up}",
        ]
        if outcome.kind != HONEST:
            lines.append(f"    caught at {FALSE_POSITIVES:.1%} FP    {outcome.beyond}")
    lines.append("honest claims with evidence not approved at once")
    lines += [f"    {name:20} {rate}" for name, rate in slices if rate.total]
    return "\n".join(lines) + "\n"


def _rate(flags: np.ndarray, among: np.ndarray) -> Rate:
    return Rate(int(np.count_nonzero(flags & among)), int(np.count_nonzero(among)))
