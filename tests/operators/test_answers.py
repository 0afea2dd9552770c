"""Riders' answers through both engines: what they release, which re-reads they need, and what becomes of those that
change nothing."""

import random

import pytest
from kit import at, subscription_record
from kit.examples import mostly_slow
from kit.graph import Graph, Scripted, StillPhoneScorer, locally, same, settings_of
from kit.streams import report, small_storm, with_tower, write_streams

from monsoon.pipelines.flink.file_splits import plan

HOUR = 60


def storm():
    """w2, w3 and w4, who never reports, are held, asked two hours later, and may answer within four more. By then w2
    and w3 are at work again, beside a cell tower whose place is known."""
    records = small_storm(every_min=2.0)
    records["telemetry"] += [report(worker, minutes) for worker in ("w2", "w3") for minutes in range(110, 400, 5)]
    for each in records["telemetry"]:
        if each["worker_id"] in ("w2", "w3"):
            del each["accel_var"]
    return records


def written(folder, records):
    """A source with these records and the tower."""
    return with_tower(write_streams(folder, records))


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The claims that ask their riders, if nobody answers: (when they ask, the record) by rider."""
    source = written(tmp_path_factory.mktemp("unanswered"), storm())
    claims = locally(source, StillPhoneScorer())[1].claims
    found = {}
    for claim in sorted(claims, key=lambda each: each["decided_at"]):
        if claim["status"] == "step_up":
            found.setdefault(claim["worker_id"], claim)
    assert set(found) == {"w2", "w3", "w4"}
    return found


def answers_to(asked):
    """One of each kind."""
    minutes = {worker: (claim["decided_at"] - at(0)) / 60_000 for worker, claim in asked.items()}
    return [
        answer("yes", minutes["w2"] + 30, asked["w2"]),
        answer("again", minutes["w2"] + 31, asked["w2"], answer="deny"),
        answer("no", minutes["w3"] + HOUR, asked["w3"], answer="deny"),
        answer("early", minutes["w3"] - 1, asked["w3"]),
        answer("late", minutes["w2"] + 30 * HOUR, asked["w3"] | {"claim_id": "c-unknown"}),
        answer("another's", minutes["w3"] + 30, asked["w3"], worker_id="w0"),
    ]


def answer(name, minutes, claim, **fields):
    record = {
        "answer_id": name,
        "event_time": at(minutes),
        "worker_id": claim["worker_id"],
        "policy_id": claim["policy_id"],
        "claim_id": claim["claim_id"],
        "answer": "confirm",
    }
    return record | fields


def last(outcome, claim):
    mine = [each for each in outcome.claims if each["claim_id"] == claim["claim_id"]]
    return max(mine, key=lambda each: each["revision"])


def test_answers_release_and_escalate(tmp_path, asked):
    source = written(tmp_path / "in", storm() | {"confirmations": answers_to(asked)})
    inputs, outcome = locally(source, StillPhoneScorer())
    confirmed, denied = last(outcome, asked["w2"]), last(outcome, asked["w3"])
    assert confirmed["status"] == "approved"
    assert (denied["status"], denied["reasons"][0]) == ("manual_review", "answer_denied")
    assert confirmed["decided_at"] == asked["w2"]["decided_at"] + 30 * 60_000
    counts = inputs.counts["confirmations"]
    assert counts["reasons"] == {"answered_already": 1, "nothing_asked": 1, "unknown_claim": 2}
    assert (counts["read"], counts["used"], counts["duplicate"], counts["dead"]) == (6, 2, 0, 4)


def test_an_answer_that_comes_too_late(tmp_path, asked):
    minutes = (asked["w2"]["answer_by"] - at(0)) / 60_000
    late = [answer("late", minutes + 0.001, asked["w2"]), answer("just in time", minutes, asked["w3"])]
    source = written(tmp_path / "in", storm() | {"confirmations": late})
    inputs, outcome = locally(source, StillPhoneScorer())
    assert last(outcome, asked["w2"])["reasons"][0] == "step_up_unanswered"
    assert last(outcome, asked["w3"])["status"] == "approved"
    assert inputs.counts["confirmations"]["reasons"] == {"answer_late": 1}


@pytest.mark.parametrize("seed", mostly_slow(range(4)))
def test_streaming_says_the_same(tmp_path, asked, seed):
    """In any order of files, twice over, cut anywhere, steps lagging, restored now and then."""
    chance = random.Random(seed)
    records = storm() | {"confirmations": 2 * answers_to(asked)}
    for some in records.values():
        chance.shuffle(some)
    source = written(tmp_path / "in", records)
    graph = Graph(settings_of(source, 3), scorer=StillPhoneScorer())
    for number, planned in enumerate(plan(source, 20_000)[0]):
        graph.advance(planned.low_ms - 1, lambda: chance.random() < 0.1)
        graph.read(planned.stream, planned.part)
        if number % 5 == 2:
            graph = graph.restored()
    inputs, expected = locally(source, StillPhoneScorer())
    collected = graph.finish()
    same(collected.outcome, expected)
    assert not collected.late
    assert collected.dead_letters == inputs.dead_letters
    counts = inputs.counts["confirmations"]
    assert counts["duplicate"] == 6
    assert collected.counts["confirmations"] == {name: counts[name] for name in counts if name != "ignored"}


def test_an_answer_as_it_comes(tmp_path, asked):
    """On a stream: the answer is read when its time has come, and acts at once."""
    source = Scripted(with_tower(tmp_path / "in"), scorer=StillPhoneScorer()).play([(None, storm())])
    minutes = (asked["w2"]["decided_at"] - at(0)) / 60_000
    source.play([(minutes + 30, {"confirmations": [answer("yes", minutes + 30, asked["w2"])]})])
    source.graph.advance(at(minutes + 31))
    assert last(source.graph.collected().outcome, asked["w2"])["status"] == "approved"
    same(source.finish().outcome, source.locally()[1])


def test_a_policy_cancelled_between_confirmation_and_decision_pays(tmp_path, asked):
    """Coverage is judged at the disruption's start."""
    held = asked["w2"]
    cancelled = subscription_record(
        "cancelled", 20, -900, 9000, policy_id=held["policy_id"], worker_id="w2", device_id="dw2x",
        payout_account="u2xx", daily_wage_inr=500,
    )  # fmt: skip
    records = storm()
    records["subscriptions"].append({name: value for name, value in cancelled.items() if value is not None})
    minutes = (held["decided_at"] - at(0)) / 60_000
    records["confirmations"] = [answer("yes", minutes + 30, held)]
    before = locally(written(tmp_path / "kept", storm() | {"confirmations": records["confirmations"]}),
                     StillPhoneScorer())[1]  # fmt: skip
    after = locally(written(tmp_path / "in", records), StillPhoneScorer())[1]
    assert last(after, held)["status"] == "approved"
    assert last(after, held)["payout_inr"] == last(before, held)["payout_inr"] > 0
