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
    """How one kind of rider fares: at once approved, softly held, stepped up; and the share whose risk exceeds the
    one that FALSE_POSITIVES of the honest exceed."""

    kind: str
    approved: Rate
    held: Rate
    stepped_up: Rate
    beyond: Rate


def evaluate(scores: Scores, kinds: np.ndarray) -> list[Outcome]:
    """One outcome a kind, the honest first. kinds: text (n,), HONEST for the honest. Raises ValueError without any.

    A claim with nothing measured has no risk and is approved; fewer than three measured sensor groups lead no
    further than a soft hold.
    """
    risk = np.nan_to_num(scores.risk, nan=0.0)
    honest = np.sort(risk[kinds == HONEST])
    if not len(honest):
        raise ValueError("no honest claim to evaluate on")
    cut_off = honest[len(honest) - 1 - int(FALSE_POSITIVES * len(honest))]
    up = (risk > HOLD_UP_TO) & (scores.measured_groups >= SIGNALS_FOR_STEP_UP)
    held = (risk >= APPROVE_BELOW) & ~up

    def outcome(kind: str) -> Outcome:
        these = kinds == kind
        total = int(these.sum())
        flags = (risk < APPROVE_BELOW, held, up, risk > cut_off)
        return Outcome(kind, *(Rate(int((flag & these).sum()), total) for flag in flags))

    return [outcome(kind) for kind in [HONEST, *sorted(set(kinds.tolist()) - {HONEST})]]


def slices(scores: Scores, kinds: np.ndarray, groups: tuple[str, ...]) -> list[tuple[str, Rate]]:
    """Honest claims not approved at once, by sensor group that was not measured, ("all", ...) first."""
    honest = kinds == HONEST
    late = honest & (np.nan_to_num(scores.risk, nan=0.0) >= APPROVE_BELOW)
    rates = [("all", Rate(int(late.sum()), int(honest.sum())))]
    for bit, group in enumerate(groups):
        without = (scores.mask >> bit & 1) == 0
        rates.append((f"no {group}", Rate(int((late & without).sum()), int((honest & without).sum()))))
    return rates


def report(outcomes: Iterable[Outcome], by_slice: Iterable[tuple[str, Rate]] = ()) -> str:
    """The outcomes as text for people; every line of it is Markdown code."""
    lines = []
    for outcome in outcomes:
        beyond = f"above the risk of {FALSE_POSITIVES:.1%} of the honest"
        lines += [
            f"{outcome.kind}",
            f"  approved at once  {outcome.approved}",
            f"  soft hold         {outcome.held}",
            f"  step-up           {outcome.stepped_up}",
        ]
        if outcome.kind != HONEST:
            lines.append(f"  {beyond}  {outcome.beyond}")
    shown = [(name, rate) for name, rate in by_slice if rate.total]
    if shown:
        lines.append("honest claims not approved at once, by what was not measured")
        lines += [f"  {name:17} {rate}" for name, rate in shown]
    return "\n".join(lines) + "\n"
