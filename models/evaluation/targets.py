"""The targets of the specification (`fraud.md`, "Evaluation, kept honest"), and whether a measure meets its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from monsoon.models.rates import Rate

Verdict = Literal["met", "missed", "unproven", "not measured", "no target"]
"""`unproven`: within the target, of too few riders or with too wide a bound to say so."""

ALL = "all"
"""The product of measures over all products."""

DENIED = "denied on suspicion or missing data"
ESCALATED = "honest riders in step-up or review"
HELD = "honest riders in soft hold"
HELD_OTHERWISE = "honest riders held for other reasons"
WORST_SLICE = "worst slice of honest riders against the mean"
RING_PRECISION = "ring members: precision"
RING_RECALL = "ring members: recall"
PART_RING_PRECISION = "ring members, 60% of evidence: precision"
PART_RING_RECALL = "ring members, 60% of evidence: recall"
STRANGERS = "honest riders in a ring"
_RECALL = "not paid: "


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a share or ratio. `at_most`: else at least. `bound`: what the 95% bound may reach, and `riders` of how
    many at least; a measure within `value` that is not within these is unproven."""

    value: float
    at_most: bool
    bound: float | None = None
    riders: int = 0

    def words(self) -> str:
        """As a table shows it."""
        said = f"{'<=' if self.at_most else '>='} {self.value:g}"
        return said + (f", bound <= {self.bound:g}, of >= {self.riders:,}" if self.bound is not None else "")


SENSORS_LOST = {"sensor_loss_30": "honest held, 30% of sensor data lost", "sensor_loss_60": "honest held, 60% lost"}
"""By the condition of riders who lose it: held or escalated, against the ordinary."""
ORDINARY = "ordinary"
"""The condition of honest riders who are odd in no way."""

_TARGETS = {
    DENIED: Target(0.0, at_most=True),
    ESCALATED: Target(0.001, at_most=True, bound=0.0015, riders=10_000),
    HELD: Target(0.01, at_most=True),
    WORST_SLICE: Target(2.0, at_most=True),
    RING_PRECISION: Target(0.98, at_most=False),
    RING_RECALL: Target(0.95, at_most=False),
    PART_RING_PRECISION: Target(0.95, at_most=False),
    PART_RING_RECALL: Target(0.70, at_most=False),
    STRANGERS: Target(0.0001, at_most=True),
    **{name: Target(1.2, at_most=True) for name in SENSORS_LOST.values()},
}
_RECALL_TARGETS = {
    "mock_app": 0.99,
    "replayed_trace": 0.90,
    "radio_spoof": 0.80,
    "adaptive_alone": 0.30,
    "adaptive_ring": 0.60,
}
"""By the kind or condition of attackers: the share of eligible claims that are not paid."""
_WAYS_IN, _WAY_IN = "way_in", "way_"
"""The kind of all of them, which is not judged, and how conditions begin that were tried and paid once: none may be."""
_PAID_BY_SOURCE = {"way_5_": ("gic", "kawaach", "nexora"), "way_6_": ("gic", "jugaad", "kawaach", "nexora", "offshift")}
"""Ways that may be paid, by product: cover that counts at once by the product's source; the old terms, which records
do not tell from the restated ones."""

EXPECTED = (
    DENIED,
    ESCALATED,
    HELD,
    WORST_SLICE,
    RING_PRECISION,
    RING_RECALL,
    *(_RECALL + kind for kind in _RECALL_TARGETS),
)
"""What is a line of every product, measured or not."""


def recall_of(kind: str) -> str:
    """The name of the measure of a kind or condition of attackers."""
    return _RECALL + kind


def target_of(name: str, product: str) -> Target | None:
    """The target of a product's measure by its name; None: it is shown and not judged."""
    if name.startswith(_RECALL):
        kind = name.removeprefix(_RECALL)
        if any(kind.startswith(way) and product in products for way, products in _PAID_BY_SOURCE.items()):
            return None
        if kind.startswith(_WAY_IN) and kind != _WAYS_IN:
            return Target(1.0, at_most=False)
        share = _RECALL_TARGETS.get(kind)
        return None if share is None else Target(share, at_most=False)
    return _TARGETS.get(name)


def verdict_on(target: Target | None, value: float | None, rate: Rate | None) -> Verdict:
    """Whether `value` meets the target. `rate`: the counts that it comes from, of a share.

    >>> verdict_on(Target(0.9, at_most=False), 0.95, Rate(19, 20))
    'met'
    >>> verdict_on(Target(0.001, at_most=True, bound=0.0015, riders=10_000), 0.0, Rate(0, 50))
    'unproven'
    """
    if target is None:
        return "no target"
    if value is None or (rate is not None and not rate.total):
        return "not measured"
    if not (value <= target.value if target.at_most else value >= target.value):
        return "missed"
    if target.bound is not None and (rate is None or rate.total < target.riders or rate.interval()[1] > target.bound):
        return "unproven"
    return "met"
