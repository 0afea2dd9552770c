"""Whose a record is, what a repeat of it is, and which of several contents stands: as in the replay, however records
come, are split and are repeated, and in whatever process."""

import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import at, reading_record
from kit.examples import examples
from kit.golden import FOLDER, SETTINGS, read_half, read_state
from kit.graph import Graph, Scripted, same
from kit.streams import policy_record, report

from monsoon.sources.accounting import StreamCounts
from monsoon.sources.line_blocks import ValidatedBlock, collect
from monsoon.sources.telemetry_columns import records_frame
from monsoon.sources.telemetry_store import TelemetryStore
from monsoon.transforms.validation.record_validator import RecordValidator, ValidRecord

ACCOUNT = ("read", "used", "duplicate", "dead", "nulled", "reasons")


def account(counts):
    return {name: counts[name] for name in ACCOUNT}


def same_account(source, collected, streams=("telemetry", "oracle_readings", "subscriptions")):
    inputs, expected = source.locally()
    for stream in streams:
        assert account(collected.counts[stream]) == account(inputs.counts[stream]), stream
    assert collected.dead_letters == inputs.dead_letters
    same(collected.outcome, expected)


def curfew(value, minutes, **fields):
    return reading_record("curfew", value, minutes, **({"reading_id": f"c{minutes}", "provider": "police"} | fields))


# Whose a record is.


def test_nobody_can_have_anothers_record_refused_by_using_its_id(tmp_path):
    """Reports, readings, subscription events and answers of others under the ids of honest ones: all are used."""
    honest = [report("w0", minutes, event_id=f"e{minutes}") for minutes in range(-30, 30)]
    others = [report("w9", minutes, event_id=f"e{minutes}", lat=12.9, lon=77.6) for minutes in range(-30, 30)]
    readings = [curfew(1, 0), curfew(0, 40), curfew(0, 0, provider="liar"), curfew(0, 39, provider="liar")]
    policies = [policy_record("w0", "p0", event_id="s"), policy_record("w9", "p9", event_id="s")]
    source = Scripted(tmp_path / "in")
    source.play(
        [
            (None, {"subscriptions": policies[:1], "oracle_readings": readings[:2]}),
            (-30, {"telemetry": [*others, *honest]}),
            (-20, {"subscriptions": policies[1:], "oracle_readings": readings[2:]}),
            (20, {"telemetry": honest + others}),
        ]
    )
    collected = source.finish()
    assert collected.counts["telemetry"] | {"read": 0} == {
        "read": 0, "used": 120, "duplicate": 120, "dead": 0, "nulled": {}, "reasons": {},
    }  # fmt: skip
    assert [collected.counts[stream]["dead"] for stream in collected.counts] == [0] * 3
    assert [payout["worker_id"] for payout in collected.outcome.payouts] == ["w0"]
    inputs, expected = source.locally()
    same(collected.outcome, expected)
    assert account(inputs.counts["telemetry"]) == account(collected.counts["telemetry"])


def test_a_correction_corrects_its_own_providers_reading(tmp_path):
    """Revision 1 under another provider's id takes nothing away."""
    liars = curfew(0, 0, provider="liar", revision=1, issued_time=at(1))
    spoken = [curfew(1, 0), curfew(1, 30), curfew(0, 60)]
    source = Scripted(tmp_path / "in")
    source.play(
        [
            (None, {"subscriptions": [policy_record("w0", "p0")], "telemetry": [report("w0", -5)]}),
            (-1, {"oracle_readings": spoken}),
            (0.5, {"oracle_readings": [liars]}),
        ]
    )
    collected = source.finish()
    states = {record["disruption_id"]: record["state"] for record in collected.outcome.disruptions}
    assert set(states.values()) == {"ended"}
    assert collected.counts["oracle_readings"]["used"] == 4
    same_account(source, collected)


# Which content stands.


def test_the_earliest_content_stands_in_a_stream_as_in_a_replay(tmp_path):
    """Conflicts at other times, the later of which sorts first: the earlier was released, and stays."""
    first = [report("w0", minutes, event_id=f"e{minutes}", accuracy_m=9.0) for minutes in range(-30, 0)]
    later = [each | {"event_time": each["event_time"] + 20 * 60_000, "accuracy_m": 1.0} for each in first]
    readings = [curfew(1, -10), curfew(0, 30)]
    moved = [curfew(0, minutes, reading_id="c-10") for minutes in (5, 6)]
    events = [policy_record("w0", "p0", -60, event_id="s"), policy_record("w0", "p0", -40, event_id="s", premium_inr=1)]
    for name, script in {
        "split": [
            (None, {"subscriptions": events[:1]}),
            (-50, {"subscriptions": events[1:], "telemetry": first[:20]}),
            (-11, {"telemetry": first[20:] + later, "oracle_readings": readings + moved[:1]}),
            (8, {"oracle_readings": moved[1:], "telemetry": later}),
        ],
        "whole": [(None, {"subscriptions": events, "telemetry": later + first, "oracle_readings": moved + readings})],
    }.items():
        source = Scripted(tmp_path / name).play(script)
        collected = source.finish()
        assert collected.counts["telemetry"]["reasons"] == {"conflicting_duplicate": 30}
        assert len(collected.outcome.payouts) == 1
        same_account(source, collected)


def test_of_two_conflicting_corrections_the_one_that_took_effect_first_stands(tmp_path):
    """A stream released it when it was issued, and cannot know of one that speaks of an earlier time."""
    spoken = curfew(1, 0)
    first = curfew(1, 2, reading_id="c0", revision=1, issued_time=at(10))
    other = curfew(0, 1, reading_id="c0", revision=1, issued_time=at(20))
    source = Scripted(tmp_path / "in")
    source.play(
        [
            (None, {"subscriptions": [policy_record("w0", "p0")], "telemetry": [report("w0", -5)]}),
            (-1, {"oracle_readings": [spoken]}),
            (9, {"oracle_readings": [first]}),
            (19, {"oracle_readings": [other, curfew(0, 60)]}),
        ]
    )
    collected = source.finish()
    assert [json.loads(letter["raw"])["issued_time"] for letter in collected.dead_letters] == [at(20)]
    same_account(source, collected)


def test_a_repeat_that_came_later_says_the_same_and_the_first_arrival_stands():
    """Gateways stamp what is sent again anew."""
    records = [report("w0", 0, received_time=received) for received in (at(9), at(2), at(5))]
    for order in (records, records[::-1], [*records, report("w0", 0)]):
        store = TelemetryStore(StreamCounts())
        store.add(collect(RecordValidator("telemetry")(json.dumps(each).encode()) for each in order))
        assert store.finish()["received_time"].to_list() == [at(2)]
        assert (store.counts.duplicate, store.dead) == (len(order) - 1, [])


# Every split and order.


@st.composite
def arrivals(draw):
    """Minutes of arrival and lines of reports: some identities with several contents, each in several copies, some of
    which state an optional field wrongly. What stands comes in time, all else whenever."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        times = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
        for content, minutes in enumerate(times):
            record = report("w0", minutes, event_id=f"e{number}", battery_pct=float(content), bssids=[f"b{content}x"])
            for _ in range(draw(st.integers(1, 3))):
                lost = draw(st.sets(st.sampled_from(["accel_var", "cell"]), max_size=2))
                line = {name: value for name, value in record.items() if name not in ("accel_var", "cell")}
                line |= {name: [] for name in sorted(lost)}
                when = draw(st.integers(0, 60))
                found.append((min(when, minutes) if minutes == min(times) else when, json.dumps(line)))
    return found


@given(arrivals(), st.randoms(use_true_random=False))
@examples(40)
def test_accounts_are_exact_in_every_split_and_order(tmp_path_factory, arrivals, chance):
    source = Scripted(tmp_path_factory.mktemp("identity") / "in", buckets=2)
    chance.shuffle(arrivals)
    for minute in sorted({minute for minute, _ in arrivals}):
        source.graph.advance(at(minute) - 1)
        if chance.random() < 0.2:
            source.restore()
        lines = [line for when, line in arrivals if when == minute]
        source.say("telemetry", lines)
    same_account(source, source.finish())


@given(arrivals())
@examples(40)
def test_a_lost_field_is_counted_in_the_record_that_stands_whatever_the_order(arrivals):
    """On the local engine: each identity once, with what its repeats lost too, and nothing of what did not stand."""
    lines = [line for _, line in arrivals]
    expected = {}
    for line in lines:
        record = json.loads(line)
        lost = {name for name in ("accel_var", "cell") if name in record}
        content = {name: value for name, value in record.items() if name not in lost}
        order = (record["event_time"], record["battery_pct"])
        before = expected.get(record["event_id"])
        if before is None or order < before[0]:
            expected[record["event_id"]] = (order, set(lost))
        elif order == before[0]:
            before[1].update(lost)
        assert content
    for each in (lines, lines[::-1]):
        store = TelemetryStore(StreamCounts())
        for line in each:
            store.add(collect([RecordValidator("telemetry")(line.encode())]))
        store.finish()
        for name in ("accel_var", "cell"):
            assert store.counts.nulled[name] == sum(name in lost for _, lost in expected.values())


# Other processes.

REPEATS = """
import json, pickle, sys
from kit.graph import Graph, Scripted
from monsoon.sources.line_blocks import collect
from monsoon.transforms.validation.record_validator import RecordValidator

folder, state, lines, strangers = pickle.loads(open(sys.argv[1], "rb").read())
collect(map(RecordValidator("telemetry"), strangers))  # so that every text has another code here
source = Scripted(folder)
source.graph = Graph.resumed(source.graph.settings, state)
source.say("telemetry", lines)
counts = source.finish().counts["telemetry"]
print(json.dumps(counts))
"""


def test_a_repeat_after_a_restart_is_a_duplicate_in_a_process_that_met_other_words_first(tmp_path):
    import pickle

    records = [report(f"w{n % 3}", n, bssids=[f"b{n % 7}x", f"a{n % 5}x"]) for n in range(30)]
    source = Scripted(tmp_path / "before")
    source.say("telemetry", records)
    source.graph.advance(at(40))
    state = {uid: {key: dict(entries) for key, entries in keys.items()} for uid, keys in source.graph.state.items()}
    strangers = [
        json.dumps(report(f"v{n}", n, device_id=f"x{n}x", bssids=[f"z{n}x", f"b{6 - n % 7}x"])).encode()
        for n in range(9)
    ]
    script = tmp_path / "script.pickle"
    script.write_bytes(pickle.dumps((tmp_path / "after", state, [json.dumps(each) for each in records], strangers)))
    tests = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", REPEATS, str(script)], cwd=tests, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert (counts["duplicate"], counts["used"], counts["dead"]) == (30, 0, 0)


# State of earlier releases.


@pytest.mark.parametrize("version", [1, 2])
def test_what_an_earlier_release_remembered_of_records_still_catches_their_repeats(tmp_path, version):
    """Readings and events are remembered by their ids alone there: a repeat is a duplicate, and what another says under
    the id is refused as that release would have refused it."""
    folder = FOLDER / f"state-{version}"
    state, _ = read_state(folder)
    source = Scripted(tmp_path / "in", **SETTINGS, by_region=False)
    first = read_half(folder, "first")
    source.graph = Graph.resumed(source.graph.settings, state, (), SETTINGS["scorer"])
    readings = [each for each in first["oracle_readings"] if each["event_time"] <= at(20)]
    for stream, records in (("oracle_readings", readings), ("subscriptions", first["subscriptions"])):
        source.say(stream, records)
    source.say("oracle_readings", [readings[0] | {"provider": "another"}])
    source.graph.advance(at(61))
    counts = source.graph.collected().counts
    assert counts["oracle_readings"]["duplicate"] == len(readings)
    assert counts["oracle_readings"]["reasons"] == {"conflicting_duplicate": 1}
    assert (counts["subscriptions"]["duplicate"], counts["subscriptions"]["used"]) == (len(first["subscriptions"]), 0)
    waited = [each for each in first["oracle_readings"] if at(29) < each["event_time"] <= at(61)]
    assert counts["oracle_readings"]["used"] == len(waited), "and nothing else"


@pytest.mark.parametrize("version", [1, 2])
def test_a_repeat_of_a_report_that_an_earlier_release_used_counts_as_late_and_is_no_evidence(tmp_path, version):
    """docs/state.md: reports lie under other keys since, where what was remembered cannot be had."""
    folder = FOLDER / f"state-{version}"
    state, _ = read_state(folder)
    source = Scripted(tmp_path / "in", **SETTINGS, by_region=False)
    source.graph = Graph.resumed(source.graph.settings, state, (), SETTINGS["scorer"])

    def rows():
        operators: Iterable[Any] = source.graph.live["riders-evidence"].values()
        return sum(len(operator._reports) for operator in operators)

    before = rows()
    repeated = [each for each in read_half(folder, "first")["telemetry"] if each["event_time"] <= at(10)]
    source.say("telemetry", repeated)
    source.graph.advance(at(31))
    collected = source.graph.collected()
    assert collected.late["telemetry"] == len(repeated)
    waited = collected.counts["telemetry"]["used"] - len(repeated)
    assert rows() == before + waited, "what waited for its time, and no repeat"


def test_what_waited_with_fields_lost_is_counted_once_after_the_upgrade():
    """Version 2 kept a list of such reports beside them."""
    from monsoon.pipelines.operators.state_migrations import OPERATOR_MIGRATIONS
    from monsoon.pipelines.runtime.messages import pack, pack_frame, unpack_frame
    from monsoon.sources.telemetry_columns import NULLED

    judge = RecordValidator("telemetry")
    used = [judge(json.dumps(report("w0", n, accel_var="x" if n % 2 else 1.0)).encode()) for n in range(6)]
    rows = records_frame([ValidRecord(each.record) for each in used]).drop(NULLED, "received_time")
    entries = {
        "waiting/000000000001": pack_frame(rows),
        "nulled/000000000002": pack([each for each in used if each.nulled]),
        "memory/000000000003": b"",
    }
    migrated = OPERATOR_MIGRATIONS["deduplicate-telemetry"][2](entries)
    assert list(migrated) == ["waiting/000000000001"]
    frame = unpack_frame(migrated["waiting/000000000001"])
    store = TelemetryStore(StreamCounts())
    store.add(ValidatedBlock(frames=[frame]))
    store.finish()
    assert store.counts.nulled == {"accel_var": 3}


def test_shuffled_identities_agree_with_a_sort(tmp_path):
    """Many reports, every id used by several riders and again by the same: the replay says of each what it is."""
    chance = random.Random(3)
    lines = [
        json.dumps(report(f"w{chance.randrange(3)}", chance.randrange(9), event_id=f"e{chance.randrange(40)}"))
        for _ in range(400)
    ]
    records = [json.loads(line) for line in lines]
    contents = {}
    for record, line in zip(records, lines, strict=True):
        contents.setdefault((record["worker_id"], record["event_id"]), set()).add((record["event_time"], line))
    source = Scripted(tmp_path / "in")
    source.say("telemetry", lines)
    counts = source.finish().counts["telemetry"]
    dead = sum(len(each) - 1 for each in contents.values())
    assert (counts["used"], counts["dead"], counts["duplicate"]) == (len(contents), dead, 400 - len(contents) - dead)
    assert source.locally()[0].telemetry.event_time_ms.tolist() == [
        at_ms for _, at_ms, _ in sorted((worker, min(each)[0], event) for (worker, event), each in contents.items())
    ]
