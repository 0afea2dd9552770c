"""Dead letters: read from an output folder or from Kafka, mended, and sent again as late records.

Mended lines wait in a folder of streams of its own, beside what they were mended from; sending one again adds it to an
input folder, or to its topic. Nothing that was decided is edited: the record is received when it is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monsoon.contracts.topics import key_of, topic_name
from monsoon.sinks.durable import replace_file
from monsoon.sources.files import INPUT_STREAMS, InputError
from monsoon.sources.kafka.admin import partition_counts, refusals
from monsoon.sources.output_folder import read_records
from monsoon.sources.topic_keys import line_key
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.raw_identifiers import MASK
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator, ValidRecord

STREAM = "dead_letters"
_LETTERS, _SENT = ".letters", ".sent"
"""Folders of what a mended line was made of, and of where it went; inputs pass such names over."""
_MIN_PREFIX = 6
_PATIENCE_S = 60

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; `letter_id` is its key in Kafka (contracts/topics.py)."""

    letter_id: str
    stream: str
    reason: str
    detail: str
    raw: str
    seen_at_ms: int

    @staticmethod
    def of(record: Mapping[str, Any], letter_id: str | None = None) -> Letter:
        """From a record of the contract."""
        name = key_of(STREAM, record) if letter_id is None else letter_id
        return Letter(
            name, record["stream"], record["reason"], record.get("detail") or "", record["raw"], record["seen_at"]
        )


@dataclass(frozen=True, slots=True)
class Mended:
    """A mended line that waits in a folder."""

    letter_id: str
    stream: str
    line: bytes
    is_sent: bool


def letters_of_folder(results: Path) -> list[Letter]:
    """The letters of an output folder, those that read the same once. Raises InputError."""
    return list({letter.letter_id: letter for letter in map(Letter.of, read_records(results, STREAM))}.values())


def letters_of_topic(brokers: str, prefix: str = "") -> list[Letter]:
    """The letters that are committed to the topic. Raises InputError."""
    from monsoon.client import RECORD_TYPES, ClientError, Consumer

    try:
        with Consumer(RECORD_TYPES[STREAM], brokers, prefix=prefix, positions={}) as consumer:
            found = [Letter.of(msgspec.to_builtins(each.record), each.key) for each in consumer.read_to_end()]
    except ClientError as error:
        raise InputError(str(error), brokers, "Is it running, and reached at that address?") from error
    return list({letter.letter_id: letter for letter in found}.values())


def chosen(
    letters: Iterable[Letter], ids: Sequence[str] = (), reason: str | None = None, stream: str | None = None
) -> list[Letter]:
    """The letters of some ids (or what they begin with), of a reason and of a stream; all that are given must hold.

    Raises InputError for an id that no letter has, or several.
    """
    known = list(letters)
    if ids:
        known = [_one(known, each) for each in ids]
    return [letter for letter in known if reason in (None, letter.reason) and stream in (None, letter.stream)]


def mended_line(letter: Letter, fields: Mapping[str, Any], without: Iterable[str], catalogue: Catalogue) -> bytes:
    """The letter's line with some fields set and some left out. Raises InputError where it is still no record."""
    _require_input(letter.stream, _name(letter))
    try:
        record = json.loads(letter.raw)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError(
            "is no JSON object, so that its fields cannot be set", _name(letter), "Give the whole record: --record FILE"
        )
    record |= fields
    for name in without:
        record.pop(name, None)
    contract = {field.name for field in stream_fields(letter.stream)}
    hidden = [name for name, value in record.items() if MASK in json.dumps(value)]
    for name in hidden:
        if name in contract:
            raise InputError(
                f"{name} is masked: what was refused there is not kept", _name(letter),
                f"Give the keyed hash: --set {name}=..., or leave the field out: --unset {name}",
            )  # fmt: skip
        del record[name]
    line = msgspec.json.encode(record)
    require_valid(letter.stream, line, catalogue, _name(letter))
    return line


def require_valid(stream: str, line: bytes, catalogue: Catalogue, where: str) -> Record:
    """The validated record of a line. Raises InputError, saying why it would be refused."""
    _require_input(stream, where)
    verdict = RecordValidator(stream, catalogue)(line)
    if isinstance(verdict, ValidRecord):
        return verdict.record
    fault = f"{verdict.reason} ({verdict.detail})" if isinstance(verdict, DeadLetter) else "a blank line"
    raise InputError(
        f"would be refused: {fault}",
        where,
        f"Correct it: contracts/{stream.removesuffix('s')}.schema.json says what it must hold",
    )


def _require_input(stream: str, where: str) -> None:
    if stream not in INPUT_STREAMS:
        mend = f"What can be mended is of {', '.join(INPUT_STREAMS)}"
        raise InputError(f"is of {stream!r}, which is no stream of an input", where, mend)


def put_mended(folder: Path, letter: Letter, line: bytes) -> Path:
    """Adds a mended line to the folder of those that wait, in place of an earlier one of the letter. Raises OSError."""
    target = folder / letter.stream / f"mended-{letter.letter_id}.jsonl"
    about = {"letter": _letter_record(letter), "line": line.decode()}
    _write(folder / _LETTERS / f"{letter.letter_id}.json", msgspec.json.format(msgspec.json.encode(about), indent=1))
    _write(target, line + b"\n")
    return target


def mended_in(folder: Path) -> list[Mended]:
    """What waits in a folder, and what was sent, in the order of ids. Raises InputError where no such folder is."""
    if not folder.is_dir():
        raise InputError("no such folder", str(folder), "Give --mended what `monsoon dlq fix` wrote")
    found = [
        Mended(file.stem.removeprefix("mended-"), file.parent.name, file.read_bytes().rstrip(b"\n"), False)
        for stream in INPUT_STREAMS
        for file in (folder / stream).glob("mended-*.jsonl")
    ]
    sent = {file.stem for file in (folder / _SENT).glob("*.json")}
    return sorted(
        (Mended(each.letter_id, each.stream, each.line, each.letter_id in sent) for each in found),
        key=lambda each: each.letter_id,
    )


def received_at(stream: str, line: bytes, at_ms: int) -> bytes:
    """The line as received at a moment: of other streams than telemetry nothing in it says when."""
    if stream != "telemetry":
        return line
    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"no record ({error})", "a mended line of telemetry", "Mend its letter again") from error
    return msgspec.json.encode(record | {"received_time": at_ms})


def send_to_folder(mended: Iterable[Mended], folder: Path, input_dir: Path, at_ms: int | None) -> Iterator[Path]:
    """Adds mended lines to an input folder, received at a moment (None: as they state), and notes that; yields each
    file when it is written. Raises InputError for a stream that the folder does not have, OSError."""
    for each in mended:
        if not (input_dir / each.stream).is_dir():
            raise InputError(f"no folder {each.stream}/", str(input_dir), "Give --input the folder that was replayed")
        target = input_dir / each.stream / f"mended-{each.letter_id}.jsonl"
        line = each.line if at_ms is None else received_at(each.stream, each.line, at_ms)
        _write(target, line + b"\n")
        _note(folder, each, {"to": str(target), "received_time": at_ms})
        yield target


def send_to_topics(mended: Sequence[Mended], folder: Path, brokers: str, prefix: str, at_ms: int) -> Iterator[str]:
    """Sends mended lines to their topics, with a moment as the time of their arrival, and notes that; yields each
    letter's id when the brokers have its line. Raises InputError."""
    for place, topic in send_lines([(each.stream, each.line) for each in mended], brokers, prefix, at_ms):
        _note(folder, mended[place], {"to": f"{brokers}/{topic}", "received_time": at_ms})
        yield mended[place].letter_id


def send_lines(lines: Sequence[tuple[str, bytes]], brokers: str, prefix: str, at_ms: int) -> Iterator[tuple[int, str]]:
    """Sends lines, each of a stream, received at a moment; yields the place of each and its topic when the brokers have
    it. Raises InputError."""
    from monsoon.sources.kafka.producer import history_producer

    topics = {stream: topic_name(stream, prefix) for stream, _ in lines}
    partition_counts(brokers, topics)
    producer = history_producer(brokers)
    try:
        for place, (stream, line) in enumerate(lines):
            stamped = received_at(stream, line, at_ms)
            name = line_key(stream, stamped)
            key = None if name is None else name.encode("utf-8", "surrogatepass")
            with refusals(brokers):
                sent = producer.send(topics[stream], value=stamped, key=key, timestamp_ms=at_ms)
                producer.flush()
                sent.get(timeout=_PATIENCE_S)
            yield place, topics[stream]
    finally:
        producer.close()


def _one(letters: Sequence[Letter], wanted: str) -> Letter:
    found = [letter for letter in letters if letter.letter_id == wanted]
    if not found and len(wanted) >= _MIN_PREFIX:
        found = [letter for letter in letters if letter.letter_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} dead letters begin with {wanted!r}" if found else f"no dead letter {wanted!r}"
    raise InputError(what, f"{len(letters):,} dead letters", "`monsoon dlq list` has their ids")


def _name(letter: Letter) -> str:
    return f"dead letter {letter.letter_id}"


def _letter_record(letter: Letter) -> Record:
    return {
        "letter_id": letter.letter_id,
        "stream": letter.stream,
        "reason": letter.reason,
        "detail": letter.detail,
        "raw": letter.raw,
        "seen_at": letter.seen_at_ms,
    }


def _note(folder: Path, mended: Mended, about: Mapping[str, Any]) -> None:
    _write(folder / _SENT / f"{mended.letter_id}.json", msgspec.json.encode({"letter_id": mended.letter_id, **about}))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, path.with_name(f".{path.name}.partial"))
