"""One small scenario for all tests of this folder."""

from pathlib import Path

import polars as pl
import pytest
from kit.scenarios import COUNTS, SEED, Replayed

from monsoon.sources.scenarios import build_labeled_scenario
from monsoon.sources.simulator import load_storm


@pytest.fixture(scope="session")
def storm():
    return load_storm(str(Path(__file__).with_name("storm.yaml")))


@pytest.fixture(scope="session")
def scenario(storm):
    return build_labeled_scenario(storm, 1, SEED, counts=COUNTS)


@pytest.fixture(scope="session")
def telemetry(scenario):
    return pl.concat(scenario.telemetry()).join(scenario.labels.select("worker_id", "condition"), on="worker_id")


@pytest.fixture(scope="session")
def replayed(scenario, tmp_path_factory):
    return Replayed(scenario, tmp_path_factory.mktemp("scenarios"))
