"""The Kafka key of a line of an input stream, for whoever produces it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from monsoon.contracts.topics import INPUT_TOPICS, TOPICS, key_of
from monsoon.transforms.geo.areas import area_of
from monsoon.transforms.geo.cells import cell_name, cell_of
from monsoon.transforms.validation.record_validator import RecordValidator, ValidRecord

READING_RESOLUTION = 5
"""Of the H3 cells by which readings are keyed."""


def reading_key(reading: Mapping[str, Any]) -> str:
    """The key of a valid oracle reading: the cell of resolution 5 that contains the center of its area."""
    area = area_of(reading)
    return cell_name(cell_of(area.center_lat, area.center_lon, READING_RESOLUTION))


def line_key(stream: str, line: bytes) -> str | None:
    """The key of a line of an input stream; None, for any partition, of a line that does not say what it takes.

    Such a line becomes a dead letter, wherever it lies. Raises KeyError for what is no input stream.
    """
    topic = TOPICS[stream]
    if topic not in INPUT_TOPICS:
        raise KeyError(stream)
    if not topic.key_fields:
        verdict = _reading_validator()(line)
        return reading_key(verdict.record) if isinstance(verdict, ValidRecord) else None
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in topic.key_fields):
        return None
    return key_of(stream, record)


@cache
def _reading_validator() -> RecordValidator:
    return RecordValidator("oracle_readings")
