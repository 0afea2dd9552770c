"""The job graph driven in memory says what the local engine says, whole or watermark by watermark."""

import json
import random

import pytest
from kit.graph import PRODUCTS, Graph, settings_of
from kit.streams import STREAMS, small_storm, write_streams

from monsoon.pipelines.flink.plan import plan
from monsoon.pipelines.local.replay import open_book, read_inputs, run_products
from monsoon.sources.files import find_files, parts_of
from monsoon.sources.model_files import load_scorer


def locally(source):
    inputs = read_inputs(source, PRODUCTS)
    return inputs, run_products(dict(PRODUCTS), inputs, open_book(inputs, source, load_scorer()))


def same(outcome, expected):
    for stream in ("disruptions", "claims", "payouts"):
        mine, theirs = getattr(outcome, stream), getattr(expected, stream)
        assert sorted(map(json.dumps, mine)) == sorted(map(json.dumps, theirs)), stream


@pytest.mark.parametrize("buckets", [1, 3])
def test_whole(tmp_path, buckets):
    source = write_streams(tmp_path / "in", small_storm())
    graph = Graph(settings_of(source, buckets), keeps=False)
    for stream in STREAMS:
        for file in find_files(source / stream).files:
            for part in parts_of(file, 10_000_000):
                graph.read(stream, part)
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters


@pytest.mark.parametrize("seed", range(4))
def test_steps_that_lag_behind_others(tmp_path, seed):
    """A step may be handed what several watermarks brought at once."""
    records, chance = small_storm(), random.Random(seed)
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source, 2))
    for planned in plan(source, 50_000)[0]:
        graph.advance(planned.low_ms - 1, lambda: chance.random() < 0.25)
        graph.read(planned.stream, planned.part)
    _, expected = locally(source)
    same(graph.finish().outcome, expected)


@pytest.mark.parametrize("part_bytes", [20_000, 100_000])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("restore", [False, True])
def test_streaming(tmp_path, part_bytes, shuffle, restore):
    records = small_storm()
    for stream in STREAMS:
        if shuffle:
            random.Random(3).shuffle(records[stream])
        else:
            records[stream].sort(key=lambda record: record["event_time"])
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source, 3))
    found, _ = plan(source, part_bytes)
    assert len(found) > 3
    for number, planned in enumerate(found):
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
        if restore and number % 5 == 2:
            graph = graph.restored()
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters
    assert not collected.late
