"""Reads reference files: positions of cell towers and access points, and the provider register
(`provider_register.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from monsoon.sources.csv_tables import Layout, read_table
from monsoon.sources.erased_workers import FILE as ERASED_FILE
from monsoon.sources.files import NO_INPUT
from monsoon.sources.provider_register import PROVIDERS_FILE, read_provider_register
from monsoon.transforms.evidence.limits import ACCESS_POINT_REACH_M, UNKNOWN_TOWER_RANGE_M
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.provider_register import ProviderRegister
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.validation.raw_identifiers import masked

TOWERS_FILE = "cell_towers.csv"
ACCESS_POINTS_FILE = "access_points.csv"

_TOWERS = Layout(
    required=("mcc", "net", "area", "cell", "lat", "lon"),
    # As opencellid.org publishes them, in files by country without a line of names.
    published=(
        "radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "range", "samples", "changeable", "created",
        "updated", "averageSignal",
    ),
    # Names in OpenCelliD's public samples, which lack radio and range, and in Mozilla's files of the same form.
    also={"mnc": "net", "tac": "area", "lac": "area", "cid": "cell"},
    texts=("radio",),
    mend="Write OpenCelliD's columns, or leave the file out.",
)  # fmt: skip
_ACCESS_POINTS = Layout(
    required=("bssid", "lat", "lon"),
    published=("bssid", "lat", "lon"),
    texts=("bssid",),
    mend="Write the columns bssid, lat, lon, or leave the file out.",
)

_FAULTS_LISTED = 3
_LIKE_SAMPLES = 2
"""Rows of which one rests on more than so many times the samples of the other do not contradict it (`fraud.md`,
cell_tower_zone_match)."""
_WHOLE_UP_TO = 2**53
"""Integers below it are exact as doubles."""


@dataclass(frozen=True)
class Faults:
    """Rows of one reference file that could not be used: how many, and the first of them in words."""

    rows: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceAccount:
    """The account of the reference files: rows that could not be used, by file, and warnings."""

    rows_skipped: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class ReferenceTables:
    """The contents of the reference files. `towers` has key, lat, lon, range_m; `access_points` has key, lat, lon; keys
    are distinct. `faults` is by file name, for files that have any. `providers` is None where there is no register."""

    towers: pl.DataFrame
    access_points: pl.DataFrame
    faults: dict[str, Faults]
    providers: ProviderRegister | None = None
    passed_over: tuple[str, ...] = ()
    """What else lies in the folder and is read by nobody."""

    @property
    def account(self) -> ReferenceAccount:
        """What became of the files, for the summary."""
        names = ", ".join((TOWERS_FILE, ACCESS_POINTS_FILE, PROVIDERS_FILE))
        said = [
            f"reference/{name}: {faults.rows:,} row{'s' * (faults.rows != 1)} not used as written: "
            f"{masked('; '.join(faults.first), is_json=False)}{'; ...' * (faults.rows > len(faults.first))}"
            for name, faults in sorted(self.faults.items())
        ]
        said += [
            f"reference/{name}: passed over, being none of {names}, each also with .gz" for name in self.passed_over
        ]
        return ReferenceAccount({name: faults.rows for name, faults in sorted(self.faults.items())}, said)

    def locate(self, trail: TelemetryTable) -> References:
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

    Rows that cannot be used (a place off the globe, a number that is none, a missing field) are skipped and reported.
    Of several rows of one tower or access point that with the most samples is used, of these the newest, of these the
    one whose numbers sort first, wherever it is in the file. Where a row with as good a claim (at least half as many
    samples) lies further from it than the larger of their ranges, its position is not known: all its rows are skipped
    and reported. Other files in the folder are reported too. Raises InputError for a file that is no CSV or lacks the
    columns.
    """
    faults: dict[str, Faults] = {}
    towers = read_table(folder / TOWERS_FILE, _TOWERS)
    parts = [_whole(name) for name in ("mcc", "net", "area", "cell")]
    key = pl.concat_str(parts, separator="-")
    if "radio" in towers.columns:
        radio = pl.col("radio").str.to_uppercase()
        key = pl.when(radio.fill_null("") == "").then(key).otherwise(pl.concat_str(radio, key, separator="-"))
    places = _places(folder / TOWERS_FILE, towers, key, UNKNOWN_TOWER_RANGE_M, faults)
    points = read_table(folder / ACCESS_POINTS_FILE, _ACCESS_POINTS)
    spots = _places(folder / ACCESS_POINTS_FILE, points, pl.col("bssid"), ACCESS_POINT_REACH_M, faults)
    providers, invalid = read_provider_register(folder)
    if invalid:
        faults[PROVIDERS_FILE] = Faults(len(invalid), invalid[:_FAULTS_LISTED])
    return ReferenceTables(
        places.select("key", "lat", "lon", "range_m"),
        spots.select("key", "lat", "lon"),
        faults,
        providers,
        _unknown_files(folder),
    )


def _unknown_files(folder: Path) -> tuple[str, ...]:
    """Files of other names: a register under another name would leave every stated quality in force, and must be
    reported."""
    known = {f"{name}{packed}" for name in (TOWERS_FILE, ACCESS_POINTS_FILE, PROVIDERS_FILE) for packed in ("", ".gz")}
    known.add(ERASED_FILE)
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else ()
    return tuple(name for name in names if name not in known and not name.startswith(NO_INPUT))


def _places(path: Path, table: pl.DataFrame, key: pl.Expr, range_m: float, faults: dict[str, Faults]) -> pl.DataFrame:
    """One row a key: key, lat, lon, range_m; `range_m` is used where a row states none."""
    stated = {name: _number(name) if name in table.columns else pl.lit(None, pl.Float64) for name in _STATED}
    rows = table.select(
        line=pl.col("line"),
        key=key,
        lat=_number("lat"),
        lon=_number("lon"),
        range_m=pl.when(stated["range"] > 0).then(stated["range"]).otherwise(range_m),
        samples=stated["samples"].clip(lower_bound=0).fill_null(0),
        updated=stated["updated"].fill_null(0),
    )
    good = pl.col("key").is_not_null() & pl.col("lat").is_between(-90, 90) & pl.col("lon").is_between(-180, 180)
    rows = rows.with_columns(good=good.fill_null(False))
    bad = rows.filter(~pl.col("good")).select("line", "key", "lat", "lon").with_columns(why=pl.lit(_NO_PLACE))
    kept = rows.filter("good").sort("key", -pl.col("samples"), -pl.col("updated"), "lat", "lon", "range_m")
    selected = kept.unique("key", keep="first", maintain_order=True)
    unknown = kept.join(_contradicted(kept, selected), on="key", how="semi")
    skipped = unknown.select("line", "key", "lat", "lon").with_columns(why=pl.lit(_TWO_PLACES))
    skipped = pl.concat([bad, skipped]).sort("line")
    if len(skipped):
        first = skipped.head(_FAULTS_LISTED).rows()
        words = (f"line {line}: {why} ({name}, {lat}, {lon})" for line, name, lat, lon, why in first)
        faults[path.name] = Faults(len(skipped), tuple(words))
    return selected.join(unknown, on="key", how="anti", maintain_order="left")


_STATED = ("range", "samples", "updated")
_NO_PLACE = "no identity or no place on the globe"
_TWO_PLACES = "in two places, one as likely as the other"


def _contradicted(rows: pl.DataFrame, selected: pl.DataFrame) -> pl.DataFrame:
    """The keys, perhaps repeated, of which a row with like samples lies elsewhere than the one selected."""
    several = rows.filter(pl.col("key").is_duplicated()).join(selected, on="key", suffix="_selected")
    like = several.filter(pl.col("samples_selected") <= _LIKE_SAMPLES * pl.col("samples"))
    numbers = (like[name].to_numpy() for name in ("lat", "lon", "lat_selected", "lon_selected"))
    away_m = pl.Series(distance_m(*numbers), dtype=pl.Float64)
    reach_m = like.select(pl.max_horizontal("range_m", "range_m_selected")).to_series()
    return like.filter(away_m > reach_m).select("key")


def _number(name: str) -> pl.Expr:
    """A column of text as finite doubles, null where it is none."""
    number = pl.col(name).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _whole(name: str) -> pl.Expr:
    """A column of text as integers, null where it is none. Tools that know no missing integer write 404 as 404.0."""
    number = _number(name)
    whole = pl.when((number == number.floor()) & (number.abs() < _WHOLE_UP_TO)).then(
        number.cast(pl.Int64, strict=False)
    )
    return pl.coalesce(pl.col(name).cast(pl.Int64, strict=False), whole)


def _tower_key(cell: str) -> str:
    """OpenCelliD's parts without leading zeros, radio in capitals."""
    radio, *numbers = cell.split("-")
    return "-".join([radio.upper(), *(number.lstrip("0") or number[:1] for number in numbers)])


def _lookup(table: pl.DataFrame, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """The numbers of each key, float64 (numbers, keys); NaN where the table has no such key."""
    if not table.height:
        return np.full((table.width - 1, len(keys)), np.nan)
    wanted = pl.DataFrame({"key": pl.Series(keys, dtype=pl.String)})
    found = wanted.join(table, on="key", how="left", maintain_order="left").drop("key")
    return found.select(pl.all().cast(pl.Float64).fill_null(float("nan"))).to_numpy().T
