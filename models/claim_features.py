"""What `claim_anomaly` looks at, and the shape that each feature has for its forest.

A random split falls uniformly between a node's least and greatest value, so scale decides what a forest can see. Each
feature is therefore warped, in training only, onto a range of length 1 between ordinary and speaking as strongly
against the claim as this feature can, on a linear or logarithmic scale and flat beyond both ends. The flat ordinary
end makes the forest one-sided: a phone that shakes more than most, or a tower nearer than most, is not held against
anybody. The export maps the split thresholds back, so scoring takes plain units (monsoon.models.forest_export).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monsoon.models.forest_export import Warp
from monsoon.transforms.scoring.features import Feature, FeatureList


@dataclass(frozen=True)
class FeatureDesign:
    """`fraud_end`: where the feature has said all it can, from the specification of the evidence or, marked so,
    from measured phones. `ordinary`: the other end; None = the honest median. `strong`: the feature may by itself
    contradict a claim; the weak ones only add to others."""

    name: str
    unit: str
    group: str
    points_to_fraud: Literal["high", "low"]
    scale: Literal["linear", "log10"]
    fraud_end: float
    ordinary: float | None = None
    strong: bool = True


DESIGNS = (
    FeatureDesign("mock_location_share", "1", "mock", "high", "linear", 1.0, ordinary=0.0),
    # A phone on a table: variance 6e-5 to 2e-4 (measured); one on a scooter is above 1.
    FeatureDesign("accelerometer_variance", "(m/s2)2", "accelerometer", "low", "log10", 2e-4),
    FeatureDesign("barometric_delta_match", "1", "barometer", "low", "linear", 0.0, strong=False),
    FeatureDesign("gnss_cn0_agc_anomaly", "1", "gnss_radio", "high", "linear", 1.0, ordinary=0.0),
    FeatureDesign("gnss_network_time_delta_s", "s", "gnss_clock", "high", "log10", 5.0, ordinary=0.5),
    FeatureDesign("bssid_zone_match", "1", "wifi", "low", "linear", 0.0),
    FeatureDesign("cell_tower_zone_match", "1", "cell", "low", "linear", 0.0),
    FeatureDesign("battery_drain_z", "1", "battery", "low", "linear", -4.0, strong=False),
    FeatureDesign("speed_variance_30min", "(m/s)2", "trail", "low", "log10", 1e-2, strong=False),
    FeatureDesign("route_linearity", "1", "trail", "high", "linear", 1.0),
    FeatureDesign("teleport_mps", "m/s", "trail", "high", "log10", 70.0, ordinary=20.0),
    FeatureDesign("gps_jitter_m", "m", "trail", "low", "log10", 0.1),
    FeatureDesign("recent_activity_in_zone", "reports", "trail", "low", "linear", 0.0),
    FeatureDesign("claim_burst_rank", "1", "arrival", "high", "linear", 1.0, ordinary=0.0, strong=False),
)
NAMES = tuple(design.name for design in DESIGNS)
GROUPS = tuple(dict.fromkeys(design.group for design in DESIGNS))


def honest_medians(rows: np.ndarray) -> np.ndarray:
    """Median of each feature over the rows that measured it, float32 (features,). Raises ValueError if none did."""
    empty = [NAMES[index] for index in np.flatnonzero(np.isnan(rows).all(axis=0))]
    if empty:
        raise ValueError(f"no training row measures {', '.join(empty)}")
    return np.nanmedian(rows, axis=0).astype(np.float32)


def feature_list(medians: np.ndarray) -> FeatureList:
    features = (
        Feature(design.name, design.unit, design.group, design.points_to_fraud, float(median))
        for design, median in zip(DESIGNS, medians, strict=True)
    )
    return FeatureList(GROUPS, tuple(features))


def warps(medians: np.ndarray) -> list[Warp]:
    """One non-decreasing function a feature, onto [0, 1] where high points to fraud and [-1, 0] where low does."""
    return [_warp(design, float(median)) for design, median in zip(DESIGNS, medians, strict=True)]


def warp_rows(rows: np.ndarray, shapes: Sequence[Warp]) -> np.ndarray:
    """What the forest is fitted on, float32: each column of the float32 input, warped."""
    plain = rows.astype(np.float32).astype(np.float64)
    return np.column_stack([warp(plain[:, index]) for index, warp in enumerate(shapes)]).astype(np.float32)


def _warp(design: FeatureDesign, median: float) -> Warp:
    ordinary = median if design.ordinary is None else design.ordinary
    low, high = sorted((ordinary, design.fraud_end))
    if low == high:
        raise ValueError(f"{design.name}: the honest median is its strongest contradiction, {median:g}")
    base = 0.0 if design.points_to_fraud == "high" else -1.0
    if design.scale == "log10":
        start, span = np.log10(low), np.log10(high / low)
        return lambda x: base + (np.log10(np.clip(x, low, high)) - start) / span
    return lambda x: base + (np.clip(x, low, high) - low) / (high - low)
