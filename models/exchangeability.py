"""Tests, for each availability mask, that honest claims of other storms and seeds are exchangeable with calibration's.

Where they are, a claim's conformal p-value is at least as large as a uniform one, so that a cut-off flags no more
honest riders than it says.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from scipy import stats

from monsoon.models.rates import Rate
from monsoon.transforms.drift.statistics import p_values_of
from monsoon.transforms.product.terms import MODEL_SCALE
from monsoon.transforms.scoring import Scores

EXCHANGEABILITY = "exchangeability.json"
"""The file of a model folder that has these tests."""
LEVEL = 0.05
"""Of all tests of one kind together: each mask's are at this level divided by their number (Bonferroni)."""
MIN_RIDERS = 299
"""Of fewer, not even none beyond the cut-off of 1% says with 95% that no more than 1% are: 0.99^299 = 0.05."""
ALL_MASKS = -1


class Beyond(msgspec.Struct, frozen=True):
    """Riders beyond the cut-off of which this share of honest claims should be, with the 95% interval of theirs; and
    the probability of so many or more if it is (exact binomial)."""

    share: float
    riders: int
    low: float
    high: float
    p_value: float


class MaskTest(msgspec.Struct, frozen=True):
    """One mask's honest riders, each with the first claim under it.

    `mask`: ALL_MASKS for each rider's first claim under any. `not_measured`: sensor groups. `beyond`: by cut-off,
    the greatest share first. `ks_p_value`: one-sided Kolmogorov-Smirnov, of p-values smaller than uniform ones anywhere
    between 0 and 1, and `ks_at`: most so up to this one. Neither is tested where `riders` is below MIN_RIDERS.
    """

    mask: int
    not_measured: tuple[str, ...]
    riders: int
    beyond: tuple[Beyond, ...]
    ks_p_value: float
    ks_at: float

    @property
    def enough(self) -> bool:
        """Whether there are riders enough to test."""
        return self.riders >= MIN_RIDERS


class Exchangeability(msgspec.Struct, frozen=True):
    """`level`: of all masks' tests together. `held_out`: what was simulated. `masks`: the most riders first, that of
    all of them before."""

    level: float
    held_out: tuple[str, ...]
    masks: tuple[MaskTest, ...]

    @property
    def tested(self) -> tuple[MaskTest, ...]:
        """Those with riders enough."""
        return tuple(each for each in self.masks if each.enough)

    def refuted(self) -> list[MaskTest]:
        """Those beyond one of whose cut-offs are more honest riders than chance brings about."""
        tests = sum(len(each.beyond) for each in self.tested)
        return [each for each in self.tested if min(cut.p_value for cut in each.beyond) < self.level / tests]

    def not_uniform(self) -> list[MaskTest]:
        """Those whose p-values are too small somewhere, wherever that is."""
        return [each for each in self.tested if each.ks_p_value < self.level / len(self.tested)]


def exchangeability(
    scores: Scores, riders: np.ndarray, groups: Sequence[str], held_out: Sequence[str]
) -> Exchangeability:
    """Tests each mask of these honest claims; `riders` (n,) says whose claim each is."""
    measured = np.flatnonzero(scores.mask)
    masks, counts = np.unique(scores.mask[measured], return_counts=True)
    tests = [_test(ALL_MASKS, (), scores.risk[measured], riders[measured])]
    for mask in masks[np.argsort(-counts, kind="stable")].tolist():
        under = np.flatnonzero(scores.mask == mask)
        missing = tuple(group for bit, group in enumerate(groups) if not mask >> bit & 1)
        tests.append(_test(mask, missing, scores.risk[under], riders[under]))
    first, *others = tests
    return Exchangeability(LEVEL, tuple(held_out), (first, *sorted(others, key=lambda each: -each.riders)))


def _test(mask: int, missing: tuple[str, ...], risks: np.ndarray, riders: np.ndarray) -> MaskTest:
    # Claims of one rider depend on one another, and the tests are of independent ones.
    risks = risks[np.unique(riders, return_index=True)[1]]
    beyond = tuple(_beyond(risks, cut_off.honest_beyond, cut_off.at) for cut_off in MODEL_SCALE)
    uniform = stats.ks_1samp(p_values_of(risks), stats.uniform.cdf, alternative="greater")
    return MaskTest(mask, missing, len(risks), beyond, _rounded(uniform.pvalue), _rounded(uniform.statistic_location))


def _beyond(risks: np.ndarray, share: float, at: float) -> Beyond:
    count = int(np.count_nonzero(risks >= at))
    low, high = Rate(count, len(risks)).interval()
    p_value = stats.binomtest(count, len(risks), share, alternative="greater").pvalue
    return Beyond(share, count, _rounded(low), _rounded(high), _rounded(p_value))


def _rounded(value: float) -> float:
    return round(float(value), 6)


def encoded_exchangeability(found: Exchangeability) -> bytes:
    """Its file in the model folder, a mask a line."""
    head = msgspec.json.encode({"level": found.level, "held_out": found.held_out})
    masks = b",\n".join(msgspec.json.encode(each) for each in found.masks)
    return head[:-1] + b',"masks":[\n' + masks + b"\n]}\n"


def exchangeability_table(found: Exchangeability) -> str:
    """Markdown: a line a tested mask, and one of the others together."""
    rows = [_row("any" if each.mask == ALL_MASKS else _words(each.not_measured), each) for each in found.tested]
    few = [each.riders for each in found.masks if not each.enough]
    refuted, not_uniform = found.refuted(), found.not_uniform()
    shares = " | ".join(f"beyond {cut_off.honest_beyond:.1%} | p" for cut_off in MODEL_SCALE)
    return f"""\
| not measured | riders | {shares} | p, uniform | most up to |
|---|---|{"---|---|" * len(MODEL_SCALE)}---|---|
{chr(10).join(rows)}

{len(few):,} other masks have fewer than {MIN_RIDERS} riders each ({sum(few):,} together) and are
not tested: their calibration is, as every mask's, of the same honest claims with the other groups masked.
At the cut-offs refuted: {_named(refuted)}. Smaller than uniform somewhere between 0 and 1: {_named(not_uniform)}.
Products decide by cut-offs alone, so that the second says how far a p-value elsewhere can be taken at its word."""


def _row(name: str, test: MaskTest) -> str:
    cells = (
        f"{cut.riders / test.riders:.2%}, {cut.riders:,} [{cut.low:.2%}, {cut.high:.2%}] | {cut.p_value:.3g}"
        for cut in test.beyond
    )
    return f"| {name} | {test.riders:,} | {' | '.join(cells)} | {test.ks_p_value:.3g} | {test.ks_at:.2g} |"


def _named(tests: Sequence[MaskTest]) -> str:
    return "; ".join("any" if each.mask == ALL_MASKS else _words(each.not_measured) for each in tests) or "none"


def _words(groups: Sequence[str]) -> str:
    return ", ".join(groups) or "nothing"
