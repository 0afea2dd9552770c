"""What is a raw identifier and what is a keyed hash."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.validation import raw_identifiers
from monsoon.transforms.validation.raw_identifiers import CLEAN_HASH, is_raw_identifier

RAW = [
    "00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7", "00.1b.44.11.3a.b7", "001b.4411.3ab7", "wifi=00:1b:44:11:3a:b7",
    "00:1b:44:ff:fe:11:3a:b7", "203.0.113.7", "203.0.113.0/24", "203.0.113", "203.0.113.x", " 203.0.113.7 ",
    "203.0.113.7:443", "2001:db8::1", "2001:db8:1::/48", "2001:db8:1", "::1", "[2001:db8::1]", "fe80::1%wlan0",
    "::ffff:203.0.113.7", "asha@okaxis", "asha.k-2@ybl", "upi://pay?pa=asha@okaxis", "+919876543210", "+91 98765 43210",
    "+91-98765-43210", "9876543210", "09876543210", "919876543210", "00919876543210", "98765 43210", "(987) 654-3210",
    "+14155550100", "+44 20 7946 0958", "tel:+919876543210",
]  # fmt: skip
HASHED = [
    "001b44113ab7", "b1027c4d1c386bbc4", "d41d8cd98f00b204e9800998ecf8427e", "sha256:d41d8cd98f00b204", "dw901-30-134",
    "123e4567-e89b-12d3-a456-426614174000", "X7/+kq3Zf0A=", "device-9876543210-x", "1234567890", "12345678901234567",
    "1.2.3.400", "v1.2", "", "a@", "@b", "0987654321",
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
    phone = raw_identifiers._PHONE_SEPARATORS.sub("", value)
    assert not raw_identifiers._ANYWHERE.search(value)
    assert not raw_identifiers._WHOLE.fullmatch(value)
    assert not raw_identifiers._PHONE.fullmatch(phone)


@given(st.lists(st.sampled_from(["aa", "0b", "12", "-", ":", ".", "@", "9876543210", "+", "g"])).map("".join))
def test_the_short_cut_agrees_with_the_long_way(value):
    if re.fullmatch(CLEAN_HASH, value):
        assert not raw_identifiers._ANYWHERE.search(value)
