"""Features and scores say what they are, in one form; their examples run."""

import doctest
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest

from monsoon.transforms import evidence, guard, scoring
from monsoon.transforms.evidence import activity, batch, device, devices, gnss, motion, policy, surroundings
from monsoon.transforms.evidence.features import FEATURES
from monsoon.transforms.scoring import product_scores, scorer
from monsoon.transforms.scoring.calibration import RiskTable, on_scale

MEASURED_BY = {
    "barometric_delta_match": surroundings.PressureSteps.barometric_delta_match,
    "shift_pattern": activity.ShiftHistory.shift_pattern,
    "riders_on_device_28d": devices.DeviceDays.riders,
    "second_implied_speed_mps": motion.max_implied_speed_mps,
}
"""Features whose function has another name, or is a method."""
OF_THE_GRAPH = {"proximity_degree", "shared_network_degree", "ring_score"}
"""Which nothing measures yet."""
SCORES = (product_scores.score_value, scorer.Scorer.score, RiskTable.risk, on_scale)

PARTS = ("Range:", "Direction:", "Missing input:", "Rests on:", "Source:")
MIN_EXAMPLES = 20


def functions():
    modules = (activity, batch, device, gnss, motion, policy, surroundings)
    for feature in FEATURES:
        if feature.name in OF_THE_GRAPH:
            continue
        found = [getattr(module, feature.name) for module in modules if hasattr(module, feature.name)]
        yield feature, MEASURED_BY.get(feature.name) or found[0]


@pytest.mark.parametrize(("feature", "function"), list(functions()), ids=lambda each: getattr(each, "name", ""))
def test_a_feature_says_range_direction_missing_input_and_source(feature, function):
    text = " ".join(inspect.getdoc(function).split())
    at = [text.find(part) for part in PARTS]
    assert -1 not in at, f"{feature.name}: no {[p for p, place in zip(PARTS, at, strict=True) if place < 0]}"
    assert at == sorted(at), f"{feature.name}: {', '.join(PARTS)}, in this order"
    direction = re.search(r"Direction: (\w+)", text)[1]
    assert direction == feature.fraud, f"{feature.name}: points to fraud when {feature.fraud}"
    stated = re.search(r"Range: (-?\d+\.\.-?\d+|-?\d+|any number)", text)[1]
    low, high = (np.isfinite(bound) for bound in (feature.low, feature.high))
    if low and high:
        assert stated == f"{feature.low:g}..{feature.high:g}", feature.name
    else:
        assert stated == (f"{feature.low:g}" if low else "any number"), feature.name
    if feature.unit not in ("share", "ratio"):
        unit = {"d": "days"}.get(feature.unit, feature.unit)
        assert re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", text), f"{feature.name}: unit {feature.unit}"


@pytest.mark.parametrize("function", SCORES, ids=lambda function: function.__qualname__)
def test_a_score_says_range_direction_and_missing_input(function):
    text = inspect.getdoc(function)
    assert [part for part in ("Range:", "Direction:", "Missing input:", "Source:") if part not in text] == []


def test_examples_run():
    """Every example in the docstrings of evidence, guard and scoring."""
    tried = failed = 0
    for package in (evidence, guard, scoring):
        for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            result = doctest.testmod(importlib.import_module(found.name), optionflags=doctest.ELLIPSIS)
            tried, failed = tried + result.attempted, failed + result.failed
    assert failed == 0
    assert tried >= MIN_EXAMPLES
