"""Reference files: where cell towers and access points stand."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.native_messages import native_messages_dropped
from monsoon.transforms.evidence.limits import UNKNOWN_TOWER_RANGE_M
from monsoon.transforms.evidence.references import References
from monsoon.transforms.trail import Trail

TOWERS_FILE = "cell_towers.csv"
ACCESS_POINTS_FILE = "access_points.csv"

_OPENCELLID = ("radio", "mcc", "net", "area", "cell", "lon", "lat", "range")
_SAMPLE = {"mnc": "net", "tac": "area", "cid": "cell"}
# Names in OpenCelliD's public samples, which lack radio and range.

_FAULTS_LISTED = 20
_QUOTED_CHARACTERS = 120


@dataclass(frozen=True)
class Faults:
    """Rows of one reference file that could not be used: how many, and the first of them in words."""

    rows: int
    first: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ReferenceTables:
    """What the reference files say. `towers` has key, lat, lon, range_m; `access_points` has key, lat, lon; keys
    are distinct. `faults` is by file name, for files that have any."""

    towers: pl.DataFrame
    access_points: pl.DataFrame
    faults: dict[str, Faults]

    def locate(self, trail: Trail) -> References:
        """Places of the trail's cells and access points.

        A cell `radio-mcc-net-area-cell` is looked up as it is, then without its radio among towers whose file
        names none.
        """
        exact = _lookup(self.towers, [_tower_key(cell) for cell in trail.cells])
        plain = _lookup(self.towers, [_tower_key(cell).partition("-")[2] for cell in trail.cells])
        cells = np.where(np.isnan(exact), plain, exact)
        bssids = _lookup(self.access_points, trail.bssids)
        return References(*cells, *bssids)


def read_references(folder: Path) -> ReferenceTables:
    """Reads the folder's reference files; an absent file or folder locates nothing.

    Rows that cannot be used (a place off the globe, a number that is none, a missing field) are skipped and
    told. Of several rows of one tower or access point the one whose numbers sort first stands, wherever it
    is in the file. Raises InputError for a file that is no CSV or lacks the columns.
    """
    faults: dict[str, Faults] = {}
    towers = _read(folder / TOWERS_FILE)
    for sample, name in _SAMPLE.items():
        if sample in towers.columns and name not in towers.columns:
            towers = towers.rename({sample: name})
    _require(folder / TOWERS_FILE, towers, ("mcc", "net", "area", "cell", "lat", "lon"))
    parts = [pl.col(name).cast(pl.Int64, strict=False) for name in ("mcc", "net", "area", "cell")]
    key = pl.concat_str(parts, separator="-")
    if "radio" in towers.columns:
        key = pl.concat_str(pl.col("radio").str.to_uppercase(), key, separator="-")
    stated = pl.col("range").cast(pl.Float64, strict=False) if "range" in towers.columns else pl.lit(None)
    range_m = pl.when(stated.is_finite() & (stated > 0)).then(stated).otherwise(UNKNOWN_TOWER_RANGE_M)
    towers = _checked(folder / TOWERS_FILE, towers.with_columns(key=key, range_m=range_m), faults)
    points = _read(folder / ACCESS_POINTS_FILE)
    _require(folder / ACCESS_POINTS_FILE, points, ("bssid", "lat", "lon"))
    points = _checked(folder / ACCESS_POINTS_FILE, points.with_columns(key=pl.col("bssid")), faults)
    return ReferenceTables(towers.select("key", "lat", "lon", "range_m"), points.select("key", "lat", "lon"), faults)


def _read(path: Path) -> pl.DataFrame:
    """Every column as text; no rows where the file is absent or empty."""
    if os.path.lexists(path) and not path.is_file():
        raise InputError("is no regular file", str(path), "Put a CSV file there, or leave it out.")
    if not path.exists() or path.stat().st_size == 0:
        names = (*_OPENCELLID, "bssid")
        return pl.DataFrame({name: [] for name in names}, schema=dict.fromkeys(names, pl.String))
    try:
        with path.open("rb") as file, native_messages_dropped():  # a path that is no UTF-8 is nothing for Polars
            table = pl.read_csv(
                file,
                infer_schema=False,
                truncate_ragged_lines=True,
                encoding="utf8-lossy",
            )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = (str(error).splitlines() or [""])[0][:_QUOTED_CHARACTERS]  # Polars quotes what it read
        raise InputError(f"not a CSV file ({reason})", str(path), "Write it as CSV, or leave it out.") from error
    named = {name: name.strip().removeprefix("\ufeff") for name in table.columns}
    if twice := [name for name, count in Counter(named.values()).items() if count > 1]:
        raise InputError(f"column {', '.join(twice)} is there twice", str(path), "Give each column a name of its own.")
    return table.rename(named)


def _require(path: Path, table: pl.DataFrame, names: Sequence[str]) -> None:
    if missing := [name for name in names if name not in table.columns]:
        there = " ".join(", ".join(table.columns).split())[:_QUOTED_CHARACTERS]
        raise InputError(
            f"no column {', '.join(missing)}; there are: {there}",
            str(path),
            "Name the columns as OpenCelliD does, or leave the file out.",
        )


def _checked(path: Path, table: pl.DataFrame, faults: dict[str, Faults]) -> pl.DataFrame:
    table = table.drop("line", strict=False).with_row_index("line", 2)
    table = table.with_columns(pl.col("lat", "lon").cast(pl.Float64, strict=False))
    good = pl.col("key").is_not_null() & pl.col("lat").is_between(-90, 90) & pl.col("lon").is_between(-180, 180)
    table = table.with_columns(good=good.fill_null(False))
    bad = table.filter(~pl.col("good"))
    if len(bad):
        first = bad.head(_FAULTS_LISTED).select("line", "key", "lat", "lon").rows()
        told = (
            f"line {line}: no identity or no place on the globe ({key}, {lat}, {lon})" for line, key, lat, lon in first
        )
        faults[path.name] = Faults(len(bad), tuple(told))
    kept = table.filter("good")
    numbers = [name for name in ("lat", "lon", "range_m") if name in kept.columns]
    return kept.sort("key", *numbers).unique("key", keep="first", maintain_order=True)


def _tower_key(cell: str) -> str:
    """OpenCelliD's parts without leading zeros, radio in capitals."""
    radio, *numbers = cell.split("-")
    return "-".join([radio.upper(), *(number.lstrip("0") or number[:1] for number in numbers)])


def _lookup(table: pl.DataFrame, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """The numbers of each key, float64 (numbers, keys); NaN where the table has no such key."""
    wanted = pl.DataFrame({"key": pl.Series(keys, dtype=pl.String)})
    found = wanted.join(table, on="key", how="left", maintain_order="left").drop("key")
    return found.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy().T
