"""The list of erased riders beside an input, `reference/erased_workers.csv`: reports of theirs are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.line_blocks import ValidatedBlock
from monsoon.sources.telemetry_columns import NULLED
from monsoon.sources.telemetry_store import coded
from monsoon.transforms.erasure import ErasedWorkers
from monsoon.transforms.validation.canonical import canonical_json
from monsoon.transforms.validation.raw_identifiers import MASK
from monsoon.transforms.validation.record_validator import DeadLetter, fingerprint

FILE = "erased_workers.csv"
REASON = "erased_worker"
_HEADER = "worker_hash,before_ms"
_ROW = re.compile(r"([0-9a-f]{32}),([0-9]{1,13})")


def read_erased_workers(reference: Path) -> ErasedWorkers:
    """The list in a folder of reference files; empty where there is none. Raises InputError where it cannot be read as
    a whole: a rider would come back."""
    path = reference / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ErasedWorkers({})
    except (OSError, UnicodeDecodeError) as error:
        raise _fault(path, str(error)) from error
    header, *rows = text.splitlines() or [""]
    if header != _HEADER:
        raise _fault(path, f"does not begin with {_HEADER}")
    found: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        match = _ROW.fullmatch(row)
        if match is None:
            raise _fault(path, f"line {number} is no hash and time")
        found[match[1]] = max(int(match[2]), found.get(match[1], 0))
    return ErasedWorkers(found)


def erased_workers_text(before_ms: Mapping[str, int]) -> str:
    """The content of the file."""
    return "".join(f"{line}\n" for line in (_HEADER, *(f"{name},{ms}" for name, ms in sorted(before_ms.items()))))


def without_erased(block: ValidatedBlock, erased: ErasedWorkers) -> ValidatedBlock:
    """The block with its reports of erased riders among the dead letters, which say nothing of where they were."""
    if not erased:
        return block
    kept = ValidatedBlock(block.read, [], list(block.dead))
    for place, frame in enumerate(block.frames):
        workers, worker = coded(frame["worker_id"])
        refused = erased.refused(workers, worker, frame["event_time"].to_numpy())
        if not refused.all():
            kept.frames.append(frame.filter(pl.Series(~refused)) if refused.any() else frame)
            kept.line_numbers += [numbers[~refused] for numbers in block.line_numbers[place : place + 1]]
        kept.dead += map(erased_letter, frame[np.flatnonzero(refused)].drop(NULLED).iter_rows(named=True))
    return kept


def erased_letter(record: Mapping[str, Any]) -> DeadLetter:
    """What is said of a report of an erased rider: when it was, and not where."""
    raw = canonical_json({"event_time": record["event_time"], "worker_id": MASK})
    detail = "a report of a rider who was erased, of before the time of the erasure"
    return DeadLetter(REASON, detail, raw, record["event_time"], fingerprint(canonical_json(record).encode()))


def _fault(path: Path, what: str) -> InputError:
    return InputError(what, str(path), "Put the file there that monsoon erase wrote, or erase again")
