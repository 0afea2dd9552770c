"""Claims and sightings of tests about rings."""

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.rings.limits import KINDS, SERVING_CELL, WINDOW_MS
from monsoon.transforms.rings.resources import Claims, Stays
from monsoon.transforms.rings.sightings import stays_on

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_722_440_000_000 // HOUR_MS * HOUR_MS
ZONE = h3.latlng_to_cell(28.6139, 77.2090, 7)
CROWD = 1_000_000
"""Riders from this code on have a sighting and no claim."""


def claim(rider, **known):
    """A claim of a rider, confirmed now; codes of -1 are none."""
    return {
        "claim_id": f"c{rider:03}",
        "rider": rider,
        "confirmed_at_ms": NOW_MS,
        "zone": ZONE,
        "device": -1,
        "account": -1,
        "purchased_at_ms": -1,
        "squad": -1,
        **known,
    }


def claims_of(rows):
    def column(name):
        return np.array([row[name] for row in rows], dtype=np.int64)

    return Claims(
        claim_id=[row["claim_id"] for row in rows],
        worker_id=[f"w{row['rider']:03}" for row in rows],
        rider=column("rider"),
        confirmed_at_ms=column("confirmed_at_ms"),
        zone=np.array([row["zone"] for row in rows], dtype=np.uint64),
        device=column("device"),
        payout_account=column("account"),
        purchased_at_ms=column("purchased_at_ms"),
        squad=column("squad"),
    )


def crowd(riders):
    """Sightings of so many riders, who have nothing in common."""
    return [(CROWD + index, SERVING_CELL, CROWD + index, NOW_MS - HOUR_MS, -1) for index in range(riders)]


def stays(rows, at_ms=NOW_MS):
    """Of sightings (rider, kind, resource, event_time_ms, serving cell) in any order, those that are not too old."""
    rows = np.array(rows, dtype=np.int64).reshape(-1, 5)
    age_ms = at_ms - rows[:, 3]
    rows = rows[(age_ms >= 0) & (age_ms < np.array(WINDOW_MS)[rows[:, 1]])]
    rider, kind, *others = rows[np.argsort(rows[:, 3], kind="stable")].T
    parts = [stays_on(each, *(column[kind == each] for column in (rider, *others))) for each in range(len(KINDS))]
    return Stays.concatenated(parts).joined()


class Names:
    """The names of resources of one kind: their codes in words."""

    def __init__(self, kind):
        self.kind = kind

    def __getitem__(self, code):
        return f"{self.kind} {code}"


NAMES = [Names(kind) for kind in KINDS]
