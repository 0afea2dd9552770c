"""The same records give the same bytes, however they are ordered, split, compressed, repeated or encoded."""

import json
import random

import pytest
from kit.reserves import RESERVES, answer
from kit.streams import STREAMS, small_storm, write_parquet, write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sinks.folder import STREAMS as OUTPUTS
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import load_storm, simulate

PRODUCTS = load_products()


def storm():
    """The small storm under reserves, some of which release what waits, with an answer to nothing."""
    return small_storm() | {"reserves": RESERVES, "confirmations": [answer("a", 5)]}


def outputs(source, folder):
    """The bytes of every output stream, by name."""
    replay(source, folder, PRODUCTS, list(PRODUCTS), load_scorer())
    return {stream: (folder / stream / "part-00000.jsonl").read_bytes() for stream in OUTPUTS}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    found = outputs(write_streams(folder / "in", storm()), folder / "out")
    return found | {"summary": (folder / "out" / "summary.json").read_bytes()}


def test_the_small_storm_exercises_what_it_should(plain):
    assert plain["disruptions"].count(b'"withdrawn"') == 0
    assert plain["disruptions"].count(b'"full"') > 0
    assert plain["payouts"].count(b"\n") >= 5
    assert b'"overlap"' in plain["claims"]
    assert {b'"exhausted"', b'"released"'} <= set(plain["reserve_alerts"].replace(b",", b":").split(b":"))
    assert b'"queued"' in plain["notifications"]


def test_run_again(plain, tmp_path):
    source = write_streams(tmp_path / "in", storm())
    for _ in range(2):
        found = outputs(source, tmp_path / "out")
        assert found | {"summary": (tmp_path / "out/summary.json").read_bytes()} == plain


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_split_and_gzipped(plain, tmp_path, seed):
    records = storm()
    for stream in records:
        records[stream] = random.Random(seed).sample(records[stream], len(records[stream]))
    found = outputs(write_streams(tmp_path / "in", records, parts=3 + seed, gz=seed == 1), tmp_path / "out")
    assert found | {"summary": (tmp_path / "out/summary.json").read_bytes()} == plain


def test_keys_in_another_order(plain, tmp_path):
    records = {
        stream: [dict(random.Random(n).sample(sorted(r.items()), len(r))) for n, r in enumerate(some)]
        for stream, some in storm().items()
    }
    assert outputs(write_streams(tmp_path / "in", records), tmp_path / "out").items() <= plain.items()


def test_duplicated(plain, tmp_path):
    records = {stream: some + some[::-1] + some[:5] for stream, some in storm().items()}
    assert outputs(write_streams(tmp_path / "in", records, parts=2), tmp_path / "out").items() <= plain.items()


def test_parquet(plain, tmp_path):
    assert outputs(write_parquet(tmp_path / "in", storm()), tmp_path / "out").items() <= plain.items()


@pytest.fixture(scope="module")
def delhi(tmp_path_factory):
    """A simulated Delhi storm of 60 riders as records, and its outputs."""
    folder = tmp_path_factory.mktemp("delhi")
    simulate(load_storm("delhi-2024-06-28"), riders=60, seed=5, output=folder / "in")
    records = {
        stream: [json.loads(line) for part in sorted((folder / "in" / stream).iterdir()) for line in part.open()]
        for stream in STREAMS
    }
    return folder, records, outputs(folder / "in", folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["lines", "parquet"])
def test_a_simulated_storm_shuffled_split_and_duplicated(delhi, tmp_path, encoding):
    folder, records, expected = delhi
    for stream in STREAMS:
        again = records[stream] + records[stream][::7]
        random.Random(3).shuffle(again)
        records = records | {stream: again}
    write = write_parquet if encoding == "parquet" else write_streams
    write(tmp_path / "in", records, **({} if encoding == "parquet" else {"parts": 4, "gz": True}))
    (tmp_path / "in" / "reference").symlink_to(folder / "in" / "reference")
    assert expected["payouts"]
    assert outputs(tmp_path / "in", tmp_path / "out") == expected
