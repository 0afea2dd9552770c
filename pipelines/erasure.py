"""Erases location evidence from folders of streams, output folders and feature stores, in place.

Each file is replaced whole, after the list of erased riders: whatever interrupts an erasure, doing it again completes
it, and reports that come again are refused from its beginning.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from monsoon.feature_store.offline import OfflineStore
from monsoon.feature_store.online import OnlineStore
from monsoon.sinks.durable import replace_file, sync_folder
from monsoon.sinks.record_files import encoded
from monsoon.sources.erased_workers import FILE, erased_workers_text, read_erased_workers
from monsoon.sources.files import find_files, is_parquet, reading_errors
from monsoon.sources.output_folder import read_parts
from monsoon.transforms.erasure import Scope, without_location, worker_hash

KEPT_STREAMS = ("payouts", "notifications", "disruptions", "ring_alerts", "syndicate_alerts", "reserve_alerts")
"""Streams of an output folder that stay as they are."""
_STATED = ("subscriptions", "confirmations")
"""Streams of an input that a rider states: what was agreed to and answered is no evidence of where he was."""

Entry = dict[str, Any]


def remember_erased(input_dir: Path, scope: Scope) -> None:
    """Adds the rider to the list of an input. Raises InputError, OSError."""
    if scope.worker_id is None:
        return
    reference = input_dir / "reference"
    known = dict(read_erased_workers(reference).before_ms)
    name = worker_hash(scope.worker_id)
    known[name] = max(scope.before_ms, known.get(name, 0))
    if not reference.is_dir():
        reference.mkdir()
        sync_folder(input_dir)
    replace_file(reference / FILE, erased_workers_text(known).encode(), reference / f".{FILE}.partial")


def erase_input(input_dir: Path, scope: Scope) -> Iterator[Entry]:
    """Removes reports from the telemetry of a folder of streams. Yields what was done. Raises InputError, OSError."""
    files = find_files(input_dir / "telemetry").files
    remember_erased(input_dir, scope)
    removed, changed = 0, []
    for file in files:
        count = (_erase_rows if is_parquet(file) else _erase_lines)(file.resolve(), scope)
        if count:
            removed += count
            changed.append({"file": str(file.relative_to(input_dir)), "sha256": _digest(file)})
    yield {"what": "telemetry", "records_erased": removed, "files": changed}
    for stream in _STATED:
        if (input_dir / stream).is_dir():
            yield {"what": stream, "kept": [_kept(file, input_dir) for file in find_files(input_dir / stream).files]}


def _erase_lines(path: Path, scope: Scope) -> int:
    """Replaces a file of lines by one without those of the scope, if there are any; returns how many."""
    is_gzip = path.name.lower().endswith(".gz")
    kept, removed = [], 0
    with reading_errors(path), gzip.open(path) if is_gzip else path.open("rb") as lines:
        for number, line in enumerate(lines):
            if _is_of(line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line, scope):
                removed += 1
            else:
                kept.append(line)
    if removed:
        content = b"".join(kept)
        _replace(path, gzip.compress(content, mtime=0) if is_gzip else content)
    return removed


def _is_of(line: bytes, scope: Scope) -> bool:
    """Whether a line is a report of the scope. What is no record is, where it names the rider."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = None
    if isinstance(record, dict):
        return scope.has(record.get("worker_id"), record.get("event_time"))
    return scope.worker_id is not None and scope.worker_id.encode() in line


def _erase_rows(path: Path, scope: Scope) -> int:
    with reading_errors(path):
        table = pl.read_parquet(path, hive_partitioning=False)
    columns = [table[name].to_list() if name in table.columns else [None] * len(table) for name in _IDENTITY]
    keep = [not scope.has(worker, at_ms) for worker, at_ms in zip(*columns, strict=True)]
    removed = keep.count(False)
    if removed:
        partial = path.with_name(f".{path.name}.partial")
        table.filter(pl.Series(keep)).write_parquet(partial, compression="zstd", compression_level=3)
        _replace(path, partial.read_bytes())
    return removed


_IDENTITY = ("worker_id", "event_time")


def erase_results(folder: Path, scope: Scope) -> Iterator[Entry]:
    """Takes what reports told out of the claims of an output folder, and refused reports out of its dead letters.
    Yields what was done, and which streams stayed as they were. Raises InputError, OSError."""

    def of_claim(record: Entry) -> Entry:
        return without_location(record) if scope.has(record["worker_id"], record["decided_at"]) else record

    def of_letter(record: Entry) -> Entry | None:
        return None if _is_letter_of(record, scope) else record

    for stream, change in (("claims", of_claim), ("dead_letters", of_letter)):
        yield _changed(folder, stream, change)
    for stream in KEPT_STREAMS:
        if (folder / stream).is_dir():
            yield {"what": stream, "kept": [_kept(part, folder) for part in sorted((folder / stream).glob("part-*"))]}


def _is_letter_of(letter: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a dead letter holds a report of the scope; one that says no time stays, unless its rider is named."""
    if letter["stream"] != "telemetry":
        return False
    if scope.worker_id is None:
        return bool(0 < letter["seen_at"] < scope.before_ms)
    return _is_of(letter["raw"].encode(), scope)


def _changed(folder: Path, stream: str, change: Callable[[Entry], Entry | None]) -> Entry:
    erased, files = 0, []
    for part, records in read_parts(folder, stream):
        changed = [change(record) for record in records]
        count = sum(old != new for old, new in zip(records, changed, strict=True))
        if count:
            kept = [record for record in changed if record is not None]
            _replace(part, encoded(stream, kept, "parquet" if part.suffix == ".parquet" else "jsonl"))
            files.append({"file": str(part.relative_to(folder)), "sha256": _digest(part)})
            erased += count
    return {"what": stream, "records_erased": erased, "files": files}


def erase_features(store: OfflineStore, scope: Scope) -> Entry:
    """Removes a rider from a feature store, whatever the time; of everybody the days before the scope's. Raises
    OSError."""
    if scope.worker_id is None:
        return {"what": "feature_store", "files_erased": store.expire(scope.before_ms)}
    erased = store.erase_worker(scope.worker_id)
    return {"what": "feature_store", "entities_erased": {name: len(ids) for name, ids in erased.items()}}


def erase_online(store: OnlineStore, worker_id: str) -> Entry:
    """Removes a rider from Redis. Raises StoreUnavailableError."""
    return {"what": "redis", "keys_erased": store.erase_worker(worker_id)}


def _kept(file: Path, folder: Path) -> Entry:
    return {"file": str(file.relative_to(folder)), "sha256": _digest(file)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, content: bytes) -> None:
    replace_file(path, content, path.with_name(f".{path.name}.partial"))
