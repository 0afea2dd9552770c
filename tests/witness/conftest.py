"""Riders, policies and zones for the witness tests."""

import h3.api.basic_int as h3
import numpy as np
import pytest

from monsoon.pipelines.local.panes import panes_of
from monsoon.sources.product_files import load_products
from monsoon.transforms.coverage import Policy
from monsoon.transforms.evidence.activity import Habits
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.neighborhoods import PaneCells
from monsoon.transforms.evidence.references import References
from monsoon.transforms.trail import Trail
from monsoon.transforms.waiting import WaitingRules
from monsoon.transforms.witness.questions import Holders, Questions
from monsoon.transforms.witness.silence import TALLIES, quorum_tallies, trust_inputs, trust_micro, workers_of

MINUTE = 60_000
T = 1_718_000_000_000
PLACE = (19.07, 72.87)


@pytest.fixture(scope="session")
def products():
    return load_products()


@pytest.fixture(scope="session")
def outage(products):
    """OffShift's silent quorum."""
    return products["offshift"].trigger("outage").witness


@pytest.fixture(scope="session")
def bandh(products):
    """Jugaad's order drop."""
    return products["jugaad"].trigger("bandh").witness


def zone_at(place=PLACE, resolution=6):
    return h3.latlng_to_cell(*place, resolution)


def center(place=PLACE, resolution=6):
    return h3.cell_to_latlng(zone_at(place, resolution))


def ask(*moments_ms, platform="zomato", resolution=6, place=PLACE):
    return Questions.of(resolution, [(platform, zone_at(place, resolution), at_ms) for at_ms in moments_ms])


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


def trail_of(reports):
    names = sorted({name for each in reports for name in each} | {"worker", "event_time_ms", "lat", "lon"})
    columns = {name: [each.get(name) for each in reports] for name in names}
    if "device" in columns:
        columns["device"] = [
            device or f"device of {worker}" for device, worker in zip(columns["device"], columns["worker"], strict=True)
        ]
    return Trail.from_columns(**columns)


def holders(*policies):
    """From (policy_id, worker_id, changes of its one event)."""
    return Holders(
        Policy(
            policy_id,
            [
                {
                    "event_id": f"e-{policy_id}",
                    "event_time": T - 10 * 24 * 60 * MINUTE,
                    "type": "activated",
                    "policy_id": policy_id,
                    "worker_id": worker_id,
                    "coverage_start": T - 10 * 24 * 60 * MINUTE,
                    "coverage_end": T + 10 * 24 * 60 * MINUTE,
                    "home_lat": PLACE[0],
                    "home_lon": PLACE[1],
                    **changes,
                }
            ],
            WaitingRules(load_products(["jugaad"])["jugaad"]),
        )
        for policy_id, worker_id, changes in policies
    )


def tallied(terms, score, reports, questions, held=None, trust=None):
    """The quorum's tallies by name, one row a question; `trust` by rider in place of the score."""
    trail = trail_of(reports)
    held = held or holders()
    riders = workers_of(terms, trail, questions, held)
    gone = riders.take(riders.mine & riders.silent)
    if trust is not None:
        millionths = np.array([round(trust[trail.workers[code]] * 1e6) for code in gone.worker], dtype=np.int64)
    elif len(gone.worker):
        panes = panes_of(trail)
        resolution = questions.resolution
        habits = Habits.of(panes, PaneCells.of(panes, resolution), resolution)
        inputs, phone = trust_inputs(terms, trail, questions, gone, References.none(trail), habits, held)
        inputs["riders_on_device_28d"] = DeviceDays.of(panes).riders(phone, questions.at_ms[gone.question])[0]
        millionths = trust_micro(score, inputs)
    else:
        millionths = np.empty(0, dtype=np.int64)
    return quorum_tallies(terms, trail, questions, riders, millionths)


def column(tallies, name):
    return tallies[:, TALLIES.index(name)].tolist()
