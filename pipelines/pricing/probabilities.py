"""Series of days from files, and how probable a trigger's threshold is in the days ahead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from monsoon.sources.files import InputError
from monsoon.sources.simulator.storm import load_storm
from monsoon.sources.table_files import read_table
from monsoon.transforms.calendar import MONTH_DAYS
from monsoon.transforms.pricing.disruption_probability import (
    HORIZONS_DAYS,
    CrossValidation,
    DailySeries,
    cross_validate,
    fit,
    storm_probability,
    targets,
)
from monsoon.transforms.product import Comparison

_EPOCH = date(1970, 1, 1)
_MAX_DAYS = 100_000
_COLUMNS = ("day", "value", "forecast")
_MEND = (
    "Give --series a file of .csv, .parquet or .jsonl with columns day (2019-11-03), value and perhaps forecast, a row "
    "per day"
)


def read_series(path: Path, breach: Comparison) -> DailySeries:
    """A file's days, with those between them that it lacks. Raises InputError."""
    if not breach.larger_is_worse or breach.threshold <= 0:
        raise InputError(f"{breach} is no threshold above 0 that values rise to", "--breach", "Give one like '> 300'")
    table = read_table(path, "days", _MEND, values=_COLUMNS)
    for name in ("day", "value"):
        if name not in table.columns:
            raise InputError(f"there is no column {name}", str(path), _MEND)
    return _series(_typed(table, path), breach, path)


def _typed(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """`day`, `value`, `forecast` as date and doubles, sorted."""
    stated = table.columns
    rows = table.select(
        pl.col("day").cast(pl.String).str.slice(0, 10).alias("text"),
        pl.col("day").cast(pl.String).str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).alias("day"),
        *(
            (pl.col(name).cast(pl.Float64, strict=False) if name in stated else pl.lit(None, pl.Float64)).alias(name)
            for name in ("value", "forecast")
        ),
        *(
            (pl.col(name).cast(pl.String).fill_null("") if name in stated else pl.lit("")).alias(f"{name}_text")
            for name in ("value", "forecast")
        ),
    )
    if not (bad := rows.filter(pl.col("day").is_null())).is_empty():
        raise InputError(f"{bad['text'][0]!r} is no day", str(path), _MEND)
    for name in ("value", "forecast"):
        none = pl.col(name).is_null() | pl.col(name).is_infinite()
        unread = rows.filter(none & (pl.col(f"{name}_text").str.strip_chars() != ""))
        if not unread.is_empty():
            raise InputError(
                f"{name} {unread[f'{name}_text'][0]!r} of {unread['text'][0]} is no number", str(path), _MEND
            )
    rows = rows.sort("day").select("day", "value", "forecast")
    if not (twice := rows.filter(pl.col("day").is_duplicated())).is_empty():
        raise InputError(f"{twice['day'][0]} is there twice", str(path), _MEND)
    return rows


def _series(rows: pl.DataFrame, breach: Comparison, path: Path) -> DailySeries:
    if rows["value"].fill_nan(None).null_count() == len(rows):
        raise InputError("no day has a value", str(path), _MEND)
    stated = rows["day"].to_physical().to_numpy().astype(np.int64)
    if stated[-1] - stated[0] >= _MAX_DAYS:
        raise InputError(f"from {rows['day'][0]} to {rows['day'][-1]} are too many days", str(path), _MEND)
    days = np.arange(stated[0], stated[-1] + 1)
    columns = {}
    for name in ("value", "forecast"):
        columns[name] = np.full(len(days), np.nan)
        columns[name][stated - days[0]] = rows[name].fill_null(float("nan")).to_numpy()
    values = columns["value"]
    reached = np.array([breach.holds(value) for value in values.tolist()], dtype=np.float64)
    return DailySeries(
        days=days,
        values=values / breach.threshold,
        events=np.where(np.isnan(values), np.nan, reached),
        forecasts=columns["forecast"] / breach.threshold,
    )


def year_of(series: DailySeries) -> np.ndarray:
    """By day its calendar year."""
    return np.array([(_EPOCH + timedelta(days=day)).year for day in series.days.tolist()])


def cross_validations(series: DailySeries, path: Path) -> tuple[CrossValidation, ...]:
    """Of both horizons. Raises InputError for fewer than two years."""
    try:
        return tuple(cross_validate(series, year_of(series), horizon) for horizon in HORIZONS_DAYS)
    except ValueError as error:
        raise InputError(str(error), str(path), "Give --series more years") from error


def after_last_day(series: DailySeries) -> tuple[str, dict[int, float]]:
    """The last day, and by horizon the probability of an event in the days after it, by a model of all days."""
    ahead = {days: float(fit(series, targets(series.events, days)).probabilities(series)[-1]) for days in HORIZONS_DAYS}
    return (_EPOCH + timedelta(days=int(series.days[-1]))).isoformat(), ahead


def storm_probabilities(names: Sequence[str], day: date) -> list[tuple[str, str, dict[int, float]]]:
    """Of storms by name: the basis of their frequency, and by horizon the probability of such a storm in the days after
    a day. Raises InputError for a storm file that states no frequency, and as `load_storm` does."""
    found: list[tuple[str, str, dict[int, float]]] = []
    for name in names:
        frequency = load_storm(name).frequency
        if frequency is None:
            mend = "Add a frequency to the storm file (docs/storms.md), or leave the storm out"
            raise InputError("the storm file states no frequency", name, mend)
        season = sum(MONTH_DAYS[month - 1] for month in frequency.months)
        ahead = {}
        for days in HORIZONS_DAYS:
            months = np.array([(day + timedelta(days=number)).month for number in range(1, days + 1)])
            ahead[days] = storm_probability(
                frequency.per_year, frozenset(frequency.months), frequency.dispersion, months, float(season)
            )
        found.append((name, frequency.basis, ahead))
    return found
