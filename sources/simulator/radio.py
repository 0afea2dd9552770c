"""What a phone's radios show: satellite signal and time, serving cell, Wi-Fi in sight, public network.

Only a radio spoofer touches the satellite signal; nobody moves cells and access points, so these always show
where the phone really is, where it reports them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.city import DEPOT_APS, HOTSPOT_APS, ap_names, tower_names
from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.population import MOCK_APP, RADIO_SPOOF, REPLAYED_TRACE

if TYPE_CHECKING:
    from monsoon.sources.simulator.telemetry import Reports

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CN0_DBHZ = np.array([31.0, 33.0, 34.0])
"""Mean C/N0 of used satellites in the open by device tier, entry first."""
AGC_DB = 44.0
RIDERS_PER_NAT = 400
NAT_NETWORKS = 1 << 40
DEPOT_NETWORKS = 2 << 40
NAT_STEPS = 960
"""A carrier gives a phone a new public address about every 4 h."""
NEAR_M = 45.0
AP_SLOTS = 7


def columns(
    rng: np.random.Generator, reports: Reports, blocked: Flags, has_fix: Flags, population: int
) -> dict[str, Any]:
    """cn0_dbhz, agc_db, gnss_time, network_time, bssids, cell and ip_prefix; `population` sizes the carriers' NAT."""
    riders = reports.riders
    at_home = np.hypot(reports.x - riders.home_x[reports.rider], reports.y - riders.home_y[reports.rider]) < NEAR_M
    depot = riders.depot[reports.rider]
    at_depot = np.hypot(reports.x - reports.city.depot_x[depot], reports.y - reports.city.depot_y[depot]) < NEAR_M
    return {
        **_signal(rng, reports, blocked, has_fix),
        **_times(rng, reports, has_fix),
        "bssids": _bssids(rng, reports, at_home, at_depot),
        "cell": _cell(rng, reports),
        "ip_prefix": _network(rng, reports, at_home, at_depot, population),
    }


def _signal(rng: np.random.Generator, reports: Reports, blocked: Flags, has_fix: Flags) -> dict[str, Floats]:
    riders, rider = reports.riders, reports.rider
    n = len(reports)
    tier = riders.tier[rider]
    cn0 = CN0_DBHZ[tier] + 1.3 * reports.of_device(3) + 1.2 * reports.drift(rng, 8)
    cn0 = cn0 - np.where(blocked, 7 + 1.5 * reports.drift(rng, 12), 0) + 0.4 * rng.standard_normal(n, dtype=np.float32)
    agc = AGC_DB + 1.2 * reports.of_device(4) + 0.5 * rng.standard_normal(n, dtype=np.float32)
    # A transmitter beside the phone: received power up, so gain down; three in ten match the sky's power instead.
    count = len(riders)
    matched = rng.random(count) < 0.3
    gain_db = np.where(matched, rng.uniform(-1.5, 1.5, count), -rng.uniform(3.5, 8, count))[rider]
    lift_db = np.where(matched, rng.uniform(6.5, 10, count), rng.uniform(4, 9, count))[rider]
    beamed = reports.false & (riders.kind[rider] == RADIO_SPOOF)
    open_sky = CN0_DBHZ[tier] + 1.3 * reports.of_device(3)
    cn0 = np.where(beamed, open_sky + lift_db + 0.5 * rng.standard_normal(n, dtype=np.float32), cn0)
    agc = np.where(beamed, agc + gain_db, agc)
    received = has_fix & ~(reports.home & ~beamed & (rng.random(n) < 0.3))
    return {
        "cn0_dbhz": np.where(riders.has_cn0[rider] & received, np.round(cn0, 1), np.nan),
        "agc_db": np.where(riders.has_agc[rider], np.round(agc, 1), np.nan),
    }


def _times(rng: np.random.Generator, reports: Reports, has_fix: Flags) -> dict[str, pl.Series]:
    """GNSS and network time of the fix; few phones have a clock that NTP left seconds off."""
    riders, rider = reports.riders, reports.rider
    n, count = len(reports), len(riders)
    fix_ms = reports.time_ms - rng.integers(0, 900, n)
    off_ms = np.where(rng.random(count) < 0.01, rng.normal(0, 900, count), rng.normal(0, 60, count))[rider]
    network_ms = fix_ms + (off_ms + 80 * rng.standard_normal(n, dtype=np.float32)).astype(np.int64)
    sign = np.where(rng.random(count) < 0.7, -1, 1)
    kind = riders.kind
    # A mock app stamps the phone's clock; a replayed trace comes late; a transmitter keeps its own time.
    late_s = np.select(
        [kind == MOCK_APP, kind == REPLAYED_TRACE, kind == RADIO_SPOOF],
        [
            np.where(rng.random(count) < 0.25, rng.uniform(1, 4, count), 0),
            np.where(rng.random(count) < 0.6, rng.uniform(2, 30, count), 0),
            rng.uniform(0.5, 20, count),
        ],
        0.0,
    )
    gnss_ms = fix_ms + np.where(reports.false, (1000 * sign * late_s)[rider], 0).astype(np.int64)
    mute = (rng.random(count) < 0.05)[rider] | ~has_fix
    return {
        "gnss_time": pl.Series(gnss_ms).set(pl.Series(~has_fix), None),
        "network_time": pl.Series(network_ms).set(pl.Series(mute), None),
    }


def _cell(rng: np.random.Generator, reports: Reports) -> pl.Series:
    """The tower of the phone's own square, or of one beside it; some attackers keep the radio off."""
    n = len(reports)
    # A syndicate's phones lie in one room, under one tower.
    roams = reports.riders.syndicate[reports.rider] < 0
    shift_m = np.where(roams & (reports.episodes(rng, 10) < 0.15), 700.0, 0.0)
    angle = 2 * np.pi * reports.episodes(rng, 10)
    carrier = reports.riders.carrier[reports.rider]
    code = reports.city.tower_at(reports.x + shift_m * np.cos(angle), reports.y + shift_m * np.sin(angle), carrier)
    off = (rng.random(len(reports.riders)) < 0.15)[reports.rider] & reports.false
    silent = off | (rng.random(n) < 0.03)
    names = pl.Series(tower_names(reports.city))
    return names.gather(code).set(pl.Series(silent), None)


def _bssids(rng: np.random.Generator, reports: Reports, at_home: Flags, at_depot: Flags) -> pl.Series:
    """Access points in sight by keyed hash; null where the phone did not scan."""
    riders, rider = reports.riders, reports.rider
    n, count = len(reports), len(riders)
    off = (rng.random(count) < 0.06)[rider] | ((rng.random(count) < 0.2)[rider] & reports.false)
    row = np.flatnonzero(~off & (rng.random(n) < 0.65))
    dice = rng.random((len(row), AP_SLOTS), dtype=np.float32)
    depot = riders.depot[rider[row]]
    hotspot = rng.random(count) < 0.04
    slots = np.empty((len(row), AP_SLOTS), np.int64)
    slots[:, :4] = reports.city.aps_around(reports.x[row], reports.y[row])
    slots[:, 4] = np.where(at_depot[row], DEPOT_APS + depot, -1)
    slots[:, 5] = np.where(at_home[row], riders.home_ap[rider[row]], -1)
    # A second phone's hotspot rides along; at the depot one sees a colleague's.
    own, colleague = HOTSPOT_APS + riders.rider[rider[row]], HOTSPOT_APS + (1 << 32) + depot
    slots[:, 6] = np.where(hotspot[rider[row]], own, np.where(at_depot[row] & (dice[:, 5] < 0.08), colleague, -1))
    seen = (slots >= 0) & (dice < np.array([0.4, 0.4, 0.4, 0.4, 0.9, 0.95, 1.0], np.float32))
    codes, index = np.unique(slots[seen], return_inverse=True)
    names = pl.Series(ap_names(codes, reports.city, reports.seed)) if len(codes) else pl.Series([], dtype=pl.String)
    lists = (
        pl.DataFrame({"row": row[np.nonzero(seen)[0]], "name": names.gather(index)})
        .group_by("row", maintain_order=True)
        .agg("name")
    )
    scanned = pl.DataFrame({"row": row}).join(lists, on="row", how="left", maintain_order="left")
    scanned = scanned.with_columns(pl.col("name").fill_null(pl.lit([], dtype=pl.List(pl.String))))
    every = pl.DataFrame({"row": np.arange(n)}).join(scanned, on="row", how="left", maintain_order="left")
    return every["name"].alias("bssids")


def _network(rng: np.random.Generator, reports: Reports, at_home: Flags, at_depot: Flags, population: int) -> pl.Series:
    """The keyed hash of the public network: carrier NAT shared by hundreds, the home's, or a depot's Wi-Fi."""
    riders, rider = reports.riders, reports.rider
    pool = max(2, population // RIDERS_PER_NAT)
    lease = riders.rider[rider] * 4_096 + reports.step // NAT_STEPS
    code = NAT_NETWORKS + riders.carrier[rider] * 100_000 + (unit_hash(reports.seed, lease, 50) * pool).astype(np.int64)
    on_wifi = rng.random((2, len(riders)))
    code = np.where(at_depot & (on_wifi[0] < 0.25)[rider], DEPOT_NETWORKS + riders.depot[rider], code)
    code = np.where(at_home & (on_wifi[1] < 0.8)[rider], riders.home_network[rider], code)
    silent = (rng.random(len(riders)) < 0.03)[rider]
    codes, index = np.unique(code, return_inverse=True)
    names = pl.Series("ip_prefix", keyed_hashes("n", reports.seed, codes))
    return names.gather(index).set(pl.Series(silent), None)
