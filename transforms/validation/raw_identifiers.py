"""Raw identifiers of persons and devices, where a keyed hash or an operator's id belongs: detection and masking.

MAC, IP and UPI addresses, telephone numbers, IMEIs, names.
"""

from __future__ import annotations

import json
import re
from functools import cache

from monsoon.transforms.validation.fields import CONTRACTS, IDENTIFIERS, KEYED_HASHES, stream_fields

MASK = "[masked]"
_MUST_NOT_IDENTIFY = KEYED_HASHES | IDENTIFIERS

_HEX = "[0-9A-Fa-f]"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ANYWHERE = re.compile(
    rf"(?<!{_HEX}){_HEX}{{2}}([:.-]){_HEX}{{2}}(?:\1{_HEX}{{2}}){{4,}}(?!{_HEX})"  # MAC in pairs
    rf"|(?<!{_HEX}){_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(?!{_HEX})"  # MAC, dotted
    rf"|(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.])"  # IPv4
    r"|\w[.-]*@\w"  # UPI, by its end: to look for its beginning takes quadratic time
)
_IN_A_NAME = re.compile(
    rf"(?<!{_HEX})(?=[0-9:-]{{0,16}}[A-Fa-f]){_HEX}{{2}}([:-]){_HEX}{{2}}(?:\1{_HEX}{{2}}){{4}}(?![0-9A-Za-z])"  # MAC
    rf"|(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.])"  # IPv4
    r"|\w@[A-Za-z]{2,}"  # UPI
    r"|(?<!\w)\+[1-9](?:[ ()-]{0,2}[0-9]){9,14}(?![0-9])"  # a telephone number with its country code
)
_WHOLE = re.compile(
    rf"(?:{_OCTET}\.){{2}}{_OCTET}(?:\.[x*])?(?:/[0-9]+)?"  # the leading octets of an IPv4 address
    rf"|\[?{_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{2,7}}(?::?[0-9.]+)?\]?(?:%\w+)?(?:/[0-9]+)?"  # IPv6
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}|(?:0091|91|0)?[6-9][0-9]{9}")
_DEVICE = re.compile(rf"{_HEX}{{12}}|[0-9]{{15}}")  # MAC, IMEI
_LABEL = re.compile(r"^(?:tel|sms|phone|mobile|imei|mac)\s*[:=]\s*", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s().:-]")

CLEAN_HASH = r"(?:[0-9_]*[A-Za-z][0-9A-Za-z_]*(?:-[0-9A-Za-z_]*){0,4}|[0-9]{0,9})"
BARE_MAC = rf"-*(?:{_HEX}-*){{12}}"
"""Regular expressions, also in Rust's syntax: what matches the first and not the second is no raw identifier for
certain. A letter makes it no telephone number, as do fewer than ten digits; four dashes are too few for a MAC with
dashes between its pairs; the other forms need a character that it lacks."""
_CLEAN_HASH = re.compile(CLEAN_HASH)
_BARE_MAC = re.compile(BARE_MAC)

_INDIAN_PHONE = (
    r"(?:(?:\+91|0091|91|0)[ -]?)?"
    r"(?:[6-9][0-9]{9}|[6-9][0-9]{4}[ -][0-9]{5}|\(?[6-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4})"
)
# Only single characters are possessive here: Python before 3.11.5 errs in possessive groups.
_ADDRESSES = re.compile(
    rf"(?<!{_HEX}){_HEX}{{2}}([:.-]){_HEX}{{2}}(?:\1{_HEX}{{2}}){{4,}}(?!{_HEX})"  # MAC in pairs
    rf"|(?<!{_HEX}){_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(?!{_HEX})"  # MAC, dotted
    rf"|(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.]*\w)"  # IPv4
    rf"|(?<![\w:])(?:(?:{_HEX}{{1,4}}:){{3,7}}{_HEX}{{0,4}}|(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::"
    rf"(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?)(?![\w:])"  # IPv6
)
_UPI_ADDRESSES = re.compile(r"(?<![\w.+-])[\w.+-]++(?:@\w(?:[\w.-]*\w)?)+|@\w(?:[\w.-]*\w)?")
_PHONES = re.compile(
    rf"(?<![\w.+-]){_INDIAN_PHONE}(?![\w-]|\.[0-9])"
    r"|(?<!\w)\+[1-9](?:[ ()-]{0,2}[0-9]){6,14}(?![0-9])"  # with its country code
)
_WITHIN_TEXT = (
    (re.compile(rf"[:.-]{_HEX}{{0,4}}[:.-]"), _ADDRESSES),
    (re.compile("@"), _UPI_ADDRESSES),
    (re.compile(r"[0-9+(][0-9 ().-]{6}"), _PHONES),
)
"""What is masked in a dead letter wherever it stands, each after what tells quickly that there may be one. It is more
than `_ANYWHERE`, since nothing hangs on it but what a reader of dead letters may see, and less than what no keyed hash
may be, so that times, versions and ids stay readable."""
_CLEAN_TEXT = re.compile(r"(?:[0-9_]*[A-Za-z][0-9A-Za-z_]*)?")

_TOKEN = re.compile(
    r'"([^"\\]*+(?:\\.[^"\\]*+)*)("?)(\s*+:)?|([0-9](?<![\w.+-][0-9])[0-9]{9,14})(?:\.0*+)?(?![\w.])', re.DOTALL
)
"""A JSON text, closed or not, and whether it is a key; or a number that has a telephone number's length."""
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def is_raw_identifier(value: str) -> bool:
    """Whether `value` is or contains a raw identifier.

    A bare run of hexadecimal digits is a hash, but for twelve, which may be a MAC address. Fifteen decimal digits may
    be an IMEI, and what has spaces within a name.
    """
    if _CLEAN_HASH.fullmatch(value):
        return _BARE_MAC.fullmatch(value) is not None
    if _ANYWHERE.search(value):
        return True
    bare = value.strip()
    if len(bare.split(maxsplit=1)) > 1 or _WHOLE.fullmatch(bare):
        return True
    digits = _SEPARATORS.sub("", _LABEL.sub("", bare))
    return _PHONE.fullmatch(digits) is not None or _DEVICE.fullmatch(digits) is not None


def holds_raw_identifier(text: str) -> bool:
    """Whether a name of a thing, such as a reading's id, holds what is a raw identifier for certain.

    Numbers and dates are in such names: ten digits are no telephone number there, pairs of digits no MAC address.
    """
    return _IN_A_NAME.search(text) is not None


def masked(raw: str, *, is_json: bool = True) -> str:
    """`raw`, a dead letter's line, with all that looks like a raw identifier masked.

    That is: every value of a field that may hold none and does, be the key repeated; and in any text, keys
    included, whatever has an identifier's form, escaped or not. Of numbers, those that could be telephone numbers,
    unless a contract has a number under that key; where the line is not JSON (`is_json`), there too. JSON stays JSON.
    Linear time.
    """
    key, numbers = "", _number_fields()

    def mask(token: re.Match[str]) -> str:
        nonlocal key
        content = token[1]
        if content is None:
            return f'"{MASK}"' if key and key not in numbers and is_raw_identifier(token[4]) else token[0]
        text = _text(content) if "\\" in content else content
        is_value = token[3] is None
        if not is_value:
            key = text
        if is_value and key in _MUST_NOT_IDENTIFY:
            hidden = MASK if is_raw_identifier(text) else text
        else:
            hidden = text if _CLEAN_TEXT.fullmatch(text) else _masked_within(text)
        if hidden == text:
            return token[0]
        return f'"{json.dumps(hidden)[1:-1] if content is not text else hidden}{token[2]}{token[3] or ""}'

    masked_texts = _TOKEN.sub(mask, raw)
    return masked_texts if is_json else _masked_within(masked_texts)


def _masked_within(text: str) -> str:
    for hint, identifiers in _WITHIN_TEXT:
        if hint.search(text):
            text = identifiers.sub(MASK, text)
    return text


@cache
def _number_fields() -> frozenset[str]:
    fields = (field for stream in CONTRACTS for field in stream_fields(stream))
    return frozenset(field.name for field in fields if field.kind in ("integer", "number"))


def _text(content: str) -> str:
    """What the inside of a JSON text says; of a broken one, what it would."""
    try:
        return str(json.loads(f'"{content}"', strict=False))
    except ValueError:
        return _ESCAPE.sub(_unescaped, content)


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _CONTROLS.get(escape[2], escape[2])
