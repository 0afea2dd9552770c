"""A simulated storm in memory: for training and evaluation, and what the files are written from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.city import City, access_points, build_city, cell_towers
from monsoon.sources.simulator.losses import Block, with_losses
from monsoon.sources.simulator.population import Population, blocks, build_population, labels
from monsoon.sources.simulator.reserves import reserves
from monsoon.sources.simulator.storm import Storm
from monsoon.sources.simulator.subscriptions import subscriptions
from monsoon.sources.simulator.telemetry import BLOCK_RIDERS, simulated_block, telemetry_schema
from monsoon.sources.simulator.weather import readings

DEFAULT_ATTACKERS = 0.04
MAX_TRIES = 8
CLOSE_ENOUGH = 0.005


@dataclass(frozen=True)
class Scenario:
    """Everything of one simulation but its telemetry, which comes by blocks; so do the hours that riders lose, which
    the labels do not have yet (`losses.with_losses`). `daily_wage_inr`: what each rider usually earns in a day."""

    storm: Storm
    city: City
    population: Population
    seed: int
    oracle_readings: pl.DataFrame
    subscriptions: pl.DataFrame
    labels: pl.DataFrame
    daily_wage_inr: NDArray[np.float64]
    cell_towers: pl.DataFrame
    access_points: pl.DataFrame
    reserves: pl.DataFrame

    @property
    def providers(self) -> pl.DataFrame:
        """The operator's register of providers, in the order of the storm file."""
        columns = ("provider", "metric", "quality")
        rows = [[getattr(row, name) for name in columns] for row in self.storm.modeled.register]
        return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")

    @property
    def blocks(self) -> int:
        """How many blocks the telemetry has."""
        return -(-len(self.population) // BLOCK_RIDERS)

    def telemetry(self, first: int = 0, last: int | None = None) -> Iterator[pl.DataFrame]:
        """Blocks `first` to `last` (exclusive) of the telemetry, each by rider and time."""
        return (block.telemetry for block in self.played(first, last))

    def played(self, first: int = 0, last: int | None = None) -> Iterator[Block]:
        """The same blocks, each with the hours that its riders lose."""
        for number, riders in blocks(self.population, BLOCK_RIDERS):
            if first <= number and (last is None or number < last):
                yield simulated_block(self.storm, self.city, riders, number, self.seed, len(self.population))


@dataclass(frozen=True)
class Frames:
    """The streams and references of one simulation, in the columns of the contracts and of OpenCelliD."""

    telemetry: pl.DataFrame
    oracle_readings: pl.DataFrame
    subscriptions: pl.DataFrame
    labels: pl.DataFrame
    cell_towers: pl.DataFrame
    access_points: pl.DataFrame


def build_scenario(
    storm: Storm, riders: int, seed: int, *, attackers: float = DEFAULT_ATTACKERS, gridded_only: bool = False
) -> Scenario:
    """The simulation of a storm with `riders` riders, the share `attackers` of whom attack.

    `gridded_only`: no provider but the gridded product reports. Raises ValueError for a share outside [0, 1] or no
    rider, StormError for a storm whose feeds and series disagree.
    """
    if riders < 1:
        raise ValueError(f"{riders} riders; at least 1")
    if not 0 <= attackers <= 1:
        raise ValueError(f"a share of {attackers} attackers; 0 to 1")
    city = build_city(storm)
    population = build_population(storm, city, riders, seed, attackers)
    policies, daily_wage_inr = subscriptions(storm, city, population, seed)
    return Scenario(
        storm=storm,
        city=city,
        population=population,
        seed=seed,
        oracle_readings=readings(storm, gridded_only=gridded_only),
        subscriptions=policies,
        labels=labels(population, storm, city, seed),
        daily_wage_inr=daily_wage_inr,
        cell_towers=cell_towers(city, storm.time_ms(storm.modeled.riders.start) // 1000),
        access_points=access_points(city),
        reserves=reserves(storm),
    )


def simulate_frames(
    storm: Storm,
    riders: int,
    seed: int,
    *,
    attackers: float = DEFAULT_ATTACKERS,
    window_ms: tuple[int, int] | None = None,
) -> Frames:
    """A whole simulation in memory; some 300 bytes a telemetry row.

    `window_ms` keeps only reports with event_time in [start, end): the very ones that the whole run has then.
    """
    scenario = build_scenario(storm, riders, seed, attackers=attackers)
    parts, hours = [pl.DataFrame(schema=telemetry_schema(storm))], []
    for part, lost in scenario.played():
        hours.append(lost)
        if window_ms is not None:
            part = part.filter(pl.col("event_time").is_between(*window_ms, closed="left"))
        parts.append(part)
    return Frames(
        telemetry=pl.concat(parts),
        oracle_readings=scenario.oracle_readings,
        subscriptions=scenario.subscriptions,
        labels=with_losses(scenario.labels, hours, scenario.daily_wage_inr),
        cell_towers=scenario.cell_towers,
        access_points=scenario.access_points,
    )


def riders_for_rows(storm: Storm, rows: int, seed: int) -> int:
    """How many riders give about `rows` telemetry rows: within 3% from 1,000 riders on."""
    sample = build_scenario(storm, 2 * BLOCK_RIDERS, seed)
    reported = sum(part.height for part in sample.telemetry())
    rows_per_ms = reported / _reporting_ms(sample.population)
    riders = max(1, round(rows * len(sample.population) / reported))
    # Other counts draw other riders: the number of rows follows from their shifts.
    off_of: dict[int, float] = {}
    while riders not in off_of and len(off_of) < MAX_TRIES:
        drawn = build_population(storm, sample.city, riders, seed, DEFAULT_ATTACKERS)
        expected = max(1.0, rows_per_ms * _reporting_ms(drawn))
        off_of[riders] = abs(expected / rows - 1)
        if off_of[riders] < CLOSE_ENOUGH:
            break
        riders = max(1, round(riders * rows / expected))
    return min(off_of, key=lambda count: off_of[count])


def _reporting_ms(population: Population) -> float:
    """The time in which the riders report, all together."""
    p = population
    return float(np.sum(p.away_ms - p.shift_start_ms) + np.sum(p.shift_end_ms - p.attack_ms))
