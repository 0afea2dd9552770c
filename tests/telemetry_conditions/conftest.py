"""Riders, policies and zones for the tests of telemetry conditions."""

from dataclasses import replace

import h3.api.basic_int as h3
import numpy as np
import pytest

from monsoon.sources.product_files import load_products
from monsoon.transforms.coverage import Policy
from monsoon.transforms.evidence.activity import ShiftHistory
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.references import References
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.telemetry_conditions.queries import PolicyHolders, ZoneQueries
from monsoon.transforms.telemetry_conditions.silent_quorum import (
    TALLIES,
    RiderTrust,
    active_riders,
    insured_long_enough,
    quorum_tallies,
    rider_trust,
    trust_inputs,
    trust_score_terms,
)
from monsoon.transforms.telemetry_table import TelemetryTable
from monsoon.transforms.waiting_period import WaitingRules

MINUTE = 60_000
T = 1_718_000_000_000
PLACE = (19.07, 72.87)


@pytest.fixture(scope="session")
def products():
    return load_products()


@pytest.fixture(scope="session")
def outage(products):
    """OffShift's silent quorum."""
    return products["offshift"].trigger("outage").telemetry_condition


@pytest.fixture(scope="session")
def bandh(products):
    """Jugaad's order drop."""
    return products["jugaad"].trigger("bandh").telemetry_condition


def zone_at(place=PLACE, resolution=6):
    return h3.latlng_to_cell(*place, resolution)


def center(place=PLACE, resolution=6):
    return h3.cell_to_latlng(zone_at(place, resolution))


def ask(*moments_ms, platform="zomato", resolution=6, place=PLACE):
    return ZoneQueries.of(resolution, [(platform, zone_at(place, resolution), at_ms) for at_ms in moments_ms])


def report(worker, minutes, state="online", platform="zomato", place=None, orders=None, **others):
    """One report `minutes` before T (may be a fraction)."""
    lat, lon = place or PLACE
    return {
        "worker": worker,
        "event_time_ms": T - round(minutes * MINUTE),
        "lat": lat,
        "lon": lon,
        "app_state": state,
        "platform": platform,
        "orders_completed": orders,
        **others,
    }


def telemetry_table_of(reports):
    names = sorted({name for each in reports for name in each} | {"worker", "event_time_ms", "lat", "lon"})
    columns = {name: [each.get(name) for each in reports] for name in names}
    if "device" in columns:
        columns["device"] = [
            device or f"device of {worker}" for device, worker in zip(columns["device"], columns["worker"], strict=True)
        ]
    return TelemetryTable.from_columns(**columns)


def holders(*policies):
    """From (policy_id, worker_id, changes of its one event)."""
    return PolicyHolders(_policy(policy_id, worker_id, changes) for policy_id, worker_id, changes in policies)


def holders_of(policy_id, worker_id, *events):
    """Of one policy with several events, each by what it changes."""
    return PolicyHolders([_policy(policy_id, worker_id, *events)])


def _policy(policy_id, worker_id, *events):
    told = [
        {
            "event_id": f"e-{policy_id}-{number}",
            "event_time": T - 10 * 24 * 60 * MINUTE,
            "type": "activated",
            "policy_id": policy_id,
            "worker_id": worker_id,
            "plan": "standard",
            "coverage_start": T - 10 * 24 * 60 * MINUTE,
            "coverage_end": T + 10 * 24 * 60 * MINUTE,
            "home_lat": PLACE[0],
            "home_lon": PLACE[1],
            **changes,
        }
        for number, changes in enumerate(events)
    ]
    return Policy(policy_id, told, WaitingRules(load_products(["jugaad"])["jugaad"]))


def tallied(terms, product, reports, zone_queries, held=None, towers=None):
    """The quorum's tallies, one row a question, with the trust that the riders' reports come to; `towers` places cell
    towers: by name (lat, lon, range in m)."""
    telemetry = telemetry_table_of(reports)
    held = held or holders()
    riders = active_riders(terms, telemetry, zone_queries, held)
    gone = riders.take(riders.on_platform & riders.silent)
    trust = RiderTrust.unknown(0)
    if len(gone.worker):
        panes = panes_of(telemetry)
        resolution = zone_queries.resolution
        habits = ShiftHistory.of(panes, PaneCells.of(panes, resolution), resolution)
        references = References.none(telemetry)
        if towers and telemetry.cells:
            lat, lon, range_m = np.array([towers.get(name, (np.nan,) * 3) for name in telemetry.cells]).T
            references = replace(references, cell_lat=lat, cell_lon=lon, cell_range_m=range_m)
        inputs, phone = trust_inputs(terms, telemetry, zone_queries, gone, references, habits, held)
        inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, zone_queries.at_ms[gone.query])[0]
        insured = insured_long_enough(terms, telemetry, zone_queries, gone, held)
        trust = rider_trust(terms, trust_score_terms(product, terms), inputs, insured)
    return quorum_tallies(terms, telemetry, zone_queries, riders, trust)


def column(tallies, name):
    return tallies[:, TALLIES.index(name)].tolist()
