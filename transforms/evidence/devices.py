"""The feature riders_on_device_28d: riders seen on a device in four weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.calendar import KOLKATA_OFFSET_MS
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.ragged import Ints, Ragged
from monsoon.transforms.panes import NULL, Panes
from monsoon.transforms.telemetry_table import slices_of

_DAY_MS = 24 * 3_600_000
_DAYS = 28
"""`products.md`, offshift: riders seen on the device in 28 days; the local day of the decision is one of them."""


@dataclass(frozen=True, eq=False)
class DeviceDays:
    """One element per device, rider and local day: since when (ms) a pane of that day is known. Sorted by device.

    A pane counts once it is over and was received, so nothing later than a decision counts. A report that came too late
    to be history counts too: use of a device is no habit.
    """

    device: Ints
    worker: Ints
    day: Ints
    known_from_ms: Ints

    @staticmethod
    def of(panes: Panes) -> DeviceDays:
        """From panes, in their codes of devices and riders."""
        known = np.flatnonzero(panes["device"] != NULL)
        return DeviceDays.of_panes(
            panes["device"][known], panes.worker[known], panes.pane_start_ms[known], panes.known_from_ms[known]
        )

    @staticmethod
    def of_panes(
        device: npt.ArrayLike, worker: npt.ArrayLike, pane_start_ms: npt.ArrayLike, known_from_ms: npt.ArrayLike
    ) -> DeviceDays:
        """From columns with one element per pane (int codes, ms), in any order."""
        devices, workers = np.asarray(device, dtype=np.int64), np.asarray(worker, dtype=np.int64)
        known_ms = np.asarray(known_from_ms, dtype=np.int64)
        day = local_day_number(np.asarray(pane_start_ms, dtype=np.int64))
        order = np.lexsort((known_ms, day, workers, devices))
        devices, workers, day, known_ms = (column[order] for column in (devices, workers, day, known_ms))
        first = np.ones(len(order), dtype=bool)
        first[1:] = (np.diff(devices) != 0) | (np.diff(workers) != 0) | (np.diff(day) != 0)
        return DeviceDays(devices[first], workers[first], day[first], known_ms[first])

    def riders(self, device: Ints, decided_at_ms: Ints) -> Measured:
        """riders_on_device_28d: riders seen on each query's phone (code, -1 = none) in the 28 local days up to the
        decision.

        The claim's rider is one of them, also where no pane of theirs is over yet.

        Range: 1 and up, a count. Direction: high points to fraud; two are a household (`fraud.md`: above 2 is a
        signal). Missing input: null without a report in the window. Rests on: one for each rider and day seen. Source:
        `products.md`, offshift; `fraud.md`, features.

        >>> days = DeviceDays.of_panes([0, 0, 1], [7, 8, 9], [0, 300_000, 0], [300_000, 600_000, 300_000])
        >>> days.riders(np.array([0, 0, -1]), np.array([300_000, 600_000, 600_000]))
        (array([ 1.,  2., nan]), array([1, 2, 0]))
        """
        starts = np.searchsorted(
            self.device, np.arange(max(int(self.device.max(initial=-1)), int(device.max(initial=-1))) + 2)
        )
        first, stop = slices_of(starts, device)
        span = Ragged(first, stop)
        today = local_day_number(decided_at_ms)[span.query]
        day, known_ms = self.day[span.rows], self.known_from_ms[span.rows]
        seen = (day > today - _DAYS) & (day <= today) & (known_ms <= decided_at_ms[span.query])
        pairs = np.unique(np.stack([span.query[seen], self.worker[span.rows][seen]]), axis=1)
        riders = np.maximum(np.bincount(pairs[0], minlength=len(device)), 1).astype(np.float64)
        return np.where(device >= 0, riders, np.nan), np.where(device >= 0, np.maximum(span.count(seen), 1), 0)


def local_day_number(at_ms: Ints) -> Ints:
    """The local day of each moment, counted from the epoch."""
    return (at_ms + KOLKATA_OFFSET_MS) // _DAY_MS
