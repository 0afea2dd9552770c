"""The model folder that comes along: loads, is small, and is what its card says."""

import re
import time

import numpy as np
import pytest

from monsoon.sources.model_files import load_scorer
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.folder import MANIFEST
from monsoon.transforms.scoring.forest import Forest

MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def folder(root):
    return root / "models" / "onnx" / "claim_anomaly"


@pytest.fixture(scope="module")
def scorer():
    return load_scorer()


def claim(scorer, **changed):
    medians = dict(zip(scorer.features, scorer.honest_medians.astype(float), strict=True))
    return {name: np.array([value]) for name, value in (medians | changed).items()}


def cpu_s(make):
    """The least CPU time of a few goes: what another process takes of the machine is not in it."""
    taken = []
    for _ in range(5):
        began_s = time.process_time()
        make()
        taken.append(time.process_time() - began_s)
    return min(taken)


def test_loading_costs_little_beside_reading_the_graph(folder):
    """Hashes, 2,000 claims scored for parity and what is made ready: some 7 times what onnxruntime takes to read it."""
    graph = (folder / "claim_anomaly.onnx").read_bytes()
    assert cpu_s(lambda: Scorer.load(folder)) < 25 * cpu_s(lambda: Forest(graph))


def test_it_is_small(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_BYTES


def test_nothing_lies_beside_what_the_version_covers(folder, scorer):
    manifest = (folder / MANIFEST).read_text()
    assert {path.name for path in folder.iterdir()} - {MANIFEST} == set(
        re.findall(r'"([\w.]+)": "[0-9a-f]{64}"', manifest)
    )
    assert f'"{scorer.version}"' in manifest


def test_one_odd_sensor_does_not_condemn_and_several_do(scorer):
    assert scorer.score(claim(scorer)).risk[0] < 0.05
    odd = {
        "mock_location_share": 1.0,
        "accelerometer_variance": 2e-4,
        "gnss_cn0_agc_anomaly": 1.0,
        "gnss_network_time_delta_s": 6.0,
        "bssid_zone_match": 0.0,
        "cell_tower_zone_match": 0.0,
    }
    for name, value in odd.items():
        assert scorer.score(claim(scorer, **{name: value})).risk[0] < 0.72, name
    assert scorer.score(claim(scorer, **odd)).risk[0] == 1.0


def test_losing_sensors_never_condemns_an_ordinary_claim(scorer):
    count = 1 << len(scorer.groups)
    columns = {name: np.repeat(value, count) for name, value in claim(scorer).items()}
    masks = np.arange(count)
    group_of = {f: g for g, fs in enumerate(groups_of(scorer)) for f in fs}
    for name, column in columns.items():
        column[(masks >> group_of[name] & 1) == 0] = np.nan
    scores = scorer.score(columns)
    assert (scores.mask == masks).all()
    assert np.isnan(scores.risk[0])
    assert scores.risk[1:].max() < 0.40


def groups_of(scorer):
    """Features by group, from the masks that the scorer itself gives."""
    groups = [[] for _ in scorer.groups]
    for name in scorer.features:
        alone = {other: np.array([0.5 if other == name else np.nan]) for other in scorer.features}
        groups[int(scorer.score(alone).mask[0]).bit_length() - 1].append(name)
    return groups
