"""What every step is told: the products, the buckets, the model. Travels with the steps to the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.validation.catalogue import Catalogue


@dataclass(frozen=True)
class Settings:
    """`known` are all products that a subscription may name, `running` those to run; `model` is None for the
    model that comes with Monsoon. `buckets` bounds the parallelism; results do not depend on it."""

    known: Mapping[str, Product]
    running: Mapping[str, Product]
    references: Path
    model: Path | None
    buckets: int
    part_bytes: int = 32 * 1024 * 1024

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue({name: product.accepts_plan for name, product in self.known.items()})

    @cached_property
    def triggers(self) -> list[tuple[Product, Trigger]]:
        """Every trigger of the running products; its place here is its key."""
        return [(product, trigger) for _, product in sorted(self.running.items()) for trigger in product.triggers]

    @property
    def resolutions(self) -> list[int]:
        """Of the running products' zones, each once."""
        return sorted({product.zone_resolution for product in self.running.values()})
