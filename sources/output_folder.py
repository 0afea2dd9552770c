"""Reads records from an output folder of `replay`, `run` or `live`, in JSON Lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sources.files import InputError, first_line
from monsoon.transforms.explanation import ClaimRecords
from monsoon.transforms.spelling import closest_name

_MEND = "Give --output the folder that a replay wrote, or replay its input again"
_COMPLETE = "summary.json"
_PARTS = "part-*"

Record = dict[str, Any]

_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "null": (type(None),),
}


class _Names(msgspec.Struct):
    """The fields by which records are found."""

    claim_id: str | None = None
    disruption_id: str | None = None
    worker_id: str | None = None
    claim_ids: list[str] | None = None
    held_claim_ids: list[str] | None = None


def read_claim(folder: Path, claim_id: str) -> ClaimRecords:
    """All records that concern a claim.

    Raises InputError where the folder is no complete output, a record of it cannot be read, or it has no such claim
    (then with the claim that was meant, if one is similar).
    """
    require_complete(folder)
    known: set[str] = set()

    def is_of_claim(names: _Names) -> bool:
        known.add(names.claim_id or "")
        return names.claim_id == claim_id

    revisions = _ordered(_records(folder, "claims", is_of_claim), "claim_id")
    if not revisions:
        raise _unknown(folder, claim_id, known)
    claim = revisions[-1]
    others = _records(folder, "claims", lambda names: names.worker_id == claim["worker_id"])
    last = {
        each["claim_id"]: each
        for each in _ordered(others, "claim_id")
        if each["product"] == claim["product"] and each["claim_id"] != claim_id
    }
    disruption = claim["disruption_id"]
    return ClaimRecords(
        revisions=revisions,
        disruptions=_ordered(
            _records(folder, "disruptions", lambda names: names.disruption_id == disruption), "disruption_id"
        ),
        payouts=_by_time(_records(folder, "payouts", lambda names: names.claim_id == claim_id), "created_at"),
        notifications=_by_time(_records(folder, "notifications", lambda names: names.claim_id == claim_id)),
        reserve_alerts=_by_time(_records(folder, "reserve_alerts", lambda names: claim_id in (names.claim_ids or ()))),
        syndicate_alerts=_by_time(
            _records(folder, "syndicate_alerts", lambda names: claim_id in (names.claim_ids or ()))
        ),
        ring_alerts=_by_time(
            _records(folder, "ring_alerts", lambda names: claim_id in _of_ring(names))
            if (folder / "ring_alerts").is_dir()  # folders of before have none
            else ()
        ),
        others=sorted(last.values(), key=lambda each: (each["decided_at"], each["claim_id"])),
    )


def _of_ring(names: _Names) -> tuple[str, ...]:
    return *(names.claim_ids or ()), *(names.held_claim_ids or ())


def read_records(folder: Path, stream: str) -> Iterator[Record]:
    """All records of a stream, in the order of the folder's files.

    Raises InputError where the folder is no complete output, or a record of it cannot be read.
    """
    require_complete(folder)
    return _records(folder, stream, lambda names: True)


def read_parts(folder: Path, stream: str) -> Iterator[tuple[Path, list[Record]]]:
    """The files of a stream, each with its records. Raises InputError as `read_records` does."""
    require_complete(folder)
    for part in _parts(folder, stream):
        yield part, list(_records_of(part, stream, lambda names: True))


def require_complete(folder: Path) -> None:
    """Raises InputError for what is no output, or one that was not completed."""
    if not folder.is_dir():
        raise InputError("no such folder", str(folder), _MEND)
    if not (folder / _COMPLETE).is_file():
        raise InputError(f"no {_COMPLETE}, which is written last: no output, or not complete", str(folder), _MEND)


def _unknown(folder: Path, claim_id: str, known: set[str]) -> InputError:
    known.discard("")
    if not known:
        return InputError("no claim was decided here", str(folder / "claims"), _MEND)
    near = sorted(each for each in known if len(claim_id) > 2 and each.startswith(claim_id))[:3]
    if not near and (closest := closest_name(claim_id, known)):
        near = [closest]
    mend = f"Did you mean {' or '.join(near)}?" if near else "claims/ has them, one a line, as claim_id"
    return InputError(f"no claim {claim_id!r} among its {len(known):,}", str(folder), mend)


def _ordered(records: Iterable[Record], identity: str) -> tuple[Record, ...]:
    """By revision, each once."""
    return tuple(
        {(each[identity], each["revision"]): each for each in sorted(records, key=lambda r: r["revision"])}.values()
    )


def _by_time(records: Iterable[Record], field: str = "event_time") -> tuple[Record, ...]:
    """By event time; those of one moment, which their order in the file tells apart, stay as they are."""
    return tuple(sorted({json.dumps(each): each for each in records}.values(), key=lambda each: each[field]))


def _records(folder: Path, stream: str, wanted: Callable[[_Names], bool]) -> Iterator[Record]:
    """The wanted records of a stream, checked against its contract."""
    for part in _parts(folder, stream):
        yield from _records_of(part, stream, wanted)


def _parts(folder: Path, stream: str) -> list[Path]:
    if not (folder / stream).is_dir():
        raise InputError("the folder of a stream is missing", str(folder / stream), _MEND)
    return sorted((folder / stream).glob(_PARTS))


def _records_of(part: Path, stream: str, wanted: Callable[[_Names], bool]) -> Iterator[Record]:
    read = _rows if part.suffix == ".parquet" else _lines
    for where, record in read(part, stream, wanted):
        if (fault := _fault(record, _contract(stream))) is not None:
            raise InputError(f"no record of {stream}: {fault}", where, _MEND)
        yield record


def _lines(part: Path, stream: str, wanted: Callable[[_Names], bool]) -> Iterator[tuple[str, Record]]:
    decode = msgspec.json.Decoder(_Names).decode
    with part.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{part}, line {number}"
            try:
                if wanted(decode(line)):
                    yield where, msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(f"no record of {stream} ({error})", where, _MEND) from error


def _rows(part: Path, stream: str, wanted: Callable[[_Names], bool]) -> Iterator[tuple[str, Record]]:
    import polars as pl

    try:
        table = pl.read_parquet(part)
        names = [each for each in _Names.__struct_fields__ if each in table.columns]
        rows_of_names = table.select(names).to_dicts() if names else [{}] * len(table)
        found = [number for number, row in enumerate(rows_of_names) if wanted(_Names(**row))]
        rows = table[found].to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"no Parquet file ({first_line(error)})", str(part), _MEND) from error
    for number, row in zip(found, rows, strict=True):
        yield f"{part}, row {number + 1}", _plain(stream, row)


def _plain(stream: str, row: Record) -> Record:
    """A row as the record that it was made of: maps as objects, JSON text read, nulls of optional fields left out."""
    contract = _contract(stream)
    record = {}
    for name, value in row.items():
        schema = contract["properties"].get(name, {})
        if value is None and name not in contract["required"]:
            continue
        if "object" in _types(schema):
            if isinstance(value, str):
                value = msgspec.json.decode(value)
            elif isinstance(value, list):  # a map, as pairs
                value = {each["key"]: each["value"] for each in value}
        record[name] = value
    return record


def _fault(value: Any, schema: Mapping[str, Any], name: str = "") -> str | None:
    """What of a value is not as its schema has it: of the rules of JSON Schema those that contracts of outputs use."""
    kinds = tuple(kind for each in _types(schema) for kind in _KINDS[each])
    if (kinds and not isinstance(value, kinds)) or ("enum" in schema and value not in schema["enum"]):
        return f"{name} is {json.dumps(value)[:40]}"
    if isinstance(value, list):
        return next(filter(None, (_fault(each, schema.get("items", {}), f"{name}[]") for each in value)), None)
    if not isinstance(value, dict):
        return None
    for each in schema.get("required", ()):
        if each not in value:
            return f"{name}{'.' * bool(name)}{each} is missing"
    others = schema.get("additionalProperties", True)
    for each, inner in value.items():
        rules = schema.get("properties", {}).get(each, others if isinstance(others, dict) else {})
        if (fault := _fault(inner, rules, f"{name}{'.' * bool(name)}{each}")) is not None:
            return fault
    return None


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = schema.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


@cache
def _contract(stream: str) -> dict[str, Any]:
    path = resources.files("monsoon.contracts").joinpath(f"{stream.removesuffix('s')}.schema.json")
    contract: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return contract
