"""What keeps riders from work: a curfew, an app that is down, roads that are jammed, a wind nobody rides in.

Who is concerned is fixed by hashes of the rider, never drawn: a hindrance more or less changes nobody else's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from monsoon.sources.simulator.identifiers import unit_hash
from monsoon.sources.simulator.population import HONEST
from monsoon.sources.simulator.storm import Storm
from monsoon.sources.simulator.terms import Hindrance

_FIRST_DRAW = 200
"""Of a rider's hashes; each hindrance has two of its own."""


class HinderedRiders(Protocol):
    """What has to be known of riders, one element each: codes of kind, platform and district."""

    @property
    def rider(self) -> NDArray[np.int64]: ...
    @property
    def kind(self) -> NDArray[np.int8]: ...
    @property
    def platform(self) -> NDArray[np.int64]: ...
    @property
    def district(self) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Hindered:
    """Riders by times, (R, T): the pace of work, 1 where nothing hinders; who is logged out; who reports nothing."""

    pace: NDArray[np.float64]
    offline: NDArray[np.bool_]
    silent: NDArray[np.bool_]


def hindered(storm: Storm, riders: HinderedRiders, seed: int, times_ms: NDArray[np.int64]) -> Hindered | None:
    """What the storm's hindrances do to these riders at these times; None where there are none."""
    shape = (len(riders), len(times_ms))
    found: Hindered | None = None
    for number, hindrance in enumerate(storm.modeled.hindrances):
        start_ms, end_ms = storm.time_ms(hindrance.start), storm.time_ms(hindrance.end)
        now = (times_ms >= start_ms) & (times_ms < end_ms)
        if not now.any():
            continue
        if found is None:
            found = Hindered(np.ones(shape), np.zeros(shape, bool), np.zeros(shape, bool))
        draw = _FIRST_DRAW + 2 * number
        who = _concerned(storm, hindrance, riders) & (unit_hash(seed, riders.rider, draw) < hindrance.share)
        dice = unit_hash(seed, riders.rider, draw + 1)
        found.pace[who[:, None] & now] *= hindrance.pace
        found.silent[(who & (dice < hindrance.silent))[:, None] & now] = True
        logged_out = (dice >= hindrance.silent) & (dice < hindrance.silent + hindrance.offline)
        found.offline[(who & logged_out)[:, None] & now] = True
    return found


def _concerned(storm: Storm, hindrance: Hindrance, riders: HinderedRiders) -> NDArray[np.bool_]:
    concerned = np.ones(len(riders), bool)
    if hindrance.riders != "all":
        concerned &= (riders.kind == HONEST) == (hindrance.riders == "honest")
    if hindrance.platform is not None:
        concerned &= riders.platform == storm.platforms.index(hindrance.platform)
    if hindrance.districts:
        titles = [district.title for district in storm.modeled.riders.districts]
        concerned &= np.isin(riders.district, [titles.index(title) for title in hindrance.districts])
    return concerned
