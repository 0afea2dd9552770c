"""Migrations of state entries from earlier state versions (`keyed_operator.MIGRATIONS`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from monsoon.pipelines.operators.deduplicate_records import Remembered, content_hash
from monsoon.pipelines.operators.disruption_state import from_version_1
from monsoon.pipelines.operators.pane_buffer import SCHEMA
from monsoon.pipelines.runtime.keyed_operator import Migration, entries_of
from monsoon.pipelines.runtime.messages import pack, pack_frame, unpack, unpack_frame
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import pack_rows
from monsoon.sources.telemetry_columns import NULLED, compact
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.record_validator import ValidRecord


def _each(**rewrite: Callable[[bytes], bytes]) -> Migration:
    """A migration that rewrites each entry of these kinds and keeps the others."""

    def migrate(entries: Mapping[str, bytes]) -> dict[str, bytes]:
        migrated = {}
        for name, payload in entries.items():
            rewritten = rewrite.get(name.partition("/")[0])
            migrated[name] = payload if rewritten is None else rewritten(payload)
        return migrated

    return migrate


def _smaller(payload: bytes) -> bytes:
    value: Any = unpack(payload)
    return pack_small(value)


def _hashed(payload: bytes) -> bytes:
    identity, content, effective_ms = unpack(payload, tuple[str, str, int])
    return pack(Remembered(identity, content_hash(content), effective_ms))


def _with_received_time(payload: bytes) -> bytes:
    """Adds `received_time`, null, to reports from before the contract had it; it is the contract's last field."""
    return pack_frame(unpack_frame(payload).with_columns(received_time=pl.lit(None, dtype=pl.Int64)))


def _reports_by_rider(entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """Held rows get a column with their nulled fields. Remembered reports are dropped: they are keyed by buckets of ids
    instead of riders, and their hashes depend on the release of Polars and, for access points, on the process."""
    nulled = [
        (used.record, ",".join(sorted(used.nulled)))
        for name, payload in entries_of(entries, "nulled")
        for used in unpack(payload, list[ValidRecord])
    ]
    migrated = {}
    for name, payload in entries.items():
        kind = name.partition("/")[0]
        if kind in ("waiting", "late"):
            migrated[name] = pack_frame(_with_nulled(unpack_frame(_with_received_time(payload)), nulled))
        elif kind not in ("memory", "nulled"):
            migrated[name] = payload
    return migrated


def _with_nulled(rows: pl.DataFrame, records: Sequence[tuple[dict[str, Any], str]]) -> pl.DataFrame:
    """Rows with the column NULLED, filled for the records with nulled fields."""
    nulled: list[str | None] = [None] * rows.height
    nulled_of: dict[str, set[str]] = defaultdict(set)
    for record, names in records:
        nulled_of[canonical_json(record)].update(names.split(","))
    ids = pl.Series([record["event_id"] for record, _ in records], dtype=pl.String)
    candidates = rows["event_id"].is_in(ids.implode()).arg_true().to_list() if records else []
    for row in candidates:
        nulled[row] = ",".join(sorted(nulled_of[canonical_json(rows.row(row, named=True))])) or None
    return compact(rows.with_columns(pl.Series(NULLED, nulled, dtype=pl.String)), stream_fields("telemetry"))


def _with_insured(payload: bytes) -> bytes:
    """Adds `insured` to silent riders from before policies had to be in force for some time: all who had one count."""
    had_policy = pl.col("bought_in_alert_window").is_not_nan()
    return pack_frame(unpack_frame(payload).with_columns(insured=had_policy))


def _known_from(panes: pl.DataFrame) -> pl.DataFrame:
    """Adds `known_from_ms` to panes of reports without a received time: they are known from the end of the pane on."""
    return panes.with_columns(known_from_ms=pl.col("pane_start_ms") + PANE_MS)


def _panes(payload: bytes) -> bytes:
    return pack_frame(_known_from(unpack_frame(payload)).with_columns(history=pl.lit(True)).select(*SCHEMA))


def _phones(payload: bytes) -> bytes:
    phones = pl.DataFrame(unpack_small(payload, dict[str, list[Any]]), schema_overrides={"pane_start_ms": pl.Int64})
    return pack_rows(_known_from(phones))


def _days(payload: bytes) -> bytes:
    return pack_frame(_known_from(unpack_frame(payload)))


_RENAMED = {"happening": "update", "findings": "activity_results", "episode": "event", "met": "passed"}
"""Fields of claims, revisions and activity results by their names up to version 2, and since."""

RENAMED_FEATURES = {"teleport_mps": "max_implied_speed_mps", "teleport_second_mps": "second_implied_speed_mps"}
"""Features by their names up to version 2, and since."""


def _renamed(value: Any) -> Any:
    """Unpacked data with its fields and features under their present names, at any depth."""
    if isinstance(value, dict):
        return {_RENAMED.get(name, RENAMED_FEATURES.get(name, name)): _renamed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each) for each in value]
    return RENAMED_FEATURES.get(value, value) if isinstance(value, str) else value


def _with_present_names(payload: bytes) -> bytes:
    return pack(_renamed(unpack(payload)))


def _small_with_present_names(payload: bytes) -> bytes:
    return pack_small(_renamed(unpack_small(payload)))


def _with_paid_reasons(payload: bytes) -> bytes:
    """Sets `paid_reasons` in claims from before there was that field: the reasons were those of what was paid."""
    claim: Any = _renamed(unpack_small(payload))
    if claim["paid_paise"] and "cap_partial" in claim["reasons"]:
        claim["paid_reasons"] = claim["reasons"]
    return pack_small(claim)


_OF_A_TRIGGER = frozenset({"answers", "heard", "pending", "witnessed"})


def _with_trigger(entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """Entries of a key that was one trigger's: since there are regions they name it, as 0 where it is the key."""
    migrated = {}
    for name, payload in entries.items():
        kind, _, rest = name.partition("/")
        if kind == "new-cells":
            migrated[name] = pack([([], unpack(payload, list[int]))])
        else:
            migrated[f"{kind}/0/{rest}" if kind in _OF_A_TRIGGER else name] = payload
    return migrated


OPERATOR_MIGRATIONS: dict[str, dict[int, Migration]] = {
    "deduplicate-records": {1: _each(memory=_hashed)},
    "deduplicate-telemetry": {2: _reports_by_rider},
    "route-policies": {1: _each(policy=_smaller)},
    "riders-evidence": {
        1: _each(
            policy=_smaller,
            disruption=lambda payload: from_version_1(_with_present_names(payload)),
            found=_smaller,
        ),
        2: _each(
            rows=_with_received_time,
            panes=_panes,
            series=_with_present_names,
            disruption=_small_with_present_names,
            found=_small_with_present_names,
        ),
    },
    "witness-telemetry": {2: _each(rows=_with_received_time, orders=_with_received_time, panes=_panes)},
    "witness-devices": {2: _each(riders=_with_insured, days=_days)},
    "ask-witness": {4: _with_trigger},
    "weigh-witness": {4: _with_trigger},
    "judge-triggers": {4: _with_trigger},
    "compare-neighbors": {2: _each(phones=_phones)},
    "adjudicate-claims": {
        1: _each(claim=_smaller, compared=lambda payload: pack_rows(unpack_frame(payload))),
        2: _each(claim=_with_paid_reasons, findings=_with_present_names),
    },
}
"""By operator uid and the version that is read."""
