"""An output folder of `replay`, `run` or `live` as tables of Polars, pandas or Arrow, in either format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from monsoon.sinks.folder import DERIVED_STREAMS, STREAMS, SUMMARY
from monsoon.sinks.parquet_records import RecordError, columns_of, frame_of
from monsoon.sources.files import InputError, first_line
from monsoon.transforms.spelling import closest_name
from monsoon.workbench.columns import TIMES, Column, documented_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

TABLES = (*STREAMS, *DERIVED_STREAMS)
"""The streams that an output may have, by the name of their folder."""
_IDENTITIES = {"disruptions": "disruption_id", "claims": "claim_id"}
"""Streams of revisions, and what they are revisions of."""
_MEND = "Give the folder that a replay wrote, or replay its input again"
_BATCH_RECORDS = 20_000
"""Lines that are Python objects at a time: a claim takes some 10 kB as such, 1 kB in columns."""


def load(folder: str | Path) -> Output:
    """The output in a folder; its tables are read when they are asked for.

    Raises InputError where the folder is no complete output.
    """
    return Output(Path(folder))


class Output:
    """One output. A stream that its version did not write yet is an empty table, a column that it lacks null."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder is no complete output."""
        if not folder.is_dir():
            raise InputError("no such folder", str(folder), _MEND)
        if not (folder / SUMMARY).is_file():
            raise InputError(f"no {SUMMARY}, which is written last: no output, or not complete", str(folder), _MEND)
        self.folder = folder

    @property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` says. Raises InputError where it is no JSON object."""
        try:
            return msgspec.json.decode((self.folder / SUMMARY).read_bytes(), type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"no JSON object ({error})", str(self.folder / SUMMARY), _MEND) from error

    @staticmethod
    def columns(stream: str) -> tuple[Column, ...]:
        """What the columns of a stream's table are. Raises InputError for a name that is no stream."""
        return documented_columns(_contract(stream))

    def polars(self, stream: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The records of a stream, in the order of its files.

        Args:
            stream: the name of its folder, such as `claims`.
            columns: only these, in this order (None: all). Of an output of millions of claims take what is needed:
                `features` is most of it.

        Raises:
            InputError: for a name that is no stream or no column, and for a file that cannot be read.
        """
        contract = _contract(stream)
        names = _known_columns(stream, columns)
        frames = [frame for part in self._parts(stream) for frame in _frames(part, contract, names, columns is None)]
        table = pl.concat(frames) if frames else frame_of(contract, []).select(names)
        times = TIMES[contract].intersection(names)
        return table.with_columns(pl.col(name).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC") for name in times)

    def pandas(self, stream: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The same for pandas: a moment is `datetime64[ms, UTC]`, a list or map an object, a map a list of pairs."""
        return self.polars(stream, columns).to_pandas()

    def arrow(self, stream: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The same for Arrow, without a copy of most columns."""
        return self.polars(stream, columns).to_arrow()

    def latest(self, stream: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The last revision of each disruption or claim: how it stands at the end. Other streams have no revisions.

        Raises InputError as `polars` does.
        """
        names = _known_columns(stream, columns)
        identity = _IDENTITIES.get(stream)
        if identity is None:
            return self.polars(stream, names)
        table = self.polars(stream, list(dict.fromkeys([*names, identity, "revision"])))
        last = table.group_by(identity, maintain_order=True).agg(pl.col("revision").max())
        kept = table.unique([identity, "revision"], keep="first", maintain_order=True)
        return kept.join(last, on=[identity, "revision"], how="semi", maintain_order="left").select(names)

    def features(self) -> pl.DataFrame:
        """A row per revision of a claim: `claim_id`, `revision`, and each feature as a column (null: not measured).

        Raises InputError as `polars` does.
        """
        table = self.polars("claims", ["claim_id", "revision", "features"])
        names = table.select(pl.col("features").map.keys().explode().drop_nulls().unique()).to_series().sort()
        return table.with_columns(pl.col("features").map.get(name).alias(name) for name in names).drop("features")

    def _parts(self, stream: str) -> list[Path]:
        return sorted((self.folder / stream).glob("part-*"))


def _contract(stream: str) -> str:
    if stream not in TABLES:
        meant = closest_name(stream, TABLES)
        raise InputError(
            f"no table {stream!r}{f'; did you mean {meant}?' if meant else ''}",
            "workbench",
            f"There are {_list(TABLES)}",
        )
    return stream.removesuffix("s")


def _known_columns(stream: str, columns: Sequence[str] | None) -> list[str]:
    known = list(columns_of(_contract(stream)))
    for name in columns or ():
        if name not in known:
            meant = closest_name(name, known)
            raise InputError(
                f"no column {name!r}{f'; did you mean {meant}?' if meant else ''}", stream, f"There are {_list(known)}"
            )
    return known if columns is None else list(columns)


def _list(names: Collection[str]) -> str:
    return ", ".join(names)


def _frames(part: Path, contract: str, names: Sequence[str], complete: bool) -> Iterator[pl.DataFrame]:
    """A file in frames of bounded size, with these columns as the contract types them."""
    if part.suffix == ".parquet":
        yield _of_parquet(part, contract, names)
        return
    # Of some columns, the other fields are passed over; of all, a field that no column has is an error.
    record = msgspec.defstruct("Record", [(name, Any, None) for name in names], forbid_unknown_fields=complete)
    decode = msgspec.json.Decoder(record).decode
    with part.open("rb") as lines:
        numbered = enumerate(lines, 1)
        while batch := list(islice(numbered, _BATCH_RECORDS)):
            records = [msgspec.structs.asdict(_decoded(decode, part, *each)) for each in batch]
            try:
                yield frame_of(contract, records).select(names)
            except RecordError as error:
                where = f"{part}, lines {batch[0][0]} to {batch[-1][0]}"
                raise InputError(f"not as this version writes it ({error})", where, _MEND) from error


def _decoded(decode: Callable[[bytes], msgspec.Struct], part: Path, number: int, line: bytes) -> msgspec.Struct:
    try:
        return decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"no record that this version knows ({error})", f"{part}, line {number}", _MEND) from error


def _of_parquet(part: Path, contract: str, names: Sequence[str]) -> pl.DataFrame:
    try:
        stored = pl.scan_parquet(part)
        present = stored.collect_schema()
        types = {name: kind or pl.String() for name, kind in columns_of(contract).items()}
        return stored.select(
            pl.col(name).cast(types[name]) if name in present else pl.lit(None, types[name]).alias(name)
            for name in names
        ).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"no Parquet file of {contract} records ({first_line(error)})", str(part), _MEND) from error
