"""The job's configuration: products, model, parallelism, retention times. Serialized with the operators."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS, Intervals
from monsoon.pipelines.runtime.messages import bucket_of
from monsoon.transforms.activity.week_to_date import WEEK_MS, uses_week_to_date
from monsoon.transforms.evidence.limits import HISTORY_MS
from monsoon.transforms.geo.areas import area_of
from monsoon.transforms.geo.regions import region_of, regions_of
from monsoon.transforms.product import Product, ProductError, Trigger
from monsoon.transforms.scoring.folder import ModelFolder
from monsoon.transforms.triggers.conditions import alert_condition, metrics_of
from monsoon.transforms.validation.catalogue import Catalogue

_DAY_MS = 24 * 3_600_000
_FIRST_TRIGGER = 2**30
"""Ids of triggers begin here: in a job that is keyed by them they are keys, and smaller keys are buckets."""

WORLD = 0
"""The one region of a job that is keyed by trigger alone."""


@dataclass(frozen=True)
class ModelVersion:
    """A model that scores the claims on disruptions confirmed from a moment (ms) on."""

    in_force_from_ms: int
    folder: ModelFolder


Target = tuple[str, int]
"""The uid of an operator and a key."""


@dataclass(frozen=True)
class Erasure:
    """A rider, by the hash of the id, whose location evidence of before a moment (ms) operators drop from their state
    once they have worked up to the last interval that ends by `at_ms`. No two of a job have the same `at_ms`."""

    at_ms: int
    worker_hash: str
    before_ms: int


class RegionTrigger(NamedTuple):
    """A trigger, by its id, in a region (an H3 cell, or WORLD): its zones there are evaluated by themselves."""

    trigger: int
    region: int


@dataclass(frozen=True)
class JobConfig:
    """`known` are all products that a subscription may name, `running` those to run; `model` is a model folder, None
    for the model that comes with Monsoon. `references` is the folder of reference files, which has the register of
    providers too. `buckets` is the number of keys of most operators and bounds the parallelism; results do not depend
    on it, state does."""

    known: Mapping[str, Product]
    running: Mapping[str, Product]
    references: Path
    model: Path | None
    buckets: int
    reserves: bool = False
    """Whether the input has reserves. Without them the graph has no `ControlExposure`."""
    intervals: Intervals = LIVE_INTERVALS
    """Event time advances in these intervals; results do not depend on them.

    An operator works at the ends of intervals only, and its messages are due there. Each subtask sees watermarks of its
    own: if one went from W1 to W3 at once and another stopped at W2 between them, an operator after both would hold at
    W2 a message of which one part is due and another is not. No message crosses the end of an interval, so what is due
    by W2 has arrived in messages of its own.
    """
    ids_remembered_ms: int = _DAY_MS
    """Retention of the ids of used reports, by which duplicates and conflicting reports are detected: a day's shifts,
    and as far as a clock may be ahead of its arrival."""
    reports_kept_ms: int = 4 * _DAY_MS
    """Retention of reports as rows: after a correction evidence of days ago is measured again."""
    history_kept_ms: int = HISTORY_MS
    """Retention of panes beyond that of rows: how far evidence looks back on panes."""
    corrected_ms: int = 28 * _DAY_MS
    """The maximum age of a late reading or a correction, by its event time."""
    remembered_ms: int = 35 * _DAY_MS
    """Retention of readings, ended policies, ended disruptions, settled claims and dead letters: the four weeks that
    may be corrected, and a week more, so that no correction meets state that is expiring."""
    later_models: tuple[ModelVersion, ...] = ()
    """Models that were added while the job ran."""
    erasures: tuple[Erasure, ...] = ()
    """Riders who were erased while the job ran, by `at_ms`."""
    takes_changes: bool = False
    """Whether products and models may be added while the job runs: its graph has all operators that these may need."""
    by_region: bool = True
    """Whether triggers are divided by region, and those of a bucket share a key. False: a trigger is a key, and has one
    region; so for jobs that began before there were regions, since state cannot be keyed anew."""
    features: bool = False
    """Whether versions of features are a result too. Then the graph has `MeasureFeatures`, and panes are closed as soon
    as they are over."""

    @cached_property
    def policies_kept_ms(self) -> int:
        """Retention of a policy after its cover and its last event: `remembered_ms`, or the longest waiting period."""
        versions = (version for product in self.known.values() for version in product.versions)
        return max([self.remembered_ms, *(version.waiting_ms for version in versions)])

    @cached_property
    def rows_kept_ms(self) -> int:
        """Retention of reports as rows, for the running products: a rule on a week's work needs the whole week."""
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

        State is keyed by this name. A version that is added is always the newest, so it never takes the name, and with
        it the state, of an earlier version.
        """
        oldest = next(self.running[version.name].versions)
        named = version.name if version.version == oldest.version else f"{version.name}@{version.version}"
        return f"{named}/{trigger}"

    @cached_property
    def trigger_of_id(self) -> dict[int, str]:
        """The names of triggers by their id, a hash of the name: it does not depend on what else runs.

        Raises ProductError where two names have the same one.
        """
        found: dict[int, str] = {}
        for name in self.triggers:
            identity = zlib.crc32(name.encode()) % _FIRST_TRIGGER + _FIRST_TRIGGER
            if identity in found:
                raise ProductError(f"triggers {found[identity]} and {name} have the same hash; rename one of them")
            found[identity] = name
        return found

    @cached_property
    def telemetry_triggers(self) -> dict[int, tuple[Product, Trigger]]:
        """Triggers with a telemetry condition, each with its version, by id."""
        by_id = {identity: self.triggers[name] for identity, name in self.trigger_of_id.items()}
        return {identity: each for identity, each in by_id.items() if each[1].telemetry_condition is not None}

    def first_operator(self, trigger: int) -> str:
        """The uid of the first operator that takes a trigger's readings and cells."""
        return "ask-witness" if trigger in self.telemetry_triggers else "judge-triggers"

    def region_of(self, zone: int) -> int:
        """The region of a zone (cell)."""
        return region_of(zone) if self.by_region else WORLD

    def key_of(self, of: RegionTrigger) -> int:
        """The key under which a trigger in a region is evaluated."""
        if not self.by_region:
            return of.trigger
        return bucket_of(f"{self.trigger_of_id[of.trigger]}/{of.region:x}", self.buckets)

    def targets_of(self, record: Mapping[str, Any]) -> set[Target]:
        """Where a reading goes: to the first operator of each trigger of its metric, in each region that it may touch.

        Where triggers have one region, a correction goes to all triggers, since it may change a reading's metric.
        """
        if not self.by_region and record["revision"]:
            return self.all_targets
        return {(self.first_operator(each.trigger), self.key_of(each)) for each in self.region_triggers(record)}

    @cached_property
    def all_targets(self) -> set[Target]:
        """The first operators of all triggers under all their keys."""
        if not self.by_region:
            return {(self.first_operator(trigger), trigger) for trigger in self.trigger_of_id}
        return {(self.first_operator(trigger), key) for trigger in self.trigger_of_id for key in range(self.buckets)}

    def region_triggers(self, record: Mapping[str, Any]) -> Iterator[RegionTrigger]:
        """The triggers that use a reading's metric, in each region that may have a zone which the reading covers."""
        area = area_of(record) if self.by_region else None
        for trigger, zone_resolution in self._triggers_of_metric.get(record["metric"], ()):
            for region in (WORLD,) if area is None else regions_of(area, zone_resolution):
                yield RegionTrigger(trigger, region)

    @cached_property
    def _triggers_of_metric(self) -> dict[str, list[tuple[int, int]]]:
        """By metric, the ids of the triggers that use it and the resolutions of their zones."""
        found: dict[str, list[tuple[int, int]]] = {}
        for identity, name in self.trigger_of_id.items():
            version, trigger = self.triggers[name]
            for metric in metrics_of(trigger, alert_condition(version)):
                found.setdefault(metric, []).append((identity, version.zone_resolution))
        return found

    @property
    def resolutions(self) -> list[int]:
        """The H3 resolutions of the running products' zones, ascending."""
        return sorted({version.zone_resolution for product in self.running.values() for version in product.versions})
