"""What an erased rider's reports have left in the state entries of operators, taken out of them
(`keyed_operator.ERASERS`).

Entries are rewritten before the operator is restored from them, as migrations are: there is no second way to change
what an operator holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace

from monsoon.pipelines.operators.adjudicate_claims import COMPARED
from monsoon.pipelines.operators.link_claims import OpenedClaim
from monsoon.pipelines.operators.neighbor_panes import cold_counts
from monsoon.pipelines.operators.peer_features import PHONES
from monsoon.pipelines.operators.report_store import stored_reports
from monsoon.pipelines.runtime.keyed_operator import Eraser, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import pack, pack_frame, unpack, unpack_frame
from monsoon.pipelines.runtime.report_codec import is_reference, pack_reports, reference_to
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.pipelines.runtime.time_partitioned_buffer import pack_rows
from monsoon.sources.report_batch import ReportBatch
from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.erasure import FEATURES_WITHOUT_LOCATION, ErasedWorkers, worker_hash

Entries = dict[str, bytes]
"""State entries by name, which an eraser changes."""


def _put_or_drop(entries: Entries, name: str, payload: bytes | None) -> None:
    if payload is None:
        del entries[name]
    else:
        entries[name] = payload


def _refused(batch: ReportBatch, erased: ErasedWorkers) -> Any:
    return erased.refused(batch.words["worker_id"], batch["worker_id"], batch["event_time"])


def _reports(kind: str) -> Eraser:
    """Of reports that are stored."""

    def erase(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
        for name, payload in list(entries_of(entries, kind)):
            is_cold = is_reference(payload)
            batch = stored_reports(state.read_cold(name) if is_cold else payload)
            refused = _refused(batch, erased)
            if not refused.any():
                continue
            packed = None if refused.all() else pack_reports(batch.where(~refused))
            if is_cold and packed is not None:
                state.put_cold(name, packed)
                packed = reference_to(packed)
            elif is_cold:
                state.drop_cold(name)
            _put_or_drop(entries, name, packed)

    return erase


def _packages(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
    """Of packages as they arrived: the reports that were released. The others are refused when they are due."""
    unused: dict[str, list[int]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for name, payload in entries_of(entries, "unused"):
        serial = name.split("/")[1]
        unused[serial] += unpack(payload, list[int])
        names[serial].append(name)
    for name, payload in list(entries_of(entries, "arrived")):
        at_ms, serial = int(name.split("/")[1]), name.rpartition("/")[2]
        if at_ms == done_ms:
            continue
        batch = stored_reports(payload)
        keep = ~(_refused(batch, erased) & (batch["event_time"] <= done_ms))
        if keep.all():
            continue
        _put_or_drop(entries, name, pack_reports(batch.where(keep)) if keep.any() else None)
        places = np.cumsum(keep) - 1
        left = [int(places[row]) for row in unused[serial] if keep[row]]
        for each in names[serial]:
            del entries[each]
        if left:
            entries[names[serial][0]] = pack(left)


def _rows(
    kind: str,
    time: str,
    unpacked: Callable[[bytes], pl.DataFrame] = unpack_frame,
    packed: Callable[[pl.DataFrame], bytes] = pack_frame,
) -> Eraser:
    """Of frames with riders (worker_id) and times (ms)."""

    def erase(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
        for name, payload in list(entries_of(entries, kind)):
            frame = unpacked(payload)
            kept = _kept(frame, time, erased)
            if kept.height < frame.height:
                _put_or_drop(entries, name, packed(kept) if kept.height else None)

    return erase


def _small_rows(kind: str, time: str, schema: Mapping[str, Any]) -> Eraser:
    def unpacked(payload: bytes) -> pl.DataFrame:
        return pl.DataFrame(unpack_small(payload, dict[str, list[Any]]), schema=schema)

    return _rows(kind, time, unpacked, pack_rows)


def _kept(frame: pl.DataFrame, time: str, erased: ErasedWorkers) -> pl.DataFrame:
    workers = frame["worker_id"].unique().sort().to_list()
    code_of = {worker: code for code, worker in enumerate(workers)}
    codes = np.array([code_of[worker] for worker in frame["worker_id"].to_list()], dtype=np.int64)
    refused = erased.refused(workers, codes, frame[time].to_numpy())
    return frame.filter(pl.Series(~refused)) if refused.any() else frame


def _cold_panes(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
    """Of neighbors' panes in cold state, and their counts beside it."""
    for name, _ in list(entries_of(entries, "pane-counts")):
        frame = unpack_frame(state.read_cold(name))
        kept = _kept(frame, "pane_start_ms", erased)
        if kept.height == frame.height:
            continue
        if kept.height:
            state.put_cold(name, pack_frame(kept))
            entries[name] = cold_counts(kept)
        else:
            state.drop_cold(name)
            del entries[name]


def _openings(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
    """Of claims as they were opened: what their riders' phones saw."""
    for name, payload in list(entries_of(entries, "openings")):
        opened = unpack(payload, list[OpenedClaim])
        kept = [
            replace(each, stays=[stay for stay in each.stays if stay[2] >= before_ms])
            if (before_ms := erased.before_ms.get(worker_hash(each.opening.worker_id)))
            else each
            for each in opened
        ]
        if kept != opened:
            entries[name] = pack(kept)


def _claims(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
    """Of claims: what was measured. Decisions, scores and the outcome of a re-read stay."""
    for name, payload in list(entries_of(entries, "claim")):
        changed = _erased_claim(payload, erased)
        if changed is not None:
            entries[name] = changed
    for name, payload in entries_of(entries, "settled"):
        worker, _, product = name.removeprefix("settled/").rpartition("/")
        if worker_hash(worker) not in erased.before_ms:
            continue
        for claim in unpack(payload, dict[str, int]):
            cold = f"claim/{product}/{worker}/{claim}"
            changed = _erased_claim(state.read_cold(cold), erased)
            if changed is not None:
                state.put_cold(cold, changed)


def _erased_claim(payload: bytes, erased: ErasedWorkers) -> bytes | None:
    """The claim without evidence; None where it stays as it is."""
    claim = unpack_small(payload, Claim)
    before_ms = erased.before_ms.get(worker_hash(claim.terms.worker_id), 0)
    if claim.update.confirmed_at_ms >= before_ms:
        return None
    if claim.score is not None:
        claim.score = replace(
            claim.score,
            features={
                name: value if name in FEATURES_WITHOUT_LOCATION else None
                for name, value in claim.score.features.items()
            },
            reports={},
            weightiest=tuple(name for name in claim.score.weightiest if name in FEATURES_WITHOUT_LOCATION),
            guard=(),
        )
    if claim.reread is not None:
        claim.reread = replace(claim.reread, signals=())
    return pack_small(claim)


def _all(*erasers: Eraser) -> Eraser:
    def erase(entries: Entries, state: StateWriter, erased: ErasedWorkers, done_ms: int) -> None:
        for each in erasers:
            each(entries, state, erased, done_ms)

    return erase


_PANES = _rows("panes", "pane_start_ms")
_PHONES = _small_rows("phones", "pane_start_ms", PHONES)
OPERATOR_ERASERS: dict[str, Eraser] = {
    "riders-evidence": _all(_packages, _reports("rows"), _PANES),
    "witness-telemetry": _all(_packages, _reports("rows"), _reports("orders"), _PANES),
    "witness-devices": _rows("days", "pane_start_ms"),
    "compare-neighbors": _all(_PANES, _cold_panes, _PHONES),
    "measure-features": _all(_PANES, _cold_panes, _PHONES),
    "link-claims": _openings,
    "adjudicate-claims": _all(_claims, _small_rows("compared", "confirmed_at_ms", COMPARED)),
}
"""By the uid of an operator that holds location evidence of riders."""
