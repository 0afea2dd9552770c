"""The guard through both engines: questions, answers, re-reads and what they release."""

import random

import pytest
from kit import LAT, at, reading_record
from kit.examples import mostly_slow
from kit.graph import Graph, Scripted, StillPhoneScorer, locally, same, settings_of
from kit.streams import policy_record, report, with_tower, write_streams

from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.runtime.messages import unpack_frame
from monsoon.transforms.identifiers import claim_id

HOUR = 60
KM = 1 / 111.19
FAR_CELL = "LTE-404-45-5000-20002"
"""Of a tower 60 km away."""

ANSWERED = {
    "good": 20, "later": 10, "silent": 10, "mocking": 20, "moved": 20, "two": 20, "deny": 20, "twice": 20,
    "shared-1": 20, "shared-2": 21, "shared-3": 22, "soft": 130, "spoofs-later": 130, "offshift": 20 * HOUR,
    "offshift-mocks": 25, "offshift-late": 24 * HOUR + 1, "late": 4 * HOUR + 1, "last": 4 * HOUR,
}  # fmt: skip
"""When riders confirm, in minutes after the disruption was confirmed."""

ENDS = {
    "honest": (["approved"], []),
    "good": (["step_up", "approved"], []),
    "later": (["step_up", "approved"], []),
    "silent": (["step_up", "manual_review"], ["reread_not_measured"]),
    "mocking": (["step_up", "manual_review"], ["mock"]),
    "moved": (["step_up", "manual_review"], ["reread_elsewhere"]),
    "never": (["step_up", "manual_review"], ["step_up_unanswered", "mock"]),
    "two": (["manual_review"], ["mock", "cell"]),
    "deny": (["step_up", "manual_review"], ["answer_denied"]),
    "twice": (["step_up", "approved"], []),
    "shared-1": (["step_up", "manual_review"], ["device"]),
    "shared-2": (["step_up", "manual_review"], ["device"]),
    "shared-3": (["step_up", "manual_review"], ["device"]),
    "soft": (["soft_hold", "step_up", "approved"], []),
    "spoofs-later": (["soft_hold", "step_up", "approved"], []),
    "offshift": (["step_up", "approved"], []),
    "offshift-mocks": (["step_up", "manual_review"], ["mock"]),
    "offshift-late": (["step_up", "manual_review"], ["step_up_unanswered"]),
    "late": (["step_up", "manual_review"], ["step_up_unanswered", "mock"]),
    "last": (["step_up", "approved"], []),
}


def fields_of(name, minutes):
    """What a rider's phone reports, but for what all report."""
    fields = {"mock_location": False}
    if minutes <= 0:
        fields["mock_location"] = minutes == -6 and name not in ("honest", "soft", "spoofs-later") and "off" not in name
        if name == "two":
            fields["cell"] = FAR_CELL
    elif name in ("mocking", "offshift-mocks"):
        fields["mock_location"] = minutes == 15
    elif name == "moved":
        fields["lat"] = LAT + 4 * KM
    elif name.startswith("shared"):
        fields["device_id"] = "d-shared"
    elif name == "spoofs-later":
        fields["mock_location"] = minutes == 111
    if name in ("soft", "spoofs-later") or "offshift" in name:
        fields["accel_var"] = None
    if "offshift" in name:
        fields["cell"] = None
    return fields


def moments_of(name):
    """When a rider reports: in the half hour up to the confirmation, and after it."""
    since = {
        "later": range(100, 112), "silent": (), "offshift": (), "offshift-late": (), "moved": range(14, 30),
        "soft": range(104, 140), "spoofs-later": range(104, 140), "last": range(230, 241, 2),
    }.get(name, range(2, 30))  # fmt: skip
    return [*range(-40, 1, 2), *since]


def storm(withdrawn=False):
    """A curfew and a cloudburst over Safdarjung, confirmed at minute 0; the curfew may be taken back for a while."""
    telemetry = [report(name, minutes, **fields_of(name, minutes)) for name in ENDS for minutes in moments_of(name)]
    readings = [
        reading_record("curfew", value, minutes, reading_id=f"curfew-{minutes}") for minutes, value in ((0, 1), (40, 0))
    ]
    if withdrawn:
        readings += [
            readings[0] | {"revision": revision, "value": value, "issued_time": at(minutes)}
            for revision, value, minutes in ((1, 0, 12), (2, 1, 14))
        ]
    readings += [
        reading_record("rain_mm_h", value, minutes, provider=name, reading_id=f"{name}-{minutes}")
        for name in ("imd", "skymet")
        for minutes, value in ((0, 80.0), (40, 0.0))
    ]
    policies = []
    for name in ENDS:
        is_offshift = "offshift" in name
        plan_of = {"product": "offshift", "plan": "weekly_pass"} if is_offshift else {}
        policies.append(policy_record(name, f"p-{name}", payout_account=f"u-{name}", **plan_of))
    return {"telemetry": telemetry, "oracle_readings": readings, "subscriptions": policies}


def written(folder, records):
    present = {
        stream: [{name: value for name, value in each.items() if value is not None} for each in some]
        for stream, some in records.items()
    }
    return with_tower(write_streams(folder, present), range_m=6000, others=[(FAR_CELL, LAT + 60 * KM)])


@pytest.fixture(scope="module", params=[False, True], ids=["steady", "withdrawn"])
def records(request, tmp_path_factory):
    return request.param, answered(tmp_path_factory.mktemp("unanswered"), request.param)


def answered(folder, withdrawn=False):
    """The storm with the riders' answers, whose claims are found by a replay in a folder."""
    found = storm(withdrawn)
    _, outcome = locally(written(folder, found), StillPhoneScorer())
    claims = {claim["worker_id"]: claim for claim in outcome.claims}
    assert set(claims) == set(ENDS)
    found["confirmations"] = [
        answer(name, minutes, claims[name], "deny" if name == "deny" else "confirm")
        for name, minutes in ANSWERED.items()
    ]
    found["confirmations"] += [
        answer("good", -1, claims["good"], "confirm", "before the claim"),
        answer("good", 0, claims["good"], "confirm", "before the question"),
        answer("twice", 20, claims["twice"], "confirm", "another phone"),
        answer("silent", 11, claims["silent"], "confirm", "once more"),
    ]
    return found


def answer(name, minutes, claim, says, answer_id=""):
    return {
        "answer_id": answer_id or f"a-{name}",
        "event_time": at(minutes),
        "worker_id": name,
        "policy_id": claim["policy_id"],
        "claim_id": claim["claim_id"],
        "answer": says,
    }


def stories(outcome):
    """By rider: the statuses and the last reasons."""
    found = {}
    for claim in sorted(outcome.claims, key=lambda each: each["revision"]):
        story, _ = found.get(claim["worker_id"], ([], []))
        found[claim["worker_id"]] = ([*story, claim["status"]], claim["reasons"])
    return found


def test_what_becomes_of_each(tmp_path, records):
    withdrawn, found = records
    inputs, outcome = locally(written(tmp_path / "in", found), StillPhoneScorer())
    ends = stories(outcome)
    if withdrawn:
        changed = {name for name in ENDS if ends[name][0][-1] != ENDS[name][0][-1]}
        assert changed == {"late", "soft", "spoofs-later"}, "asked a quarter of an hour later: in time, and too early"
        assert ends["later"][0] == ["step_up", "withdrawn", "step_up", "approved"]
        return
    for name, (story, reasons) in ENDS.items():
        weightless = [reason for reason in ends[name][1] if reason != "accelerometer_variance"]
        assert (ends[name][0], weightless) == (story, reasons), name
    assert inputs.counts["confirmations"]["reasons"] == {
        "answer_late": 2, "answered_already": 2, "nothing_asked": 2, "unknown_claim": 1,
    }  # fmt: skip
    last = {claim["worker_id"]: claim for claim in outcome.claims}
    assert last["good"]["decided_at"] == at(20)
    assert last["later"]["decided_at"] == last["silent"]["decided_at"] == at(4 * HOUR)
    assert last["spoofs-later"]["reread"]["asked_at"] == at(2 * HOUR)
    signals = {each["signal"]: each["status"] for each in last["good"]["guard"]}
    assert signals == {"mock": "strong", "radio": "clear", "cell": "clear", "motion": "clear", "device": "clear"}
    asked = [each for each in outcome.notifications if each["kind"] == "confirm_please" and each["worker_id"] == "good"]
    assert [each["reasons"] for each in asked] == [["verify:mock"]]
    assert "open the app outdoors" in asked[0]["text"]


@pytest.mark.parametrize("seed", mostly_slow(range(4)))
def test_streaming_says_the_same(tmp_path, records, seed):
    """In any order, twice over, cut anywhere, operators lagging, restored now and then."""
    chance = random.Random(seed)
    mixed = {stream: [*some, *(some if stream == "confirmations" else ())] for stream, some in records[1].items()}
    for some in mixed.values():
        chance.shuffle(some)
    source = written(tmp_path / "in", mixed)
    graph = Graph(settings_of(source, 1 + seed % 3), scorer=StillPhoneScorer())
    for number, planned in enumerate(plan(source, 20_000)[0]):
        graph.advance(planned.low_ms - 1, lambda: chance.random() < 0.1)
        graph.read(planned.stream, planned.part)
        if number % 5 == 2:
            graph = graph.restored()
    inputs, expected = locally(source, StillPhoneScorer())
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters


def test_batch_says_the_same(tmp_path, records):
    source = written(tmp_path / "in", records[1])
    graph = Graph(settings_of(source, 2), durable=False, scorer=StillPhoneScorer())
    for planned in plan(source, 50_000)[0]:
        graph.read(planned.stream, planned.part)
    same(graph.finish().outcome, locally(source, StillPhoneScorer())[1])


@pytest.mark.parametrize("seed", range(2))
def test_as_it_comes(tmp_path, records, seed):
    """Records in the order of their times, restored at moments that fall between question, answer and its re-read."""
    chance = random.Random(seed)
    source = Scripted(written(tmp_path / "in", {}), scorer=StillPhoneScorer())
    timed = [(each["event_time"], stream, each) for stream, some in records[1].items() for each in some]
    moments = sorted({max(at(-40), time_ms) // 300_000 * 300_000 for time_ms, _, _ in timed})
    for moment_ms in moments:
        source.graph.advance(moment_ms - 1)
        if chance.random() < 0.3:
            source.restore()
        for stream in records[1]:
            now = [
                each for ms, of, each in timed if of == stream and max(at(-40), ms) // 300_000 * 300_000 == moment_ms
            ]
            if now:
                source.say(stream, now)
    same(source.finish().outcome, source.locally()[1])


def test_an_answer_that_comes_late_has_its_reread(tmp_path, records):
    """The watermark has passed its moment: it counts from then on, with the reports up to then."""
    withdrawn, found = records
    if withdrawn:
        return
    source = Scripted(written(tmp_path / "in", {}), scorer=StillPhoneScorer())
    confirmations = [each for each in found["confirmations"] if each["answer_id"] == "a-good"]
    source.play([(None, {name: some for name, some in found.items() if name != "confirmations"})])
    source.graph.advance(at(40))
    source.play([(None, {"confirmations": confirmations})])
    outcome = source.finish().outcome
    (last,) = [each for each in outcome.claims if each["worker_id"] == "good" and each["status"] == "approved"]
    assert at(39) < last["decided_at"] <= at(41)
    assert last["reread"]["outcome"] == "released"


def test_a_reread_that_is_lost_is_looked_at_by_people(tmp_path, records):
    withdrawn, found = records
    if withdrawn:
        return

    class Losing(Graph):
        def _send(self, messages):
            super()._send(each for each in messages if not each.kind.startswith("rereads/"))

    source = written(tmp_path / "in", found)
    graph = Losing(settings_of(source, 2), scorer=StillPhoneScorer())
    for planned in plan(source, 50_000)[0]:
        graph.read(planned.stream, planned.part)
    last = {claim["worker_id"]: claim for claim in graph.finish().outcome.claims}
    assert (last["good"]["status"], last["good"]["reasons"][0]) == ("manual_review", "score_missing")


def test_rereads_are_in_proportion_to_answers(tmp_path, records):
    """Of riders who do not answer nothing is read again; of others for the questions that were open alone."""
    rows = []

    class Noting(Graph):
        def _send(self, messages):
            def noted():
                for each in messages:
                    if each.kind.startswith("rereads/"):
                        rows.extend(unpack_frame(each.payload).iter_rows(named=True))
                    yield each

            super()._send(noted())

    source = written(tmp_path / "in", records[1])
    graph = Noting(settings_of(source, 2), scorer=StillPhoneScorer())
    for planned in plan(source, 50_000)[0]:
        graph.read(planned.stream, planned.part)
    graph.finish()
    assert {row["worker_id"] for row in rows} <= ANSWERED.keys() - {"deny"}
    by_claim = [claim_id(row["policy_id"], row["disruption_id"]) for row in rows]
    assert max(map(by_claim.count, by_claim)) <= 8, "two askings, two waits, an answer and an end"


def test_answers_are_forgotten_with_their_disruption(tmp_path, records):
    day_ms = 24 * 3_600_000
    short = {"reports_kept_ms": day_ms, "history_kept_ms": day_ms, "corrected_ms": day_ms, "remembered_ms": 2 * day_ms}
    source = Scripted(written(tmp_path / "in", {}), scorer=StillPhoneScorer(), **short)
    source.play([(None, records[1])])
    source.graph.advance(at(2 * 24 * 60))
    kinds = {"answered", "disruption"}
    assert kinds <= {each.kind for each in source.graph.entries() if each.uid == "riders-evidence"}
    for day in range(3, 8):
        source.graph.advance(at(day * 24 * 60))
    kinds.add("answers")
    assert kinds.isdisjoint(each.kind for each in source.graph.entries() if each.uid == "riders-evidence")
