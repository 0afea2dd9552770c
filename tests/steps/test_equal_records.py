"""The job graph driven in memory says what the local engine says, whole or watermark by watermark."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import at
from kit.graph import Graph, Scripted, locally, same, settings_of
from kit.streams import STREAMS, small_storm, write_streams

from monsoon.pipelines.flink.plan import plan
from monsoon.sources.files import find_files, parts_of


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


def test_readings_that_concern_no_zone(tmp_path):
    records = small_storm()
    for reading in records["oracle_readings"]:
        reading |= {"lat": 19.0, "lon": 72.8}
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source))
    for stream in STREAMS:
        for file in find_files(source / stream).files:
            for part in parts_of(file, 10_000_000):
                graph.read(stream, part)
    graph.advance(at(30))
    same(graph.finish().outcome, locally(source)[1])
    assert not graph.collected().outcome.disruptions


def moments(records):
    """When each record takes effect, and the record, in that order."""
    found = []
    for stream in STREAMS:
        for record in records[stream]:
            corrects = record.get("revision") and record.get("issued_time")
            found.append((record["issued_time"] if corrects else record["event_time"], stream, record))
    return sorted(found, key=lambda entry: entry[0])


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=8)
def test_any_split_order_and_restart_within_the_promise_of_watermarks(tmp_path_factory, data):
    """Records come in any order after watermarks that promise no more than is kept; the graph is restored anywhere."""
    source = Scripted(tmp_path_factory.mktemp("split") / "in", buckets=data.draw(st.sampled_from([1, 2, 5])))
    ahead = moments(small_storm(every_min=2.0))
    while ahead:
        together = data.draw(st.integers(1, len(ahead)))
        # Some records come before others that are earlier: the watermark waits for the earliest that is missing.
        chosen = sorted({*range(together), *data.draw(st.lists(st.integers(0, len(ahead) - 1), max_size=20))})
        if data.draw(st.booleans()):
            chosen = chosen[1:] or chosen
        now = [ahead[index] for index in chosen]
        ahead = [entry for index, entry in enumerate(ahead) if index not in set(chosen)]
        now = data.draw(st.permutations(now)) if len(now) < 50 else now[::-1]
        for stream in STREAMS:
            some = [record for _, name, record in now if name == stream]
            if some:
                source.say(stream, some)
        if ahead:
            source.graph.advance(data.draw(st.integers(ahead[0][0] - 3_600_000, ahead[0][0] - 1)))
        if data.draw(st.booleans()):
            source.restore()
    _, expected = source.locally()
    before_the_end = {json.dumps(payout) for payout in source.graph.collected().outcome.payouts}
    assert before_the_end <= {json.dumps(payout) for payout in expected.payouts}, "never a payout that the replay lacks"
    collected = source.finish()
    same(collected.outcome, expected)
    assert not collected.late
