"""The worked examples through the job's steps: in memory, whole and watermark by watermark, and on a cluster; each says
what the local engine says, evidence and scores included."""

from __future__ import annotations

import gzip
import json
import random
import shutil

import pytest
from kit.flink_runs import in_batch, streaming
from kit.flink_runs import locally as written_locally
from kit.graph import Graph, Scripted, locally, same, settings_of

from monsoon.pipelines.runtime.intervals import FixedIntervals
from monsoon.sources.files import find_files
from monsoon.sources.parts import parts_of
from monsoon.sources.product_files import load_products
from monsoon.sources.record_store import takes_effect_ms

STREAMS = ("telemetry", "oracle_readings", "subscriptions")
EXAMPLES = [
    *(f"{name}-{period}" for name in load_products() for period in ("901", "902")),
    "waiting-903",
    "identity-903",
]


@pytest.fixture(params=EXAMPLES)
def source(request, shared):
    """The folder of one example."""
    return shared / "examples" / request.param


@pytest.mark.slow
def test_whole(source):
    graph = Graph(settings_of(source, 3), durable=False)
    for stream in STREAMS:
        for file in find_files(source / stream).files:
            for part in parts_of(file, 10_000_000):
                graph.read(stream, part)
    same_to_the_line(graph.finish(), source)


def same_to_the_line(collected, source):
    """The outcome, and the account of every line."""
    inputs, expected = locally(source)
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters
    for stream in STREAMS:
        theirs = {name: count for name, count in inputs.counts[stream].items() if name != "ignored"}
        assert collected.counts[stream] == theirs, stream


def records_of(source):
    """(when it takes effect, stream, line) of every record, in the order in which they would happen."""
    found = []
    for stream in STREAMS:
        for file in find_files(source / stream).files:
            text = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
            lines = text.decode().splitlines()
            found.extend((takes_effect_ms(json.loads(line)), stream, line) for line in lines)
    return sorted(found)


def pieces_of(records, chance):
    """Records in pieces of minutes to days, none of which has something earlier than the piece before has last."""
    while records:
        first_ms = records[0][0]
        upto_ms = first_ms + chance.choice([60_000, 300_000, 1_800_000, 7_200_000, 86_400_000])
        stop = next((n for n, each in enumerate(records) if each[0] > upto_ms), len(records))
        yield first_ms, records[:stop]
        records = records[stop:]


@pytest.mark.slow
@pytest.mark.parametrize("source", [name for name in EXAMPLES if not name.endswith("902")], indirect=True)
def test_as_it_happens(source, tmp_path):
    """In pieces in the order of time, steps lagging behind others, and resumed twice on the way."""
    chance = random.Random(source.name)
    scripted = Scripted(tmp_path / "in", buckets=2, intervals=FixedIntervals(6 * 3_600_000))
    if (source / "reference").is_dir():
        shutil.copytree(source / "reference", tmp_path / "in" / "reference")
    pieces = list(pieces_of(records_of(source), chance))
    stops = set(chance.sample(range(len(pieces)), 2))
    for number, (first_ms, records) in enumerate(pieces):
        scripted.graph.advance(first_ms - 1, lambda: chance.random() < 0.2)
        if number in stops:
            scripted.restore()
        chance.shuffle(records)
        for stream in STREAMS:
            mine = [line for _, of, line in records if of == stream]
            if mine:
                scripted.say(stream, mine)
    same_to_the_line(scripted.finish(), source)


@pytest.mark.flink
@pytest.mark.slow
def test_on_a_cluster(shared, tmp_path):
    """The others are there too, of five products at once (tests/flink/test_five_products.py)."""
    folder = shared / "examples" / "identity-903"
    expected = written_locally(folder, tmp_path / "local")
    assert in_batch(folder, tmp_path / "batch", 2, buckets=3) == expected
    assert streaming(folder, tmp_path / "stream", 2) == expected
