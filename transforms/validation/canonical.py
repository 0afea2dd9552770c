"""Canonical JSON of a record: decides whether two records of one identity are duplicates, and which of two conflicting
ones is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monsoon.transforms.validation.fields import NON_CONTENT_FIELDS

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical_json(record: Mapping[str, Any]) -> str:
    """Keys sorted, no spaces, nulls and NON_CONTENT_FIELDS left out, integral numbers without a fraction (60.0 is 60).

    `record` holds known fields only: scalars, or lists of strings, all finite. Text is not escaped beyond
    what JSON demands, so that the order of the result is the order of its UTF-8 bytes.
    """
    present = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in record.items()
        if value is not None and name not in NON_CONTENT_FIELDS
    }
    return _ENCODER.encode(present)


def resolve_conflict(contents: Mapping[str, tuple[int, ...]]) -> tuple[str, list[str]]:
    """Of several canonical contents of one identity: the one to use, and the others, which are conflicting duplicates.

    `contents` gives the event times (ms) of each: the earliest is used, of one moment the content that sorts first. So
    a stream, which meets the earliest first, never has to retract a record that it released.
    """
    first, *others = sorted(contents, key=lambda content: (contents[content], content))
    return first, others
