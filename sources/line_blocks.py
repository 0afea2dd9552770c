"""Blocks of telemetry lines to columns: what is certainly valid is parsed by Polars, the rest line by line by the
reference validator.

The columnar path is taken only where its result cannot differ from the reference validator's. A whole block is clean
where Polars parses it and its structural characters add up (`block_structure`). In any other block a regular expression
finds the lines with the structure of a valid record (`monsoon.transforms.validation.clean_line`), Polars parses those,
and a row whose values are not all in range goes to the reference validator with its line.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count, repeat

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.block_structure import Structure, lines_within
from monsoon.sources.telemetry_columns import clean_rows, compact, holds_no_raw_identifier, parse_schema, records_frame
from monsoon.transforms.validation.clean_line import clean_line_pattern, key_order
from monsoon.transforms.validation.record_validator import MAX_LINE_BYTES, DeadLetter, RecordValidator, ValidRecord

_MAX_PATTERNS = 8
"""Orders of keys that are given a pattern; lines of yet others are validated one by one."""
_NEW_PATTERNS_PER_BLOCK = 3
_MIN_LINES_FOR_PATTERN = 64
"""Lines left unmatched that justify looking for another order of keys."""
_LINE_STARTS = (b"{", b" ", b"\t", b"\r", b"\n")
"""What records and blank lines begin with. Polars skips a byte order mark, and unpacks what begins like gzip, zlib or
zstd: `x^` on the first line is enough for that."""


Arrivals = npt.NDArray[np.int64]
"""When each line of a block arrived at the broker (ms)."""


@dataclass(slots=True)
class ValidatedBlock:
    """What became of a number of lines: `frames` of compact columns, and the dead. `line_numbers`: by frame, of which
    line each row is, from 0; for blocks of lines only."""

    read: int = 0
    frames: list[pl.DataFrame] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    line_numbers: list[npt.NDArray[np.int64]] = field(default_factory=list)


class BlockValidator:
    """Validates blocks of telemetry lines; may be shared by threads."""

    def __init__(self, record_validator: RecordValidator) -> None:
        self._record_validator = record_validator
        self._schema = parse_schema(record_validator.fields)
        self._patterns: dict[tuple[str, ...], str] = {}
        self._lock = threading.Lock()

    def validate(self, content: bytes, arrived_ms: Arrivals | None = None) -> ValidatedBlock:
        """Every non-blank line of the block ends up in a frame or among the dead.

        `arrived_ms`: the broker's timestamp of each line, blank ones included (`record_validator.with_arrival`).
        """
        if not content:
            return ValidatedBlock()
        whole = self._whole(content, arrived_ms)
        if whole is not None:
            # Which row is of which line is not known where lines are blank; with arrivals `_whole` lets none pass.
            return ValidatedBlock(whole.height, [whole], line_numbers=[np.arange(whole.height)])
        lines = _lines(content)
        if lines is None:
            split = [line.removesuffix(b"\r") for line in content.split(b"\n")]
            return self.validate_all(split, _listed(arrived_ms))
        clean = self._clean(lines)
        if clean.all():
            parsed = self._parse(content, len(lines))
        else:
            parsed = self._parse("\n".join(lines.filter(clean).to_list()).encode(), int(clean.sum()))
        if parsed is None:
            return self.validate_all((line.encode() for line in lines), _listed(arrived_ms))
        of_clean = None if arrived_ms is None else arrived_ms[clean.to_numpy()]
        parsed = _with_arrival(parsed, of_clean)
        in_range = clean_rows(parsed, self._record_validator.fields)
        certain, doubtful = np.flatnonzero(clean.to_numpy()), np.flatnonzero(~clean.to_numpy())
        if not in_range.all():
            doubtful = np.append(doubtful, certain[~in_range.to_numpy()])
            certain, parsed = certain[in_range.to_numpy()], parsed.filter(in_range)
        of_doubtful = None if arrived_ms is None else arrived_ms[doubtful]
        texts = (line.encode() for line in lines.gather(doubtful))
        validated = self.validate_all(texts, _listed(of_doubtful), doubtful.tolist())
        if parsed.height:
            validated.read += parsed.height
            validated.frames.insert(0, compact(parsed, self._record_validator.fields))
            validated.line_numbers.insert(0, certain)
        return validated

    def _whole(self, content: bytes, arrived_ms: Arrivals | None = None) -> pl.DataFrame | None:
        """The compact columns of a block that is clean from end to end, else None."""
        if b"\\" in content or not lines_within(content, MAX_LINE_BYTES):
            return None
        structure = Structure.of(content)
        parsed = self._parse(content, len(structure.objects))
        if parsed is None or not parsed.height or not structure.agrees_with(parsed):
            return None
        if arrived_ms is not None and parsed.height != len(arrived_ms):
            return None  # blank lines: which line a row is of is not known
        parsed = _with_arrival(parsed, arrived_ms)
        if not clean_rows(parsed, self._record_validator.fields, named=True).all():
            return None
        columns = compact(parsed, self._record_validator.fields)
        return columns if holds_no_raw_identifier(columns, self._record_validator.fields) else None

    def validate_all(
        self,
        lines: Iterable[bytes],
        arrived_ms: Iterable[int | None] = repeat(None),
        numbers: Iterable[int] | None = None,
    ) -> ValidatedBlock:
        """The same, each line by the reference validator; `numbers` are those of the lines (None: from 0)."""
        return collect(map(self._record_validator, lines, arrived_ms), numbers)

    def _clean(self, lines: pl.Series) -> pl.Series:
        """Which lines are certainly clean in structure (bool, one per line)."""
        clean = np.zeros(len(lines), dtype=np.bool_)
        left = np.flatnonzero((lines.str.len_bytes() <= MAX_LINE_BYTES).to_numpy())
        tried: set[tuple[str, ...]] = set()
        learned = 0
        while len(left):
            for keys in [keys for keys in self._patterns if keys not in tried]:
                tried.add(keys)
                rest = lines if len(left) == len(lines) else lines.gather(left)
                matched = rest.str.contains(self._patterns[keys]).to_numpy()
                clean[left[matched]] = True
                left = left[~matched]
            if len(left) < (_MIN_LINES_FOR_PATTERN if tried else 1) or learned == _NEW_PATTERNS_PER_BLOCK:
                break
            learned += 1
            if not any(self._learn(lines[int(left[at])], tried) for at in (len(left) // 2, 0, -1)):
                break
        return pl.Series(clean)

    def _learn(self, line: str, tried: set[tuple[str, ...]]) -> bool:
        """Whether there is a pattern, now or since another thread found it, for the untried key order of a
        line."""
        keys = key_order(line.encode())
        if keys is None or keys in tried:
            return False
        with self._lock:
            if keys not in self._patterns:
                pattern = clean_line_pattern(self._record_validator.fields, keys)
                if pattern is None or len(self._patterns) >= _MAX_PATTERNS:
                    return False
                self._patterns = {**self._patterns, keys: pattern}
        return True

    def _parse(self, content: bytes, rows: int) -> pl.DataFrame | None:
        """The columns of clean lines; None if Polars sees them otherwise than the pattern did."""
        if not rows:
            return pl.DataFrame(schema=self._schema)
        if not content.startswith(_LINE_STARTS):
            return None
        try:
            parsed = pl.read_ndjson(content, schema=self._schema)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return None
        return parsed if parsed.height == rows else None


def _listed(arrived_ms: Arrivals | None) -> Iterable[int | None]:
    return repeat(None) if arrived_ms is None else arrived_ms.tolist()


def _with_arrival(parsed: pl.DataFrame, arrived_ms: Arrivals | None) -> pl.DataFrame:
    """`record_validator.with_arrival` of many reports."""
    if arrived_ms is None:
        return parsed
    arrived = pl.Series("arrived", arrived_ms)
    stated = pl.col("received_time").is_not_null() | (pl.col("event_time") == arrived)
    received = pl.when(stated).then(pl.col("received_time")).otherwise(arrived)
    return parsed.with_columns(received_time=received)


def collect(
    verdicts: Iterable[ValidRecord | DeadLetter | None], numbers: Iterable[int] | None = None
) -> ValidatedBlock:
    """The results of the reference validator on lines of telemetry with these numbers (None: from 0), collected; a
    verdict of None is a blank line's."""
    validated = ValidatedBlock()
    used: list[ValidRecord] = []
    used_numbers: list[int] = []
    for verdict, number in zip(verdicts, count() if numbers is None else numbers, strict=False):
        if verdict is None:
            continue
        validated.read += 1
        if isinstance(verdict, DeadLetter):
            validated.dead.append(verdict)
            continue
        used.append(verdict)
        used_numbers.append(number)
    if used:
        validated.frames.append(records_frame(used))
        validated.line_numbers.append(np.array(used_numbers, dtype=np.int64))
    return validated


def _lines(content: bytes) -> pl.Series | None:
    """The lines of a block as text; None if it is not UTF-8. Polars' CSV reader is the quickest splitter at
    hand."""
    count = content.count(b"\n") + (not content.endswith(b"\n"))
    if b"\x01" not in content and content.startswith(_LINE_STARTS):
        try:
            lines = pl.read_csv(
                content, has_header=False, separator="\x01", quote_char=None, schema={"line": pl.String}
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            lines = None
        if lines is not None and lines.height == count:
            return lines["line"].fill_null("")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return pl.Series("line", [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")], dtype=pl.String)
