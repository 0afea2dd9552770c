"""All five products at once on one input: each as it would be alone, and the same bytes however the input comes."""

import random

import pytest
from kit.five import PRODUCTS, five_at_once
from kit.streams import write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sinks.folder import STREAMS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products

KNOWN = load_products(PRODUCTS)

pytestmark = pytest.mark.slow


def run(source, folder, names=PRODUCTS):
    """The lines of every output, and the summary."""
    summary = replay(source, folder, KNOWN, list(names), load_scorer())
    return {stream: (folder / stream / "part-00000.jsonl").read_bytes().splitlines() for stream in STREAMS}, summary


@pytest.fixture(scope="module", params=["901"])
def storm(request, shared):
    return five_at_once(shared, request.param)


@pytest.fixture(scope="module")
def together(storm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return run(write_streams(folder / "in", storm), folder / "out")


def test_there_is_much_to_compare(together):
    found, summary = together
    assert set(summary["products"]) == set(PRODUCTS)
    for product, result in summary["products"].items():
        assert sum(result["claims"].values()) >= 50, product
        assert result["payouts"] >= 5, product
    assert all(len(found[stream]) > 100 for stream in ("disruptions", "claims", "payouts", "notifications"))


def test_each_as_if_it_were_alone(storm, together, tmp_path):
    source = write_streams(tmp_path / "in", storm)
    alone = {name: run(source, tmp_path / name, [name]) for name in PRODUCTS}
    found, summary = together
    for stream in STREAMS:
        if stream == "dead_letters":
            assert all(lines[stream] == found[stream] for lines, _ in alone.values())
        else:
            assert sorted(line for lines, _ in alone.values() for line in lines[stream]) == sorted(found[stream])
    assert {name: each["products"][name] for name, (_, each) in alone.items()} == summary["products"]


@pytest.mark.parametrize("seed", [1])
def test_however_the_input_comes(storm, together, tmp_path, seed):
    chance = random.Random(seed)
    mixed = {
        stream: chance.sample(some + some[: seed * 10], len(some) + min(len(some), seed * 10))
        for stream, some in storm.items()
    }
    source = write_streams(tmp_path / "in", mixed, parts=2 + seed, gz=seed == 1)
    assert run(source, tmp_path / "out")[0] == together[0]
