"""Storms that models are trained and measured on stay what they were: the same storm, riders and seed, the same bytes.

The digests were made before storm files could say more than rain and smog; the smog's again when its AQI came to be
computed by CPCB's published bands (readings by a point or two, riders not at all). Only what is exact on every machine
goes into them: text, counts and times, not the last digit of a sensor.
"""

import hashlib

import pytest

from monsoon.sources.simulator import load_storm, simulate_frames
from monsoon.sources.simulator.losses import LOSS_COLUMNS

EXACT = ["event_id", "worker_id", "device_id", "event_time", "platform", "ip_prefix", "app_state", "orders_completed"]
DIGESTS = {
    "chennai-2015-12-01": "d60aa033685adf94",
    "delhi-2019-11-02-smog": "de684c8e22d7fa43",
    "delhi-2024-06-28": "4c72b06881858eeb",
}


def digest(name):
    frames = simulate_frames(load_storm(name), 40, 3, attackers=0.3)
    tables = (
        frames.telemetry.select(EXACT),
        frames.oracle_readings,
        frames.subscriptions,
        frames.labels.drop("condition", "true_lat", "true_lon", "false_sources", *LOSS_COLUMNS),
    )
    return hashlib.blake2b("".join(table.write_ndjson() for table in tables).encode(), digest_size=8).hexdigest()


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_an_earlier_storm_is_what_it_was(name):
    assert digest(name) == DIGESTS[name], "another simulation: train and evaluate again, then change the digest"
