"""Which storms each storm-year has, on which days: drawn from a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from monsoon.pipelines.season.settings import SeasonSettings, StormSettings
from monsoon.transforms.calendar import MONTH_DAYS
from monsoon.transforms.season.occurrences import Ints


@dataclass(frozen=True, eq=False)
class DrawnYears:
    """The occurrences of all storm-years, in order of year, day and storm: [occurrences] each.

    `storm` is an index of the settings' storms, `replicate` which of its replays the occurrence has.
    """

    year: Ints
    day: Ints
    storm: Ints
    replicate: Ints

    def replays(self, settings: SeasonSettings) -> list[tuple[str, int]]:
        """The distinct replays that the years need, as (storm, replicate), sorted."""
        pairs = {(settings.storms[storm].name, rep) for storm, rep in zip(self.storm, self.replicate, strict=True)}
        return sorted((name, int(rep)) for name, rep in pairs)


def draw_years(settings: SeasonSettings) -> DrawnYears:
    """The storm-years of the settings.

    Each storm is drawn by itself, from the seed and its name: its occurrences do not change with the other storms, and
    those of the first years not with the number of years.
    """
    tables = []
    for index, storm in enumerate(settings.storms):
        counts = _counts(storm, settings.years, _generator(settings.seed, storm.name, "counts"))
        total = int(counts.sum())
        rng = _generator(settings.seed, storm.name, "occurrences")
        drawn = rng.random((total, 2))
        days = _days(storm.months)
        tables.append(
            pl.DataFrame(
                {
                    "year": np.repeat(np.arange(settings.years), counts),
                    "day": days[(drawn[:, 0] * len(days)).astype(np.int64)],
                    "storm": np.full(total, index, np.int64),
                    "replicate": (drawn[:, 1] * settings.replicates).astype(np.int64),
                }
            )
        )
    table = pl.concat(tables).sort("year", "day", "storm", "replicate")
    return DrawnYears(*(table[name].to_numpy() for name in ("year", "day", "storm", "replicate")))


def _counts(storm: StormSettings, years: int, rng: np.random.Generator) -> Ints:
    """How many of a storm each year has: Poisson, or negative binomial with variance `dispersion` x mean."""
    if storm.dispersion == 1:
        return rng.poisson(storm.per_year, years)
    excess = storm.dispersion - 1
    return rng.negative_binomial(storm.per_year / excess, 1 / storm.dispersion, years)


def _days(months: tuple[int, ...]) -> Ints:
    """The days of the year, from 0, in these months."""
    first = np.concatenate([[0], np.cumsum(MONTH_DAYS)])
    return np.concatenate([np.arange(first[month - 1], first[month]) for month in months])


def _generator(seed: int, *words: str) -> np.random.Generator:
    return np.random.default_rng([seed, number_of(*words)])


def number_of(*words: str) -> int:
    """A number from 0 to 2^32 - 1 that is the same for the same words on every machine."""
    return int.from_bytes(hashlib.sha256("\n".join(words).encode()).digest()[:4], "big")
