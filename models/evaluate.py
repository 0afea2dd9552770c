"""What the model does to honest riders and to attackers, on claims it was not trained on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monsoon.transforms.scoring import Scores

HONEST = "honest"
APPROVE_BELOW, HOLD_UP_TO, SIGNALS_FOR_STEP_UP = 0.40, 0.72, 3  # kawaach's tiers
FALSE_POSITIVES = 0.001
_Z95 = 1.959964


@dataclass(frozen=True)
class Rate:
    """A share of claims with its 95% Wilson interval."""

    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total if self.total else float("nan")

    def interval(self) -> tuple[float, float]:
        """(low, high); (0, 1) of nothing."""
        n, z2 = self.total, _Z95 * _Z95
        if not n:
            return 0.0, 1.0
        center = (self.share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * np.sqrt(self.share * (1 - self.share) / n + z2 / (4 * n * n))
        return max(0.0, float(center - half)), min(1.0, float(center + half))

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.share:8.3%}  [{low:.3%}, {high:.3%}]  {self.count:,} of {self.total:,}"


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
