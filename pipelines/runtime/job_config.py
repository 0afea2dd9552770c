"""What every operator is told: the products, the buckets, the model. Travels with the operators to the workers."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from monsoon.transforms.activity.week_to_date import WEEK_MS, uses_week_to_date
from monsoon.transforms.evidence.limits import HISTORY_MS
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.triggers.conditions import alert_condition, metrics_of
from monsoon.transforms.validation.catalogue import Catalogue

_DAY_MS = 24 * 3_600_000
_FIRST_TRIGGER = 2**30
"""Keys from here on are triggers', smaller ones buckets."""


@dataclass(frozen=True)
class JobConfig:
    """`known` are all products that a subscription may name, `running` those to run; `model` is None for the
    model that comes with Monsoon. `references` is the folder of reference files, of the register of providers too.
    `buckets` bounds the parallelism; results do not depend on it, state does."""

    known: Mapping[str, Product]
    running: Mapping[str, Product]
    references: Path
    model: Path | None
    buckets: int
    reserves: bool = False
    """Whether reserves may come, so that payouts are compared with them; where none can, payouts save that operator."""
    ids_remembered_ms: int = _DAY_MS
    """How long after it was used a report's id is remembered, to tell a repeat from a report that came late, and what
    else comes under its id from a new report: a day's shifts, and as far as a clock may be ahead of its arrival."""
    reports_kept_ms: int = 4 * _DAY_MS
    """How long reports are kept as rows: a correction may ask for evidence of days ago."""
    history_kept_ms: int = HISTORY_MS
    """How far a correction's evidence looks back further still, on panes."""
    corrected_ms: int = 28 * _DAY_MS
    """How old the moment may be of which a reading speaks that comes late, or is a correction."""
    remembered_ms: int = 35 * _DAY_MS
    """How long readings, ended policies, ended disruptions, settled claims and dead letters are remembered: four weeks
    of what may be corrected, and a week so that the edge of memory is never corrected."""

    @cached_property
    def policies_kept_ms(self) -> int:
        """How long a policy is remembered after its cover and last event: as all else, and until nothing waits."""
        versions = (version for product in self.known.values() for version in product.versions)
        return max([self.remembered_ms, *(version.waiting_ms for version in versions)])

    @cached_property
    def rows_kept_ms(self) -> int:
        """How long reports are kept as rows, for the running products: a week's work must be all there at its end."""
        versions = (version for product in self.running.values() for version in product.versions)
        weekly = any(uses_week_to_date(trigger) for version in versions for trigger in version.triggers)
        return max(self.reports_kept_ms, WEEK_MS + _DAY_MS if weekly else 0)

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue({name: product.accepts_plan for name, product in self.known.items()})

    @cached_property
    def triggers(self) -> dict[str, tuple[Product, Trigger]]:
        """Every trigger of the running products with its version, by `trigger_name`."""
        return {
            self.trigger_name(version, trigger.name): (version, trigger)
            for _, product in sorted(self.running.items())
            for version in product.versions
            for trigger in version.triggers
        }

    def trigger_name(self, version: Product, trigger: str) -> str:
        """`product/trigger` in the oldest version of a running product, `product@version/trigger` in later ones.

        State is found again by this name. A version that is added is always the newest: it takes no name, and so no
        state, from those before it.
        """
        oldest = next(self.running[version.name].versions)
        named = version.name if version.version == oldest.version else f"{version.name}@{version.version}"
        return f"{named}/{trigger}"

    @cached_property
    def metrics_of_key(self) -> dict[int, frozenset[str]]:
        """The metrics that each trigger listens to, by its key."""
        return {
            key: metrics_of(trigger, alert_condition(version))
            for key, name in self.trigger_of_key.items()
            for version, trigger in [self.triggers[name]]
        }

    @cached_property
    def trigger_of_key(self) -> dict[int, str]:
        """The triggers by the key under which they are judged, which does not depend on what else runs."""
        return {zlib.crc32(name.encode()) % _FIRST_TRIGGER + _FIRST_TRIGGER: name for name in self.triggers}

    @cached_property
    def telemetry_values(self) -> dict[int, tuple[Product, Trigger]]:
        """Triggers that ask telemetry, each with its version, by key; others need none of the operators that answer."""
        found = {key: self.triggers[name] for key, name in self.trigger_of_key.items()}
        return {key: each for key, each in found.items() if each[1].telemetry_condition is not None}

    def listening(self, key: int) -> str:
        """The operator to which a trigger's readings and cells go first."""
        return "ask-witness" if key in self.telemetry_values else "judge-triggers"

    @property
    def resolutions(self) -> list[int]:
        """Of the running products' zones, each once."""
        return sorted({version.zone_resolution for product in self.running.values() for version in product.versions})
