"""Places of access points that the reference files do not have, learnt from those seen beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monsoon.transforms.evidence.arrival import builds_history
from monsoon.transforms.evidence.limits import (
    ACCESS_POINT_REACH_M,
    HISTORY_MS,
    MIN_COSIGHTING_PHONES,
    MIN_LOCATED_ACCESS_POINTS,
)
from monsoon.transforms.evidence.ragged import Floats, Ints, Ragged, segment_medians
from monsoon.transforms.evidence.references import References
from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.telemetry_table import TelemetryTable


def located_by_cosightings(telemetry: TelemetryTable, references: References, at_ms: int) -> References:
    """The references with the places of further access points, as they could be known at a moment (ms).

    A report of the HISTORY_MS before, received by then and not too late to be history, that sees at least
    MIN_LOCATED_ACCESS_POINTS of the reference says that what else it sees is where the median of these is. Its own fix
    says nothing: it may be made up. An access point is where the median of its phones' medians is, if there are
    MIN_COSIGHTING_PHONES of them and their median distance from there is at most ACCESS_POINT_REACH_M: a hotspot on
    wheels has no place.

    Missing input: what is not located stays NaN. Source: `fraud.md`, bssid_fix_match, counts located access points;
    which these are is this project's reading (docs/interpretations.md#evidence).
    """
    time_ms, received_ms = telemetry.event_time_ms, telemetry.received_time_ms
    known = (time_ms > at_ms - HISTORY_MS) & (time_ms <= at_ms) & (received_ms <= at_ms)
    rows = np.flatnonzero(known & builds_history(time_ms, received_ms) & (np.diff(telemetry.bssid_offsets) > 0))
    sightings = Ragged(telemetry.bssid_offsets[rows], telemetry.bssid_offsets[rows + 1])
    code, report = telemetry.bssid_codes[sightings.rows].astype(np.int64), sightings.query
    located = ~np.isnan(references.bssid_lat[code]) & ~np.isnan(references.bssid_lon[code])
    enough = np.bincount(report[located], minlength=len(rows)) >= MIN_LOCATED_ACCESS_POINTS
    here = located & enough[report]
    lat, lon = (
        segment_medians(column[code[here]], report[here], len(rows))
        for column in (references.bssid_lat, references.bssid_lon)
    )
    beside = np.flatnonzero(~located & enough[report])
    code, report = code[beside], report[beside]
    phone = code * (len(telemetry.devices) + 1) + telemetry.device[rows[report]] + 1
    phones, lat, lon = _medians(phone, lat[report], lon[report])
    of_phones = phones // (len(telemetry.devices) + 1)
    codes, point_lat, point_lon = _medians(of_phones, lat, lon)
    place = np.searchsorted(codes, of_phones)
    away_m = distance_m(lat, lon, point_lat[place], point_lon[place])
    close = segment_medians(away_m, place, len(codes)) <= ACCESS_POINT_REACH_M
    good = close & (np.bincount(place, minlength=len(codes)) >= MIN_COSIGHTING_PHONES)
    bssid_lat, bssid_lon = references.bssid_lat.copy(), references.bssid_lon.copy()
    bssid_lat[codes[good]], bssid_lon[codes[good]] = point_lat[good], point_lon[good]
    return replace(references, bssid_lat=bssid_lat, bssid_lon=bssid_lon)


def _medians(key: Ints, lat: Floats, lon: Floats) -> tuple[Ints, Floats, Floats]:
    """The distinct keys, sorted, and the median latitude and longitude of each."""
    order = np.argsort(key, kind="stable")
    keys, segment = np.unique(key[order], return_inverse=True)
    return keys, segment_medians(lat[order], segment, len(keys)), segment_medians(lon[order], segment, len(keys))
