"""What turns entries of earlier versions of the state into present ones (`step.MIGRATIONS`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from monsoon.pipelines.steps import noted
from monsoon.pipelines.steps.compact import pack_small
from monsoon.pipelines.steps.envelopes import pack, pack_frame, unpack, unpack_frame
from monsoon.pipelines.steps.records import Remembered, content_hash
from monsoon.pipelines.steps.shelf import pack_rows
from monsoon.pipelines.steps.step import Migration


def _each(**rewrite: Callable[[bytes], bytes]) -> Migration:
    """Entries of these kinds made anew one by one, the others as they are."""

    def migrate(entries: Mapping[str, bytes]) -> dict[str, bytes]:
        kept = {}
        for name, payload in entries.items():
            made = rewrite.get(name.partition("/")[0])
            kept[name] = payload if made is None else made(payload)
        return kept

    return migrate


def _smaller(payload: bytes) -> bytes:
    value: Any = unpack(payload)
    return pack_small(value)


def _hashed(payload: bytes) -> bytes:
    identity, content, effective_ms = unpack(payload, tuple[str, str, int])
    remembered: Remembered = (identity, content_hash(content), effective_ms)
    return pack(remembered)


def _with_received_time(payload: bytes) -> bytes:
    """Reports of before their contract had `received_time`: it is the last of its fields, and nobody stated it."""
    return pack_frame(unpack_frame(payload).with_columns(received_time=pl.lit(None, dtype=pl.Int64)))


OF_STEPS: dict[str, dict[int, Migration]] = {
    "deduplicate-records": {1: _each(memory=_hashed)},
    "deduplicate-telemetry": {2: _each(waiting=_with_received_time, late=_with_received_time)},
    "route-policies": {1: _each(policy=_smaller)},
    "riders-evidence": {
        1: _each(policy=_smaller, disruption=noted.from_first, found=_smaller),
        2: _each(rows=_with_received_time),
    },
    "witness-telemetry": {2: _each(rows=_with_received_time, orders=_with_received_time)},
    "adjudicate-claims": {1: _each(claim=_smaller, compared=lambda payload: pack_rows(unpack_frame(payload)))},
}
"""By step and the version that is read."""
