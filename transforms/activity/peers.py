"""The peers of a claim: other riders who worked in the zone, and whether their orders dropped severely too.

A peer of a claim at t is another rider of the claim's platform, seen in the zone in (t - window, t], whose policy in
force at t states a mean and that platform (of several the one whose period began earliest, then policy_id), and whose
orders in that window were measured. A rider without a platform is nobody's, nor is one of whom a report of that window
states a mock location.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.activity.orders import Floats, Ints, Orders, drop_of
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.evidence.arrival import rows_received_later
from monsoon.transforms.evidence.ragged import Bools, ratio
from monsoon.transforms.presence import DwellIntervals, ReportCells
from monsoon.transforms.product import ActivityTest
from monsoon.transforms.telemetry_table import bisect_right

Cells = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class PeerRows:
    """Riders who may be peers, one element per query and rider: `query` (index), `rider` (code in the telemetry table),
    `platform` (code), `severe` (whether the drop is)."""

    query: Ints
    rider: Ints
    platform: Ints
    severe: Bools


class Peers:
    """The riders of some policies, as others' peers. `platforms` are the names that their codes stand for."""

    def __init__(self, coverage: Coverage, places: ReportCells, resolution: int, test: ActivityTest) -> None:
        self._test = test
        self._telemetry = places.telemetry
        self._orders = Orders(places.telemetry)
        self._mocks_before = np.concatenate(([0], np.cumsum(places.telemetry.mock == 1)))
        code_of = {worker: code for code, worker in enumerate(places.telemetry.workers)}
        known = [worker for worker in places.telemetry.workers if worker in coverage.holders]
        codes = np.array([code_of[worker] for worker in known], dtype=np.int64)
        self._dwells = DwellIntervals.of(places, codes, resolution, test.window_ms)
        states = [
            (code, from_ms, state)
            for code, worker in zip(codes.tolist(), known, strict=True)
            for from_ms, state in coverage.policies_with_order_mean(worker)
        ]
        self.platforms = tuple(sorted({state.record["platform"] for _, _, state in states if state is not None}))
        place = {platform: number for number, platform in enumerate(self.platforms)}
        self._from_ms = np.array([from_ms for _, from_ms, _ in states], dtype=np.int64)
        self._platform = np.array([-1 if s is None else place[s.record["platform"]] for _, _, s in states], np.int64)
        self._mean = np.array([0.0 if s is None else s.record["orders_per_hour"] for _, _, s in states], np.float64)
        riders = np.array([code for code, _, _ in states], dtype=np.int64)
        self._starts = np.searchsorted(riders, np.arange(len(places.telemetry.workers) + 1)).astype(np.int64)

    def present_distinct(self, zone: Cells, t_ms: Ints, received_by_ms: Ints) -> tuple[PeerRows, Ints]:
        """`present` for queries that may repeat, computed once for each distinct one; and the index of that for
        each."""
        queries = np.stack([zone, t_ms.astype(np.uint64), received_by_ms.astype(np.uint64)])
        distinct, query = np.unique(queries, axis=1, return_inverse=True)
        return self.present(distinct[0], distinct[1].astype(np.int64), distinct[2].astype(np.int64)), query.reshape(-1)

    def present(self, zone: Cells, t_ms: Ints, received_by_ms: Ints) -> PeerRows:
        """The riders in zones at moments (arrays of one length: the queries), by the reports that had been received by
        then."""
        query, rider = self._dwells.seen(zone, t_ms, self._test.window_ms, received_by_ms)
        t_ms, received_by_ms = t_ms[query], received_by_ms[query]
        state = bisect_right(self._from_ms, self._starts[rider], self._starts[rider + 1], t_ms) - 1
        of_rider = state >= self._starts[rider]
        platform = np.where(of_rider, self._platform[state], -1) if len(self._platform) else np.full(len(rider), -1)
        stated = np.flatnonzero(platform >= 0)
        query, rider, t_ms, platform = query[stated], rider[stated], t_ms[stated], platform[stated]
        orders = self._orders.completed(rider, t_ms - self._test.window_ms, t_ms, received_by_ms[stated])
        severe = drop_of(orders, self._mean[state[stated]]) >= self._test.severe_drop
        measured = ~np.isnan(orders) & ~self._mocked(rider, t_ms, received_by_ms[stated])
        return PeerRows(query[measured], rider[measured], platform[measured], severe[measured])

    def _mocked(self, rider: Ints, t_ms: Ints, received_by_ms: Ints) -> Bools:
        """Whether a report of a rider's in the window states a mock location."""
        telemetry = self._telemetry
        lo, hi = telemetry.rows_between(rider, t_ms - self._test.window_ms, t_ms)
        found = self._mocks_before[hi] - self._mocks_before[lo]
        late, row = rows_received_later(telemetry, lo, hi, received_by_ms)
        np.subtract.at(found, late, telemetry.mock[row] == 1)
        return found > 0


def threshold_of(test: ActivityTest, peers: Ints, severe: Ints) -> tuple[Floats, Floats]:
    """The share of the peers with a severe drop (0 without peers), and the number of standard deviations required."""
    share = np.nan_to_num(ratio(severe.astype(np.float64), peers.astype(np.float64)))
    threshold = np.full(len(peers), test.thresholds[-1].sigma)
    for band in reversed(test.thresholds[:-1]):
        applies = share >= band.above if band.inclusive else share > band.above
        threshold[applies] = band.sigma
    threshold[peers < test.min_peers] = test.few_peers_sigma
    return share, threshold


def max_threshold(test: ActivityTest) -> float:
    """The largest threshold: a drop that reaches it passes, whoever the peers are."""
    return max([band.sigma for band in test.thresholds] + [test.few_peers_sigma])


def min_threshold(test: ActivityTest) -> float:
    """The smallest threshold: a drop below it fails, whoever the peers are."""
    return min([band.sigma for band in test.thresholds] + [test.few_peers_sigma])


def codes_of(platforms: Sequence[str | None], known: Sequence[str]) -> Ints:
    """The code of each platform among the known ones, -1 for another and for none."""
    place = {platform: number for number, platform in enumerate(known)}
    return np.array([-1 if name is None else place.get(name, -1) for name in platforms], dtype=np.int64)
