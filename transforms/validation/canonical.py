"""Canonical JSON of a record: what decides whether two records of one identity say the same, and which stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monsoon.transforms.validation.fields import NO_CONTENT


def canonical_json(record: Mapping[str, Any]) -> str:
    """Keys sorted, no spaces, nulls and NO_CONTENT left out, 60 the same as 60.0 (integral numbers have no
    fraction).

    `record` holds known fields only: scalars, or lists of strings, all finite. Text is not escaped beyond
    what JSON demands, so that the order of the result is the order of its UTF-8 bytes.
    """
    present = {name: _integral(value) for name, value in record.items() if value is not None and name not in NO_CONTENT}
    return json.dumps(present, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def standing(contents: Mapping[str, tuple[int, ...]]) -> tuple[str, list[str]]:
    """Of several canonical contents of one identity: the one that stands, and the others.

    `contents` gives the moments (ms) of each: the earliest stands, at one moment the content that sorts first. A
    stream, which meets the earliest first, has so nothing to take back of what it released.
    """
    first, *others = sorted(contents, key=lambda content: (contents[content], content))
    return first, others


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
