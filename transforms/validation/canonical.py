"""Canonical JSON of a record: what decides whether two records of one id say the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from monsoon.transforms.validation.fields import NO_CONTENT


def canonical_json(record: Mapping[str, Any]) -> str:
    """Keys sorted, no spaces, nulls and received_time left out, 60 the same as 60.0 (whole numbers have no fraction).

    `record` holds known fields only: scalars, or lists of strings, all finite. Text is not escaped beyond
    what JSON demands, so that the order of the result is the order of its UTF-8 bytes.
    """
    present = {name: _integral(value) for name, value in record.items() if value is not None and name not in NO_CONTENT}
    return json.dumps(present, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def standing(contents: Iterable[str]) -> tuple[str, list[str]]:
    """Of several canonical contents of one id: the one that stands, and the distinct others, sorted."""
    first, *others = sorted(set(contents))
    return first, others


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
