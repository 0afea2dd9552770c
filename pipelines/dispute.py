"""Evidence for a disputed claim: added to the streams as received at the moment of the dispute, never an edit.

A report is received then, so it is evidence for what is decided from then on. A reading takes effect then, as a
correction does: history is evaluated again with it, and what differs is published as further revisions and top-ups.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from monsoon.pipelines.dead_letters import require_valid
from monsoon.sinks.durable import replace_file
from monsoon.sources.files import InputError
from monsoon.sources.output_folder import read_records
from monsoon.transforms.validation.catalogue import Catalogue

Kind = Literal["reading", "report"]
STREAMS: Mapping[Kind, str] = {"reading": "oracle_readings", "report": "telemetry"}

_MOMENTS = {
    "claims": ("decided_at",),
    "disruptions": ("confirmed_at", "revised_at", "end"),
    "payouts": ("created_at",),
    "notifications": ("event_time",),
}
"""When each record was published, or what it knew of."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line that is added to a stream."""

    stream: str
    line: bytes


def evidence_for(claim: Mapping[str, Any], kind: Kind, record: Mapping[str, Any], at_ms: int, where: str) -> Evidence:
    """A record as evidence for a claim, known from a moment on; `where` names it in errors.

    Raises InputError where it would be refused, or is of another rider.
    """
    known = {"received_time": at_ms} if kind == "report" else {"revision": _revision(record), "issued_time": at_ms}
    line = msgspec.json.encode({**record, **known})
    validated = require_valid(STREAMS[kind], line, Catalogue({}), where)
    if kind == "report" and validated["worker_id"] != claim["worker_id"]:
        raise InputError(
            f"is of another rider, {validated['worker_id']}", where, f"The claim is {claim['worker_id']}'s"
        )
    if validated["event_time"] > at_ms:
        raise InputError("is of a moment after the dispute", where, "Give --at the moment at which it became known")
    return Evidence(STREAMS[kind], line)


def after_everything(results: Path) -> int:
    """The first moment (ms) after all that an output folder tells of. Raises InputError."""
    known = (
        record.get(name)
        for stream, names in _MOMENTS.items()
        for record in read_records(results, stream)
        for name in names
    )
    return 1 + max((at_ms for at_ms in known if at_ms is not None), default=0)


def add_to_folder(evidence: Iterable[Evidence], claim_id: str, input_dir: Path) -> list[Path]:
    """Adds evidence to an input folder, a file each, named after the claim and the line: added again it is the same
    file. Raises InputError for a stream that the folder does not have, OSError."""
    added = []
    for each in evidence:
        folder = input_dir / each.stream
        if not folder.is_dir():
            raise InputError(f"no folder {each.stream}/", str(input_dir), "Give --input the folder that was replayed")
        path = folder / f"dispute-{claim_id}-{hashlib.sha256(each.line).hexdigest()[:16]}.jsonl"
        replace_file(path, each.line + b"\n", path.with_name(f".{path.name}.partial"))
        added.append(path)
    return added


def new_revisions(before: Sequence[Record], after: Sequence[Record]) -> Sequence[Record]:
    """The revisions of a claim that came of the dispute. Raises InputError where one that was published is another
    now: then the input or the products are not those of the earlier output."""
    if list(after[: len(before)]) != list(before):
        raise InputError(
            "revisions that were published have changed",
            before[0]["claim_id"],
            "Give --input, --product-file and --model as they were for --results, and --at a moment after all of it",
        )
    return after[len(before) :]


def _revision(record: Mapping[str, Any]) -> Any:
    stated = record.get("revision")
    # A reading of revision 0 takes effect at its event time, as if it had always been known.
    return 1 if stated in (None, 0) else stated
