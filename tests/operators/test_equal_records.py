"""The job graph driven in memory says what the local engine says, whole or watermark by watermark."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import at, reading_record
from kit.examples import examples, mostly_slow
from kit.graph import Graph, Scripted, locally, same, settings_of
from kit.streams import STREAMS, policy_record, report, small_storm, write_streams

from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions
from monsoon.pipelines.topology import OPERATORS
from monsoon.sources.files import find_files
from monsoon.sources.parts import parts_of


@pytest.mark.parametrize("buckets", [1, 3])
def test_whole(tmp_path, buckets):
    source = write_streams(tmp_path / "in", small_storm())
    graph = Graph(settings_of(source, buckets), durable=False)
    for stream in STREAMS:
        for file in find_files(source / stream).files:
            for part in parts_of(file, 10_000_000):
                graph.read(stream, part)
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters


@pytest.mark.parametrize("seed", mostly_slow(range(2)))
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


@pytest.mark.parametrize(
    ("part_bytes", "shuffle", "restore"),
    # Each two of them in all their combinations.
    mostly_slow([(20_000, True, True), (20_000, False, False), (100_000, True, False), (100_000, False, True)]),
)
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


def at_its_own_pace(seed):
    """How far a step hears of the watermark: mostly as far as the one before; else not at all, or somewhere between."""
    chance = random.Random(seed)

    def strays(own_ms, upto_ms):
        between_ms = chance.randint(min(max(own_ms, upto_ms - 3_600_000), upto_ms), upto_ms)
        return chance.choice([upto_ms] * 6 + [own_ms, between_ms])

    return strays


@pytest.mark.parametrize("seed", mostly_slow(range(8)))
def test_watermarks_that_come_after_what_was_sent_later(tmp_path, seed):
    """A step has been sent what is of later moments than the watermark that it hears of; and is restored at times."""
    source, strays = Scripted(tmp_path / "in", buckets=3), at_its_own_pace(seed)
    ahead = moments(small_storm(every_min=5.0))
    number = 0
    while ahead:
        some, ahead = ahead[:4], ahead[4:]
        for stream in STREAMS:
            if records := [record for _, name, record in some if name == stream]:
                source.say(stream, records)
        if ahead:
            source.graph.advance(ahead[0][0] - 1, strays=strays)
        number += 1
        if number % 9 == seed:
            source.restore()
    same(source.finish().outcome, source.locally()[1])


@pytest.mark.parametrize("between", [25, 40])
def test_a_watermark_between_two_of_the_step_before(tmp_path, between):
    """The triggers go from -30 to 50 in one go and tell of 20; riders hear of 25 (and then of a report), or of 40 (and
    forget what is too old at 30) before they hear of 50."""
    source = Scripted(tmp_path / "in")
    triggers = OPERATORS.index(ConfirmDisruptions)
    records = {
        "subscriptions": [policy_record("w1", "p1")],
        "telemetry": [report("w1", minutes) for minutes in range(-60, 51)],
        "oracle_readings": [reading_record("curfew", value, minutes) for minutes, value in ((20, 1), (45, 0))],
    }
    source.play([(None, records), (-30, {})])

    def advance(minutes, step, as_far_as):
        """Steps before go all the way, that one so far, those after it not at all."""
        places = iter(range(len(OPERATORS)))

        def strays(own_ms, upto_ms):
            place = next(places)
            return upto_ms if place < step else as_far_as if place == step else own_ms

        source.graph.advance(at(minutes) - 1, strays=strays)

    advance(30, triggers, at(-30) - 1)
    advance(50, triggers + 1, at(between))
    source.say("telemetry", [report("w1", 50.5)])
    advance(52, triggers + 1, at(between))
    same(source.finish().outcome, source.locally()[1])
    assert len(source.graph.collected().outcome.payouts) == 1


@pytest.mark.slow
@given(data=st.data())
@examples(8)
def test_any_split_order_and_restart_within_the_promise_of_watermarks(tmp_path_factory, data):
    """Records come in any order after watermarks that promise no more than is kept; the graph is restored anywhere."""
    source = Scripted(tmp_path_factory.mktemp("split") / "in", buckets=data.draw(st.sampled_from([1, 2, 5])))
    ahead = moments(small_storm(every_min=2.0))
    strays = at_its_own_pace(data.draw(st.integers(0, 10**9)))
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
            upto_ms = data.draw(st.integers(ahead[0][0] - 3_600_000, ahead[0][0] - 1))
            source.graph.advance(upto_ms, strays=strays)
        if data.draw(st.booleans()):
            source.restore()
    _, expected = source.locally()
    before_the_end = {json.dumps(payout) for payout in source.graph.collected().outcome.payouts}
    assert before_the_end <= {json.dumps(payout) for payout in expected.payouts}, "never a payout that the replay lacks"
    collected = source.finish()
    same(collected.outcome, expected)
    assert not collected.late
