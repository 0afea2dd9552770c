"""Features of the phone's surroundings: access points, the serving cell, air pressure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.limits import (
    ACCESS_POINT_REACH_M,
    MIN_LOCATED_ACCESS_POINTS,
    MIN_OTHERS_PRESSURE,
    MIN_PRESSURE_STEPS,
    PRESSURE_TOLERANCE_PA,
    UNKNOWN_ACCURACY_M,
)
from monsoon.transforms.evidence.neighborhoods import Cells, PaneCells
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged, medians_of_others, ratio, segment_medians
from monsoon.transforms.evidence.references import References
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.evidence.zones import ZoneShapes
from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.panes import PANE_MS, Panes
from monsoon.transforms.telemetry_table import bisect_right, slices_of


def bssid_zone_match(window: Window, zones: ZoneShapes, references: References) -> Measured:
    """Share of located access points that stand in the zone, weighted by sightings.

    Only reports whose fix claims to be in the zone count, since a rider sees other access points elsewhere. "In
    the zone" is within ACCESS_POINT_REACH_M of the circle around it, for fix and access point alike.

    Range: 0..1. Direction: low points weakly to fraud: zones are small and riders move. Missing input: null where no
    report that claims to be there sees an access point whose place is known. Rests on: the reports that see one.
    Source: `fraud.md`, features; the reach is Wi-Fi's.
    """
    span, telemetry = window.span, window.telemetry
    lo, hi = telemetry.bssid_offsets[span.rows], telemetry.bssid_offsets[span.rows + 1]
    seeing = np.flatnonzero(hi > lo)
    inside = zones.within(window["lat"][seeing], window["lon"][seeing], span.query[seeing], ACCESS_POINT_REACH_M)
    seeing = seeing[inside]
    sightings = Ragged(lo[seeing], hi[seeing])
    codes = telemetry.bssid_codes[sightings.rows]
    query = span.query[seeing][sightings.query]
    located = ~np.isnan(references.bssid_lat[codes]) & ~np.isnan(references.bssid_lon[codes])
    codes, query = codes[located], query[located]
    inside = zones.within(references.bssid_lat[codes], references.bssid_lon[codes], query, ACCESS_POINT_REACH_M)
    share = ratio(np.bincount(query[inside], minlength=len(window)), np.bincount(query, minlength=len(window)))
    resting = span.query[seeing][sightings.count(located) > 0]
    return share, np.bincount(resting, minlength=len(window))


def bssid_fix_match(window: Window, references: References) -> Measured:
    """Median over the window of how well each fix fits the places of the access points seen with it.

    Of a report that sees at least MIN_LOCATED_ACCESS_POINTS whose place is known: 1 where the median distance from the
    fix to them is at most ACCESS_POINT_REACH_M + accuracy, falling to 0 at 3 x that.

    Range: 0..1. Direction: low points to fraud; 0 is a phone elsewhere. Missing input: null where no report sees so
    many located access points; an accuracy that is not stated is UNKNOWN_ACCURACY_M, in the rider's favor. Rests on:
    the reports that see so many. Source: `fraud.md`, features.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15], bssids=[["a", "b"], ["a"]], accuracy_m=[50.0, 50.0])
    >>> none, places = np.empty(0), np.array([28.60539, 28.60539])  # 599 m north of the fix
    >>> match, reports = bssid_fix_match(window, References(none, none, none, places, np.full(2, 77.2)))
    >>> round(float(match[0]), 2), int(reports[0])  # up to 300 m fits, from 900 m on nothing does
    (0.5, 1)
    """
    span, telemetry = window.span, window.telemetry
    sightings = Ragged(telemetry.bssid_offsets[span.rows], telemetry.bssid_offsets[span.rows + 1])
    codes = telemetry.bssid_codes[sightings.rows]
    located = np.flatnonzero(~np.isnan(references.bssid_lat[codes]) & ~np.isnan(references.bssid_lon[codes]))
    codes, report = codes[located], sightings.query[located]
    away_m = distance_m(
        window["lat"][report], window["lon"][report], references.bssid_lat[codes], references.bssid_lon[codes]
    )
    median_m = segment_medians(away_m, report, len(span.rows))
    measured = np.bincount(report, minlength=len(span.rows)) >= MIN_LOCATED_ACCESS_POINTS
    reach_m = ACCESS_POINT_REACH_M + np.nan_to_num(window["accuracy_m"], nan=UNKNOWN_ACCURACY_M)
    return window.median(np.clip((3 * reach_m - median_m) / (2 * reach_m), 0.0, 1.0), measured)


def cell_tower_zone_match(window: Window, references: References) -> Measured:
    """Median over the window of how well each fix fits the place of its serving cell's tower.

    1 where the fix lies within tower range + accuracy of the tower, falling to 0 at 3 x that.

    Range: 0..1. Direction: low points to fraud; 0 is a phone elsewhere. Missing input: null where no report names a
    cell whose tower's place is known; an accuracy that is not stated is UNKNOWN_ACCURACY_M, in the rider's favor. Rests
    on: the reports that name one. Source: `fraud.md`, features; which of several rows of a tower counts is decided
    where the file is read.

    >>> from monsoon.transforms.evidence.window import one_rider
    >>> window, _ = one_rider([0, 15], cell=["LTE-404-45-1-1", None], accuracy_m=[500.0, 5.0])
    >>> here = np.array([28.6]), np.array([77.2])
    >>> tower = References(here[0], here[1] + 0.02048, np.array([500.0]), *here)  # 2 km east, heard 500 m around
    >>> match, reports = cell_tower_zone_match(window, tower)  # up to 1 km fits, from 3 km on nothing does
    >>> round(float(match[0]), 2), int(reports[0])
    (0.5, 1)
    """
    cell = window["cell"]
    known = np.flatnonzero(cell >= 0)
    codes = cell[known]
    placed = ~np.isnan(references.cell_lat[codes]) & ~np.isnan(references.cell_lon[codes])
    known, codes = known[placed], codes[placed]
    away_m = distance_m(
        window["lat"][known], window["lon"][known], references.cell_lat[codes], references.cell_lon[codes]
    )
    accuracy_m = np.nan_to_num(window["accuracy_m"][known], nan=UNKNOWN_ACCURACY_M)
    reach_m = references.cell_range_m[codes] + accuracy_m
    match = np.full(len(cell), np.nan)
    match[known] = np.clip((3 * reach_m - away_m) / (2 * reach_m), 0.0, 1.0)
    return window.median(match, ~np.isnan(match))


@dataclass(frozen=True, eq=False)
class PressureSteps:
    """How pressure changed from each pane to the next of the same rider, against others at the same time nearby.

    Only changes are compared: phones differ by a constant offset. `deviation_pa` is one value per pane, NaN where
    the step or three others are missing. Of panes that were known as soon as they were over, so that every decision
    compares the same riders.
    """

    worker_starts: Ints
    pane_start_ms: Ints
    reports: Ints
    deviation_pa: Floats

    @staticmethod
    def of(panes: Panes, cells: PaneCells) -> PressureSteps:
        deviation_pa = deviation_from_neighbors_pa(pressure_changes_pa(panes), cells.neighborhood, panes.pane_start_ms)
        return PressureSteps(panes.worker_starts, panes.pane_start_ms, panes["pressure_reports"], deviation_pa)

    def barometric_delta_match(self, queries: Queries) -> Measured:
        """Agreement of the rider's pressure change over the window with that of the others.

        1 - abs(own change - others' change) / PRESSURE_TOLERANCE_PA, at least 0; both are summed over the 5-min steps
        into panes that began in the window (the anchor's own among them) and were over by the decision; the others'
        change of a step is the median over the other riders in the H3 resolution 7 neighborhood of the rider's own
        position.

        Range: 0..1. Direction: low points weakly to fraud: pressure equalises indoors, so agreement proves little.
        Missing input: null without a barometer, with fewer than MIN_PRESSURE_STEPS steps, or fewer than
        MIN_OTHERS_PRESSURE others in each. Rests on: the reports of the panes compared. Source: `fraud.md`, features;
        the tolerance is 17 m of height.
        """
        span = pressure_span(self.worker_starts, self.pane_start_ms, queries)
        deviation_pa = self.deviation_pa[span.rows]
        measured = ~np.isnan(deviation_pa)
        match = np.clip(1 - np.abs(span.total(deviation_pa, measured)) / PRESSURE_TOLERANCE_PA, 0.0, 1.0)
        reports: Ints = span.total(self.reports[span.rows], measured).astype(np.int64)
        return np.where(span.count(measured) >= MIN_PRESSURE_STEPS, match, np.nan), reports


def pressure_changes_pa(panes: Panes) -> Floats:
    """How each pane's mean pressure differs from the rider's pane just before; NaN where either is missing."""
    mean_pa = ratio(panes["pressure_sum_pa"], panes["pressure_reports"])
    change_pa = np.full(len(panes), np.nan)
    adjacent = (np.diff(panes.worker) == 0) & (np.diff(panes.pane_start_ms) == PANE_MS)
    change_pa[1:][adjacent] = np.diff(mean_pa)[adjacent]
    return change_pa


def deviation_from_neighbors_pa(change_pa: Floats, neighborhood: Cells, pane_start_ms: Ints) -> Floats:
    """Each change less the median change of the others in its neighborhood and pane, NaN below three others.

    Panes of any riders in any order; a whole neighborhood must be there, other neighborhoods need not.
    """
    known = np.flatnonzero(~np.isnan(change_pa))
    _, group = np.unique(neighborhood[known], return_inverse=True)
    pane = pane_start_ms[known] // PANE_MS
    _, group = np.unique(group.astype(np.int64) * (pane.max(initial=0) + 1) + pane, return_inverse=True)
    others_pa, others = medians_of_others(change_pa[known], group.astype(np.int64))
    deviation_pa = np.full(len(change_pa), np.nan)
    enough = others >= MIN_OTHERS_PRESSURE
    deviation_pa[known[enough]] = (change_pa[known] - others_pa)[enough]
    return deviation_pa


def pressure_span(worker_starts: Ints, pane_start_ms: Ints, queries: Queries) -> Ragged:
    """The panes of each query's rider that began in its window and were over by its decision."""
    first, stop = slices_of(worker_starts, queries.worker)
    lo = bisect_right(pane_start_ms, first, stop, queries.window_start_ms - 1)
    last_ms = np.minimum(queries.window_end_ms, queries.decided_at_ms - PANE_MS)
    hi = np.where(queries.window_start_ms < queries.window_end_ms, bisect_right(pane_start_ms, lo, stop, last_ms), lo)
    return Ragged(lo, np.maximum(lo, hi))
