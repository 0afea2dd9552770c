"""Reports that say when they were received: the steps say what the local engine says, however all is split and ordered,
and what had not been received decides nothing."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, reading_record
from kit.examples import examples, mostly_slow
from kit.graph import Graph, Scripted, StillPhoneScorer, by_both_engines, locally, same, settings_of
from kit.streams import STREAMS, policy_record, report, small_storm, write_streams
from operators.test_equal_records import at_its_own_pace, moments
from operators.test_witness import outage_day

from monsoon.pipelines.flink.file_splits import plan
from monsoon.sources.product_files import load_products

DELAYS_MIN = (None, 0, 0.04, 2, 14.9, 15, 15.1, 31, 90, 361)
KAWAACH = load_products(["kawaach"])


def delayed(records, seed):
    """The same reports, each received after a while or not saying when; some riders' all together, later."""
    chance = random.Random(seed)
    lag_min = {
        rider: chance.choice((0, 0, 20, 200)) for rider in sorted({e["worker_id"] for e in records["telemetry"]})
    }
    for each in records["telemetry"]:
        delay_min = chance.choice(DELAYS_MIN)
        if delay_min is not None:
            each["received_time"] = each["event_time"] + round((delay_min + lag_min[each["worker_id"]]) * 60_000)
    return records


def work(records):
    """Riders of gic and jugaad beside those of kawaach, so that activity is tested and the week looked at."""
    for rider in range(4):
        terms = {"product": "gic", "orders_per_hour": 60.0 + rider, "orders_per_hour_sd": 20.0, "platform": "zepto"}
        records["subscriptions"].append(policy_record(f"w{rider}", f"gic{rider}", **terms))
        week = {"slab_orders": 60, "planned_hours_week": 40, "week_orders_carried": 30, "week_hours_carried": 20}
        plan = {"product": "jugaad", "plan": "full_shield", "platform": "zepto", **week}
        records["subscriptions"].append(policy_record(f"w{rider}", f"jugaad{rider}", **plan))
    for minutes in range(0, 121, 15):
        for provider in ("imd", "skymet"):
            name = f"{provider}-hour-{minutes}"
            fields = {"provider": provider, "reading_id": name}
            records["oracle_readings"].append(reading_record("rain_mm_h", 30.0, minutes, **fields))
    present = {name: value for name, value in records["subscriptions"][-1].items() if value is not None}
    records["subscriptions"][-1] = present
    return records


def of_seed(seed, every_min=2.0):
    return delayed(outage_day() if seed % 3 == 2 else work(small_storm(every_min=every_min)), seed)


@pytest.mark.parametrize("seed", mostly_slow(range(6)))
def test_whole(tmp_path, seed):
    source = write_streams(tmp_path / "in", of_seed(seed))
    graph = Graph(settings_of(source, 3), durable=False)
    for planned in plan(source, 10_000_000)[0]:
        graph.read(planned.stream, planned.part)
    expected = locally(source)[1]
    same(graph.finish().outcome, expected)
    assert expected.claims


@pytest.mark.parametrize("seed", mostly_slow(range(6)))
def test_streaming_and_restored(tmp_path, seed):
    records = of_seed(seed)
    for some in records.values():
        some.sort(key=lambda record: record["event_time"])
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source, 2))
    for number, planned in enumerate(plan(source, 60_000)[0]):
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
        if number % 4 == seed % 4:
            graph = graph.restored()
    collected = graph.finish()
    same(collected.outcome, locally(source)[1])
    assert not collected.late


@pytest.mark.slow
@given(data=st.data())
@examples(6)
def test_any_split_order_and_restart(tmp_path_factory, data):
    source = Scripted(
        tmp_path_factory.mktemp("split") / "in",
        buckets=data.draw(st.sampled_from([1, 2, 5])),
        scorer=StillPhoneScorer(),
    )
    ahead = moments(of_seed(data.draw(st.integers(0, 10**6)), every_min=4.0))
    strays = at_its_own_pace(data.draw(st.integers(0, 10**9)))
    while ahead:
        together = data.draw(st.integers(1, len(ahead)))
        now, ahead = ahead[:together], ahead[together:]
        now = data.draw(st.permutations(now)) if len(now) < 50 else now[::-1]
        for stream in STREAMS:
            if some := [record for _, name, record in now if name == stream]:
                source.say(stream, some)
        if ahead:
            source.graph.advance(data.draw(st.integers(ahead[0][0] - 3_600_000, ahead[0][0] - 1)), strays=strays)
        if data.draw(st.booleans()):
            source.restore()
    same(source.finish().outcome, source.locally()[1])


def claims_of(tmp_path, telemetry, home=(LAT, LON)):
    """The kawaach claims of one rider on rain confirmed at minute 0, by zone."""
    rain = [
        reading_record("rain_mm_24h", 110.0, minutes, provider=name, reading_id=f"{name}-{minutes}", radius_km=50)
        for minutes in (0, 25)
        for name in ("imd", "skymet")
    ]
    policy = policy_record("w", "p", home_lat=home[0], home_lon=home[1])
    records = {"telemetry": telemetry, "oracle_readings": rain, "subscriptions": [policy]}
    present = {
        stream: [{name: value for name, value in each.items() if value is not None} for each in some]
        for stream, some in records.items()
    }
    expected, stepped = by_both_engines(write_streams(tmp_path / "in", present), KAWAACH)
    same(stepped, expected)
    return expected.claims


HOME = (LAT + 0.05, LON)


@pytest.mark.parametrize(("delay_min", "present"), [(None, True), (15, True), (15.001, False)])
def test_presence_by_what_was_received_a_quarter_of_an_hour_after_the_confirmation(tmp_path, delay_min, present):
    when = None if delay_min is None else at(delay_min)
    claims = claims_of(tmp_path, [report("w", minutes, received_time=when) for minutes in (-3, -2, -1)], HOME)
    (zone,) = {claim["zone"] for claim in claims}
    at_work = claims_of(tmp_path / "other", [report("w", -1)], HOME)[0]["zone"]
    at_home = claims_of(tmp_path / "none", [], HOME)[0]["zone"]
    assert at_work != at_home
    assert zone == (at_work if present else at_home)


def test_of_what_comes_in_the_quarter_of_an_hour_after_the_confirmation_only_the_anchor_is_evidence(tmp_path):
    """Whoever is present by a report has at least that one as evidence."""
    sent = [report("w", minutes, accel_var=2.0 - minutes, received_time=at(5)) for minutes in range(-20, 0)]
    claims = claims_of(tmp_path, sent, HOME)
    assert claims[0]["feature_reports"]["accelerometer_variance"] == 1
    assert claims[0]["features"]["accelerometer_variance"] == 3.0


def test_a_rescore_takes_what_came_since(tmp_path):
    """A phone at rest up to the confirmation, which moves in the 30 min up to the end of the hold: held, then paid.
    What was received after the decision, or lies before these 30 min, is no part of it."""
    still = [report("w", m, accel_var=0.0, received_time=at(m)) for m in (-20, -19, -18)]
    moved = [report("w", m, accel_var=2.0, received_time=at(119)) for m in range(100, 119)]
    moved += [report("w", m, accel_var=0.0, received_time=at(121)) for m in range(91, 100)]
    moved += [report("w", m, accel_var=0.0) for m in range(30, 91)]
    source = Scripted(tmp_path / "in", scorer=StillPhoneScorer())
    rain = [
        reading_record("rain_mm_24h", 110.0, 0, provider=name, reading_id=name, radius_km=50)
        for name in ("imd", "skymet")
    ]
    source.play(
        [(None, {"telemetry": still + moved, "oracle_readings": rain, "subscriptions": [policy_record("w", "p")]})]
    )
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    first, last = outcome.claims[0], outcome.claims[-1]
    assert (first["status"], first["feature_reports"]["accelerometer_variance"]) == ("soft_hold", 3)
    assert (last["status"], last["feature_reports"]["accelerometer_variance"]) == ("approved", 19)
    assert last["decided_at"] == at(120)
