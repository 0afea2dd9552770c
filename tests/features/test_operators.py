"""What the operators of a job emit is what `monsoon features build` measures of the same input."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from kit import LAT, LON, at
from kit.examples import mostly_slow
from kit.graph import Graph, same, settings_of
from kit.streams import STREAMS, report, small_storm, write_streams
from operators.test_equal_records import at_its_own_pace

from monsoon.feature_store import FEATURE_SETS
from monsoon.pipelines.features import feature_versions
from monsoon.sources.files import FilePart

DAY_MIN = 24 * 60
HOUR_MS = 3_600_000
MEASURED = {about.name for about in FEATURE_SETS} - {"rider_claims"}
DELAYS_MIN = (None, None, None, 0, 0.03, 12, 40, 300, 420)


def records_of(seed):
    """Riders on shared phones over some days, the last hours close together, in an order of event time; many reports
    say that they were received late."""
    chance = random.Random(seed)
    telemetry = []
    for rider in range(5):
        days = [day * DAY_MIN + chance.randint(0, 200) + 3.0 * step for day in range(-8, 0) for step in range(5)]
        for number, minutes in enumerate([*days, *(3.0 * step - 60 + 0.1 * rider for step in range(30))]):
            delay_min = chance.choice(DELAYS_MIN)
            telemetry.append(
                report(
                    f"w{rider}",
                    minutes,
                    event_id=f"{rider}-{number}",
                    device_id=f"d{chance.choice((rider, rider, rider, rider % 3))}",
                    lat=LAT + chance.gauss(0, 2e-3),
                    lon=LON + chance.gauss(0, 2e-3),
                    pressure_hpa=chance.uniform(990, 991),
                    battery_pct=round(chance.uniform(20, 80), 2),
                    charging=chance.random() < 0.2,
                    **({} if delay_min is None else {"received_time": at(minutes) + round(delay_min * 60_000)}),
                )
            )
    telemetry.sort(key=lambda each: each["event_time"])
    return small_storm(every_min=5.0) | {"telemetry": telemetry}


def in_text(records):
    return sorted(map(str, records))


def built(source):
    """What `monsoon features build` puts into the store, as records."""
    return in_text(record for versions in feature_versions(source, None) for record in versions.records())


def graph_of(source, **settings):
    return Graph(settings_of(source, products=["kawaach"], features=True, **settings))


def parts_of_random_lengths(graph, source, records, chance, strays=lambda own_ms, upto_ms: upto_ms, sizes=(1, 20, 100)):
    """Hands records to a graph in the order of event time, in parts of random lengths; yields each watermark (ms) once
    the graph has worked up to it."""
    events = sorted(
        ((record["event_time"], stream, place) for stream in STREAMS for place, record in enumerate(records[stream])),
    )
    while events:
        count = chance.choice(sizes)
        now, events = events[:count], events[count:]
        graph.advance(now[0][0] - 1, strays=strays)
        yield now[0][0] - 1
        for stream in STREAMS:
            some = [records[of][place] for _, of, place in now if of == stream]
            if some:
                part = write_streams(source.parent / "parts" / str(len(events)), {stream: some})
                graph.read(stream, FilePart(part / stream / "part-0.jsonl"))


def by_time(records, parts):
    """The records in so many parts by event time, each with its first (ms)."""
    times = sorted(record["event_time"] for stream in STREAMS for record in records[stream])
    starts = [*times[:: len(times) // parts + 1], times[-1] + 1]
    for start_ms, end_ms in pairwise(starts):
        yield (
            start_ms,
            {
                stream: [record for record in records[stream] if start_ms <= record["event_time"] < end_ms]
                for stream in STREAMS
            },
        )


def played(source, records, settings):
    """A job's features, where its operators hear of the watermark each at its own pace."""
    graph, chance = graph_of(source, **settings), random.Random(len(settings))
    for _ in parts_of_random_lengths(graph, source, records, chance, at_its_own_pace(len(settings))):
        pass
    return graph.finish().features


@pytest.fixture(scope="module", params=mostly_slow(range(2)))
def day(request, tmp_path_factory):
    """Records, their folder, and its features."""
    records = records_of(request.param)
    source = write_streams(tmp_path_factory.mktemp("day") / "in", records)
    expected = built(source)
    assert {record.split("'feature_set': '")[1].split("'")[0] for record in expected} == MEASURED
    return records, source, expected


def test_all_at_once(day):
    _, source, expected = day
    graph = Graph(settings_of(source, products=["kawaach"], features=True), durable=False)
    graph.read_folder(source)
    assert in_text(graph.finish().features) == expected


@pytest.mark.parametrize("buckets", [1, 5])
def test_at_watermarks(day, buckets):
    records, source, expected = day
    found = played(source, records, {"buckets": buckets})
    assert in_text(found) == expected


def test_restored_again_and_again(day):
    """Each time from the state of a graph that came as far with what arrives in one part."""
    records, source, expected = day
    graph, chance = graph_of(source), random.Random(7)
    for place, (at_ms, some) in enumerate(by_time(records, 12)):
        graph.advance(at_ms - 1)
        part = write_streams(source.parent / f"restored-{place}", some)
        for stream in STREAMS:
            graph.read(stream, FilePart(part / stream / "part-0.jsonl"))
        if chance.random() < 0.7:
            graph = graph.restored()
    assert in_text(graph.finish().features) == expected


def test_claims_do_not_depend_on_the_setting(tmp_path):
    records = small_storm(every_min=2.0)
    source = write_streams(tmp_path / "in", records)
    graph = graph_of(source)
    for _ in parts_of_random_lengths(graph, source, records, random.Random(2)):
        pass
    collected = graph.finish()
    assert collected.features
    expected = Graph(settings_of(source, products=["kawaach"]), durable=False)
    expected.read_folder(source)
    same(collected.outcome, expected.finish().outcome)
    assert collected.outcome.claims


def test_without_the_setting_nothing_is_emitted(day):
    _, source, _ = day
    graph = Graph(settings_of(source, products=["kawaach"]))
    graph.read_folder(Path(source))
    assert graph.finish().features == []
    assert "measure-features" not in {entry.uid for entry in graph.entries()}


def test_the_last_record_of_a_key_is_the_newest_version(day):
    """As a compacted topic keeps it."""
    records, source, _ = day
    last = {}
    for record in played(source, records, {}):
        key, times = (record["feature_set"], record["entity_id"]), (record["event_time"], record["received_time"])
        assert last.get(key, (0, 0)) < times
        last[key] = times
    assert len(last) > 20


def test_what_was_kept_for_features_is_dropped_after_their_history(tmp_path):
    """One rider reports once and nobody ever after; then another, by whom time goes on."""
    records = small_storm(every_min=30.0) | {"telemetry": [report("w1", 0)]}
    source = write_streams(tmp_path / "in", records)
    graph = graph_of(source)
    graph.read_folder(source)
    days = []
    for day in range(1, 40):
        graph.advance(at(day * DAY_MIN) - 1)
        days.append({entry.kind for entry in graph.entries() if entry.uid == "measure-features"} - {"progress"})
    assert days[1] == {"pane-counts", "phones", "newest"}
    assert days[30] == {"pane-counts", "phones", "newest"}, "28 days, and 4 in which a claim may be corrected"
    assert days[-1] == set()


@pytest.mark.slow
def test_a_job_goes_on_with_the_setting_switched_on(tmp_path):
    """From a savepoint without it: of riders it then has the versions that one with it has, since panes were there."""
    records = records_of(3)
    source = write_streams(tmp_path / "in", records)
    parts = list(by_time(records, 4))
    graph = Graph(settings_of(source, products=["kawaach"]))
    for place, (at_ms, some) in enumerate(parts):
        graph.advance(at_ms - 1)
        if place == 2:
            switched_ms = at_ms
            assert graph.collected().features == []
            graph = Graph.resumed(graph_of(source).settings, graph.state)
        part = write_streams(tmp_path / f"part-{place}", some)
        for stream in STREAMS:
            graph.read(stream, FilePart(part / stream / "part-0.jsonl"))

    def of_riders(features):
        own = ("rider_shifts", "device_baseline")
        later = (each for each in features if min(each["event_time"], each["received_time"]) > switched_ms + HOUR_MS)
        return in_text(each for each in later if each["feature_set"] in own)

    found = graph.finish().features
    expected = [record for versions in feature_versions(source, None) for record in versions.records()]
    assert of_riders(found) == of_riders(expected) != []
    assert {each["feature_set"] for each in found} == MEASURED
