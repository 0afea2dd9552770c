"""What the phones of claims' riders saw up to the confirmation, as stays, and which phones they used before.

Reports are looked at for SIGHTINGS_MS. Before that panes say which phone a rider used: of each phone that is not seen
later the last pane counts, so that a claim has one stay more for each phone that its rider has given away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monsoon.transforms.evidence.arrival import received_rows
from monsoon.transforms.evidence.ragged import Ints, Ragged
from monsoon.transforms.geo.cells import cells_of
from monsoon.transforms.presence import REPORT_HOLDS_MS
from monsoon.transforms.rings.limits import (
    ACCESS_POINT,
    APART_MS,
    DEVICE,
    KINDS,
    NETWORK_PREFIX,
    SERVING_CELL,
    SIGHTINGS_MS,
    SURROUNDINGS_RESOLUTION,
    WINDOW_MS,
)
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.resources import Stays, changes
from monsoon.transforms.telemetry_table import TelemetryTable, bisect_right, slices_of


@dataclass(frozen=True, eq=False)
class PhonePanes:
    """Which phone riders used, pane by pane, as far as it was known within SIGHTINGS_MS; codes of a telemetry table,
    sorted by rider and time."""

    worker_starts: Ints
    device: Ints
    pane_start_ms: Ints
    ends: Ints
    """The rows after which the rider's next pane is of another phone, or there is none."""

    @staticmethod
    def of(
        worker: npt.NDArray[np.integer[Any]], device: Ints, pane_start_ms: Ints, known_from_ms: Ints, workers: int
    ) -> PhonePanes:
        """From columns with one element per pane, in any order; a device below 0 is none."""
        known = np.flatnonzero((device >= 0) & (known_from_ms - pane_start_ms <= SIGHTINGS_MS))
        order = known[np.lexsort((device[known], pane_start_ms[known], worker[known]))]
        rider, phone = worker[order].astype(np.int64), device[order].astype(np.int64)
        ends = np.flatnonzero(np.append(changes(rider, phone)[1:], True)[: len(order)])
        return PhonePanes(np.searchsorted(rider, np.arange(workers + 1)), phone, pane_start_ms[order], ends)

    def last_uses(self, worker: Ints, after_ms: Ints, upto_ms: Ints) -> tuple[Ints, Ints, Ints]:
        """The rider's place in `worker`, a phone, and the start (ms) of the last pane with it, of all panes that start
        in (after, upto] of each of these riders (-1: none); one element a rider and phone."""
        first, stop = slices_of(self.worker_starts, worker)
        lo = bisect_right(self.pane_start_ms, first, stop, after_ms)
        hi = np.maximum(lo, bisect_right(self.pane_start_ms, lo, stop, upto_ms))
        runs = Ragged(np.searchsorted(self.ends, lo), np.searchsorted(self.ends, hi))
        some = np.flatnonzero(hi > lo)
        row = np.concatenate((self.ends[runs.rows], hi[some] - 1))
        place = np.concatenate((runs.query, some))
        order = np.lexsort((-row, self.device[row], place))
        row, place = row[order], place[order]
        last = changes(place, self.device[row])
        return place[last], self.device[row[last]], self.pane_start_ms[row[last]]


def stays_of_openings(
    telemetry: TelemetryTable, panes: PhonePanes, code_of: Mapping[str, int], openings: Sequence[Opening]
) -> Stays:
    """The stays of each opening's rider, of the reports of SIGHTINGS_MS up to its confirmation, that moment included,
    received by then; and the last use of other phones in the four weeks up to it, but of the one that the policy
    states, which it is on anyway.

    `rider` is the place of the opening, resources have the table's codes; stays come in no order, and one that other
    resources interrupt comes in parts (`joined` joins them).
    """
    worker = np.array([code_of.get(each.worker_id, -1) for each in openings], dtype=np.int64)
    at_ms = np.array([each.confirmed_at_ms for each in openings], dtype=np.int64)
    worker[[not each.opens for each in openings]] = -1
    known = received_rows(telemetry, *telemetry.rows_between(worker, at_ms - SIGHTINGS_MS, at_ms), at_ms)
    rows, rider = known.rows, known.query
    parts = [
        _runs(telemetry, rows, rider, kind, column[rows])
        for kind, column in (
            (DEVICE, telemetry.device),
            (NETWORK_PREFIX, telemetry.ip_prefix),
            (SERVING_CELL, telemetry.cell),
        )
    ]
    parts.append(_access_points(telemetry, rows, rider))
    parts.append(
        _earlier_phones(
            panes, worker, at_ms, _with_stated(parts[0], telemetry.devices, openings), len(telemetry.devices)
        )
    )
    return Stays.concatenated(parts)


def _with_stated(seen: Stays, devices: Sequence[str], openings: Sequence[Opening]) -> Ints:
    """Places of openings and phones that are known of them: seen, or stated by the policy; as place * number of phones
    + phone."""
    code_of = {name: code for code, name in enumerate(devices)}
    stated = [
        place * len(devices) + code_of[each.device]
        for place, each in enumerate(openings)
        if each.device is not None and each.device in code_of
    ]
    return np.append(seen.rider * len(devices) + seen.resource, np.array(stated, dtype=np.int64))


def _earlier_phones(panes: PhonePanes, worker: Ints, at_ms: Ints, known: Ints, devices: int) -> Stays:
    place, phone, last_ms = panes.last_uses(worker, at_ms - WINDOW_MS[DEVICE], at_ms - SIGHTINGS_MS)
    other = ~np.isin(place * devices + phone, known)
    place, phone, last_ms = place[other], phone[other], last_ms[other]
    return Stays(place, np.full(len(place), DEVICE, dtype=np.int8), phone, last_ms, last_ms, np.zeros_like(place))


def _runs(telemetry: TelemetryTable, rows: Ints, rider: Ints, kind: int, code: npt.NDArray[np.int32]) -> Stays:
    """Stays on what a report names once: reports in a row that name the same."""
    named = np.flatnonzero(code >= 0)
    rider, time_ms, resource = rider[named], telemetry.event_time_ms[rows[named]], code[named].astype(np.int64)
    return _stays(rider, kind, resource, time_ms, np.zeros(len(named), dtype=np.int64))


def _access_points(telemetry: TelemetryTable, rows: Ints, rider: Ints) -> Stays:
    seen = Ragged(telemetry.bssid_offsets[rows], telemetry.bssid_offsets[rows + 1])
    row = rows[seen.query]
    return stays_on(
        ACCESS_POINT,
        rider[seen.query],
        telemetry.bssid_codes[seen.rows].astype(np.int64),
        telemetry.event_time_ms[row],
        telemetry.cell[row].astype(np.int64),
    )


def stays_on(kind: int, rider: Ints, resource: Ints, event_time_ms: Ints, serving_cell: Ints) -> Stays:
    """The stays of sightings on resources of one kind, each rider's in the order of time; a serving cell of -1 is
    none."""
    use = rider * (int(resource.max(initial=0)) + 1) + resource
    order = np.argsort(use, kind="stable")
    cells = _cells(use[order], serving_cell[order])
    return _stays(rider[order], kind, resource[order], event_time_ms[order], cells)


def _cells(use: Ints, cell: Ints) -> Ints:
    """Under how many serving cells each use (sorted) was seen, on each of its rows."""
    _, place = np.unique(use, return_inverse=True)
    place = place.reshape(-1)
    width = int(cell.max(initial=0)) + 1
    served = cell >= 0
    pairs = np.unique(place[served] * width + cell[served])
    return np.bincount(pairs // width, minlength=int(place.max(initial=-1)) + 1)[place].astype(np.int64)


def _stays(rider: Ints, kind: int, resource: Ints, time_ms: Ints, cells: Ints) -> Stays:
    """Rows in a row of one rider and resource, with no more than APART_MS between one and the next."""
    begins = np.flatnonzero(changes(rider, resource) | (np.diff(time_ms, prepend=0) > APART_MS))
    ends = np.append(begins[1:], len(rider)) - 1 if len(begins) else begins
    return Stays(
        rider[begins],
        np.full(len(begins), kind, dtype=np.int8),
        resource[begins],
        time_ms[begins],
        time_ms[ends],
        cells[begins],
    )


def names_of(telemetry: TelemetryTable) -> list[Sequence[str]]:
    """The names of the resources of each kind, by the table's codes; none where the table has none of the kind."""
    names: list[Sequence[str]] = [()] * len(KINDS)
    names[DEVICE], names[ACCESS_POINT] = telemetry.devices, telemetry.bssids
    names[NETWORK_PREFIX], names[SERVING_CELL] = telemetry.ip_prefixes, telemetry.cells
    return names


def active_by_cell(telemetry: TelemetryTable, at_ms: int) -> dict[int, int]:
    """How many riders are active in each H3 cell of resolution 5 at a moment: those whose last report of the
    REPORT_HOLDS_MS up to it, received by then, lies there."""
    codes = np.arange(len(telemetry.workers))
    lo, hi = telemetry.rows_between(codes, at_ms - REPORT_HOLDS_MS - 1, at_ms)
    last = received_rows(telemetry, lo, hi, at_ms).last
    last = last[last >= 0]
    cells = cells_of(telemetry.lat[last], telemetry.lon[last], SURROUNDINGS_RESOLUTION)
    distinct, riders = np.unique(cells, return_counts=True)
    return dict(zip(distinct.tolist(), riders.tolist(), strict=True))
