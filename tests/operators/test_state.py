"""What steps keep: bounded however long a job runs, cleared by timers of event time, versioned."""

import json
import statistics
from collections import Counter, defaultdict

import pytest
from kit import LAT, LON, at, reading_record, subscription_record
from kit.golden import FOLDER, SETTINGS, play, read_half, read_state
from kit.graph import Graph, Scripted, same, settings_of
from kit.streams import report

from monsoon.pipelines.flink.result_collector import CollectedResults
from monsoon.pipelines.operators.merge_disruptions import MergeDisruptions
from monsoon.pipelines.operators.state_migrations import RENAMED_FEATURES
from monsoon.pipelines.results import Outcome
from monsoon.pipelines.runtime import keyed_operator
from monsoon.pipelines.runtime.keyed_operator import STATE_VERSION, StateError, StateWriter
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.evidence.features import FEATURE_NAMES

DAY_MIN = 24 * 60
DAY_MS = DAY_MIN * 60_000
SHIFT_MIN = 8 * 60
SHORT = {
    "ids_remembered_ms": DAY_MS // 4,
    "reports_kept_ms": DAY_MS,
    "history_kept_ms": DAY_MS,
    "corrected_ms": 2 * DAY_MS,
    "remembered_ms": 3 * DAY_MS,
}
"""Memory of days in the place of weeks."""

RESCORED_MS = 2 * 3_600_000
"""After so long a claim of the golden storm that is held is scored again."""

KINDS = {
    "account-dead-letters": {"progress", "seen"},
    "adjudicate-claims": {"progress", "claim", "compared", "wages"},
    "ask-witness": {"progress", "cells", "forgotten", "readings", "triggers"},
    "compare-neighbors": {"progress", "panes", "phones"},
    "deduplicate-records": {"progress", "memory", "waiting"},
    "deduplicate-telemetry": {"progress", "cells", "told"},
    "judge-triggers": {"progress", "cells", "forgotten", "readings", "triggers"},
    "link-claims": {"progress", "openings"},
    "riders-evidence": {
        "progress",
        "arrived",
        "disruption",
        "memory",
        "paned",
        "panes",
        "policy",
        "rows",
        "series",
    },
    "route-policies": {"progress", "policy", "told"},
    "unite-disruptions": {"progress", "written"},
    "witness-telemetry": {"progress", "arrived", "memory", "orders", "paned", "panes", "rows"},
}
"""Every kind of entry that is still there when a watermark has passed (docs/state.md), of policies of kawaach."""

COLD_BY_NIGHT = {("compare-neighbors", "pane-counts"), ("adjudicate-claims", "settled")}
"""Entries that stand for panes and claims in cold state."""


def day_of(day, riders, every_min, storm):
    """A day's records by hour: 8-hour shifts, on some days a storm in the middle of them with a correction, a bad line
    and repeated ones, policies of a week."""
    start = day * DAY_MIN
    hours = defaultdict(lambda: defaultdict(list))
    for rider in range(riders):
        shift = start + 120 + 10 * (rider % 12)
        for minutes in range(shift, shift + SHIFT_MIN, every_min):
            place = {"lat": LAT + 0.004 * (rider % 5), "lon": LON + 0.002 * ((minutes // 60 + day) % 4)}
            hours[minutes // 60]["telemetry"].append(report(f"w{rider}", minutes, **place))
        if day % 7 == rider % 7:
            name = {"event_id": f"s{rider}-{day}", "policy_id": f"p{rider}-{day}", "worker_id": f"w{rider}"}
            name |= {"device_id": f"dw{rider}x", "payout_account": f"u{rider}xx"}
            hours[start // 60]["subscriptions"].append(
                subscription_record("activated", start, start, start + 8 * DAY_MIN, **name)
            )
    for minutes, value in ((300, 1), (330, 1), (360, 0)) if storm else ():
        name = f"curfew-{day}-{minutes}"
        hours[(start + minutes) // 60]["oracle_readings"].append(
            reading_record("curfew", value, start + minutes, reading_id=name)
        )
    for minutes, value in ((240, 80.0), (300, 110.0), (360, 20.0)) if storm else ():
        for provider in ("imd", "skymet"):
            name = {"reading_id": f"{provider}-{day}-{minutes}", "provider": provider}
            record = reading_record("rain_mm_24h", value, start + minutes, **name)
            hours[(start + minutes) // 60]["oracle_readings"].append(record)
            if minutes == 300 and provider == "imd":
                issued = {"value": 70.0, "revision": 1, "issued_time": at(start + 420)}
                hours[(start + 420) // 60]["oracle_readings"].append(record | issued)
    first = hours[start // 60 + 4]["telemetry"]
    hours[start // 60 + 5]["telemetry"] += [*first[:3], f'{{"day": {day}}}']
    return hours


def sizes(graph):
    """Entries and bytes by step and kind."""
    entries, held = Counter(), Counter()
    for uid, kind, _, payload in graph.entries():
        entries[uid, kind] += 1
        held[uid, kind] += len(payload)
    return entries, held


def feed(tmp_path, days, riders, every_min, storm_every=1, **settings):
    """Plays days hour by hour; the source, and the sizes at the end of each day."""
    source, daily = Scripted(tmp_path / "in", buckets=2, **settings), []
    for day in range(days):
        hours = day_of(day, riders, every_min, storm=day % storm_every == 0)
        for hour in range(day * 24, day * 24 + 24):
            source.graph.advance(at(hour * 60) - 1)
            for stream, records in hours[hour].items():
                source.say(stream, records)
        daily.append(sizes(source.graph))
    return source, daily


def assert_flat(daily, before, after):
    """No kind of entry has more entries or bytes on days `after` than on days `before`, but for a twentieth."""
    for which, unit in ((0, "entries"), (1, "bytes")):
        for kind in {kind for each in daily for kind in each[which]}:
            early = max(each[which][kind] for each in daily[before])
            late = max(each[which][kind] for each in daily[after])
            assert late <= 1.05 * early + 2, f"{kind} grows in {unit}: {early}, then {late}"


@pytest.mark.slow
def test_28_days_of_storms_keep_no_more_than_two_weeks(tmp_path):
    """12 riders who report every 10 minutes of 8 hours. Memory is 3 days; claims stay for the caps of their week."""
    source, daily = feed(tmp_path, 28, riders=12, every_min=10, **SHORT)
    for counted in daily:
        for each in counted:  # four weeks of orders, as a product's file has it, whatever else is remembered
            del each["witness-telemetry", "orders"]
    assert_flat(daily, slice(14, 21), slice(21, 28))
    found = {(uid, kind) for uid, kind in daily[-1][0]}
    # Nobody reports at night, and what is there then of orders was left out above.
    by_day = {(uid, kind) for uid in ("riders-evidence", "witness-telemetry") for kind in ("arrived", "memory")}
    found |= by_day | {("deduplicate-telemetry", "cells"), ("witness-telemetry", "orders")}
    expected = {(uid, kind) for uid, kinds in KINDS.items() for kind in kinds - {"waiting"}}
    assert found == expected - {("compare-neighbors", "panes")} | COLD_BY_NIGHT
    outcome = source.graph.collected().outcome
    assert len({claim["decided_at"] // DAY_MS for claim in outcome.claims}) >= 26, "there was a storm every day"
    policies = [len(payload) for _, _, name, payload in source.graph.entries() if name.startswith("policy/")]
    assert statistics.median(policies) < 700, "bytes a policy"
    assert sum(daily[-1][1].values()) / 12 < 100_000, "bytes a rider"
    # A graph made from what is kept goes on: nothing that was forgotten is missed.
    source.restore()
    source.finish()


@pytest.mark.slow
def test_what_is_five_weeks_old_is_forgotten(tmp_path):
    """With the memory of a real job; a storm every fourth day, so that its claims share no week's cap for ever."""
    source, daily = feed(tmp_path, 64, riders=3, every_min=60, storm_every=4)
    assert_flat(daily, slice(44, 54), slice(54, 64))
    totals = [sum(held.values()) for _, held in daily]
    assert totals[30] > 1.5 * totals[10], "it does remember"
    claims = Counter(name.split("/")[-2] for _, kind, name, _ in source.graph.entries() if kind == "claim")
    assert 0 < max(claims.values()) <= 11 * 4, "four a storm, of the storms of five weeks and the rest of a week"
    # All that was forgotten is missed by nobody: nine weeks end as a replay that had everything at hand.
    same(source.finish().outcome, source.locally()[1])


def test_everything_is_forgotten_once_nothing_comes_any_more(tmp_path):
    """No key waits for another record to clear what is too old: the watermark alone does."""
    source, _ = feed(tmp_path, 2, riders=3, every_min=30, **SHORT)
    for day in range(2, 40):
        source.graph.advance(at(day * DAY_MIN))
    left = {(uid, kind) for uid, kind, _, _ in source.graph.entries()}
    ever = {("judge-triggers", "cells"), ("judge-triggers", "forgotten"), ("riders-evidence", "paned")}
    ever |= {("deduplicate-telemetry", "told"), ("route-policies", "told")}
    ever |= {("ask-witness", "cells"), ("ask-witness", "forgotten"), ("witness-telemetry", "paned")}
    ever |= {("ask-witness", "triggers"), ("judge-triggers", "triggers")}
    assert left == {(uid, "progress") for uid in KINDS} | ever


@pytest.mark.slow
def test_a_disruption_that_stays_open_is_remembered_from_its_start(tmp_path):
    """A curfew of twelve days with a memory of three: one id from start to end, and nobody is paid twice for it."""
    source = Scripted(tmp_path / "in", **SHORT)
    policy = subscription_record("activated", -10, -10, 30 * DAY_MIN, device_id="d0x", payout_account="u0x")
    source.play([(None, {"subscriptions": [policy]})])
    hours = range(0, 12 * 24, 6)
    for hour in hours:
        value = int(hour != hours[-1])
        reading = reading_record("curfew", value, hour * 60, reading_id=f"curfew-{hour}")
        source.play([(hour * 60, {"oracle_readings": [reading], "telemetry": [report("w1", hour * 60)]})])
        if hour % 48 == 0:
            source.restore()
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    assert [record["state"] for record in outcome.disruptions] == ["confirmed", "ended"]
    assert len(outcome.payouts) == 1


@pytest.mark.slow
def test_small_frames_are_joined(tmp_path):
    """A week of watermarks leaves an entry of reports an hour, and tens of panes under a key, not thousands."""
    source, _ = feed(tmp_path, 6, riders=3, every_min=10)
    passed = set()
    for uid, keys in source.graph.state.items():
        for entries in keys.values():
            kinds = Counter(name.partition("/")[0] for name in entries)
            passed |= kinds.keys()
            for kind, hourly in (("rows", 4 * 24), ("panes", 24), ("memory", 24)):
                if (uid, kind) != ("deduplicate-records", "memory"):
                    assert kinds[kind] <= hourly + 6 + 2, (uid, kind)
    assert {"rows", "panes", "memory"} <= passed


# Versions.

GOLDEN = sorted(FOLDER.glob("state-*"))

ADDED = {
    1: {
        *((uid, kind) for uid in ("ask-witness", "witness-telemetry") for kind in KINDS[uid]),
        ("compare-neighbors", "phones"),
        ("deduplicate-telemetry", "told"),
        ("route-policies", "told"),
    }
}
"""Kinds of entries that a later release added to those of a version of the state."""

MOVED = {("deduplicate-telemetry", kind) for kind in ("memory", "waiting")}
"""Kinds of entries up to version 3, of reports that were deduplicated by an operator of their own."""
MOVED_TO = {(uid, kind) for uid in ("riders-evidence", "witness-telemetry") for kind in ("arrived", "memory")}


FIRST_BY_REGION = 5
"""Jobs that began with an earlier version have a key for each trigger, and go on so."""


def test_every_version_of_state_has_a_golden_one():
    assert [folder.name for folder in GOLDEN] == [f"state-{version + 1}" for version in range(STATE_VERSION)]


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_a_graph_goes_on_from_golden_state(tmp_path, folder):
    """Claims held, a disruption open, reports waiting: all ends as in a replay of the whole."""
    state, before = read_state(folder)
    before = [(kind, with_present_features(payload)) for kind, payload in before]
    kinds = {
        uid: {name.partition("/")[0] for entries in keys.values() for name in entries} for uid, keys in state.items()
    }
    version = int(folder.name.removeprefix("state-"))
    added, moved = ADDED.get(version, set()), set()
    if version <= 3:
        added, moved = added | MOVED_TO, MOVED
    if version < FIRST_BY_REGION:
        added = added | {("ask-witness", "triggers"), ("judge-triggers", "triggers")}
    young = {(uid, kind) for uid, kinds in KINDS.items() for kind in kinds if kind in ("forgotten", "orders")}
    young |= {("link-claims", kind) for kind in KINDS["link-claims"]}  # a step that no golden state has
    young.add(("adjudicate-claims", "wages"))
    assert {(uid, kind) for uid, some in kinds.items() for kind in some} == {
        (uid, kind) for uid, some in KINDS.items() for kind in some if (uid, kind) not in added | young
    } | moved
    statuses = [claim["status"] for claim in CollectedResults.of(before).outcome.claims]
    assert {"soft_hold", "approved"} <= set(statuses)
    source = Scripted(tmp_path / "in", **SETTINGS, by_region=version >= FIRST_BY_REGION)
    first = read_half(folder, "first")
    for stream, records in first.items():
        source.say(stream, records)
    source.say("telemetry", ['{"unreadable": 1}'])
    source.graph = Graph.resumed(source.graph.settings, state, before, SETTINGS["scorer"])
    source.restore()
    play(source, read_half(folder, "rest"))
    source.restore()
    collected = source.finish()
    inputs, expected = source.locally()
    same(without_versions(collected.outcome), as_then(without_versions(expected), before), RECORDS)
    # What was decided before there were notifications is told to nobody; all that came after is.
    told = {claim["decided_at"] for claim in CollectedResults.of(before).outcome.claims}
    later = [each for each in expected.notifications if each["event_time"] > max(told)]
    assert later
    earlier = CollectedResults.of(before).outcome.notifications
    heard = [each for each in collected.outcome.notifications if each not in earlier]
    same(Outcome(notifications=heard), Outcome(notifications=later), ("notifications",))
    assert collected.dead_letters == inputs.dead_letters
    for stream, counts in inputs.counts.items():
        assert collected.counts[stream] == {name: counts[name] for name in counts if name != "ignored"}


def with_present_features(payload):
    """What was published with features under their names of then."""
    for then, now in RENAMED_FEATURES.items():
        payload = payload.replace(f'"{then}"'.encode(), f'"{now}"'.encode())
    return payload


RECORDS = ("disruptions", "claims", "payouts")


def as_then(expected, before):
    """What is expected of a job that another release began: what that one published names what it knew to name, and a
    score that it made, and that a claim still stands on, rests on the features that it knew, and has no signals of the
    guard. What policies state was not compared for claims that were confirmed then."""
    published = CollectedResults.of(before).outcome
    then = {(record["disruption_id"], record["revision"]): record.keys() for record in published.disruptions}
    for number, record in enumerate(expected.disruptions):
        known = then.get((record["disruption_id"], record["revision"]), record.keys())
        expected.disruptions[number] = {name: value for name, value in record.items() if name in known}
    scored = {claim["claim_id"]: claim for claim in published.claims}
    named = {(claim["claim_id"], claim["revision"]): claim.keys() for claim in published.claims}
    confirmed = {record["disruption_id"] for record in published.disruptions}
    for claim in sorted(expected.claims, key=lambda claim: claim["revision"]):
        if claim["disruption_id"] in confirmed:
            claim["features"]["stated_wage_ratio"] = None
            claim["feature_reports"].pop("stated_wage_ratio", None)
        first = scored.get(claim["claim_id"])
        if first is None or claim["decided_at"] >= first["decided_at"] + RESCORED_MS:
            assert claim["features"].keys() == set(FEATURE_NAMES)
            continue
        for part in ("features", "feature_reports"):
            claim[part] = {name: value for name, value in claim[part].items() if name in first["features"]}
        claim["guard"] = []
        for name in claim.keys() - named.get((claim["claim_id"], claim["revision"]), claim.keys()):
            del claim[name]
    return expected


def without_versions(outcome):
    """A product's file may have changed since, and what is told beside the decision; its rules must not have."""
    for claim in outcome.claims:
        del claim["product_version"]
        claim.pop("answer_by", None)
        for name in ("formula", "inputs"):
            claim["payout_terms"].pop(name, None)
    return outcome


def written_by(version):
    """The entries of unite-disruptions, as a version of the state wrote them."""
    return {
        "progress": pack(keyed_operator.Progress(version, at(0), 3)),
        "written/d1": pack((2, at(0), "confirmed")),
    }


def unite(entries, tmp_path):
    made = Graph(settings_of(tmp_path)).factory.make(MergeDisruptions, 0, StateWriter())
    made.resume(entries)
    return made


def found(revision):
    return {"disruption_id": "d1", "revision": revision, "revised_at": at(1), "state": "confirmed"}


def test_state_of_a_later_version_is_refused_in_words(tmp_path):
    with pytest.raises(StateError) as refused:
        unite(written_by(STATE_VERSION + 1), tmp_path)
    said = str(refused.value)
    assert said.startswith(f"unite-disruptions: state of version {STATE_VERSION + 1}; this code reads 1 to ")
    assert "Restore with the release that wrote it" in said


def test_a_migration_is_applied_version_by_version(tmp_path, monkeypatch):
    """Version 1 counted from one more, version 2 named its entries otherwise; other steps' state stays as it is."""
    monkeypatch.setattr(keyed_operator, "STATE_VERSION", 3)

    def one_to_two(entries):
        return {name: pack((unpack(payload)[0] - 1, *unpack(payload)[1:])) for name, payload in entries.items()}

    def two_to_three(entries):
        return {name.replace("written/", "written/new-"): payload for name, payload in entries.items()}

    monkeypatch.setitem(keyed_operator.MIGRATIONS, "unite-disruptions", {1: one_to_two, 2: two_to_three})
    made = unite(written_by(1), tmp_path)
    assert made.done_ms == at(0)
    rewritten = made.state.drain()
    assert {name: payload is None for name, payload in rewritten.items()} == {
        "progress": False,
        "written/d1": True,
        "written/new-d1": False,
    }
    assert unpack(rewritten["progress"], keyed_operator.Progress).version == 3, "what is kept is what it says it is"
    made.process(
        Message(
            "unite-disruptions",
            0,
            "records",
            0,
            pack([found(revision) | {"disruption_id": "new-d1"} for revision in range(3)]),
        )
    )
    (sent,) = made.advance(at(5))
    assert [record["revision"] for record in json.loads(sent.payload)] == [1, 2]
    assert unpack(made.state.drain()["progress"], keyed_operator.Progress).version == 3
    untouched = unite(written_by(3), tmp_path)
    untouched.process(Message("unite-disruptions", 0, "records", 0, pack([found(revision) for revision in range(3)])))
    (sent,) = untouched.advance(at(5))
    assert [record["revision"] for record in json.loads(sent.payload)] == [2]


@pytest.mark.parametrize(
    "damage",
    [
        {"written/d1": pack("two")},
        {"written/d1": b"\xc1"},
        {"progress": pack("early")},
        {"progress": None},
    ],
)
def test_state_that_makes_no_sense_is_refused_in_words(tmp_path, damage):
    entries = {name: payload for name, payload in (written_by(1) | damage).items() if payload is not None}
    with pytest.raises(StateError, match="unite-disruptions: state"):
        unite(entries, tmp_path)
