"""A synthetic population of honest claims, and one forest fitted to it for all tests of the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monsoon.models.claim_features import NAMES

if TYPE_CHECKING:  # scikit-learn takes seconds to import: whoever needs it, and not every collection of the tests
    from monsoon.models.train import FittedForest

SEED = 7


def honest_claims(count: int, seed: int) -> np.ndarray:
    """float64 (count, features): plausible, complete evidence; nothing here comes from the simulator."""
    rng = np.random.default_rng(seed)
    resting = rng.random(count) < 0.3
    columns = {
        "mock_location_share": np.where(rng.random(count) < 0.002, rng.random(count), 0.0),
        "accelerometer_variance": 10 ** np.where(resting, rng.normal(-2, 0.7, count), rng.normal(0.3, 0.4, count)),
        "barometric_delta_match": rng.beta(8, 2, count),
        "gnss_cn0_agc_anomaly": np.where(rng.random(count) < 0.01, rng.beta(1, 6, count), 0.0),
        "gnss_network_time_delta_s": rng.gamma(2, 0.1, count),
        "bssid_zone_match": rng.beta(8, 1, count),
        "cell_tower_zone_match": np.minimum(1, rng.beta(20, 1, count) + 0.05),
        "battery_drain_z": rng.standard_t(6, count),
        "speed_variance_30min": np.where(resting, rng.gamma(1, 0.3, count), rng.gamma(3, 3, count)),
        "route_linearity": rng.beta(5, 4, count),
        "max_implied_speed_mps": rng.gamma(3, 4, count),
        "gps_jitter_m": rng.gamma(4, 1.2, count),
        "recent_activity_in_zone": rng.poisson(np.where(resting, 2, 9), count).astype(float),
        "claim_burst_rank": rng.random(count),
    }
    return np.column_stack([columns[name] for name in NAMES])


@pytest.fixture(scope="session")
def fitted() -> FittedForest:
    from monsoon.models.train import fit_forest

    return fit_forest(honest_claims(12_000, SEED), SEED)


@pytest.fixture(scope="session")
def model_folder(root: Path) -> Path:
    """The published model. Not to be changed."""
    return root / "models" / "onnx" / "claim_anomaly"


@pytest.fixture(scope="session")
def honest() -> Callable[[int, int], np.ndarray]:
    """(count, seed) -> complete honest rows, float64 (count, features)."""
    return honest_claims
