"""The features of the store: of which entity, in which unit, over which window, null when, and how long they count.

A feature set is a row of features of one entity that are measured together and stored together. Who changes what a
feature means raises the set's version: versions are stored apart, so that readers of the earlier one are not affected.
Features are measured by `measured.py`, with the functions of `monsoon.transforms.evidence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from monsoon.transforms.evidence.limits import HISTORY_MS, WINDOW_MS
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.spelling import closest_name

Entity = Literal["rider", "device", "rider_device", "rider_product", "zone", "neighborhood"]
ENTITIES: Mapping[Entity, str] = {
    "rider": "worker_id",
    "device": "device_id",
    "rider_device": "pair_id of worker_id and device_id: a baseline is of one rider with one phone",
    "rider_product": "pair_id of worker_id and product",
    "zone": "H3 cell of resolution 9, as its hexadecimal string",
    "neighborhood": "H3 cell of resolution 7, as its hexadecimal string",
}
"""What identifies each entity."""
assert tuple(ENTITIES) == get_args(Entity)

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class FeatureError(ValueError):
    """A feature, set or entity that the store does not have; the message says which is meant."""


@dataclass(frozen=True, slots=True)
class StoredFeature:
    """One feature. `null` says when it is not measured."""

    name: str
    unit: str
    meaning: str
    null: str


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features of one entity that are measured and stored together.

    `window_ms` is how far back they look; `ttl_ms` how long a version counts after its event time, in either store.
    """

    name: str
    version: int
    entity: Entity
    window_ms: int
    ttl_ms: int
    features: tuple[StoredFeature, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features, in the order in which they are stored."""
        return tuple(feature.name for feature in self.features)


_NEVER = "never"

FEATURE_SETS: tuple[FeatureSet, ...] = (
    FeatureSet(
        "device_baseline", 1, "rider_device", HISTORY_MS, HISTORY_MS,
        (
            StoredFeature("agc_mean_db", "dB", "mean AGC level before the evidence window", "no report states AGC"),
            StoredFeature("cn0_mean_dbhz", "dB-Hz", "mean C/N0 before the evidence window", "no report states C/N0"),
            StoredFeature("signal_reports", "count", "reports of the signal baseline (the fewer of both)", _NEVER),
            StoredFeature(
                "battery_drain_mean_pct_h", "percent/h", "mean drain rate of half hours", "no half hour with a rate"
            ),
            StoredFeature(
                "battery_drain_sd_pct_h", "percent/h", "standard deviation of the same", "no half hour with a rate"
            ),
            StoredFeature("battery_half_hours", "count", "half hours with a drain rate", _NEVER),
        ),
    ),
    FeatureSet(
        "device_riders", 1, "device", HISTORY_MS, HISTORY_MS,
        (StoredFeature("riders_on_device_28d", "count", "riders seen on the phone in 28 local days", _NEVER),),
    ),
    FeatureSet(
        "rider_shifts", 1, "rider", HISTORY_MS, HISTORY_MS,
        (
            StoredFeature(
                "shift_pattern", "share",
                "how usual the rider's neighborhood, hour and weekday are for the rider", "less than 7 days of history",
            ),
            StoredFeature("shift_reports", "count", "reports of the history on which this rests", _NEVER),
        ),
    ),
    FeatureSet(
        "rider_claims", 1, "rider_product", 7 * _DAY_MS, 7 * _DAY_MS,
        (
            StoredFeature("claims_7d", "count", "claims confirmed in the 7 days up to the decision", _NEVER),
            StoredFeature("trust_score", "share", "of the newest decision", "the product has none, or not measured"),
            StoredFeature("anomaly_score", "share", "of the newest decision", "the product has none, or not measured"),
            StoredFeature("ring_member", "flag", "whether the newest decision found the claim in a ring", _NEVER),
            StoredFeature("ring_score", "share", "strength of that ring", "in no ring"),
        ),
    ),
    FeatureSet(
        "zone_activity", 1, "zone", PANE_MS, 12 * PANE_MS,
        (
            StoredFeature("riders", "count", "riders whose last report of 5 min was in the zone", _NEVER),
            StoredFeature("orders", "count", "orders that they completed in it", _NEVER),
            StoredFeature("on_trip_share", "share", "reports on a trip, of all", _NEVER),
        ),
    ),
    FeatureSet(
        "neighborhood_pressure", 1, "neighborhood", 2 * PANE_MS, WINDOW_MS,
        (
            StoredFeature(
                "pressure_change_pa", "Pa", "median change of pressure of its riders from 5 min to the next",
                "fewer than 3 riders with a barometer",
            ),
            StoredFeature("pressure_riders", "count", "riders with such a change", _NEVER),
        ),
    ),
    FeatureSet(
        "neighborhood_arrivals", 1, "neighborhood", HISTORY_MS, HISTORY_MS,
        (
            StoredFeature(
                "arrival_share", "share", "of four weeks of stays by 5 min, those that had just begun",
                "fewer than 100 such observations",
            ),
        ),
    ),
)  # fmt: skip
"""Every set, the newest version of each name last."""


def pair_id(first: str, second: str) -> str:
    """The id of an entity of two: `first/second`, with % and / within either as in URLs: no two pairs share one."""
    return "/".join(each.replace("%", "%25").replace("/", "%2F") for each in (first, second))


def feature_set(name: str, version: int | None = None) -> FeatureSet:
    """The set of a name, in one version or the newest. Raises FeatureError."""
    found = [each for each in FEATURE_SETS if each.name == name]
    if not found:
        raise FeatureError(_unknown("feature set", name, [each.name for each in FEATURE_SETS]))
    if version is None:
        return max(found, key=lambda each: each.version)
    for each in found:
        if each.version == version:
            return each
    raise FeatureError(f"{name}: no version {version}; there is {', '.join(str(each.version) for each in found)}")


def sets_of(entity: str, features: Iterable[str]) -> dict[FeatureSet, tuple[str, ...]]:
    """The sets that have some features of an entity, each with those it has. `NAME` is a feature of its set's newest
    version, `NAME@VERSION` of that one; the same again counts once. Raises FeatureError."""
    if entity not in ENTITIES:
        raise FeatureError(_unknown("entity", entity, list(ENTITIES)))
    known = [each for each in FEATURE_SETS if each.entity == entity]
    found: dict[FeatureSet, tuple[str, ...]] = {}
    for reference in dict.fromkeys(features):
        name, _, version = reference.partition("@")
        having = [each for each in known if name in each.names and version in ("", str(each.version))]
        if not having:
            names = [feature for each in known for feature in each.names]
            raise FeatureError(_unknown(f"feature of {entity}", reference, names))
        chosen = max(having, key=lambda each: each.version)
        if any(name in names for names in found.values()):
            raise FeatureError(f"{name} is asked for twice; ask for one version of it at a time")
        found[chosen] = (*found.get(chosen, ()), name)
    return found


def _unknown(what: str, name: str, known: list[str]) -> str:
    meant = closest_name(name, known)
    return f"no {what} {name!r}; " + (f"did you mean {meant!r}?" if meant else f"there is {', '.join(known)}")
