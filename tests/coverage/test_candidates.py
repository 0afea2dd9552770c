"""Presence and candidates: where riders are at confirmation, whose policies speak, which zones are recorded."""

import h3.api.basic_int as h3
from kit import LAT, LON, at, evaluate, kawaach, reading, subscription_record, zones_at

from monsoon.transforms.adjudication.candidates import CandidateFinder
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.triggers.evaluate import evaluate_trigger

KAWAACH = kawaach()
CURFEW = KAWAACH.trigger("curfew")
AWAY = (LAT + 0.02, LON)
FAR = (LAT + 1, LON)


def telemetry(*reports):
    """(worker, minutes, (lat, lon), event_id) in any order."""
    return TelemetryTable.from_columns(
        worker=[r[0] for r in reports],
        event_time_ms=[at(r[1]) for r in reports],
        lat=[r[2][0] for r in reports],
        lon=[r[2][1] for r in reports],
        event_id=[r[3] if len(r) > 3 else f"e{n}" for n, r in enumerate(reports)],
    )


def claims(reports, *subscriptions, minutes=0.0, radius_km=0.5, zones=((LAT, LON), AWAY)):
    """{(zone index, policy_id)} of the candidates of a curfew at `minutes` around Safdarjung."""
    coverage = Coverage(KAWAACH, subscriptions)
    presence = Presence(ReportCells(telemetry(*reports)), coverage.workers, 9)
    finder = CandidateFinder(KAWAACH, coverage, presence)
    found, recorded = set(), set()
    names = [h3.int_to_str(h3.latlng_to_cell(*zone, 9)) for zone in zones]
    for series in evaluate_trigger(CURFEW, [reading("curfew", 1, minutes, radius_km=radius_km)], zones_at(*zones)):
        for disruption in finder.disruptions(series):
            recorded.add(names.index(disruption.zone))
            for updates in disruption.updates.values():
                found.add((names.index(disruption.zone), updates[0].terms.policy_id))
    return found, recorded


POLICY = subscription_record("activated", -100, -50, 10_000, home_lat=FAR[0], home_lon=FAR[1])
AT_HOME = POLICY | {"home_lat": LAT, "home_lon": LON}


def test_a_rider_whose_last_report_lies_in_the_zone_is_a_candidate():
    assert claims([("w1", -5, (LAT, LON))], POLICY) == ({(0, "p1")}, {0})


def test_a_report_exactly_at_confirmation_counts_and_one_after_does_not():
    assert claims([("w1", 0, (LAT, LON))], POLICY)[0] == {(0, "p1")}
    assert claims([("w1", 0.001, (LAT, LON))], POLICY)[0] == set()


def test_the_last_report_decides_and_of_one_moment_the_greater_event_id():
    assert claims([("w1", -5, (LAT, LON)), ("w1", -1, FAR)], POLICY)[0] == set()
    assert claims([("w1", -5, (LAT, LON), "b"), ("w1", -5, FAR, "a")], POLICY)[0] == {(0, "p1")}


def test_a_report_90_minutes_old_still_holds():
    assert claims([("w1", -90, (LAT, LON))], POLICY)[0] == {(0, "p1")}
    assert claims([("w1", -90.001, (LAT, LON))], POLICY)[0] == set()


def test_a_silent_rider_is_at_home():
    assert claims([], AT_HOME) == ({(0, "p1")}, {0})
    assert claims([("w1", -91, FAR)], AT_HOME)[0] == {(0, "p1")}


def test_a_rider_reporting_elsewhere_is_not_at_home():
    assert claims([("w1", -5, FAR)], AT_HOME) == (set(), {0})


def test_a_rider_without_cover_at_the_start_gets_none():
    late = AT_HOME | {"coverage_start": at(0) + 1}
    assert claims([], late)[0] == set()
    assert claims([], AT_HOME | {"coverage_start": at(0)})[0] == {(0, "p1")}


def test_a_rider_in_two_zones_at_once_is_in_one():
    found, _ = claims([("w1", -5, (LAT, LON), "a"), ("w1", -5, AWAY, "b")], POLICY, radius_km=5)
    assert found == {(1, "p1")}


def test_two_policies_of_one_rider_make_one_claim():
    second = AT_HOME | {"policy_id": "p2", "event_id": "s-2", "coverage_start": at(-60)}
    assert claims([("w1", -5, (LAT, LON))], AT_HOME, second)[0] == {(0, "p2")}


def test_zones_without_home_or_holder_are_not_recorded():
    stranger = ("w9", -5, (LAT, LON))
    assert claims([stranger, ("w1", -5, FAR)], POLICY) == (set(), set())


def test_a_correction_that_moves_the_confirmation_moves_the_candidates():
    coverage = Coverage(KAWAACH, [POLICY])
    presence = Presence(ReportCells(telemetry(("w1", -20, (LAT, LON)), ("w1", 15, FAR))), coverage.workers, 9)
    first = [reading("curfew", 1, 0, reading_id="r", issued_time=at(1))]
    moved = reading("curfew", 1, 20, reading_id="r", revision=1, issued_time=at(30))
    (series,) = evaluate_trigger(CURFEW, [*first, moved], zones_at())
    disruptions = list(CandidateFinder(KAWAACH, coverage, presence).disruptions(series))
    by_state = {d.revisions[-1].state: d for d in disruptions}
    assert set(by_state["withdrawn"].updates) == {"w1"}
    assert set(by_state) == {"withdrawn", "ended"}
    assert by_state["ended"].updates == {}


def test_records_follow_the_contract(root):
    import json

    import jsonschema

    schema = json.loads((root / "contracts" / "disruption.schema.json").read_text())
    assert evaluate(KAWAACH, "curfew", [reading("curfew", 1, 0)])
    coverage = Coverage(KAWAACH, [AT_HOME])
    (series,) = evaluate_trigger(CURFEW, [reading("curfew", 1, 0)], zones_at())
    (disruption,) = CandidateFinder(KAWAACH, coverage, Presence(ReportCells(telemetry()), ["w1"], 9)).disruptions(
        series
    )
    for record in disruption.records("kawaach"):
        jsonschema.validate(json.loads(json.dumps(record)), schema)
