"""Reserves and answers through both engines: read, counted, and compared with what is to be paid."""

import random

import pytest
from kit import at
from kit.graph import Graph, Scripted, locally, same, settings_of
from kit.streams import small_storm, write_lines, write_streams

from monsoon.pipelines.flink.plan import plan
from monsoon.transforms.exposure import pool_of
from monsoon.transforms.geo.cells import cell_name, cell_of

POOL = pool_of("kawaach", cell_name(cell_of(28.5845, 77.2056, 9)), at(0))


def reserve(name, minutes, amount_inr, **fields):
    """A reserve of the contract for the storm's pool."""
    record = {
        "reserve_id": name,
        "event_time": at(minutes),
        "product": POOL.product,
        "day": POOL.day,
        "cell": POOL.cell,
        "amount_paise": amount_inr * 100,
    }
    return record | fields


def answer(name, minutes, **fields):
    """An answer of the contract, to a claim that does not exist."""
    record = {
        "answer_id": name,
        "event_time": at(minutes),
        "worker_id": "w1",
        "policy_id": "p1",
        "claim_id": "c0",
        "answer": "confirm",
    }
    return record | fields


RESERVES = [
    reserve("first", -600, 400),
    reserve("second", 20, 700),
    reserve("too little", 40, 710),
    reserve("lowered", 70, 300),
    reserve("raised", 90, 1_000_000),
    reserve("elsewhere", 0, 0, cell="853c8d33fffffff"),
    reserve("another day", 0, 0, day="2024-06-29"),
]


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


@pytest.mark.parametrize("seed", range(6))
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


def test_every_line_is_accounted_for(tmp_path):
    records = storm_with_reserves()
    source = write_streams(tmp_path / "in", records)
    lines = ["", "nonsense", '{"reserve_id": "x"}']
    write_lines(source / "again", "reserves", lines)
    (source / "again" / "reserves" / "part-0.jsonl").rename(source / "reserves" / "hostile.jsonl")
    write_streams(source / "twice", {**records, "reserves": [*RESERVES, reserve("first", -600, 1)]})
    (source / "twice" / "reserves" / "part-0.jsonl").rename(source / "reserves" / "twice.jsonl")
    graph = Graph(settings_of(source, 2), keeps=False)
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
    collected.overlooked(plan(source, 1_000)[1])
    assert collected.counts["reserves"] == inputs.counts["reserves"]
    assert "confirmations" not in collected.counts
