"""Syndicates: groups of claims linked by a device or a payout account, and the signals that make a group an alert.

Groups are found in closed batches of claims: all on one disruption under one confirmation. Two riders are never a
group; a relative's phone or account is honest. The product defines when signals make an alert (`SyndicateRule`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.ragged import Floats, Ints
from monsoon.transforms.product.terms import SyndicateRule

MIN_GROUP_RIDERS = 3
"""Fewer share a household."""

_MEASURED_SHARE = 0.5
"""A signal about a whole group needs measurements of at least this share of it."""


@dataclass(frozen=True, eq=False)
class Links:
    """One element per claim of one or more batches. Codes are -1 for none, times and variances NaN for unknown.

    `towers` are the serving cells that each claim's reports of the window named.
    """

    batch: Ints
    device: Ints
    payout_account: Ints
    activated_at_ms: Floats
    alert_ms: Floats
    accelerometer_variance: Floats
    towers: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Signal:
    """One of the five signals: whether it holds, its value (None: not measured) and its threshold."""

    signal: str
    holds: bool
    value: float | None
    threshold: float


@dataclass(frozen=True)
class Syndicate:
    """A group that is an alert: the indices of its claims, and the five signals."""

    claims: tuple[int, ...]
    signals: tuple[Signal, ...]


def syndicates(links: Links, rule: SyndicateRule) -> list[Syndicate]:
    """The linked groups of every batch of which enough signals hold, by their first claim."""
    found = []
    for group in linked_groups(links):
        signals = signals_of(links, group, rule)
        if sum(signal.holds for signal in signals) >= rule.needed:
            found.append(Syndicate(tuple(group.tolist()), signals))
    return found


def linked_groups(links: Links) -> list[Ints]:
    """Claims of a batch connected by phones and payout accounts, MIN_GROUP_RIDERS or more a group, each ascending."""
    parent: dict[int, int] = {}

    def root(claim: int) -> int:
        while parent.setdefault(claim, claim) != claim:
            parent[claim] = parent[parent[claim]]
            claim = parent[claim]
        return claim

    for resource in (links.device, links.payout_account):
        known = np.flatnonzero(resource >= 0)
        if not len(known):
            continue
        _, shared, riders = np.unique(
            np.stack([links.batch[known], resource[known]]), axis=1, return_inverse=True, return_counts=True
        )
        shared = shared.reshape(-1)
        first: dict[int, int] = {}
        for place in np.flatnonzero(riders[shared] > 1).tolist():
            claim = int(known[place])
            parent[root(claim)] = root(first.setdefault(int(shared[place]), claim))
    groups: dict[int, list[int]] = defaultdict(list)
    for claim in sorted(parent):
        groups[root(claim)].append(claim)
    return sorted(
        (np.array(group, dtype=np.int64) for group in groups.values() if len(group) >= MIN_GROUP_RIDERS),
        key=lambda group: int(group[0]),
    )


def signals_of(links: Links, group: Ints, rule: SyndicateRule) -> tuple[Signal, ...]:
    """The five signals of a group (`products.md`, offshift)."""
    gap_ms = links.activated_at_ms[group] - links.alert_ms[group]
    bought = int(np.sum((gap_ms >= 0) & (gap_ms <= rule.subscriptions_within_ms)))
    devices = links.device[group]
    on_one = int(np.unique(devices[devices >= 0], return_counts=True)[1].max(initial=0))
    enough = _MEASURED_SHARE * len(group)
    towers = [set(links.towers[claim]) for claim in group.tolist() if links.towers[claim]]
    seen = len(set().union(*towers)) if len(towers) >= enough else None
    accounts = links.payout_account[group]
    paid_to = len(np.unique(accounts)) if np.all(accounts >= 0) else None
    variance = links.accelerometer_variance[group]
    measured = variance[~np.isnan(variance)]
    moving = float(np.median(measured)) if len(measured) >= enough else None
    return (
        Signal("subscriptions_near_alert", bought >= rule.subscriptions, bought, rule.subscriptions),
        Signal("shared_device", on_one >= rule.riders_on_a_device, on_one, rule.riders_on_a_device),
        Signal("shared_towers", seen is not None and seen <= rule.towers, seen, rule.towers),
        Signal(
            "shared_payout_account",
            paid_to is not None and paid_to <= rule.payout_accounts,
            paid_to,
            rule.payout_accounts,
        ),
        Signal(
            "still_accelerometers",
            moving is not None and moving <= rule.resting_accel_var,
            moving,
            rule.resting_accel_var,
        ),
    )


def codes_of(values: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """Texts as codes, equal ones alike, None -1."""
    code = {text: place for place, text in enumerate(sorted({value for value in values if value is not None}))}
    return np.array([-1 if value is None else code[value] for value in values], dtype=np.int64)
