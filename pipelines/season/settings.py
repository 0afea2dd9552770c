"""What decides the result of a season: two runs with equal settings have equal results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from monsoon.sources.files import InputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.simulator import Storm, available_storms, load_storm
from monsoon.transforms.documents import did_you_mean
from monsoon.transforms.product import Product

FORMAT = 1
"""Of settings and replays on disk; a change of what they mean is a new number."""


class StormSettings(Struct, frozen=True):
    """A storm in a season. `file`: its name in storms/, or a path; `content`: a hash of all that the file says."""

    name: str
    file: str
    city: str
    content: str
    per_year: float
    dispersion: float
    months: tuple[int, ...]


class SeasonSettings(Struct, frozen=True):
    """A season. `riders` are replayed in each storm, `replicates` times; `products` and `models` are versions of what
    decides, by name."""

    years: int
    seed: int
    storms: tuple[StormSettings, ...]
    riders: int
    replicates: int
    products: dict[str, str]
    product_files: tuple[str, ...]
    models: dict[str, str]
    format: int = field(default=FORMAT)

    @property
    def cities(self) -> tuple[str, ...]:
        """The cities of the storms, sorted."""
        return tuple(sorted({storm.city for storm in self.storms}))

    def encoded(self) -> bytes:
        """As JSON, the same bytes for equal settings."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def chosen_storms(text: str, city: str | None) -> list[Storm]:
    """The storms of `--storms`: `all`, or names and paths with commas between; with `city` those of that city alone.

    `all` are those of storms/ that state a frequency. Raises StormError for a file that is not there or fails its
    schema, InputError for a city without storms and a storm that states no frequency.
    """
    if text == "all":
        storms = [storm for storm in map(load_storm, available_storms()) if storm.frequency is not None]
    else:
        storms = [load_storm(name.strip()) for name in text.split(",")]
    names = [storm.name for storm in storms]
    for storm in storms:
        if names.count(storm.name) > 1:
            raise InputError(f"{storm.name} is named twice", "--storms", "Name each storm once.")
        if storm.frequency is None:
            raise InputError(
                f"{storm.name} does not say how often a year has such a storm", "--storms",
                "Give the file a section frequency: docs/storms.md has its keys.",
            )  # fmt: skip
    if city is None:
        return storms
    cities = sorted({storm.city for storm in storms})
    if city not in cities:
        problem = f"no storm of {city} among those chosen{did_you_mean(city, cities)}"
        raise InputError(problem, "--city", f"There are: {', '.join(cities)}.")
    return [storm for storm in storms if storm.city == city]


def storm_settings(storm: Storm, file: str, rates: Mapping[str, float]) -> StormSettings:
    """A storm's part of the settings; `rates` are frequencies per year that replace the file's, by storm."""
    frequency = storm.frequency
    assert frequency is not None
    content = hashlib.sha256(msgspec.json.encode(storm, order="deterministic")).hexdigest()[:16]
    return StormSettings(
        name=storm.name,
        file=file,
        city=storm.city,
        content=content,
        per_year=rates.get(storm.name, frequency.per_year),
        dispersion=frequency.dispersion,
        months=tuple(sorted(frequency.months)),
    )


def refuse_unknown_rates(rates: Mapping[str, float], storms: Sequence[Storm]) -> None:
    """Raises InputError where a rate is given for a storm that is not in the season."""
    names = [storm.name for storm in storms]
    for name in rates:
        if name not in names:
            problem = f"{name} is not in this season{did_you_mean(name, names)}"
            raise InputError(problem, "--rate", f"There are: {', '.join(names)}.")


def storm_files(text: str) -> dict[str, str]:
    """The absolute paths of those storms of `--storms` that are given by path, by name."""
    paths = [name.strip() for name in text.split(",") if name.strip().endswith(".yaml")]
    return {load_storm(path).name: str(Path(path).resolve()) for path in paths}


def models_of() -> dict[str, str]:
    """The version of the model that scores claims, by its name."""
    scorer = load_scorer()
    return {scorer.name: scorer.version}


def versions_of(products: Mapping[str, Product]) -> dict[str, str]:
    """The version of each product, by name: a hash of its file's content."""
    return {name: product.version for name, product in sorted(products.items())}
