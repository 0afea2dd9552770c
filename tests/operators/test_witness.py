"""Triggers that ask telemetry: the steps say what the local engine says, however what they hear is split and late."""

import random

import pytest
from kit import LAT, LON, at, reading_record
from kit.examples import mostly_slow
from kit.graph import Graph, Scripted, locally, same, settings_of
from kit.streams import policy_record, report, write_streams

from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.runtime.keyed_operator import END_OF_TIME_MS
from monsoon.pipelines.topology import operators_of

WEEK_MIN = 7 * 24 * 60


def rider(name, start, until, every=10.0, **fields):
    place = {"lat": LAT, "lon": LON, "app_state": "online", "platform": "zomato", "bssids": None}
    steps = int((until - start) / every) + 1
    return [report(name, start + step * every, **(place | fields)) for step in range(steps)]


def outage_day():
    """50 riders who fall silent at noon, all but the last few insured for days, some who share phones, some who work
    on, and one of another platform; reports of an outage, one of them corrected a day later; then a bandh, with orders
    of earlier weeks or without."""
    telemetry = []
    for n in range(50):
        telemetry += rider(f"w{n}", -60 - n % 3, -8 - n % 5, device_id=f"phone{n % 45}")
    telemetry += [each for n in range(8) for each in rider(f"x{n}", -60, 90, platform="swiggy")]
    telemetry += rider("mover", -60, -10) + rider("mover", 0, 60, lat=LAT + 0.5)
    telemetry += rider("nameless", -60, -10, platform=None)
    telemetry += [each for n in range(3) for each in rider(f"w{n}", -3 * 24 * 60, -3 * 24 * 60 + 100)]
    outage = [
        reading_record("outage_reports_30m", value, minutes, platform="zomato", provider="statusgator", reading_id=name)
        for name, value, minutes in (("o1", 499, 10), ("o2", 700, 25), ("o3", 700, 40), ("o4", 10, 70))
    ]
    again = {"platform": "zomato", "provider": "statusgator", "reading_id": "o1", "revision": 1}
    outage.append(reading_record("outage_reports_30m", 900, 10, issued_time=at(150), **again))
    for weeks in (1, 2):
        telemetry += rider("w1", 200 - weeks * WEEK_MIN, 250 - weeks * WEEK_MIN, orders_completed=3)
    telemetry += rider("w2", 200, 300, lat=LAT + 0.01, orders_completed=1)
    telemetry += rider("w1", 200, 300, orders_completed=1)
    curfew = [
        reading_record("curfew", int(minutes < 330), minutes, provider=provider, quality="secondary")
        for minutes in (240, 255.5, 270, 300, 330)
        for provider in ("admin", "news", "police")
    ]
    both = {"platform": "zomato", "orders_per_hour": 2.5}
    subscriptions = [
        *[policy_record(f"w{n}", f"o{n}", -3000, product="offshift", plan="weekly_pass", **both) for n in range(46)],
        policy_record("w46", "o46", -1410, product="offshift", plan="weekly_pass", **both),
        policy_record("w47", "o47", -600, product="offshift", plan="weekly_pass", **both),
        policy_record("nameless", "p1", product="offshift", plan="monthly_pro", **both),
        policy_record("w1", "p2", product="jugaad", plan="standard", **both),
        policy_record("w2", "p3", product="jugaad", plan="standard", **both, home_lat=LAT + 0.01),
    ]
    return {"telemetry": telemetry, "oracle_readings": outage + curfew, "subscriptions": subscriptions}


def found(outcome, trigger):
    return {record["disruption_id"] for record in outcome.disruptions if record["trigger"] == trigger}


def test_there_is_something_to_find(tmp_path):
    _, outcome = locally(write_streams(tmp_path / "in", outage_day()))
    assert len({r["disruption_id"] for r in outcome.disruptions if r["product"] == "offshift"}) >= 1
    assert found(outcome, "outage")
    assert found(outcome, "bandh")
    starts = {r["start"] for r in outcome.disruptions if (r["product"], r["trigger"]) == ("offshift", "outage")}
    assert {at(25), at(10)} & starts


@pytest.mark.parametrize("buckets", [1, 3])
def test_whole(tmp_path, buckets):
    source = write_streams(tmp_path / "in", outage_day())
    graph = Graph(settings_of(source, buckets), durable=False)
    for planned in plan(source, 10_000_000)[0]:
        graph.read(planned.stream, planned.part)
    same(graph.finish().outcome, locally(source)[1])


@pytest.mark.parametrize("seed", mostly_slow(range(4)))
def test_streaming_with_steps_that_lag_and_restarts(tmp_path, seed):
    chance = random.Random(seed)
    records = outage_day()
    for stream, some in records.items():
        some.sort(key=lambda record: record["event_time"] if stream == "telemetry" else chance.random())
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source, 1 + seed))
    for number, planned in enumerate(plan(source, 30_000)[0]):
        graph.advance(planned.low_ms - 1, lambda: chance.random() < 0.2)
        graph.read(planned.stream, planned.part)
        if number % 7 == seed:
            graph = graph.restored()
    same(graph.finish().outcome, locally(source)[1])


@pytest.mark.parametrize("seed", mostly_slow(range(4)))
def test_watermarks_that_stray_between_steps(tmp_path, seed):
    chance = random.Random(seed)
    source = Scripted(tmp_path / "in", buckets=2)
    records = outage_day()
    parts = sorted(
        (
            ((r["issued_time"] if r.get("revision") else None) or r["event_time"], stream, r)
            for stream, some in records.items()
            for r in some
        ),
        key=lambda part: part[0],
    )

    def strays(own_ms, upto_ms):
        return (
            upto_ms
            if upto_ms == END_OF_TIME_MS
            else chance.choice([own_ms, upto_ms, (max(own_ms, -(2**40)) + upto_ms) // 2])
        )

    for first in range(0, len(parts), 40):
        some = parts[first : first + 40]
        source.graph.advance(some[0][0] - 1, strays=strays)
        for stream in records:
            said = [record for _, of, record in some if of == stream]
            if said:
                source.say(stream, said)
        if first // 40 % 6 == seed:
            source.restore()
    same(source.finish().outcome, source.locally()[1])


def test_nothing_is_kept_for_products_that_do_not_ask(tmp_path):
    source = write_streams(tmp_path / "in", outage_day())
    asking = {"ask-witness", "witness-telemetry", "witness-devices", "weigh-witness"}
    plain = settings_of(source, products=["kawaach", "gic"])
    assert not asking & {step.uid for step in operators_of(plain)}
    assert asking <= {step.uid for step in operators_of(settings_of(source, products=["offshift"]))}
    graph = Graph(plain)
    for planned in plan(source, 10_000_000)[0]:
        graph.read(planned.stream, planned.part)
    graph.advance(at(60))
    assert not asking & {uid for uid, live in graph.live.items() if live}
