"""Records and lines for the tests of validation: one good record of each stream, and hostile lines."""

import json
from typing import Any

from hypothesis import strategies as st

from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.fields import Field, stream_fields

CATALOGUE = Catalogue(
    {"kawaach": lambda plan: plan == "standard", "jugaad": lambda plan: plan.split(":")[0] in ("basic", "standard")}
)

TELEMETRY: dict[str, Any] = {
    "event_id": "e-1",
    "worker_id": "w-1",
    "device_id": "d41d8cd98f00b204",
    "event_time": 1_718_000_000_000,
    "lat": 28.6,
    "lon": 77.2,
    "accuracy_m": 9.5,
    "speed_mps": 3,
    "mock_location": False,
    "mock_setting": None,
    "accel_var": 0.8,
    "pressure_hpa": 998.1,
    "cn0_dbhz": 33.1,
    "agc_db": 44.0,
    "gnss_time": 1_718_000_000_000,
    "network_time": 1_718_000_000_020,
    "bssids": ["b1027c4d", "a2feb894"],
    "cell": "LTE-404-45-5123-20481",
    "battery_pct": 77,
    "charging": True,
    "ip_prefix": "i0061a6ce",
    "platform": "zepto",
    "app_state": "online",
    "orders_completed": 1,
    "received_time": 1_718_000_001_500,
}
READING: dict[str, Any] = {
    "reading_id": "imd-1",
    "revision": 0,
    "provider": "imd",
    "quality": "official",
    "metric": "rain_mm_24h",
    "value": 112.5,
    "event_time": 1_718_000_000_000,
    "issued_time": 1_718_000_060_000,
    "lat": 28.58,
    "lon": 77.2,
    "radius_km": 10,
}
SUBSCRIPTION: dict[str, Any] = {
    "event_id": "s-1",
    "event_time": 1_717_000_000_000,
    "type": "activated",
    "policy_id": "p-1",
    "worker_id": "w-1",
    "product": "kawaach",
    "plan": "standard",
    "platform": "zepto",
    "home_lat": 28.6,
    "home_lon": 77.2,
    "coverage_start": 1_717_000_000_000,
    "coverage_end": 1_719_000_000_000,
    "premium_inr": 79,
    "daily_wage_inr": 500,
    "payout_account": "u9f86d081",
    "device_id": "d41d8cd98f00b204",
    "account_created_at": 1_700_000_000_000,
    "trust_tier": 3,
    "consents": ["location"],
}
RESERVE: dict[str, Any] = {
    "reserve_id": "v-1",
    "event_time": 1_718_000_000_000,
    "product": "kawaach",
    "day": "2024-06-10",
    "cell": "853da11bfffffff",
    "amount_paise": 5_000_000,
}
CONFIRMATION: dict[str, Any] = {
    "answer_id": "a-1",
    "event_time": 1_718_000_000_000,
    "worker_id": "w-1",
    "policy_id": "p-1",
    "claim_id": "c0123456789abcdef0123456789abcdef",
    "answer": "confirm",
}
GOOD = {
    "telemetry": TELEMETRY,
    "oracle_readings": READING,
    "subscriptions": SUBSCRIPTION,
    "reserves": RESERVE,
    "confirmations": CONFIRMATION,
}
ABSENT = object()


def with_changes(stream: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The stream's good record with fields changed; ABSENT takes one out."""
    return {name: value for name, value in {**GOOD[stream], **changes}.items() if value is not ABSENT}


def line_of(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


NUMBERS = [
    "0", "-0", "-0.0", "1", "-1", "1.0", "1.5", "1e2", "1E-5", "2e99", "1e999", "-1e400", "01", "1.", ".5", "+1", "NaN",
    "Infinity", "-Infinity", "91", "-91.5", "180", "180.5", "1718000000000", "1718000000000.0", "4102444800000",
    "4102444800001", "946684799999", "946684800000",
    "-5", "9007199254740993", "9223372036854775807", "9223372036854775808", "99999999999999999999",
    "1" + "0" * 400, "0.1000000000000000055511151231257827021181583404541015625", "300", "1101", "100.00000000000001",
]  # fmt: skip
TEXTS = [
    '""', '"x"', '"1"', '"1.5"', '"online"', '"on_trip"', '"ONLINE"', '"null"', '"a\\nb"', '"\\u0061bc"',
    '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"\\u0000"', '"tab\there"', '"हिन्दी"', '"\x7f"', '":"',
    '"a\\"b"', '"' + "x" * 64 + '"', '"' + "x" * 65 + '"', '"' + "é" * 64 + '"', '"' + "y" * 1500 + '"', "'x'", "x",
]  # fmt: skip
HASHES = [
    '"00:1b:44:11:3a:b7"', '"00-1B-44-11-3A-B7"', '"001b.4411.3ab7"', '"001b44113ab7"', '"203.0.113.7"',
    '"203.0.113.0/24"', '"2001:db8::1"', '"2001:db8:1::/48"', '"asha@okaxis"', '"+91 98765 43210"', '"9876543210"',
    '"919876543210"', '"0987654321"', '"12345678901234567"', '"352099001761481"', '"Asha Kumari"', '"104233"',
    '"0-01b-44113ab7"', '"X7/+kq3Zf0A="', '"rider:42"', '"aa-bb-cc-dd-ee-ff"', '"a-b-c-d-e"', '["b1","b2"]',
    '["b1","00:1b:44:11:3a:b7"]', '["asha@okaxis"]', '["b1","9876543210"]', '["\\u0030\\u0030:1b:44:11:3a:b7"]',
]  # fmt: skip
OTHERS = [
    "null", "true", "false", "", "{}", "[]", "[null]", "[1]", '["a1", 2]', '["a1",]', '["a\\u0062"]', '["\\ud83d"]',
    '[["a"]]', '{"a":{"b":[1]}}', "[" + ",".join(['"b1"'] * 20) + "]", "[" + ",".join(['"b1"'] * 21) + "]",
    "[" * 31 + "]" * 31, "[" * 32 + "]" * 32, "[" * 3000 + "]" * 3000,
]  # fmt: skip
"""JSON values, and what only looks like them, by the kind of field that they are meant to deceive."""
_ANY = NUMBERS + TEXTS + HASHES + OTHERS

_SPACES = st.sampled_from(["", " ", "  ", "\t", "\r", "\x0b", "\u00a0"])
_ONE_IN_FIVE = st.integers(0, 4).map(lambda number: number == 4)


def _hostile_value(field: Field | None) -> st.SearchStrategy[str]:
    if field is None:
        return st.sampled_from(_ANY)
    if field.must_not_identify:
        return st.sampled_from(HASHES) | st.sampled_from(_ANY)
    fitting = {"string": TEXTS, "number": NUMBERS, "integer": NUMBERS}.get(field.kind, OTHERS)
    return st.sampled_from(fitting) | st.sampled_from(_ANY)


@st.composite
def hostile_lines(draw: st.DrawFn, stream: str = "telemetry") -> bytes:
    """A good line, changed a little or a lot: values, keys, order, white space, cuts, stray bytes."""
    fields = {f'"{field.name}"': field for field in stream_fields(stream)}
    members = [(f'"{name}"', json.dumps(value, separators=(",", ":"))) for name, value in GOOD[stream].items()]
    for change in draw(
        st.lists(st.sampled_from(["value", "value", "value", "key", "repeat", "drop", "move"]), min_size=1, max_size=3)
    ):
        at = draw(st.integers(0, len(members) - 1))
        name, value = members[at]
        if change == "value":
            members[at] = (name, draw(_hostile_value(fields.get(name))))
        elif change == "key":
            strange = ['"note"', '"LAT"', '"l\\u0061t"', '"lat "', '""', '"\\ud800"', "lat", '"a.b"', '"क"']
            members[at] = (draw(st.sampled_from(strange)), value)
        elif change == "repeat":
            again = draw(st.sampled_from([*fields, '"note"']))
            members.insert(at, (again, draw(_hostile_value(fields.get(again)))))
        elif change == "drop" and len(members) > 1:
            del members[at]
        else:
            members.insert(draw(st.integers(0, len(members) - 1)), members.pop(at))
    colon, comma, opening, closing = ":", ",", "{", "}"
    if draw(_ONE_IN_FIVE):
        colon, comma, opening, closing = (draw(_SPACES) + mark + draw(_SPACES) for mark in ":,{}")
    text = opening + comma.join(name + colon + value for name, value in members) + closing
    line = text.encode("utf-8", "surrogatepass")
    damage = "none"
    if draw(_ONE_IN_FIVE):
        damage = draw(st.sampled_from(["cut", "junk", "stray", "twice", "other", "bom"]))
    if damage == "cut":
        line = line[: draw(st.integers(0, len(line)))]
    elif damage == "junk":
        line += draw(st.sampled_from([b"x", b"}", b",", b"{}", b"null", b"\x00", b"//", b"\xff"]))
    elif damage == "stray":
        at = draw(st.integers(0, len(line)))
        stray = [b"\xff", b"\x00", b"\x01", b"\\", b'"', b"\xc3", b"\xed\xa0\x80", b"\x1f", b"{"]
        line = line[:at] + draw(st.sampled_from(stray)) + line[at:]
    elif damage == "twice":
        line += line
    elif damage == "other":
        line = draw(st.sampled_from([b"", b" ", b"\t\r", b"null", b"[]", b"1", b'"x"', b"{}", b"\xff\xfe", b"\x01"]))
    elif damage == "bom":
        line = b"\xef\xbb\xbf" + line
    return line.replace(b"\n", b" ")
