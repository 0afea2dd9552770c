"""Every reason of "Validation", what comes first of several, and what is nulled."""

import json

import pytest
from hypothesis import given
from validation.lines import ABSENT, CATALOGUE, GOOD, hostile_lines, line_of, with_changes

from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.record_validator import (
    MAX_LINE_BYTES,
    MAX_RAW_BYTES,
    DeadLetter,
    RecordValidator,
    ValidRecord,
)

JUDGES = {stream: RecordValidator(stream, CATALOGUE) for stream in GOOD}


def verdict(stream, changes):
    return JUDGES[stream](line_of(with_changes(stream, changes)))


def nested(levels):
    """A line of so many levels, its own object included."""
    return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("stream", GOOD)
def test_a_good_record_is_used_whole(stream):
    used = verdict(stream, {"unknown": {"a": [1]}})
    assert isinstance(used, ValidRecord)
    assert used.nulled == ()
    assert {name: value for name, value in used.record.items() if value is not None} == {
        name: value for name, value in GOOD[stream].items() if value is not None
    }
    assert list(used.record) == [field.name for field in stream_fields(stream)]


REASONS = [
    ("telemetry", {"lat": ABSENT}, "missing_field:lat"),
    ("telemetry", {"lat": None}, "missing_field:lat"),
    ("telemetry", {"lat": "28.6"}, "wrong_type:lat"),
    ("telemetry", {"lat": True}, "wrong_type:lat"),
    ("telemetry", {"event_time": 1.718e12}, "wrong_type:event_time"),
    ("telemetry", {"event_time": "1718000000000"}, "wrong_type:event_time"),
    ("telemetry", {"worker_id": 7}, "wrong_type:worker_id"),
    ("telemetry", {"lat": 90.0001}, "out_of_range:lat"),
    ("telemetry", {"lon": -181}, "out_of_range:lon"),
    ("telemetry", {"event_time": -1}, "out_of_range:event_time"),
    ("telemetry", {"event_time": 4_102_444_800_001}, "out_of_range:event_time"),
    ("telemetry", {"event_time": 2**70}, "out_of_range:event_time"),
    ("telemetry", {"event_id": ""}, "out_of_range:event_id"),
    ("telemetry", {"event_id": "x" * 65}, "out_of_range:event_id"),
    ("telemetry", {"device_id": "00:1b:44:11:3a:b7"}, "raw_identifier:device_id"),
    ("telemetry", {"bssids": ["b1", "00-1b-44-11-3a-b7"]}, "raw_identifier:bssids"),
    ("telemetry", {"ip_prefix": "203.0.113.0/24"}, "raw_identifier:ip_prefix"),
    ("oracle_readings", {"metric": "snow_mm"}, "unknown_metric"),
    ("oracle_readings", {"quality": "hearsay"}, "out_of_range:quality"),
    ("oracle_readings", {"metric": "curfew", "value": 0.5}, "out_of_range:value"),
    ("oracle_readings", {"lat": 91}, "out_of_range:lat"),
    ("oracle_readings", {"lon": 181}, "out_of_range:lon"),
    ("oracle_readings", {"lat": ABSENT}, "bad_area"),
    ("oracle_readings", {"lat": "x"}, "bad_area"),
    ("oracle_readings", {"h3": "863da1157ffffff"}, "bad_area"),
    ("oracle_readings", {"lat": ABSENT, "lon": ABSENT}, "bad_area"),
    ("oracle_readings", {"lat": ABSENT, "h3": "853da117fffffff0"}, "bad_area"),
    ("oracle_readings", {"lat": ABSENT, "wkt": "POLYGON EMPTY"}, "bad_geometry:wkt"),
    ("oracle_readings", {"metric": "platform_down", "value": 1}, "missing_field:platform"),
    ("oracle_readings", {"metric": "outage_reports_30m", "platform": 3}, "missing_field:platform"),
    ("subscriptions", {"product": "umbrella"}, "unknown_product"),
    ("subscriptions", {"plan": "standard:rain"}, "unknown_plan"),
    ("subscriptions", {"type": "paused"}, "unknown_type"),
    ("subscriptions", {"coverage_end": 1_717_000_000_000}, "bad_interval"),
    ("subscriptions", {"payout_account": "asha@okaxis"}, "raw_identifier:payout_account"),
    ("subscriptions", {"device_id": "+91 98765 43210"}, "raw_identifier:device_id"),
    ("subscriptions", {"home_lat": 90.5}, "out_of_range:home_lat"),
    ("subscriptions", {"coverage_end": 4_102_444_800_001}, "out_of_range:coverage_end"),
    ("reserves", {"reserve_id": ABSENT}, "missing_field:reserve_id"),
    ("reserves", {"amount_paise": 1.5}, "wrong_type:amount_paise"),
    ("reserves", {"amount_paise": -1}, "out_of_range:amount_paise"),
    ("reserves", {"amount_paise": 2**63}, "out_of_range:amount_paise"),
    ("reserves", {"product": "umbrella"}, "unknown_product"),
    *(
        ("reserves", {"day": day}, "out_of_range:day")
        for day in (
            "2024-02-30",
            "2024-6-10",
            "20240610",
            "2024-06-10T00",
            "1969-12-31",
            "9999-12-31",
            "٢٠٢٤-٠٦-١٠",
            "",
        )
    ),
    ("reserves", {"day": 20240610}, "wrong_type:day"),
    *(
        ("reserves", {"cell": cell}, "out_of_range:cell")
        for cell in ("863da1157ffffff", "853da11bffffff", "85ffffffffffffff", "853da11bffffff0", "LTE-404-45", "")
    ),
    ("confirmations", {"answer_id": ""}, "out_of_range:answer_id"),
    ("confirmations", {"answer": "maybe"}, "out_of_range:answer"),
    ("confirmations", {"answer": True}, "wrong_type:answer"),
    ("confirmations", {"claim_id": "c" * 37}, "out_of_range:claim_id"),
    ("confirmations", {"event_time": 4_102_444_800_001}, "out_of_range:event_time"),
]


@pytest.mark.parametrize(("stream", "changes", "reason"), REASONS)
def test_reason(stream, changes, reason):
    dead = verdict(stream, changes)
    assert isinstance(dead, DeadLetter)
    assert dead.reason == reason
    assert dead.detail


PRECEDENCE = [
    ("telemetry", {"lon": ABSENT, "event_id": 7, "lat": 91}, "missing_field:lon"),
    ("telemetry", {"lat": 91, "lon": "x"}, "wrong_type:lon"),
    ("telemetry", {"lat": 91, "event_time": -1}, "out_of_range:event_time"),
    ("telemetry", {"lat": 91, "device_id": "asha@okaxis"}, "out_of_range:lat"),
    ("oracle_readings", {"metric": "snow_mm", "lat": 91}, "unknown_metric"),
    ("oracle_readings", {"metric": "snow_mm", "event_time": -1}, "out_of_range:event_time"),
    ("oracle_readings", {"metric": "platform_down", "value": 2}, "out_of_range:value"),
    ("oracle_readings", {"wkt": "x", "lat": 91}, "out_of_range:lat"),
    ("oracle_readings", {"wkt": "x", "h3": "863da1157ffffff"}, "bad_geometry:wkt"),
    ("oracle_readings", {"metric": "platform_down", "value": 1, "lat": ABSENT}, "bad_area"),
    ("subscriptions", {"type": "paused", "product": "umbrella"}, "unknown_type"),
    ("subscriptions", {"product": "umbrella", "plan": "x"}, "unknown_product"),
    ("subscriptions", {"plan": "x", "coverage_end": 0}, "unknown_plan"),
    ("subscriptions", {"coverage_end": 0, "device_id": "asha@okaxis"}, "bad_interval"),
    ("subscriptions", {"device_id": "a@b", "payout_account": "a@b"}, "raw_identifier:payout_account"),
    ("reserves", {"product": "umbrella", "cell": "x"}, "out_of_range:cell"),
    ("reserves", {"day": "2024-02-30", "amount_paise": -1}, "out_of_range:day"),
    ("reserves", {"day": "2024-02-30", "amount_paise": "1"}, "wrong_type:amount_paise"),
]


@pytest.mark.parametrize(("stream", "changes", "reason"), PRECEDENCE)
def test_of_several_faults_the_first_that_validation_lists_is_the_reason(stream, changes, reason):
    assert verdict(stream, changes).reason == reason


NULLED = [
    ("telemetry", {"accuracy_m": -1}, ("accuracy_m",)),
    ("telemetry", {"accuracy_m": "9", "battery_pct": 101}, ("accuracy_m", "battery_pct")),
    ("telemetry", {"mock_location": 1}, ("mock_location",)),
    ("telemetry", {"bssids": ["b1"] * 21}, ("bssids",)),
    ("telemetry", {"bssids": ["b1", None]}, ("bssids",)),
    ("telemetry", {"app_state": "asleep"}, ("app_state",)),
    ("telemetry", {"orders_completed": 1.0}, ("orders_completed",)),
    ("telemetry", {"gnss_time": 4_102_444_800_001}, ("gnss_time",)),
    ("telemetry", {"gnss_time": 2**63}, ("gnss_time",)),
    ("oracle_readings", {"radius_km": -1}, ("radius_km",)),
    ("oracle_readings", {"h3": "833da1fffffffff"}, ("h3",)),
    ("oracle_readings", {"h3": "nowhere"}, ("h3",)),
    ("oracle_readings", {"wkt": 5}, ("wkt",)),
    ("subscriptions", {"trust_tier": 6}, ("trust_tier",)),
    ("subscriptions", {"consents": ["location", "everything"]}, ("consents",)),
]


@pytest.mark.parametrize(("stream", "changes", "nulled"), NULLED)
def test_a_faulty_optional_field_becomes_null_and_is_named(stream, changes, nulled):
    used = verdict(stream, changes)
    assert isinstance(used, ValidRecord)
    assert used.nulled == nulled
    assert all(used.record[name] is None for name in nulled)


EDGES = [
    ("telemetry", {"lat": 90, "lon": -180, "event_time": 4_102_444_800_000, "received_time": 4_102_444_800_000}),
    ("telemetry", {"event_time": 946_684_800_000, "event_id": "é" * 64, "bssids": ["b1"] * 20}),
    ("telemetry", {"agc_db": 10**30, "gnss_time": -(2**63)}),
    ("oracle_readings", {"metric": "curfew", "value": 1.0}),
    ("oracle_readings", {"metric": "platform_down", "value": 0, "platform": "zepto"}),
    ("oracle_readings", {"lat": ABSENT, "h3": "863da1157ffffff"}),
    ("oracle_readings", {"lat": ABSENT, "lon": ABSENT, "h3": "863da1157ffffff", "revision": 3}),
    ("oracle_readings", {"lat": ABSENT, "wkt": "POLYGON((77 28,77.1 28,77.1 28.1,77 28.1,77 28))"}),
    ("subscriptions", {"product": "jugaad", "plan": "basic:heat,rain,fog"}),
]


@pytest.mark.parametrize(("stream", "changes"), EDGES)
def test_the_edge_itself_is_within(stream, changes):
    used = verdict(stream, changes)
    assert isinstance(used, ValidRecord), used
    assert used.nulled == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"x", "not_json"),
        (b"null", "not_json"),
        (b"[]", "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b'{"a":-Infinity}', "not_json"),
        (b'{"a":1e999}', "not_json"),
        (b'{"a":1e999,"a":1}', "not_json"),
        (b'{"a":1' + b"0" * 309 + b"}", "not_json"),
        (b'{"a":1' + b"0" * 309 + b',"a":1}', "not_json"),
        (b'{"a":1' + b"0" * 5000 + b"}", "not_json"),
        (b"{} {}", "not_json"),
        (b'{"a":"\xff"}', "not_json"),
        (b'{"a":"\\ud800"}', "missing_field:event_id"),
        (b'{"a":"\\ud800', "not_json"),
        (b'{"a":"\\ud800","b":NaN}', "not_json"),
        (b'{"a":"\\ud800","b":1' + b"0" * 5000 + b"}", "not_json"),
        (b'{"a":"\\udc00\\ud800"}x', "not_json"),
        (b'{"a":"\\ud800","x":' + nested(33) + b"}", "too_deep"),
        (b'\xef\xbb\xbf{"a":1}', "not_json"),
        (b'{"a":01}', "not_json"),
        (b'{"a":"\x01"}', "not_json"),
        (b'{"a":"' + b"x" * MAX_LINE_BYTES, "not_json"),
        (b'{"a":"' + b"x" * MAX_LINE_BYTES + b'"}', "too_long"),
        (b'{"a":"' + b"x" * (MAX_LINE_BYTES - 8) + b'"}', "missing_field:event_id"),
        (b'{"a":"' + b"x" * (MAX_LINE_BYTES - 7) + b'"}', "too_long"),
        (nested(32), "missing_field:event_id"),
        (nested(33), "too_deep"),
        (b'{"x":' + nested(33) + b',"x":1}', "too_deep"),
        (nested(30_000), "too_deep"),
        (nested(40_000), "too_long"),
        (nested(30_000)[:-1], "not_json"),
        (b"[" * 30_000 + b"]" * 30_000, "not_json"),
        (b'{"a":"' + b"[" * 100 + b'"}', "missing_field:event_id"),
        (b'{"a":' + b"1" * 308 + b"}", "missing_field:event_id"),
    ],
)
def test_lines_that_are_no_record(line, reason):
    dead = JUDGES["telemetry"](line)
    assert dead.reason == reason
    assert dead.raw == line.decode("utf-8", "replace")


@pytest.mark.parametrize("line", [b"", b" ", b"\t \r", b" " * 70_000, b" " * (MAX_RAW_BYTES + 1)])
def test_blank_lines_are_not_records(line):
    assert JUDGES["telemetry"](line) is None


@pytest.mark.parametrize("size", [MAX_RAW_BYTES + 1, 3 * MAX_RAW_BYTES])
@pytest.mark.parametrize("tail", [b'"}', b'"', b'\xff"}'])
def test_a_line_too_long_to_hold_is_dead_unparsed(size, tail):
    line = b'{"a":"' + b"x" * (size - 6 - len(tail)) + tail
    whole = JUDGES["telemetry"](line)
    pieces = JUDGES["telemetry"].validate_oversize(line[at : at + 99_999] for at in range(0, size, 99_999))
    assert whole == pieces
    assert (whole.reason, len(whole.raw)) == ("too_long", MAX_RAW_BYTES)
    assert str(size) in whole.detail


@pytest.mark.parametrize("cut", [MAX_RAW_BYTES, MAX_RAW_BYTES + 500])
def test_lines_too_long_to_hold_differ_by_their_ends(cut):
    begun = b"x" * cut
    first, second = (JUDGES["telemetry"].validate_oversize([begun, end * 1000]) for end in (b"y", b"z"))
    assert first.raw == second.raw
    assert first != second


def test_of_a_repeated_key_the_last_counts():
    good = line_of(GOOD["telemetry"])
    assert JUDGES["telemetry"](b'{"lat":"x",' + good[1:]).record["lat"] == GOOD["telemetry"]["lat"]
    assert JUDGES["telemetry"](good[:-1] + b',"lat":"x"}').reason == "wrong_type:lat"
    assert JUDGES["telemetry"](good[:-1] + b',"l\\u0061t":null}').reason == "missing_field:lat"


def test_the_dead_letter_carries_the_records_own_time_where_readable():
    assert verdict("telemetry", {"lat": 91}).seen_at == GOOD["telemetry"]["event_time"]
    assert verdict("telemetry", {"event_time": "soon"}).seen_at == 0
    assert verdict("telemetry", {"event_time": -1}).seen_at == 0
    assert verdict("telemetry", {"event_time": True}).seen_at == 0


@pytest.mark.parametrize("changes", [{}, {"lat": ABSENT}])
def test_a_raw_identifier_is_masked_wherever_it_stands(changes):
    secret = "00:1b:44:11:3a:b7"
    escaped = "".join(f"\\u{ord(char):04x}" for char in secret)
    record = line_of(with_changes("telemetry", {**changes, "device_id": secret, "note": f"phone {secret}"}))
    dead = JUDGES["telemetry"](record[:-1] + f',"also":"{escaped}"}}'.encode())
    assert dead.reason == ("missing_field:lat" if changes else "raw_identifier:device_id")
    assert secret not in dead.raw
    assert escaped not in dead.raw
    assert secret not in json.dumps(json.loads(dead.raw))
    assert json.loads(dead.raw)["note"] == "phone [masked]"


@pytest.mark.parametrize("stream", ["oracle_readings", "subscriptions"])
def test_no_line_of_the_smaller_streams_raises(stream):
    @given(hostile_lines(stream))
    def validate_records(line):
        outcome = JUDGES[stream](line)
        assert outcome is None or isinstance(outcome, ValidRecord | DeadLetter)

    validate_records()
