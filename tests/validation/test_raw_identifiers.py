"""What is a raw identifier and what is a keyed hash."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validation.lines import hostile_lines

from monsoon.transforms.validation import raw_identifiers
from monsoon.transforms.validation.raw_identifiers import (
    BARE_MAC,
    CLEAN_HASH,
    MASK,
    holds_raw_identifier,
    is_raw_identifier,
    masked,
)

RAW = [
    "00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "00.1b.44.11.3a.b7", "001b.4411.3ab7", "wifi=00:1b:44:11:3a:b7",
    "00:1b:44:ff:fe:11:3a:b7", "203.0.113.7", "203.0.113.0/24", "203.0.113", "203.0.113.x", " 203.0.113.7 ",
    "203.0.113.7:443", "2001:db8::1", "2001:db8:1::/48", "2001:db8:1", "::1", "[2001:db8::1]", "fe80::1%wlan0",
    "::ffff:203.0.113.7", "asha@okaxis", "asha.k-2@ybl", "upi://pay?pa=asha@okaxis", "+919876543210", "+91 98765 43210",
    "+91-98765-43210", "9876543210", "09876543210", "919876543210", "00919876543210", "98765 43210", "(987) 654-3210",
    "+14155550100", "+44 20 7946 0958", "tel:+919876543210", "001b44113ab7", "001B44113AB7", " 001b44113ab7 ",
    "001b-4411-3ab7", "001b44-113ab7", "mac:001b44113ab7", "123456789012", "352099001761481", "35-209900-176148-1",
    "IMEI: 35 209900 176148 1",
    "Asha Kumari", "Asha  K.", "आशा कुमारी", "Asha\u00a0Kumari", "asha\tkumari",
]  # fmt: skip
HASHED = [
    "001b44113ab", "001b44113ab70", "001b44113ab7_", "g01b44113ab7", "b1027c4d1c386bbc4", " b1027c4d ",
    "35209900176148", "3520990017614811", "104233", "rider:42",
    "d41d8cd98f00b204e9800998ecf8427e", "sha256:d41d8cd98f00b204", "dw901-30-134",
    "123e4567-e89b-12d3-a456-426614174000", "X7/+kq3Zf0A=", "device-9876543210-x", "1234567890", "12345678901234567",
    "1.2.3.400", "v1.2", "", "a@", "@b", "0987654321", "asha",
]  # fmt: skip


@pytest.mark.parametrize("value", RAW)
def test_raw(value):
    assert is_raw_identifier(value)


@pytest.mark.parametrize("value", HASHED)
def test_hashed(value):
    assert not is_raw_identifier(value)


@given(st.from_regex(CLEAN_HASH, fullmatch=True))
def test_a_clean_hash_is_none_of_the_raw_forms(value):
    """The short cut may only say what the long way says."""
    if re.fullmatch(BARE_MAC, value):
        return
    bare = raw_identifiers._SEPARATORS.sub("", value)
    assert not raw_identifiers._ANYWHERE.search(value)
    assert not raw_identifiers._WHOLE.fullmatch(value)
    assert not raw_identifiers._PHONE.fullmatch(bare)
    assert not raw_identifiers._DEVICE.fullmatch(bare)
    assert len(value.split()) <= 1


def test_the_short_cut_agrees_with_the_long_way():
    clean = 0

    @settings(max_examples=max(100, settings().max_examples))  # of fewer, hardly any is clean
    @given(st.lists(st.sampled_from(["aa", "0b", "12", "-", ":", ".", "@", "9876543210", "+", "g"])).map("".join))
    def agrees(value):
        nonlocal clean
        if re.fullmatch(CLEAN_HASH, value):
            clean += 1
            assert not raw_identifiers._ANYWHERE.search(value)

    agrees()
    assert clean >= 10, "of a hundred; else nothing was looked at"


ANYWHERE = [
    "00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "001b.4411.3ab7", "203.0.113.7", "2001:db8::1", "fe80:0:0:1:2:3:4:5",
    "asha.k-2@ybl", "9876543210", "+91 98765 43210", "98765 43210", "+91-98765-43210", "09876543210", "919876543210",
    "(987) 654-3210", "+14155550100", "0091 9876543210",
]  # fmt: skip


@pytest.mark.parametrize("identifier", ANYWHERE)
@pytest.mark.parametrize(
    "raw",
    [
        '{"device_id":"%s"}', '{"device_id":"%s","device_id":"d1"}', '{"a":{"b":[["%s"]]}}', '{"%s":1}',
        '{"note":"call %s."}', '{"note":"a\\n%s\\u0009"}', '{"bssids":["b1","%s"]', '{"note":"broken %s', "%s",
        "text, %s (text)", '{"a" "%s"}', "\ufffd%s\ufffd", '{"note":"\\ud800%s"}',
    ],
)  # fmt: skip
def test_an_identifier_is_masked_wherever_it_stands(raw, identifier):
    for spelled in (identifier, "".join(f"\\u{ord(char):04X}" for char in identifier)):
        if spelled is not identifier and '"' not in raw:
            continue  # an escape is one in a text only
        hidden = masked(raw % spelled, is_json=False)
        assert MASK in hidden
        assert hidden == (raw % MASK).replace("\\u0009", "\\t") or hidden == raw % MASK


@pytest.mark.parametrize(
    ("raw", "hidden"),
    [
        ('{"device_id":9876543210}', '{"device_id":"[masked]"}'),
        ('{"phone":9876543210,"b":[919876543210.0]}', '{"phone":"[masked]","b":["[masked]"]}'),
        ('{"ip_prefix":"203.0.113"}', '{"ip_prefix":"[masked]"}'),
        ('{"bssids":["b1","001b44113ab7"]}', '{"bssids":["b1","[masked]"]}'),
        ('{"worker_id":"Asha Kumari"}', '{"worker_id":"[masked]"}'),
        ('{"squad_id":"352099001761481","n":352099001761481}', '{"squad_id":"[masked]","n":"[masked]"}'),
        ('{"d\\u0065vice_id":"tel: 98-765-43210"}', '{"d\\u0065vice_id":"[masked]"}'),
    ],
)
def test_what_only_its_place_makes_an_identifier(raw, hidden):
    assert masked(raw) == hidden


READABLE = {
    "event_time": 9876543210, "gnss_time": 1718000000000, "lat": 28.6123456789, "lon": -77.9876543210,
    "h3": "863da1157ffffff", "wkt": "POLYGON((77.1234567890 28.1,77 28.9876543210,78 28,77.1234567890 28.1))",
    "bssids": ["b9876543210cd", "001b44113ab70", "d41d8cd98f00b204e9800998ecf8427e"], "cell": "LTE-404-45-5123-20481",
    "when": "2024-06-28T02:30:00.123+05:30", "at": "02:30:00", "version": "1.2.3", "id": "device-9876543210-x",
    "uuid": "123e4567-e89b-12d3-a456-426614174000", "count": 12345678901234567, "cpp": "std::string",
}  # fmt: skip


@pytest.mark.parametrize("is_json", [True, False])
def test_times_places_hashes_and_ids_stay_readable(is_json):
    record = {name: value for name, value in READABLE.items() if is_json or name != "event_time"}
    assert masked(json.dumps(record), is_json=is_json) == json.dumps(record)


@given(hostile_lines())
def test_json_stays_json_and_masking_again_changes_nothing(line):
    raw = line.decode("utf-8", "replace")
    hidden = masked(raw)
    assert masked(hidden) == hidden
    try:
        keys = {*json.loads(raw)}
    except (ValueError, TypeError, RecursionError):
        return
    assert {*json.loads(hidden)} == keys


@pytest.mark.parametrize(
    "part",
    [
        "a@",
        "@",
        "a",
        "1.",
        "a.-",
        "aa:",
        ":",
        "aa-",
        "+9 ",
        "(987",
        '"',
        "\\",
        '\\"',
        '"00:1b:44:11:3a:b7",',
        "9",
        "98 ",
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_masking_takes_linear_time(part, is_json):
    raw = '{"bssids":["' + part * (200_000 // len(part)) + "aaa"  # what almost matched does not
    begun = time.process_time()
    masked(raw, is_json=is_json)
    assert time.process_time() - begun < 3  # a tenth of a second or so; quadratic time would be minutes


@pytest.mark.parametrize(
    "name",
    ["imd-24-06-28-10-00-00", "9876543210", "1719550800000", "imd:10:20:30:40:50:60", "imd-rain_mm_h-28-63-77",
     "550e8400-e29b-41d4-a716-446655440000", "openweather@1.0", "v1.2.3.4", "imd+05-30"],
)  # fmt: skip
def test_a_name_of_a_thing_may_have_numbers(name):
    assert not holds_raw_identifier(name)


@pytest.mark.parametrize(
    "name", ["r-a4:5e:60:c2:11:22", "a4-5e-60-c2-11-22", "10:20:30:40:50:6f", "of rider.name@okhdfcbank",
             "203.0.113.77", "r +91 98765-43210"],
)  # fmt: skip
def test_a_name_of_a_thing_holds_no_identifier(name):
    assert holds_raw_identifier(name)
