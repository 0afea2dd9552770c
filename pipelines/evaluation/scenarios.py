"""The test set: storms by generator and product, on none of which a model was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monsoon.pipelines.training.claim_anomaly import TRAINING
from monsoon.sources.scenarios import generate
from monsoon.sources.simulator import available_storms, load_storm, simulate
from monsoon.sources.simulator.storm import Storm

_ATTACKERS_OF_RIDES, _ATTACKERS_OF_SCENARIOS = 0.2, 0.4
"""Shares of riders. The second generator draws rings of 10 and 12 and groups of 25 and 48 as a whole: the first takes
110, all of them take 274 attackers of a simulation."""
MAX_PART_RIDERS = 1_000
"""Riders of one simulation: some million reports; more riders are more simulations, each with a seed of its own."""
_SEEDS_PER_STORM = 1_000

TRAINING_STORMS = tuple(dict.fromkeys(storm for _, storm, _ in TRAINING))
"""Storms on which a model is trained. The cards of `models/onnx/` name those of each; a test compares."""


class TrainedOnError(Exception):
    """A scenario of the evaluation that a model was trained on."""


def _rides(storm: Storm, riders: int, seed: int, output: Path) -> None:
    simulate(storm, riders, seed, output, attackers=_ATTACKERS_OF_RIDES)


def _scenarios(storm: Storm, riders: int, seed: int, output: Path) -> None:
    generate(storm, riders, seed, output, attackers=_ATTACKERS_OF_SCENARIOS)


Generate = Callable[[Storm, int, int, Path], None]
"""Writes an input folder with labels.csv: of a storm, with so many riders, by a seed."""

GENERATORS: Mapping[str, Generate] = {"rides": _rides, "scenarios": _scenarios}
"""By the names that `monsoon simulate --generator` takes."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulation to be played: a part of a generator's and storm's riders."""

    generator: str
    storm: str
    part: int
    riders: int
    seed: int
    products: tuple[str, ...]

    @property
    def name(self) -> str:
        """Unique among the scenarios of an evaluation."""
        return f"{self.generator}/{self.storm}/{self.part}"

    def write(self, output: Path) -> None:
        """Writes its input folder."""
        GENERATORS[self.generator](load_storm(self.storm), self.riders, self.seed, output)


def scenarios(riders: int, seed: int, generators: Sequence[str], products: Iterable[str]) -> Iterator[Scenario]:
    """Each storm that shows one of the products and was not trained on, by each generator, with `riders` riders in
    parts of at most MAX_PART_RIDERS."""
    wanted = sorted(products)
    for generator in generators:
        for number, (name, shown) in enumerate(untrained_storms().items()):
            playing = tuple(product for product in wanted if product in shown)
            parts = -(-riders // MAX_PART_RIDERS)
            for part in range(parts if playing else 0):
                share = riders // parts + (part < riders % parts)
                yield Scenario(generator, name, part, share, seed + number * _SEEDS_PER_STORM + part, playing)


def untrained_storms() -> dict[str, tuple[str, ...]]:
    """The storms of the test set, by name, with the products whose triggers each was written to show."""
    found = {name: load_storm(name) for name in sorted(set(available_storms()) - set(TRAINING_STORMS))}
    return {name: tuple(sorted(storm.shows)) for name, storm in found.items() if storm.shows}


def refuse_trained(names: Iterable[str]) -> None:
    """Raises TrainedOnError where a model was trained on one of these storms."""
    trained = [name for name in names if name in TRAINING_STORMS]
    if trained:
        raise TrainedOnError(f"a model was trained on {', '.join(trained)}: no storm of an evaluation")
