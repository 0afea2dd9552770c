"""From a forest's path length to a risk that means the same whatever was measured.

For each availability mask (which sensor groups were measured) the calibration holds the path lengths of held-out
honest rows under that mask. A claim's p-value is conformal: (1 + honest rows at least as anomalous) / (1 + honest
rows). The risk is piecewise linear in log10(p), so 0.40 is 1 honest claim in 100 and 0.72 is 1 in 1,000. A claim
more anomalous than every honest row has the least p-value there is, 1 / (1 + honest rows); below p = 1e-4 the
risk is 1.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from monsoon.transforms.product.terms import MIN_P, MODEL_SCALE, CutOff

MICRO = 1_000_000
_DECIMALS = 6
# (p, risk), p falling: the cut-offs of product files are read in these units.
RISK_KNOTS = ((1.0, 0.0), *((cut_off.honest_beyond, cut_off.at) for cut_off in MODEL_SCALE), (MIN_P, 1.0))
_REACH = 1 << 26  # beyond any path length in quanta, which float32 holds exactly


def on_scale(cut_offs: Sequence[CutOff], risk: np.ndarray) -> np.ndarray:
    """Risks, float64 (n,), on the scale that a product's cut-offs set; as they are where there are none.

    Range: 0..1 to six decimals, rising with the risk; piecewise linear in log10(p) like the risk itself, from 0 at
    p = 1 through each cut-off's score at its share of honest claims to 1 at MIN_P. Direction: high points to fraud.
    Missing input: NaN stays NaN. Source: the cut-offs of the product's file.

    >>> on_scale([CutOff(at=0.5, honest_beyond=0.001)], np.array([0.0, 0.72, 1.0, np.nan]))
    array([0. , 0.5, 1. , nan])
    """
    if not cut_offs:
        return risk
    ps, risks = zip(*reversed(RISK_KNOTS), strict=True)
    knots = [(1.0, 0.0), *((each.honest_beyond, each.at) for each in cut_offs)]
    if cut_offs[-1].honest_beyond > MIN_P:
        knots.append((MIN_P, 1.0))
    at_risk = np.interp(np.log10([p for p, _ in knots]), np.log10(ps), risks)
    return np.round(np.interp(risk, at_risk, [score for _, score in knots]), _DECIMALS)


class MaskKnots(msgspec.Struct, frozen=True):
    """Knots of one mask: path lengths in quanta, rising, and the risk there in millionths, falling.

    Between knots the risk is linear in the path length; beyond them it is that of the outermost knot.
    """

    mask: int
    paths: tuple[int, ...]
    risks: tuple[int, ...]


class Calibration(msgspec.Struct, frozen=True):
    """`honest_rows` per mask. `masks`: one for every set of groups but the empty one."""

    honest_rows: int
    risk_knots: tuple[tuple[float, float], ...]
    masks: tuple[MaskKnots, ...]


class RiskTable:
    """All masks' knots in one sorted table, so that a batch of any masks is one binary search."""

    def __init__(self, calibration: Calibration) -> None:
        """Raises ValueError unless masks rise from 1, none missing, each with rising paths."""
        if [knots.mask for knots in calibration.masks] != list(range(1, len(calibration.masks) + 1)):
            raise ValueError("masks must rise from 1, none missing")
        # Mask 0: nothing measured, no risk.
        keys, risks = [np.array([-_REACH, _REACH - 1])], [np.array([np.nan, np.nan])]
        for knots in calibration.masks:
            if len(knots.paths) != len(knots.risks) or not knots.paths or max(map(abs, knots.paths)) >= _REACH:
                raise ValueError(f"mask {knots.mask}: bad knots")
            base = 2 * _REACH * knots.mask
            keys.append(base + np.array([-_REACH, *knots.paths, _REACH - 1], dtype=np.int64))
            risks.append(np.array([knots.risks[0], *knots.risks, knots.risks[-1]], dtype=np.float64))
        self._per_mask = np.int64(2 * _REACH)
        self._keys = np.concatenate(keys)
        self._risks = np.concatenate(risks)
        steps = np.diff(self._keys)
        if (steps <= 0).any():
            raise ValueError("paths must rise")
        self._slopes = np.append(np.diff(self._risks) / steps, 0.0)

    def risk(self, path_quanta: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Risk of each row by its path length in quanta, int64 (n,), under its availability mask, uint16 (n,); float64
        (n,).

        Range: 0..1, to six decimals. Direction: high points to fraud; a shorter path is easier to isolate, so riskier.
        Missing input: NaN for an empty mask, where nothing was measured. Source: held-out honest rows under each mask
        (`calibration.json`), at the knots of the product files' cut-offs.

        >>> knots = MaskKnots(mask=1, paths=(100, 200), risks=(720_000, 400_000))
        >>> table = RiskTable(Calibration(honest_rows=9999, risk_knots=RISK_KNOTS, masks=(knots,)))
        >>> table.risk(np.array([50, 150, 900, 150]), np.array([1, 1, 1, 0], dtype=np.uint16))
        array([0.72, 0.56, 0.4 ,  nan])
        """
        keys = masks * self._per_mask + path_quanta
        at = self._keys.searchsorted(keys, side="right") - 1
        millionths = (keys - self._keys.take(at)) * self._slopes.take(at) + self._risks.take(at)
        return np.rint(millionths) / MICRO
