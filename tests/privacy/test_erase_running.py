"""A rider who is erased while a job runs: what its state has of him goes, decisions stand, and later ones are as those
of a replay with the list of erased riders."""

import json
from dataclasses import replace

import pytest
from kit import at, reading_record
from kit.graph import Graph, Scripted, locally, same
from kit.streams import report, small_storm, write_streams

from monsoon.cli.main import main
from monsoon.contracts.topics import key_of
from monsoon.pipelines.operators.report_store import stored_reports
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.config_changes import EventTimeUnknownError, with_update
from monsoon.pipelines.runtime.job_config import Erasure
from monsoon.pipelines.runtime.messages import REMOVED_FEATURES, unpack, unpack_frame
from monsoon.pipelines.runtime.report_codec import is_reference
from monsoon.pipelines.runtime.state_codec import unpack_small
from monsoon.sources.control_records import (
    ControlRecordError,
    Decision,
    ErasureRequest,
    decode_control_record,
    encode_control_record,
    erasure_request,
)
from monsoon.sources.erased_workers import FILE, erased_workers_text
from monsoon.sources.files import FilePart
from monsoon.sources.kafka.control_log import LoggedRecord
from monsoon.testing.operator_harness import COLD
from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.erasure import FEATURES_WITHOUT_LOCATION, worker_hash
from monsoon.transforms.erasure_record import verified
from monsoon.transforms.validation.raw_identifiers import MASK

ERASED_MIN = 120
"""When w1 is erased, long after the first disruptions and before the last."""
LAST_MIN = 420


def records():
    storm = small_storm(every_min=4.0)
    minutes_of_work = [*range(-2900, -2600, 30), *range(60, 480, 4)]
    storm["telemetry"] += [report(f"w{rider}", minutes) for rider in range(4) for minutes in minutes_of_work]
    storm["oracle_readings"] += [
        {name: value for name, value in each.items() if value is not None}
        for each in (
            reading_record("curfew", 1, LAST_MIN, reading_id="c-last"),
            reading_record("curfew", 0, LAST_MIN + 40, reading_id="c-end"),
        )
    ]
    return storm


def of_time(storm, after_min, until_min):
    return {
        stream: [each for each in some if at(after_min) <= each["event_time"] < at(until_min)]
        for stream, some in storm.items()
    }


def erased(settings, before_min, worker="w1", at_min=ERASED_MIN):
    _, request = erasure_request(worker, at(before_min))
    return with_update(settings, request, at(at_min) - 1)[0]


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """A job that has come to the erasure, and the rest of its input."""
    storm = records()
    scripted = Scripted(tmp_path_factory.mktemp("job") / "in", buckets=3, features=True)
    for minutes in [*range(-3000, -100, 300), *range(-90, ERASED_MIN + 10, 10)]:
        until = minutes + (300 if minutes < -100 else 10)
        for stream, some in of_time(storm, minutes, until).items():
            if some:
                scripted.say(stream, some)
        scripted.graph.advance(min(at(until - 2), at(ERASED_MIN) - 1))
    return scripted, of_time(storm, ERASED_MIN + 10, 10_000)


def resumed(scripted, settings):
    graph = Graph.resumed(settings, scripted.graph.state, scripted.graph.results)
    graph.advance(at(ERASED_MIN + 1))
    return graph


def evidence_of(graph, worker):
    """By operator and kind of entry, how much of a rider is in state; the moments of reports (ms) are told as well."""
    found, times_ms = {}, []

    def count(entry, many):
        if many:
            found[entry.uid, entry.kind] = found.get((entry.uid, entry.kind), 0) + many

    for entry in graph.entries():
        if entry.kind in ("rows", "orders", "arrived") and entry.uid in ("riders-evidence", "witness-telemetry"):
            if is_reference(entry.payload):
                continue
            batch = stored_reports(entry.payload)
            mine = [batch.words["worker_id"][code] == worker for code in batch["worker_id"].tolist()]
            times_ms += [ms for ms, own in zip(batch["event_time"].tolist(), mine, strict=True) if own]
            count(entry, sum(mine))
        elif entry.kind in ("panes", "days") or (entry.kind == "pane-counts" and entry.name.startswith(COLD)):
            count(entry, unpack_frame(entry.payload)["worker_id"].to_list().count(worker))
        elif entry.kind in ("phones", "compared"):
            count(entry, unpack_small(entry.payload, dict[str, list])["worker_id"].count(worker))
        elif entry.kind == "openings":
            count(entry, sum(len(stays) for opening, stays in unpack(entry.payload) if worker in str(opening)))
        elif entry.kind == "claim":
            claim = unpack_small(entry.payload, Claim)
            if claim.terms.worker_id == worker and claim.score is not None:
                told = claim.score.features.items()
                count(entry, sum(value is not None and name not in FEATURES_WITHOUT_LOCATION for name, value in told))
                count(entry, len(claim.score.guard) + len(claim.score.reports))
    return found, times_ms


def test_nothing_of_the_rider_is_left_in_state(before):
    scripted, _ = before
    config = erased(scripted.graph.settings, ERASED_MIN)
    graph = resumed(scripted, config)
    had, _ = evidence_of(scripted.graph, "w1")
    assert any(entry.name.startswith(f"{COLD}rows") for entry in scripted.graph.entries())
    assert any(entry.name.startswith(f"{COLD}pane-counts") for entry in scripted.graph.entries())
    assert {uid for uid, _ in had} >= {
        "riders-evidence", "witness-telemetry", "compare-neighbors", "link-claims", "adjudicate-claims",
        "measure-features",
    }  # fmt: skip
    left, times_ms = evidence_of(graph, "w1")
    assert min(times_ms, default=at(ERASED_MIN)) >= at(ERASED_MIN)
    assert {kind for _, kind in left} <= {"arrived"}, "reports of after the moment"
    assert evidence_of(graph, "w2") == evidence_of(resumed(scripted, scripted.graph.settings), "w2")


def test_the_topic_of_features_is_told_of_every_key_of_the_rider(before):
    scripted, _ = before
    emitted = scripted.graph.collected().features
    its = {key_of("features", each) for each in emitted if each["entity_id"].split("/")[0] == "w1"}
    collected = resumed(scripted, erased(scripted.graph.settings, ERASED_MIN)).collected()
    assert len(its) == len(collected.removed_features) == 2, "the rider, and with the phone"
    assert set(collected.removed_features) == its
    keys = [kind for kind, _ in resumed(scripted, erased(scripted.graph.settings, 0, "nobody")).results]
    assert REMOVED_FEATURES not in keys


@pytest.mark.slow
def test_decisions_stand_and_later_ones_are_those_of_a_replay_with_the_list(before, tmp_path):
    scripted, rest = before
    config = erased(scripted.graph.settings, ERASED_MIN)
    graph = continued(resumed(scripted, config), rest, tmp_path / "in")
    for stream in ("telemetry", "oracle_readings", "subscriptions"):
        for path in sorted((scripted.folder / stream).iterdir()):
            (tmp_path / "in" / stream / f"before-{path.name}").write_bytes(path.read_bytes())
    (tmp_path / "in" / "reference").mkdir()
    text = erased_workers_text({worker_hash("w1"): at(ERASED_MIN)})
    (tmp_path / "in" / "reference" / FILE).write_text(text)
    expected = locally(tmp_path / "in")[1]
    outcome = graph.finish().outcome
    later = [of_late_claims(each) for each in (outcome, expected)]
    assert any(claim["worker_id"] == "w1" for claim in later[0].claims)
    same(*later, streams=("claims", "payouts", "notifications"))
    decided = scripted.graph.collected().outcome
    assert decided.claims
    for stream in ("claims", "payouts", "notifications", "disruptions"):
        known = getattr(decided, stream)
        assert getattr(outcome, stream)[: len(known)] == known
    (tmp_path / "in" / "reference" / FILE).unlink()
    with pytest.raises(AssertionError):
        same(of_late_claims(locally(tmp_path / "in")[1]), later[1], streams=("claims",))


def continued(graph, rest, folder):
    """The graph with the rest of the input, which is written to a folder."""
    for minutes in range(ERASED_MIN, LAST_MIN + 90, 30):
        for stream, some in of_time(rest, minutes, minutes + 30).items():
            path = folder / stream / f"after-{minutes}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{json.dumps(each)}\n" for each in some))
            graph.read(stream, FilePart(path))
        graph.advance(at(minutes + 28))
    return graph


def of_late_claims(outcome):
    """Claims on disruptions that were confirmed long after the erasure, and what follows from them."""
    late = {each["disruption_id"] for each in outcome.disruptions if each["start"] >= at(LAST_MIN - 1)}
    claims = [each for each in outcome.claims if each["disruption_id"] in late]
    names = {each["claim_id"] for each in claims}
    others = {
        stream: [each for each in getattr(outcome, stream) if each["claim_id"] in names]
        for stream in ("payouts", "notifications")
    }
    return replace(outcome, claims=claims, **others)


def test_reports_on_their_way_are_refused_without_a_place(before, tmp_path):
    scripted, _ = before
    graph = resumed(scripted, erased(scripted.graph.settings, ERASED_MIN))
    graph.validate = Validate(scripted.graph.settings)  # a task that does not know yet
    late_ms = at(ERASED_MIN - 5)
    late = [report(worker, ERASED_MIN - 5, event_id=f"late-{worker}") for worker in ("w1", "w2")]
    path = write_streams(tmp_path, {"telemetry": late}) / "telemetry" / "part-0.jsonl"
    for _ in range(2):
        graph.read("telemetry", FilePart(path))
        graph.advance(at(ERASED_MIN + 2))
    (letter,) = graph.collected().dead_letters
    assert letter["reason"] == "erased_worker"
    assert json.loads(letter["raw"]) == {"event_time": at(ERASED_MIN - 5), "worker_id": MASK}
    for uid in ("riders-evidence", "witness-telemetry"):
        stored = [each._reports.telemetry() for each in graph.live[uid].values()]
        used = {
            table.workers[code] for table in stored for code in table.worker[table.event_time_ms == late_ms].tolist()
        }
        assert "w2" in used
        assert "w1" not in used
    assert late_ms in evidence_of(graph, "w1")[1], "in the package in which it came"
    graph.advance(at(ERASED_MIN + 130))
    assert late_ms not in evidence_of(graph, "w1")[1]
    assert late_ms in evidence_of(graph, "w2")[1]


def test_an_erasure_is_decided_once_event_time_is_known_and_once(before):
    scripted, _ = before
    settings = scripted.graph.settings
    _, request = erasure_request("w1", at(ERASED_MIN))
    with pytest.raises(EventTimeUnknownError):
        with_update(settings, request, None)
    end_ms = settings.intervals.end_of(at(ERASED_MIN))
    once, from_ms = with_update(settings, request, end_ms)
    assert once.erasures == (Erasure(from_ms, worker_hash("w1"), at(ERASED_MIN)),)
    assert from_ms == settings.intervals.end_of(end_ms + 1) > end_ms
    assert with_update(once, request, at(500)) == (once, from_ms)
    assert with_update(once, ErasureRequest(request.worker_hash, at(0)), at(500))[0] is once
    twice = with_update(once, ErasureRequest(request.worker_hash, at(500)), end_ms)[0]
    assert [each.at_ms for each in twice.erasures] == [from_ms, from_ms + 1], "no two have one moment"


def test_the_same_again_changes_no_state(before):
    scripted, _ = before
    graph = resumed(scripted, erased(scripted.graph.settings, ERASED_MIN))
    state = {uid: {key: dict(entries) for key, entries in keys.items()} for uid, keys in graph.state.items()}
    again = erased(graph.settings, ERASED_MIN)
    assert again is graph.settings
    assert state == Graph.resumed(again, graph.state).state
    without = Graph.resumed(scripted.graph.settings, graph.state)
    assert evidence_of(without, "w1") == evidence_of(graph, "w1")


@pytest.mark.parametrize(
    "record",
    [
        {"worker_hash": "w1", "before_ms": 5},
        {"worker_hash": "0" * 32, "before_ms": -1},
        {"worker_hash": "0" * 32, "before_ms": 10**13},
        {"worker_hash": "0" * 32},
    ],
)
def test_a_record_that_names_a_rider_openly_or_no_time_is_none(record):
    with pytest.raises(ControlRecordError):
        decode_control_record(json.dumps({"kind": "erasure", **record}).encode())


class DecidingLog:
    """A control topic of which a job decides on each record at once, with these faults (None: it does not)."""

    def __init__(self, faults):
        self.records, self.faults, self.read_to = [], faults, 0

    def append(self, key, value):
        self.records.append(value)
        if self.faults is not None:
            decision = Decision("live", 0, self.faults, None if self.faults else at(5), at(4))
            self.records.append(encode_control_record(decision))
        return 0

    def read(self):
        found = [LoggedRecord(number, value) for number, value in enumerate(self.records)][self.read_to :]
        self.read_to = len(self.records)
        return found

    def close(self):
        pass


@pytest.mark.parametrize(("faults", "code", "at_ms"), [((), 0, at(5)), (("no",), 1, None), (None, 1, None)])
def test_the_command_tells_a_live_job_and_signs_what_it_said(tmp_path, monkeypatch, capsys, faults, code, at_ms):
    monkeypatch.setenv("MONSOON_ERASURE_KEY", "a secret of tests")
    log = DecidingLog(faults)
    monkeypatch.setattr("monsoon.cli.control.open_log", lambda brokers, prefix: log)
    words = ["erase", "w1", "--before", "2024-06-28T06:30:00+00:00", "--brokers", "b:1", "--group", "live"]
    assert main([*words, "--wait", "0", "--output", str(tmp_path)]) == code
    assert decode_control_record(log.records[0]) == ErasureRequest(worker_hash("w1"), at(0))
    assert b"w1" not in log.records[0]
    (path,) = tmp_path.glob("erasure-*.json")
    (entry,) = verified(path.read_bytes(), b"a secret of tests")["places"]["live job"]
    assert entry["erased_at_event_time_ms"] == at_ms
    said = capsys.readouterr().err
    assert ("no job of the group 'live' has taken the erasure over" in said) == (faults is None)
    assert ("the job refuses the erasure: no;" in said) == (faults == ("no",))
