"""Reserves and answers through both engines: read, counted, and compared with what is to be paid."""

import random

import pytest
from kit import at, golden, reading_record
from kit.examples import mostly_slow
from kit.graph import Graph, Scripted, StillPhoneScorer, locally, same, settings_of
from kit.reserves import RESERVES, answer, reserve
from kit.streams import policy_record, report, small_storm, write_lines, write_streams

from monsoon.pipelines.flink.file_splits import plan
from monsoon.sources.reference import read_references


def storm_with_reserves(reserves=RESERVES):
    return small_storm(every_min=2.0) | {"reserves": reserves, "confirmations": [answer("a1", 5)]}


def test_what_exceeds_the_reserve_waits_until_it_is_raised(tmp_path):
    source = Scripted(tmp_path / "in", reserves=True)
    records = storm_with_reserves()
    source.play([(None, records)])
    outcome = source.finish().outcome
    inputs, expected = source.locally()
    same(outcome, expected)
    unlimited = locally(write_streams(tmp_path / "free", small_storm(every_min=2.0)))[1]
    assert expected.claims == unlimited.claims
    assert sum(p["amount_paise"] for p in expected.payouts) == sum(p["amount_paise"] for p in unlimited.payouts)
    assert {p["reference_id"] for p in expected.payouts} == {p["reference_id"] for p in unlimited.payouts}
    states = [(alert["event_time"], alert["state"], alert["queued_claims"]) for alert in expected.reserve_alerts]
    assert states[0][1] == "exhausted"
    assert states[-1] == (at(90), "released", 0)
    kinds = [each["kind"] for each in expected.notifications]
    assert kinds.count("queued") >= 2
    assert kinds.count("paid") == len(expected.payouts)
    late = [p["created_at"] for p in expected.payouts]
    assert late.count(at(90)) >= 1
    assert inputs.counts["reserves"]["used"] == len(RESERVES)
    assert inputs.counts["confirmations"]["reasons"] == {"unknown_claim": 1}


@pytest.mark.parametrize("seed", mostly_slow(range(4)))
def test_streaming_says_the_same(tmp_path, seed):
    """In any order of files, cut anywhere, steps lagging, restored now and then."""
    chance, records = random.Random(seed), storm_with_reserves()
    for some in records.values():
        chance.shuffle(some)
    source = write_streams(tmp_path / "in", records)
    graph = Graph(settings_of(source, 3))
    for number, planned in enumerate(plan(source, 20_000)[0]):
        graph.advance(planned.low_ms - 1, lambda: chance.random() < 0.1)
        graph.read(planned.stream, planned.part)
        if number % 5 == 2:
            graph = graph.restored()
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert not collected.late
    assert collected.dead_letters == inputs.dead_letters


@pytest.mark.parametrize("seed", mostly_slow(range(10)))
def test_watermarks_that_come_after_what_was_sent_later(tmp_path, seed):
    """Claims are held, released, queued and paid; each step hears of the watermark at a pace of its own."""
    chance = random.Random(seed)
    source = Scripted(tmp_path / "in", buckets=3, reserves=True, scorer=StillPhoneScorer())
    records = golden.storm() | {"reserves": RESERVES, "confirmations": [answer("a", chance.randint(0, 200))]}
    moments = sorted(
        (record["issued_time"] if record.get("revision") else record["event_time"], stream, number)
        for stream, some in records.items()
        for number, record in enumerate(some)
    )

    def strays(own_ms, upto_ms):
        between_ms = chance.randint(min(max(own_ms, upto_ms - 7_200_000), upto_ms), upto_ms)
        return chance.choice([upto_ms] * 4 + [own_ms, between_ms])

    while moments:
        some, moments = moments[:9], moments[9:]
        for stream in records:
            if said := [records[stream][number] for _, name, number in some if name == stream]:
                source.say(stream, said)
        if moments:
            source.graph.advance(moments[0][0] - 1, strays=strays)
        if chance.random() < 0.1:
            source.restore()
    for minutes in range(100, 700, 7):
        source.graph.advance(at(minutes), strays=strays)
    collected = source.finish()
    same(collected.outcome, source.locally()[1])
    assert {"held", "queued", "paid"} <= {each["kind"] for each in collected.outcome.notifications}


def curfews(*readings):
    return [
        reading_record("curfew", value, minutes, reading_id=name, **more) for name, value, minutes, more in readings
    ]


@pytest.mark.parametrize("restored", [False, True])
def test_a_corrected_disruption_takes_its_payouts_out_of_the_queue(tmp_path, restored):
    """The claim stays as its machine published it, approved and listed for review; what waited is not paid."""
    source = Scripted(tmp_path / "in", reserves=True)
    correction = {"revision": 1, "issued_time": at(50)}
    script = [
        (None, {"subscriptions": [policy_record("w1", "p1")], "reserves": [reserve("none", -60, 0)]}),
        (-30, {"telemetry": [report("w1", minutes) for minutes in range(-30, 10)]}),
        (0, {"oracle_readings": curfews(("a", 1, 0, {}))}),
        (50, {"oracle_readings": curfews(("a", 0, 0, correction)), "reserves": [reserve("enough", 90, 9999)]}),
    ]
    for step in script:
        source.play([step])
        if restored:
            source.restore()
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    assert [claim["status"] for claim in outcome.claims] == ["approved"] * len(outcome.claims)
    assert outcome.claims[-1]["reasons"] == ["paid_before_withdrawal"]
    assert outcome.payouts == []
    assert [each["kind"] for each in outcome.notifications] == ["claim_opened", "queued", "withdrawn"]
    assert [(a["state"], a["queued_claims"]) for a in outcome.reserve_alerts] == [("exhausted", 1), ("released", 0)]


def test_a_reserve_that_comes_late_counts_from_when_it_came(tmp_path):
    source = Scripted(tmp_path / "in", reserves=True)
    source.play(
        [
            (None, {"subscriptions": [policy_record("w1", "p1")], "reserves": [reserve("none", -60, 0)]}),
            (-30, {"telemetry": [report("w1", minutes) for minutes in range(-30, 10)]}),
            (0, {"oracle_readings": curfews(("a", 1, 0, {}), ("b", 0, 20, {}))}),
            (60, {"reserves": [reserve("late", 5, 9999)]}),
        ]
    )
    collected = source.finish()
    assert collected.late == {"reserves": 1}
    assert [p["created_at"] for p in collected.outcome.payouts] == [at(60)]


def test_what_a_step_keeps_is_forgotten_when_nothing_waits(tmp_path):
    source = Scripted(tmp_path / "in", reserves=True)
    source.play([(None, storm_with_reserves())])
    source.graph.advance(at(30))
    assert kinds_kept(source.graph) == {"account", "progress", "queued"}
    source.graph.advance(at(120))
    assert kinds_kept(source.graph) == {"account", "progress"}
    source.graph.advance(at(60 * 24 * 40))
    assert kinds_kept(source.graph) == {"progress"}


def kinds_kept(graph):
    return {kind for uid, kind, *_ in graph.entries() if uid == "control-exposure"}


def test_every_line_is_accounted_for(tmp_path):
    records = storm_with_reserves()
    source = write_streams(tmp_path / "in", records)
    lines = ["", "nonsense", '{"reserve_id": "x"}']
    write_lines(source / "again", "reserves", lines)
    (source / "again" / "reserves" / "part-0.jsonl").rename(source / "reserves" / "hostile.jsonl")
    write_streams(source / "twice", {**records, "reserves": [*RESERVES, reserve("first", -600, 1)]})
    (source / "twice" / "reserves" / "part-0.jsonl").rename(source / "reserves" / "twice.jsonl")
    graph = Graph(settings_of(source, 2), durable=False)
    for planned in plan(source, 10_000_000)[0]:
        graph.read(planned.stream, planned.part)
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    counts = inputs.counts["reserves"]
    assert counts["read"] == 2 * len(RESERVES) + 3 == counts["used"] + counts["duplicate"] + counts["dead"]
    assert counts["reasons"] == {"conflicting_duplicate": 1, "missing_field:event_time": 1, "not_json": 1}
    assert collected.counts["reserves"] == {name: counts[name] for name in counts if name != "ignored"}
    assert collected.dead_letters == inputs.dead_letters


def test_absent_folders_are_empty_and_not_spoken_of(tmp_path):
    source = write_streams(tmp_path / "in", small_storm(every_min=2.0))
    assert set(locally(source)[0].counts) == {"telemetry", "oracle_readings", "subscriptions"}
    (source / "reserves").mkdir()
    inputs, _ = locally(source)
    assert inputs.counts["reserves"]["read"] == 0
    graph = Graph(settings_of(source))
    assert graph.settings.reserves
    collected = graph.collected()
    collected.record_inputs(plan(source, 1_000)[1], read_references(source / "reference"))
    assert collected.counts["reserves"] == inputs.counts["reserves"]
    assert "confirmations" not in collected.counts
