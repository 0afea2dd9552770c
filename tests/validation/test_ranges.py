"""Ranges that no instrument exceeds, and clocks that are ahead: the same in columns and line by line."""

import json
import math
from importlib import resources

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from validation.lines import ABSENT, CATALOGUE, GOOD, TELEMETRY, line_of, with_changes
from validation.test_line_blocks import outcome, validate_records

from monsoon.sources.line_blocks import BlockValidator
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.validation.fields import EARLIEST_TIME_MS, LATEST_TIME_MS, MAX_LEAD_MS, value_ranges
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator, ValidRecord

JUDGES = {stream: RecordValidator(stream, CATALOGUE) for stream in GOOD}
RANGES = {
    "rain_mm_h": (0, 500),
    "rain_mm_24h": (0, 2_000),
    "temperature_c": (-60, 65),
    "heat_index_c": (-60, 100),
    "aqi": (0, 500),
    "wind_kmh": (0, 450),
    "visibility_m": (0, 100_000),
    "travel_time_ratio": (0, 100),
    "outage_reports_30m": (0, 10_000_000),
}


def verdict(stream, **changes):
    return JUDGES[stream](line_of(with_changes(stream, changes)))


def reason(stream, **changes):
    found = verdict(stream, **changes)
    return found.reason if isinstance(found, DeadLetter) else None


def test_every_metric_has_a_range_or_is_a_flag():
    assert value_ranges() == RANGES
    assert {name for name, metric in METRICS.items() if not metric.is_flag} == RANGES.keys()


@pytest.mark.parametrize(("metric", "ends"), RANGES.items())
def test_a_value_that_no_instrument_shows(metric, ends):
    low, high = ends
    for within in (low, high, -0.0 if low == 0 else low, (low + high) / 2):
        assert reason("oracle_readings", metric=metric, value=within, platform="zepto") is None
    for beyond in (math.nextafter(low, -math.inf), math.nextafter(high, math.inf), low - 1, high + 1, -9999, 1e308):
        dead = verdict("oracle_readings", metric=metric, value=beyond, platform="zepto")
        assert dead.reason == "out_of_range:value"
        assert metric in dead.detail


@pytest.mark.parametrize("metric", [name for name, metric in METRICS.items() if metric.is_flag])
def test_a_flag_is_0_or_1(metric):
    for value, expected in (
        (0, None),
        (1, None),
        (1.0, None),
        (-0.0, None),
        (2, "out_of_range:value"),
        (0.5, "out_of_range:value"),
    ):
        assert reason("oracle_readings", metric=metric, value=value, platform="zepto") == expected


@pytest.mark.parametrize("name", ["telemetry", "oracle_reading", "subscription"])
def test_contracts_are_as_the_specification_fixes_them(shared, name):
    ours = json.loads((resources.files("monsoon.contracts") / f"{name}.schema.json").read_text())
    assert without_words(ours) == without_words(json.loads((shared / "contracts" / f"{name}.schema.json").read_text()))


def without_words(schema):
    if isinstance(schema, dict):
        return {name: without_words(terms) for name, terms in schema.items() if name != "description"}
    return schema


@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings", "subscriptions"])
def test_times_of_events_are_of_this_century(stream):
    no_arrival = {"received_time": ABSENT}
    for within in (EARLIEST_TIME_MS, LATEST_TIME_MS):
        assert reason(stream, event_time=within, **no_arrival) is None
    for beyond in (EARLIEST_TIME_MS - 1, LATEST_TIME_MS + 1, 0, -1, 2**63):
        assert reason(stream, event_time=beyond, **no_arrival) == "out_of_range:event_time"


@pytest.mark.parametrize(
    ("time", "unit"),
    [(1_719_531_000, "seconds"), (1_719_531_000 * 10**6, "microseconds"), (1_719_531_000 * 10**9, "nanoseconds")],
)
def test_a_time_in_another_unit_is_told(time, unit):
    assert unit in verdict("telemetry", event_time=time).detail


PROVIDERS = {
    "imd": True, "a": True, "9": True, "us_embassy": True, "open-meteo.v2": True, "a" + "_" * 63: True,
    "IMD": False, "imd ": False, " imd": False, "": False, "_imd": False, ".imd": False, "-imd": False, "im d": False,
    "imd\n": False, "ımd": False, "imd\u200b": False, "मौसम": False, "ｉｍｄ": False, "imd\x00": False, "a" * 65: False,
    "imd/delhi": False,
}  # fmt: skip


@pytest.mark.parametrize(("provider", "good"), PROVIDERS.items())
def test_a_provider_is_spelled_in_one_way(provider, good):
    assert reason("oracle_readings", provider=provider) == (None if good else "out_of_range:provider")


@pytest.mark.parametrize(
    ("radius_km", "expected"),
    [
        (79.78, None),
        (79.780001, "out_of_range:radius_km"),
        (4000, "out_of_range:radius_km"),
        (1e308, "out_of_range:radius_km"),
        (0, None),
    ],
)
@pytest.mark.parametrize("area", [{}, {"lat": ABSENT, "lon": ABSENT, "h3": "863da1157ffffff"}])
def test_a_disc_may_be_as_large_as_a_polygon(radius_km, expected, area):
    assert reason("oracle_readings", radius_km=radius_km, **area) == expected


@pytest.mark.parametrize("radius_km", [-1, "10", True])
def test_a_radius_that_is_none_is_null_like_any_optional_field(radius_km):
    assert verdict("oracle_readings", radius_km=radius_km).nulled == ("radius_km",)


WAGES = [
    ("daily_wage_inr", 10_000, "out_of_range:daily_wage_inr"),
    ("shift_baseline_inr", 10_000, ("shift_baseline_inr",)),
    ("orders_per_hour", 60, ("orders_per_hour",)),
]


@pytest.mark.parametrize(("name", "most", "outcome"), WAGES)
def test_what_a_rider_can_earn(name, most, outcome):
    for within in (0, -0.0, most):
        assert verdict("subscriptions", **{name: within}).nulled == ()
    for beyond in (-1, math.nextafter(most, math.inf), 1e308, most * 100):
        found = verdict("subscriptions", **{name: beyond})
        assert (found.reason if isinstance(found, DeadLetter) else found.nulled) == outcome


NOWHERE = [
    ("telemetry", "lat", "lon", "out_of_range:lat"),
    ("oracle_readings", "lat", "lon", "out_of_range:lat"),
    ("subscriptions", "home_lat", "home_lon", "out_of_range:home_lat"),
]


@pytest.mark.parametrize(("stream", "lat", "lon", "expected"), NOWHERE)
def test_a_position_exactly_at_0_0_is_none(stream, lat, lon, expected):
    for zeros in ((0, 0), (0.0, -0.0), (-0.0, 0), (1e-400, 0)):
        assert reason(stream, **{lat: zeros[0], lon: zeros[1]}) == expected
    for somewhere in ((0, 1e-300), (5e-324, 0), (0, 77.2), (28.6, 0)):
        assert reason(stream, **{lat: somewhere[0], lon: somewhere[1]}) is None


@pytest.mark.parametrize(
    ("ahead_ms", "expected"),
    [(-(10**11), None), (0, None), (MAX_LEAD_MS, None), (MAX_LEAD_MS + 1, "out_of_range:event_time")],
)
def test_a_report_comes_no_day_before_it_is_made(ahead_ms, expected):
    received = 1_718_000_000_000
    assert reason("telemetry", event_time=received + ahead_ms, received_time=received) == expected
    for stream in ("oracle_readings", "subscriptions"):  # there it is an unknown field
        assert reason(stream, received_time=GOOD[stream]["event_time"] - 10**9) is None


@pytest.mark.parametrize("received", [0, EARLIEST_TIME_MS - 1, LATEST_TIME_MS + 1, "1718000000000", 1.5, True])
def test_an_arrival_that_cannot_be_is_null(received):
    found = verdict("telemetry", received_time=received)
    assert isinstance(found, ValidRecord)
    assert found.nulled == ("received_time",)


FIRST = [
    ("telemetry", {"lat": 0, "lon": 0, "device_id": 7}, "wrong_type:device_id"),
    ("telemetry", {"lat": 0, "lon": 0, "event_time": 5}, "out_of_range:event_time"),
    ("telemetry", {"lat": 0, "lon": 0, "event_time": 1_719_000_000_000}, "out_of_range:event_time"),
    ("telemetry", {"lat": 0, "lon": 0, "worker_id": "Asha Kumari"}, "out_of_range:lat"),
    ("telemetry", {"worker_id": "Asha Kumari", "device_id": "001b44113ab7"}, "raw_identifier:worker_id"),
    ("oracle_readings", {"provider": "IMD", "value": -1}, "out_of_range:provider"),
    ("oracle_readings", {"value": 5_000, "event_time": 5}, "out_of_range:value"),
    ("oracle_readings", {"radius_km": 80, "metric": "snow_mm"}, "out_of_range:radius_km"),
    ("oracle_readings", {"lat": 0, "lon": 0, "metric": "snow_mm"}, "unknown_metric"),
    ("oracle_readings", {"lat": 0, "lon": 0, "wkt": "x"}, "out_of_range:lat"),
    ("subscriptions", {"home_lat": 0, "home_lon": 0, "daily_wage_inr": 1e9}, "out_of_range:home_lat"),
    ("subscriptions", {"daily_wage_inr": 1e9, "product": "umbrella"}, "out_of_range:daily_wage_inr"),
    ("subscriptions", {"policy_id": "A B", "worker_id": "a@b"}, "raw_identifier:policy_id"),
    ("subscriptions", {"squad_id": "A B", "fund_account_id": "a@b"}, "raw_identifier:fund_account_id"),
    ("confirmations", {"worker_id": "352099001761481"}, "raw_identifier:worker_id"),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "changes", "expected"), FIRST)
def test_the_first_fault_is_the_reason(stream, changes, expected):
    assert reason(stream, **changes) == expected


POSITIONS = st.sampled_from([0, 0.0, -0.0, 5e-324, -1e-300, 28.6, 90, -90, 90.0000001])
MOMENTS = st.sampled_from(
    [EARLIEST_TIME_MS - 1, EARLIEST_TIME_MS, 1_718_000_000_000, 1_718_000_000_000 + MAX_LEAD_MS,
     1_718_000_000_001 + MAX_LEAD_MS, LATEST_TIME_MS, LATEST_TIME_MS + 1, 1_719_531_000]
)  # fmt: skip
NAMES = st.sampled_from(
    [
        "w-1",
        "104233",
        "rider:42",
        "001b44113ab7",
        "352099001761481",
        "Asha K",
        "a@b",
        "X7/+kq==",
        "0-01b-44113ab7",
        " w",
    ]
)


@given(st.lists(st.fixed_dictionaries({}, optional={
    "lat": POSITIONS, "lon": POSITIONS, "event_time": MOMENTS, "received_time": MOMENTS | st.none(),
    "worker_id": NAMES, "device_id": NAMES, "ip_prefix": NAMES, "bssids": st.lists(NAMES, max_size=2),
}), min_size=1, max_size=4))  # fmt: skip
@example([{"lat": 0, "lon": -0.0}])
@example([{"worker_id": "Asha K"}])
def test_columns_keep_to_the_same_ranges(changed):
    lines = [line_of({**TELEMETRY, **changes}) for changes in changed]
    assert outcome(BlockValidator(JUDGES["telemetry"]).validate(b"\n".join(lines))) == validate_records(lines)
    spoiled = [*lines, b"broken", line_of(TELEMETRY)]
    assert outcome(BlockValidator(JUDGES["telemetry"]).validate(b"\n".join(spoiled))) == validate_records(spoiled)


def test_ids_of_any_form_are_clean_as_a_whole():
    """Numbers, colons and slashes are no raw identifiers, and no reason to look at every line."""
    lines = [
        line_of({**TELEMETRY, "worker_id": name, "device_id": "X7/+kq="}) for name in ("104233", "rider:42", "a/b")
    ]
    assert BlockValidator(JUDGES["telemetry"])._whole(b"\n".join(lines)).height == 3


HALVES = [b"\\ud83d", b"\\uDE00", b"\\ud83d\\ud83d\\ude00", b"\\\\\\udc00", b"x\\ud83dx"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings", "subscriptions"])
def test_half_a_character_matters_in_a_known_field_alone(stream, half):
    good = line_of(GOOD[stream])
    for note in (b'"note":"%s"', b'"%s":1', b'"a":{"b":["%s"]}'):
        found = JUDGES[stream](good[:-1] + b"," + note % half + b"}")
        assert isinstance(found, ValidRecord)
        assert found == JUDGES[stream](good)
    assert JUDGES[stream](good[:-1] + b',"platform":"%s"}' % half).nulled == ("platform",)
    required = {"telemetry": "worker_id", "oracle_readings": "reading_id", "subscriptions": "policy_id"}[stream]
    dead = JUDGES[stream](good[:-1] + b',"%s":"%s"}' % (required.encode(), half))
    assert dead.reason == f"out_of_range:{required}"
    json.loads(dead.raw)


def test_half_a_character_among_access_points():
    assert JUDGES["telemetry"](line_of(TELEMETRY)[:-1] + b',"bssids":["b1","\\ud83d"]}').nulled == ("bssids",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lat": ABSENT, "lon": ABSENT, "h3": "0x873da1151ffffff"}, "without 0x"),
        ({"lat": ABSENT, "lon": ABSENT, "h3": 613}, "h3 must be of JSON type string"),
        ({"lat": "28.6"}, "lat must be of JSON type number"),
        ({"lat": ABSENT, "lon": ABSENT, "wkt": ["POLYGON"]}, "wkt must be of JSON type string"),
        ({"lat": ABSENT, "lon": ABSENT, "wkt": "POLYGON((77 28,78 28,78 29))"}, "its last point must be its first"),
    ],
)
def test_why_an_area_is_none(changes, words):
    assert words in verdict("oracle_readings", **changes).detail
