"""MAC, IP and UPI addresses and telephone numbers where a keyed hash belongs, and their masking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial

MASK = "[masked]"

_HEX = "[0-9A-Fa-f]"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_ANYWHERE = re.compile(
    rf"(?<!{_HEX}){_HEX}{{2}}([:.-]){_HEX}{{2}}(?:\1{_HEX}{{2}}){{4,}}(?!{_HEX})"  # MAC in pairs
    rf"|(?<!{_HEX}){_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(?!{_HEX})"  # MAC, dotted
    rf"|(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w.])"  # IPv4
    r"|\w[.-]*@\w"  # UPI, by its end: to look for its beginning takes quadratic time
)
_WHOLE = re.compile(
    rf"(?:{_OCTET}\.){{2}}{_OCTET}(?:\.[x*])?(?:/[0-9]+)?"  # the leading octets of an IPv4 address
    rf"|\[?{_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{2,7}}(?::?[0-9.]+)?\]?(?:%\w+)?(?:/[0-9]+)?"  # IPv6
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}|(?:0091|91|0)?[6-9][0-9]{9}")
_PHONE_LABEL = re.compile(r"^(?:tel|sms|phone|mobile)\s*[:=]\s*", re.IGNORECASE)
_PHONE_SEPARATORS = re.compile(r"[\s().-]")

CLEAN_HASH = r"[0-9_]*[A-Za-z][0-9A-Za-z_]*(?:-[0-9A-Za-z_]*){0,4}"
"""A regular expression (also in Rust's syntax) of hashes that hold no raw identifier for certain: a letter
makes it no telephone number, four dashes are too few for a MAC, and the other forms need a character that it
lacks."""
_CLEAN_HASH = re.compile(CLEAN_HASH)

_TEXT_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def is_raw_identifier(value: str) -> bool:
    """Whether `value` is or contains a raw identifier. A bare run of hexadecimal digits is a hash."""
    if _CLEAN_HASH.fullmatch(value):
        return False
    if _ANYWHERE.search(value):
        return True
    bare = value.strip()
    if _WHOLE.fullmatch(bare):
        return True
    return _PHONE.fullmatch(_PHONE_SEPARATORS.sub("", _PHONE_LABEL.sub("", bare))) is not None


def masked(raw: str, identifiers: Iterable[str]) -> str:
    """`raw`, the text of a JSON record, with each identifier masked wherever it stands, escaped or not."""
    for identifier in sorted(set(identifiers), key=len, reverse=True):
        raw = _TEXT_TOKEN.sub(partial(_mask_token, identifier), raw)
    return raw


def _mask_token(identifier: str, match: re.Match[str]) -> str:
    token = match[0]
    if identifier in token:
        token = token.replace(identifier, MASK)
    if "\\" in token:
        text = json.loads(token, strict=False)
        if identifier in text:
            return json.dumps(text.replace(identifier, MASK), ensure_ascii=False)
    return token
