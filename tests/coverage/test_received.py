"""Presence, orders and minutes by reports that had been received: the same as if the others had never come."""

import random

import h3.api.basic_int as h3
import numpy as np
import pytest
from kit import LAT, LON, at, subscription_record
from kit.examples import mostly_slow

from monsoon.sources.product_files import load_products
from monsoon.transforms.activity.orders import Orders
from monsoon.transforms.activity.peers import Peers
from monsoon.transforms.activity.week_to_date import WorkedMinutes
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.presence import Presence, ReportCells
from monsoon.transforms.telemetry_table import TelemetryTable

RESOLUTION = 8
ZONE = h3.latlng_to_cell(LAT, LON, RESOLUTION)
DELAYS_MIN = (None, 0, 0.05, 14, 15, 16, 45, 200)
GIC = load_products(["gic"])["gic"]
TEST = GIC.trigger("rain").activity


def telemetry_table_of(*reports, workers=()):
    """(worker, minute, received minute or None, lat) and further columns."""
    names = ("worker", "minute", "received", "lat", "app_state", "orders", "platform")
    columns = {
        name: [each[place] if place < len(each) else None for each in reports] for place, name in enumerate(names)
    }
    telemetry = TelemetryTable.from_columns(
        worker=columns["worker"],
        event_time_ms=[at(minute) for minute in columns["minute"]],
        received_time_ms=[None if minute is None else at(minute) for minute in columns["received"]],
        lat=[LAT if lat is None else lat for lat in columns["lat"]],
        lon=[LON] * len(reports),
        app_state=columns["app_state"],
        orders_completed=columns["orders"],
        platform=columns["platform"],
    )
    return telemetry.with_codes_for(workers, ())


def presence_of(*reports, workers=("w",), margin_m=0.0):
    return Presence(ReportCells(telemetry_table_of(*reports)), workers, RESOLUTION, margin_m)


@pytest.mark.parametrize(
    ("received", "present"), [(None, True), (-200, True), (0, True), (15, True), (15 + 1 / 60_000, False), (90, False)]
)
@pytest.mark.parametrize("margin_m", [0.0, 500.0])
def test_what_comes_more_than_a_quarter_of_an_hour_later_establishes_no_presence(received, present, margin_m):
    presence = presence_of(("w", -5, received), margin_m=margin_m)
    snapshot = presence.at(at(0))
    assert (snapshot.by_cell.get(ZONE, []), snapshot.reporting) == ((["w"], {"w"}) if present else ([], set()))
    assert presence.reported_in(ZONE, at(0)) is present
    assert ("w" not in presence.at(at(76)).reporting) is (received is not None and received > 91)


def test_the_report_before_it_speaks_in_its_place():
    far = LAT + 1
    assert presence_of(("w", -60, None, far), ("w", -5, 16)).at(at(0)).by_cell == {
        h3.latlng_to_cell(far, LON, RESOLUTION): ["w"]
    }
    # Unless that is more than 90 min old.
    assert presence_of(("w", -90.001, None, far), ("w", -5, 16)).at(at(0)).reporting == set()
    assert presence_of(("w", -90, None, far), ("w", -5, 16)).at(at(0)).reporting == {"w"}


def test_a_platform_named_by_a_report_that_came_too_late_is_no_bridge():
    named = ("w", -5, 16, None, None, None, "zepto")
    assert presence_of(named).riders_naming("zepto", at(0)) == set()
    assert presence_of(named).riders_naming("zepto", at(1)) == {"w"}
    assert presence_of(named, (*named[:1], -6, None, *named[3:])).riders_naming("zepto", at(0)) == {"w"}


def storm(seed):
    """Reports of six riders over five hours, received in every way."""
    chance = random.Random(seed)
    reports = []
    for rider in range(6):
        for step in range(chance.randint(5, 120)):
            minute = -240 + chance.choice((step * 2.5, chance.random() * 300))
            delay = chance.choice(DELAYS_MIN)
            received = None if delay is None else minute + delay
            lat = LAT + chance.choice((0, 0, 0.005, 0.02))
            state = chance.choice(("online", "on_trip", "offline", None))
            reports.append(
                (f"w{rider}", minute, received, lat, state, chance.choice((0, 1, 2, None)), chance.choice(("a", "b")))
            )
    return reports, [f"w{rider}" for rider in range(7)]


def received_by(reports, minute):
    return [each for each in reports if each[2] is None or each[2] <= minute]


@pytest.mark.parametrize("seed", mostly_slow(range(8)))
@pytest.mark.parametrize("margin_m", [0.0, 500.0])
def test_presence_is_as_if_what_came_too_late_had_never_come(seed, margin_m):
    reports, workers = storm(seed)
    whole = presence_of(*reports, workers=workers, margin_m=margin_m)
    for minute in range(-200, 61, 13):
        known = presence_of(*received_by(reports, minute + 15), workers=workers, margin_m=margin_m)
        assert whole.at(at(minute)) == known.at(at(minute))
        assert whole.riders_naming("a", at(minute)) == known.riders_naming("a", at(minute))
        for cell in whole.visited.tolist():
            assert whole.reported_in(cell, at(minute)) == known.reported_in(cell, at(minute))


@pytest.mark.parametrize("seed", mostly_slow(range(8), 2))
def test_orders_minutes_and_peers_are_as_if_what_came_later_had_never_come(seed):
    reports, workers = storm(seed)
    policies = [
        subscription_record(
            "activated", -10_000, -10_000, 10_000, product="gic", policy_id=f"p{worker}", worker_id=worker,
            orders_per_hour=2.5, orders_per_hour_sd=1.0, platform="a",
        )
        for worker in workers
    ]  # fmt: skip
    coverage = Coverage(GIC, policies)

    def told(telemetry, minute, asked):
        codes = np.array([telemetry.workers.index(worker) for worker in workers])
        ends_ms = np.full(len(codes), at(minute))
        by_ms = np.full(len(codes), at(asked))
        orders = Orders(telemetry).completed(codes, ends_ms - 3_600_000, ends_ms, by_ms)
        minutes = WorkedMinutes(telemetry).between(codes, ends_ms - 7_200_000, ends_ms, by_ms)
        peers = Peers(coverage, ReportCells(telemetry), RESOLUTION, TEST)
        seen = peers.present(np.array([ZONE, ZONE], dtype=np.uint64), ends_ms[:2], by_ms[:2])
        rows = zip(seen.query.tolist(), seen.rider.tolist(), seen.severe.tolist(), strict=True)
        return orders.tobytes(), minutes.tolist(), sorted(rows)

    for minute, asked in ((-100, -100), (-30, -30), (0, 0), (0, 30), (45, 45)):
        whole = telemetry_table_of(*reports, workers=workers)
        known = telemetry_table_of(*received_by(reports, asked), workers=workers)
        assert told(whole, minute, asked) == told(known, minute, asked)
    assert any(told(whole, 0, 0)[1])
