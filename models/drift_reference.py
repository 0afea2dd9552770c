"""Makes the drift reference of a model folder (monsoon.transforms.drift) from its training claims."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from monsoon.transforms.drift.reference import DriftReference, FeatureReference, GroupReference, ShareAtOrBelow
from monsoon.transforms.drift.statistics import bin_counts, p_values_of, psi
from monsoon.transforms.scoring import Scorer

BINS = 10
COUNTS = (20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000)
NULL_QUANTILE = 0.99
NULL_DRAWS = 10_000
UNKNOWN_SHARE = 0.005
"""Of the values, spread evenly over the bins: as in calibration, a sensor of an honest phone in 200 may lie without the
training storms showing it. Without it one value where training had none would be a drift."""
P_POINTS = (0.0001, 0.0003, 0.001, 0.003, *(percent / 100 for percent in (*range(1, 10), *range(10, 101, 5))))
_DECIMALS = 6  # those of features in a claim's record


def drift_reference(columns: Mapping[str, npt.NDArray[np.float64]], scorer: Scorer, seed: int) -> DriftReference:
    """The reference of a model from one float64 column (n,) a feature of honest claims, NaN = not measured.

    The same columns and seed give the same reference. Raises ValueError for a feature that no claim measures.
    """
    rng = np.random.default_rng((seed, 0x647269667400))
    scores = scorer.score(columns)
    p_values = np.sort(p_values_of(scores.risk[~np.isnan(scores.risk)]))
    shares = np.searchsorted(p_values, P_POINTS, side="right") / max(1, len(p_values))
    missing = [float((scores.mask >> bit & 1 == 0).mean()) for bit in range(len(scorer.groups))]
    return DriftReference(
        claims=len(scores.mask),
        counts=COUNTS,
        features=tuple(_feature(name, columns[name], rng) for name in scorer.features),
        groups=tuple(GroupReference(*each) for each in zip(scorer.groups, np.round(missing, 6).tolist(), strict=True)),
        p_values=tuple(
            ShareAtOrBelow(*each) for each in zip(P_POINTS, np.round(shares, _DECIMALS).tolist(), strict=True)
        ),
    )


def encoded_reference(reference: DriftReference) -> bytes:
    """Its file in the model folder, a feature or group a line."""
    fields = []
    for name in reference.__struct_fields__:
        value = msgspec.json.encode(getattr(reference, name))
        if name in ("features", "groups"):
            rows = b",\n".join(msgspec.json.encode(each) for each in getattr(reference, name))
            value = b"[\n" + rows + b"\n]"
        fields.append(b'"%s":%s' % (name.encode(), value))
    return b"{" + b",\n".join(fields) + b"}\n"


def _feature(name: str, column: npt.NDArray[np.float64], rng: np.random.Generator) -> FeatureReference:
    values = np.round(column[~np.isnan(column)], _DECIMALS)
    if not len(values):
        raise ValueError(f"no training row measures {name}")
    # A value that many claims have (0, 1) is an edge, so a bin ends with it.
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="lower"))
    counts = bin_counts(values, edges.tolist())
    shares = (1.0 - UNKNOWN_SHARE) * counts / counts.sum() + UNKNOWN_SHARE / len(counts)
    null = np.array([_null_psi(count, shares, rng) for count in COUNTS])
    # Where a single claim in a rare bin decides, percentiles do not fall with every count; the reader relies on it.
    falling = np.maximum.accumulate(null[::-1])[::-1]
    return FeatureReference(name, tuple(edges.tolist()), tuple(np.round(shares, 9).tolist()), tuple(falling.tolist()))


def _null_psi(count: int, shares: npt.NDArray[np.float64], rng: np.random.Generator) -> float:
    drawn = rng.multinomial(count, shares, size=NULL_DRAWS)
    return round(float(np.quantile(psi(drawn, shares.tolist()), NULL_QUANTILE)), _DECIMALS)
