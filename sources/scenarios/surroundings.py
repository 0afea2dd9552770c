"""What a phone sees around it: serving cell, access points, public network. Arrays are rows of reports.

Nobody moves cells and access points, so these show where the phone really is, wherever it reports them.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.scenarios.riders import Riders
from monsoon.sources.scenarios.streets import Streets
from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.storm import HOUR_MS

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

RIDERS_PER_ADDRESS = 250
LEASE_MS = 5 * HOUR_MS
SCANS = np.array([0.35, 0.45, 0.5])
"""Share of reports with a Wi-Fi scan, by tier."""
RANGE_M = 70.0
AT_PLACE_M = 60.0
NO_CELL = 0.03
ON_WIFI = 0.7
"""Share of riders who use the Wi-Fi of their home, or of the depot that a squad shares."""


def cells(
    streets: Streets, riders: Riders, row: Codes, u: Floats, v: Floats, time_ms: Codes, dice: Floats
) -> pl.Series:
    """Serving cell of each report; a handover every two minutes at most."""
    epoch = riders.rider[row] * 4_096 + time_ms // 120_000 % 4_096
    code = streets.serving_tower(u, v, riders.carrier[row], epoch)
    return pl.Series(streets.tower_names()).gather(code).set(pl.Series(dice < NO_CELL), None)


def access_points(
    rng: np.random.Generator, streets: Streets, riders: Riders, row: Codes, u: Floats, v: Floats, seed: int
) -> pl.Series:
    """Access points in sight, null where the phone did not scan: near ones more often than far ones."""
    scanned = np.flatnonzero(rng.random(len(row)) < SCANS[riders.tier[row]])
    of, x, y = row[scanned], u[scanned], v[scanned]
    codes, distance = streets.access_points_near(x, y)
    chance = 0.85 * np.exp(-((distance / RANGE_M) ** 2))
    place_u, place_v = _place(riders)
    near = np.hypot(place_u[of] - x, place_v[of] - y) < AT_PLACE_M
    codes = np.concatenate([codes, riders.place[of, None]], axis=1)
    chance = np.concatenate([chance, np.where(near, 0.92, 0.0)[:, None]], axis=1)
    seen = rng.random(codes.shape) < chance
    distinct, index = np.unique(codes[seen], return_inverse=True)
    names = pl.Series(streets.access_point_names(distinct, seed), dtype=pl.String)
    lists = (
        pl.DataFrame({"row": scanned[np.nonzero(seen)[0]], "name": names.gather(index)})
        .group_by("row", maintain_order=True)
        .agg("name")
    )
    empty = pl.lit([], dtype=pl.List(pl.String))
    with_scan = pl.DataFrame({"row": scanned}).join(lists, on="row", how="left", maintain_order="left")
    every = pl.DataFrame({"row": np.arange(len(row))}).join(
        with_scan.with_columns(pl.col("name").fill_null(empty)), on="row", how="left", maintain_order="left"
    )
    return every["name"].alias("bssids")


def networks(riders: Riders, row: Codes, u: Floats, v: Floats, time_ms: Codes, seed: int, population: int) -> pl.Series:
    """Public networks: a carrier's address that hundreds share for some hours, or the Wi-Fi of a home or depot.

    A ring that shares a network is on it all the time.
    """
    addresses = max(2, population // RIDERS_PER_ADDRESS)
    lease = riders.rider[row] * 8_192 + time_ms // LEASE_MS % 8_192
    code = riders.carrier[row] * 1_000_000 + (unit_hash(seed, lease, 90) * addresses).astype(np.int64)
    place_u, place_v = _place(riders)
    near = np.hypot(place_u[row] - u, place_v[row] - v) < AT_PLACE_M
    on_wifi = near & (unit_hash(seed, riders.rider, 91) < ON_WIFI)[row]
    on_wifi |= riders.has("one_network")[row]
    owner = np.where(riders.has("one_network"), riders.network, riders.place)
    code = np.where(on_wifi, (1 << 50) + owner[row], code)
    distinct, index = np.unique(code, return_inverse=True)
    return pl.Series("ip_prefix", keyed_hashes("m", seed, distinct), dtype=pl.String).gather(index)


def _place(riders: Riders) -> tuple[Floats, Floats]:
    """Where each rider's private access point stands: at home, or at the depot of a squad."""
    squad = riders.of("squad")
    return np.where(squad, riders.base_u, riders.home_u), np.where(squad, riders.base_v, riders.home_v)
