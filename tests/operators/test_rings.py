"""Rings among the claims of a storm: the same on both engines, and nobody else is frozen."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit.graph import Graph, locally, restored_again_and_again, same, settings_of
from kit.rings import CUSTOMERS, RING, ring_storm
from kit.streams import in_order, report, write_streams

from monsoon.sources.model_files import load_model

COMPARED = ("disruptions", "claims", "payouts", "notifications", "syndicate_alerts", "ring_alerts")


def written(folder):
    return write_streams(folder / "in", in_order(ring_storm()))


@cache
def expected():
    with TemporaryDirectory() as folder:
        return locally(written(Path(folder)))[1]


def last_claims(outcome):
    return {claim["worker_id"]: claim for claim in outcome.claims}


def test_members_are_reviewed_and_nobody_else():
    outcome = expected()
    (last,) = {alert["ring_id"]: alert for alert in outcome.ring_alerts if alert["state"] == "raised"}.values()
    assert last["members"] == RING
    assert {each["kind"] for each in last["evidence"]} >= {"device", "payout_account", "access_point"}
    claims = last_claims(outcome)
    in_review = {worker for worker, claim in claims.items() if claim["status"] != "approved"}
    assert in_review == {*RING, *CUSTOMERS}
    for worker in RING:
        assert claims[worker]["status"] == "manual_review"
        assert "ring" in claims[worker]["reasons"]
        assert claims[worker]["ring_id"] == last["ring_id"]
        features = claims[worker]["features"]
        assert 2 <= features["proximity_degree"] == features["shared_network_degree"] < len(RING)
    assert claims["h000"]["features"]["proximity_degree"] is None
    assert outcome.ring_alerts[-1]["state"] == "lifted"  # when its evidence has expired
    paid = {payout["claim_id"] for payout in outcome.payouts}
    assert not paid & {claims[worker]["claim_id"] for worker in [*RING, *CUSTOMERS]}


def test_a_raised_ring_has_a_risk_and_a_lifted_one_none():
    for alert in expected().ring_alerts:
        if alert["state"] == "raised":
            assert 0.99 < alert["risk"] <= 1.0
            assert alert["model_version"] == load_model("syndicate").version
        else:
            assert not {"risk", "model_version"} & alert.keys()


@pytest.mark.parametrize("buckets", [1, 4])
def test_both_engines_say_so(tmp_path, buckets):
    source = written(tmp_path)
    graph = Graph(settings_of(source, buckets), durable=False)
    graph.read_folder(source)
    same(graph.finish().outcome, expected(), COMPARED)


def test_a_stream_that_is_restored_again_and_again(tmp_path):
    outcome = restored_again_and_again(tmp_path, in_order(ring_storm()), 12)
    same(outcome, expected(), COMPARED)


def in_turns(phone="dev-ring", **policy):
    """The same storm; who is in the ring has a phone of his own now, and had another two weeks ago, one after another;
    `policy` changes what their policies state."""
    storm = ring_storm()
    for record in storm["telemetry"]:
        if record["worker_id"] in RING:
            record["device_id"] = f"d{record['worker_id']}x"
    for record in storm["subscriptions"]:
        if record["worker_id"] in RING:
            own = {name: value.format(record["worker_id"]) for name, value in policy.items()}
            record |= {"device_id": f"d{record['worker_id']}x"} | own
    for n, worker in enumerate(RING):
        minutes = -14 * 24 * 60 + 600 * n
        storm["telemetry"] += [report(worker, minutes + 5 * step, device_id=phone.format(worker)) for step in range(3)]
    return storm


@pytest.mark.parametrize(
    ("storm", "ringed"),
    [
        (in_turns(), RING),
        (in_turns(phone="dev-{}-old"), []),
        (in_turns(payout_account="upi-{}-own"), []),  # a phone sold on is one shared resource
    ],
    ids=["a phone in turns", "phones of their own", "a phone alone"],
)
def test_a_phone_of_two_weeks_ago_is_evidence(tmp_path, storm, ringed):
    source = write_streams(tmp_path / "in", in_order(storm))
    outcome = locally(source)[1]
    raised = [alert["members"] for alert in outcome.ring_alerts if alert["state"] == "raised"]
    assert raised[-1:] == ([ringed] if ringed else [])
    graph = Graph(settings_of(source, 2))
    graph.read_folder(source)
    same(graph.finish().outcome, outcome, COMPARED)


def test_riders_of_another_city_change_nobodys_claim():
    """What is linked here depends on claims nearby alone."""
    with TemporaryDirectory() as folder:
        storm = ring_storm()
        far = _moved(storm)
        both = {stream: [*storm[stream], *far[stream]] for stream in storm}
        outcome = locally(write_streams(Path(folder), in_order(both)))[1]
    mine = {claim["worker_id"] for claim in expected().claims}
    for stream in ("claims", "ring_alerts"):
        here = [each for each in getattr(outcome, stream) if _is_here(each, mine)]
        assert sorted(map(json.dumps, here)) == sorted(map(json.dumps, getattr(expected(), stream)))
    assert len(outcome.claims) == 2 * len(expected().claims)


def _is_here(record, workers):
    return record.get("worker_id") in workers or set(record.get("members", ())) & workers


def _moved(storm):
    """The same storm in Mumbai, with the same accounts and access points, of other riders on other phones."""
    moved = json.loads(json.dumps(storm))
    for some in moved.values():
        for record in some:
            for name in ("worker_id", "policy_id", "event_id", "reading_id", "device_id"):
                if name in record:
                    record[name] = f"m-{record[name]}"
            for lat, lon in (("lat", "lon"), ("home_lat", "home_lon")):
                if lat in record:
                    record[lat], record[lon] = record[lat] - 9.5, record[lon] - 4.3
    return moved
