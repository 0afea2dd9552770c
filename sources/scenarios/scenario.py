"""A labeled scenario of a storm: in memory by blocks, with the interface of the simulator's, and as an input folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.scenarios.conditions import planned_counts
from monsoon.sources.scenarios.policies import subscriptions
from monsoon.sources.scenarios.readings import all_readings, register
from monsoon.sources.scenarios.riders import Riders, build_riders, labels
from monsoon.sources.scenarios.streets import Streets, build_streets
from monsoon.sources.scenarios.telemetry import BLOCK_RIDERS, simulated_block
from monsoon.sources.simulator.frames import DEFAULT_ATTACKERS
from monsoon.sources.simulator.losses import Block
from monsoon.sources.simulator.reserves import reserves
from monsoon.sources.simulator.storm import Storm
from monsoon.sources.simulator.write import Progress, SimulationSummary, write_simulation


@dataclass(frozen=True)
class LabeledScenario:
    """Everything of one scenario but its telemetry and the hours that riders lose, which come by blocks of riders in
    the order of the labels."""

    storm: Storm
    streets: Streets
    riders: Riders
    seed: int
    oracle_readings: pl.DataFrame
    subscriptions: pl.DataFrame
    labels: pl.DataFrame
    daily_wage_inr: NDArray[np.float64]
    cell_towers: pl.DataFrame
    access_points: pl.DataFrame
    reserves: pl.DataFrame
    providers: pl.DataFrame

    @property
    def blocks(self) -> int:
        """How many blocks the telemetry has."""
        return -(-len(self.riders) // BLOCK_RIDERS)

    def telemetry(self, first: int = 0, last: int | None = None) -> Iterator[pl.DataFrame]:
        """Blocks `first` to `last` (exclusive) of the telemetry."""
        return (block.telemetry for block in self.played(first, last))

    def played(self, first: int = 0, last: int | None = None) -> Iterator[Block]:
        """The same blocks, each with the hours that its riders lose."""
        for number in range(first, self.blocks if last is None else min(last, self.blocks)):
            part = self.riders.part(slice(number * BLOCK_RIDERS, (number + 1) * BLOCK_RIDERS))
            yield simulated_block(self.storm, self.streets, part, number, self.seed, len(self.riders))


def build_labeled_scenario(
    storm: Storm,
    riders: int,
    seed: int,
    *,
    attackers: float = DEFAULT_ATTACKERS,
    gridded_only: bool = False,
    counts: Mapping[str, int] | None = None,
) -> LabeledScenario:
    """The scenario of a storm with `riders` riders, the share `attackers` of whom attack.

    `counts` states the riders by name of a condition instead (`conditions.CODES`). Raises ValueError for numbers or
    names that cannot be, StormError for a storm whose feeds and series disagree.
    """
    streets = build_streets(storm)
    planned = planned_counts(riders, attackers) if counts is None else counts
    table = build_riders(storm, streets, planned, seed)
    policies, daily_wage_inr = subscriptions(storm, streets, table, seed)
    return LabeledScenario(
        storm=storm,
        streets=streets,
        riders=table,
        seed=seed,
        oracle_readings=all_readings(storm, streets, table, gridded_only),
        subscriptions=policies,
        labels=labels(table, storm, streets, seed),
        daily_wage_inr=daily_wage_inr,
        cell_towers=streets.cell_towers(storm.time_ms(storm.modeled.riders.start) // 1000),
        access_points=streets.access_points(),
        reserves=reserves(storm),
        providers=register(storm),
    )


def generate(
    storm: Storm,
    riders: int,
    seed: int,
    output: Path,
    *,
    attackers: float = DEFAULT_ATTACKERS,
    gridded_only: bool = False,
    compress: bool = False,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Writes a scenario as the simulator's `simulate` writes its own: the same files, the same care for `output`."""
    return write_simulation(
        lambda: build_labeled_scenario(storm, riders, seed, attackers=attackers, gridded_only=gridded_only),
        output,
        compress=compress,
        progress=progress,
    )
