"""The job's configuration: products, model, parallelism, retention times. Serialized with the operators."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS, Intervals
from monsoon.transforms.activity.week_to_date import WEEK_MS, uses_week_to_date
from monsoon.transforms.evidence.limits import HISTORY_MS
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.triggers.conditions import alert_condition, metrics_of
from monsoon.transforms.validation.catalogue import Catalogue

_DAY_MS = 24 * 3_600_000
_FIRST_TRIGGER = 2**30
"""Keys from here on belong to triggers, smaller ones are buckets."""


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
    def metrics_of_key(self) -> dict[int, frozenset[str]]:
        """The metrics that each trigger reads, by its key."""
        return {
            key: metrics_of(trigger, alert_condition(version))
            for key, name in self.trigger_of_key.items()
            for version, trigger in [self.triggers[name]]
        }

    @cached_property
    def trigger_of_key(self) -> dict[int, str]:
        """The names of triggers by their key, a hash of the name: it does not depend on what else runs."""
        return {zlib.crc32(name.encode()) % _FIRST_TRIGGER + _FIRST_TRIGGER: name for name in self.triggers}

    @cached_property
    def telemetry_triggers(self) -> dict[int, tuple[Product, Trigger]]:
        """Triggers with a telemetry condition, each with its version, by key."""
        by_key = {key: self.triggers[name] for key, name in self.trigger_of_key.items()}
        return {key: each for key, each in by_key.items() if each[1].telemetry_condition is not None}

    def first_operator(self, key: int) -> str:
        """The uid of the first operator that takes a trigger's readings and cells."""
        return "ask-witness" if key in self.telemetry_triggers else "judge-triggers"

    @property
    def resolutions(self) -> list[int]:
        """The H3 resolutions of the running products' zones, ascending."""
        return sorted({version.zone_resolution for product in self.running.values() for version in product.versions})
