"""Triggers by region: what they say is what whole ones say, wherever readings lie and however they are corrected."""

import json

import h3.api.basic_int as h3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, reading_record
from kit.examples import examples, mostly_slow
from kit.graph import Graph, Scripted, locally, same, settings_of
from kit.streams import policy_record, report, write_streams
from operators.test_equal_records import at_its_own_pace, moments
from operators.test_witness import outage_day

from monsoon.pipelines.flink.file_splits import plan
from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions
from monsoon.pipelines.operators.telemetry_aggregation import AggregateTelemetryAnswers
from monsoon.pipelines.operators.telemetry_queries import QueryTelemetry
from monsoon.pipelines.operators.zone_announcements import AnnouncedCells
from monsoon.pipelines.runtime.job_config import RegionTrigger
from monsoon.pipelines.runtime.keyed_operator import Progress
from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.pipelines.topology import OPERATORS
from monsoon.transforms.geo.regions import REGION_RESOLUTION, region_of

CORNER = min(
    h3.cell_to_boundary(h3.latlng_to_cell(LAT, LON, REGION_RESOLUTION)),
    key=lambda place: abs(place[0] - LAT) + abs(place[1] - LON),
)
"""Where three regions meet, near Delhi."""

PLACES = [(CORNER[0] + north, CORNER[1] + east) for north, east in ((0.04, 0.0), (-0.03, 0.04), (-0.03, -0.04))]
"""Where riders are, in each of the three, some kilometers from the others."""


def cell(place):
    return h3.latlng_to_cell(*place, 9)


def test_the_places_lie_in_three_regions():
    assert len({region_of(cell(place)) for place in PLACES}) == 3


def disc(place, radius_km):
    lat, lon = place
    return {"lat": lat, "lon": lon, "radius_km": radius_km}


def box(place, half):
    lat, lon = place
    corners = [(lat - half, lon - half), (lat - half, lon + half), (lat + half, lon + half), (lat + half, lon - half)]
    wkt = ", ".join(f"{lon} {lat}" for lat, lon in [*corners, corners[0]])
    return {"lat": None, "lon": None, "wkt": f"POLYGON(({wkt}))"}


AREAS = [
    *(disc(place, 1.0) for place in PLACES),
    disc(CORNER, 3.0),
    disc(CORNER, 8.0),
    disc((PLACES[0][0] + 0.2, PLACES[0][1]), 30.0),
    *(box(place, 0.01) for place in PLACES[:2]),
    box(CORNER, 0.1),
    *(
        {"lat": None, "lon": None, "h3": h3.int_to_str(h3.latlng_to_cell(*PLACES[2], resolution))}
        for resolution in (5, 9)
    ),
]

VALUES = {"curfew": (1, 0), "rain_mm_24h": (110.0, 20.0)}

drawn_readings = st.dictionaries(
    st.tuples(st.sampled_from(["imd", "skymet"]), st.integers(0, 3), st.sampled_from([0, 0, 1, 2])),
    st.tuples(
        st.sampled_from(sorted(VALUES)),
        st.sampled_from([0, 0, 1]),
        st.integers(-6, 10),
        st.integers(-3, 12),
        st.sampled_from(AREAS),
    ),
    min_size=1,
    max_size=14,
)
"""By provider, reading and revision: metric, which value, of which ten minutes, issued how much later, area."""


def readings_of(drawn):
    return [
        reading_record(
            metric, VALUES[metric][which], 10 * ten, **area,
            provider=provider, reading_id=f"r{number}", revision=revision,
            issued_time=at(10 * (ten + later)) if revision else None,
        )
        for (provider, number, revision), (metric, which, ten, later, area) in drawn.items()
    ]  # fmt: skip


def others(places=PLACES):
    """A rider in each place who reports, and one who does not, at home."""
    telemetry, policies = [], []
    for n, (lat, lon) in enumerate(places):
        telemetry += [report(f"w{n}", minutes, lat=lat, lon=lon) for minutes in range(-100, 150, 10)]
        policies += [policy_record(f"w{n}", f"p{n}"), policy_record(f"h{n}", f"q{n}", home_lat=lat, home_lon=lon)]
    return {"telemetry": telemetry, "oracle_readings": [], "subscriptions": policies}


@given(data=st.data(), drawn=drawn_readings)
@examples(12)
def test_any_readings_and_corrections_around_a_corner_of_three_regions(tmp_path_factory, data, drawn):
    """In the order in which they take effect, with watermarks and restarts anywhere: as the local engine says."""
    buckets = data.draw(st.sampled_from([1, 3, 7]))
    source = Scripted(tmp_path_factory.mktemp("regions") / "in", buckets=buckets, products=["kawaach"])
    ahead = moments(others() | {"oracle_readings": readings_of(drawn)})
    strays = at_its_own_pace(data.draw(st.integers(0, 10**9)))
    while ahead:
        together = data.draw(st.integers(1, len(ahead)))
        now, ahead = ahead[:together], ahead[together:]
        for stream in ("telemetry", "oracle_readings", "subscriptions"):
            if some := [record for _, name, record in now if name == stream]:
                source.say(stream, data.draw(st.permutations(some)) if stream == "oracle_readings" else some)
        if ahead:
            source.graph.advance(ahead[0][0] - 1, strays=strays)
        if data.draw(st.booleans()):
            source.restore()
    same(source.finish().outcome, source.locally()[1])


@given(data=st.data(), drawn=drawn_readings)
@examples(12)
def test_what_comes_late_counts_as_where_a_trigger_is_one_key(tmp_path_factory, data, drawn):
    """Readings in any order, whatever the watermark: both keyings publish the same at every moment."""
    readings = data.draw(st.permutations(readings_of(drawn)))
    steps = sorted(data.draw(st.lists(st.integers(-10, 16), min_size=len(readings), max_size=len(readings))))
    restarts = data.draw(st.lists(st.booleans(), min_size=len(readings), max_size=len(readings)))
    outcomes = []
    for by_region in (True, False):
        folder = tmp_path_factory.mktemp("late") / "in"
        source = Scripted(folder, buckets=3, products=["kawaach"], by_region=by_region)
        source.play([(None, others())])
        for reading, ten, restarted in zip(readings, steps, restarts, strict=True):
            if restarted:
                source.restore()
            source.graph.advance(at(10 * ten))
            source.say("oracle_readings", [reading])
        outcomes.append(source.finish())
    by_region, whole = outcomes
    same(by_region.outcome, whole.outcome)
    assert by_region.late == whole.late


APART = [(CORNER[0] + 0.4, CORNER[1]), (CORNER[0] - 0.3, CORNER[1] + 0.4)]
"""Places far from the border of their regions."""

HERE, THERE = disc(APART[0], 1.0), disc(APART[1], 1.0)

CORRECTIONS = {
    "moved": ([("curfew", 1, 0, None, HERE), ("curfew", 1, 0, 20, THERE)], {0: "withdrawn", 1: "ended"}),
    "of another metric": ([("curfew", 1, 0, None, HERE), ("rain_mm_24h", 1.0, 0, 20, HERE)], {0: "withdrawn"}),
    "before its original": ([("curfew", 1, 30, None, HERE), ("curfew", 1, 30, 10, THERE)], {1: "ended"}),
    "moved back": (
        [("curfew", 1, 0, None, HERE), ("curfew", 0, 0, 20, THERE), ("curfew", 1, 0, 40, HERE)],
        {0: "ended"},
    ),
}
"""Revisions of a reading (metric, value, minute, when issued, area), and in which place a disruption is how at last."""


@pytest.mark.parametrize("case", CORRECTIONS)
@pytest.mark.parametrize("by_region", [True, False])
def test_a_correction_counts_in_the_regions_of_before(tmp_path, case, by_region):
    revisions, expected = CORRECTIONS[case]
    source = Scripted(tmp_path / "in", buckets=16, products=["kawaach"], by_region=by_region)
    config = source.graph.settings
    (curfew,) = (trigger for trigger, name in config.trigger_of_id.items() if name == "kawaach/curfew")
    keys = [
        {
            config.key_of(each)
            for each in config.region_triggers(reading_record("curfew", 1, 0, **area))
            if each.trigger == curfew
        }
        for area in (HERE, THERE)
    ]
    assert bool(keys[0] & keys[1]) != by_region
    readings = [
        reading_record(metric, value, minute, reading_id="r", revision=n, issued_time=issued and at(issued), **area)
        for n, (metric, value, minute, issued, area) in enumerate(revisions)
    ]
    for at_ms, stream, record in moments(others(APART) | {"oracle_readings": readings}):
        source.graph.advance(at_ms - 1)
        source.say(stream, [record])
    outcome = source.finish().outcome
    same(outcome, source.locally()[1])
    last = {each["zone"]: each["state"] for each in sorted(outcome.disruptions, key=lambda each: each["revision"])}
    assert last == {h3.int_to_str(cell(APART[place])): state for place, state in expected.items()}


@pytest.mark.parametrize("by_region", [True, False])
def test_a_disc_over_a_border_confirms_in_both_regions(tmp_path, by_region):
    readings = [reading_record("curfew", value, minutes, **disc(CORNER, 8.0)) for value, minutes in ((1, 0), (0, 60))]
    source = write_streams(tmp_path / "in", present(others() | {"oracle_readings": readings}))
    graph = Graph(settings_of(source, 4, by_region=by_region))
    for planned in plan(source, 10_000)[0]:
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
    outcome = graph.finish().outcome
    same(outcome, locally(source)[1])
    zones = {h3.str_to_int(record["zone"]) for record in outcome.disruptions if record["trigger"] == "curfew"}
    assert zones >= {cell(place) for place in PLACES}
    assert len({region_of(zone) for zone in zones}) == 3
    assert len(outcome.payouts) == 6


@pytest.mark.parametrize("buckets", mostly_slow([3, 1]))
def test_telemetry_conditions_in_two_regions(tmp_path, buckets):
    """The riders of the outage stand on both sides of a border, and the outage is all around them."""
    records = outage_day()
    for record in records["telemetry"]:
        place = PLACES[sum(map(ord, record["worker_id"])) % 2]
        record |= {"lat": place[0], "lon": place[1]}
    for record in records["oracle_readings"]:
        record |= disc(CORNER, 20.0)
    source = write_streams(tmp_path / "in", present(records))
    graph = Graph(settings_of(source, buckets))
    for number, planned in enumerate(plan(source, 30_000)[0]):
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
        if number % 5 == 3:
            graph = graph.restored()
    outcome = graph.finish().outcome
    same(outcome, locally(source)[1])
    asked = {record["zone"] for record in outcome.disruptions if record["trigger"] in ("outage", "bandh")}
    assert len({region_of(h3.str_to_int(zone)) for zone in asked}) >= 2


def as_version_4(state):
    """State of a job with a key for each trigger in the form in which version 4 kept it: no entry named its trigger."""
    found = {}
    for uid, keys in state.items():
        for key, entries in keys.items():
            kept = found.setdefault(uid, {}).setdefault(key, {})
            for name, payload in entries.items():
                kind, *parts = name.split("/")
                if name == "progress":
                    payload = pack(replace_version(unpack(payload, Progress)))
                elif uid in ("ask-witness", "judge-triggers", "weigh-witness") and str(key) in parts[:1]:
                    name = "/".join([kind, *parts[1:]])
                elif kind == "new-cells":
                    payload = pack([cell for _, cells in unpack(payload, AnnouncedCells) for cell in cells])
                kept[name] = payload
    return found


def replace_version(progress):
    return Progress(4, progress.done_ms, progress.serial)


def test_a_job_of_version_4_goes_on_with_a_key_for_each_trigger(tmp_path):
    """Restored from state in the form of then, again and again, while queries, answers and values are on their way."""
    source, named = write_streams(tmp_path / "in", present(outage_day())), set()
    graph = Graph(settings_of(source, 3, by_region=False))
    for planned in plan(source, 10_000)[0]:
        if planned.low_ms >= at(0):
            # First only so far that readings, then answers, then values have come, and wait.
            for behind in (QueryTelemetry, AggregateTelemetryAnswers, ConfirmDisruptions, None):
                steps = iter(OPERATORS)
                graph.advance(planned.low_ms - 1, lambda steps=steps, behind=behind: next(steps) is behind)
                then = as_version_4(graph.state)
                named |= {
                    (uid, name.split("/")[0]) for uid, of in then.items() for each in of.values() for name in each
                }
                graph = Graph.resumed(graph.settings, then, graph.results)
        graph.read(planned.stream, planned.part)
    same(graph.finish().outcome, locally(source)[1])
    assert named >= {
        *(("ask-witness", kind) for kind in ("cells", "pending", "readings")),
        *(("judge-triggers", kind) for kind in ("cells", "heard", "readings", "witnessed")),
        ("weigh-witness", "answers"),
    }


def present(records):
    return {
        stream: sorted(
            (
                json.loads(json.dumps({name: value for name, value in each.items() if value is not None}))
                for each in some
            ),
            key=lambda each: each["event_time"],
        )
        for stream, some in records.items()
    }


def test_every_trigger_is_shared_out_over_all_keys(tmp_path):
    config = settings_of(tmp_path, buckets=8)
    regions = h3.grid_disk(region_of(cell(PLACES[0])), 5)
    for trigger in config.trigger_of_id:
        assert {config.key_of(RegionTrigger(trigger, region)) for region in regions} == set(range(8))
