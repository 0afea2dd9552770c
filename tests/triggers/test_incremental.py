"""A trigger while the storm is on: however its readings and cells come, it says what judging all at once does."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, reading, zones_at

from monsoon.sources.product_files import load_products
from monsoon.transforms.geo.areas import Area, Zones
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.triggers.conditions import (
    alert_condition,
    metrics_of,
    telemetry_condition_holds,
    with_threshold,
    zone_threshold,
)
from monsoon.transforms.triggers.evaluate import evaluate_trigger, telemetry_queries
from monsoon.transforms.triggers.history import END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.incremental import IncrementalTrigger, TelemetryQueryTrigger
from monsoon.transforms.triggers.machine import TriggerMachine
from monsoon.transforms.triggers.place_order import PlaceOrder, covered_cells

PRODUCTS = load_products()
PLACES = ((LAT, LON), (LAT + 0.05, LON), (LAT, LON + 0.15))
NAMING_A_PLATFORM = {name for name, metric in METRICS.items() if metric.needs_platform}
TRIGGERS = [(product, trigger) for product in PRODUCTS.values() for trigger in product.triggers]

drawn = st.lists(
    st.tuples(
        st.integers(0, 40),  # the slot of 17 minutes
        st.sampled_from([0, 0, 1, 1, 1]),  # which of the trigger's metrics: mostly its own
        st.booleans(),  # on the breaching side
        st.sampled_from(["imd", "admin", "news"]),
        st.integers(0, 2),  # revision
        st.integers(0, 9),  # slots until a correction is issued
        st.sampled_from([(0.0, 8.0), (0.0, 8.0), (0.05, 4.0), (0.03, 6.0), (0.025, 6.0)]),  # degrees north, km around
    ),
    max_size=30,
)


def readings_of(product, trigger, history):
    alert = alert_condition(product)
    others = [(each.metric, each.breach) for each in trigger.also] + (
        [(alert.metric, alert.breaches[0])] if alert else []
    )
    own = (trigger.metric, trigger.levels[-1].breach)
    found = {}
    for slot, which, breaching, provider, revision, delay, (north, radius_km) in history:
        metric, breach = own if which or not others else others[slot % len(others)]
        value = breach.threshold + (1 if breach.larger_is_worse else -1) * (0 if breach.operator == "=" else 1)
        name = f"{provider}-{metric}-{slot}"
        quality = "fallback" if provider == "news" and slot % 3 == 0 else "official"
        found[name, revision] = reading(
            metric, value if breaching else 1000.0 * (not breach.larger_is_worse), 17 * slot, reading_id=name,
            revision=revision, provider=provider, quality=quality,
            issued_time=at(17 * (slot + delay)), platform="zepto", lat=LAT + north, radius_km=radius_km,
        )  # fmt: skip
    return list(found.values())


def measured(zone, at_ms):
    """Telemetry that agrees at three moments of four."""
    return 0.0 if (zone // 2**20 + at_ms // 60_000) % 4 == 0 else 100.0


def spelled(series):
    """Every revision by platform and zone, in order."""
    found = {}
    for each in series:
        for zone in each.zones.tolist():
            found.setdefault((each.platform, zone), []).extend(each.revisions)
    return {key: revisions for key, revisions in found.items() if revisions}


def all_at_once(product, trigger, readings, zones):
    telemetry_values = {
        (queried.platform, zone, at_ms): measured(zone, at_ms)
        for queried in (telemetry_queries(trigger, readings, zones) if trigger.telemetry_condition else ())
        for zone in queried.zones.tolist()
        for at_ms in queried.moments_ms.tolist()
    }
    return evaluate_trigger(
        trigger, readings, zones, alert=alert_condition(product), telemetry_values=telemetry_values
    ), telemetry_values


def ranks_of(places, zones, index):
    """By place (index) that covers a zone: its rank by distance among those of its metric and provider."""
    um = {
        number: round(float(zones.distance_m(area, np.array([index]))[0]) * 1e6)
        for number, (_, _, area) in enumerate(places)
        if index in zones.covered_by(area)
    }
    return {
        number: sorted({um[other] for other in um if places[other][:2] == places[number][:2]}).index(um[number])
        for number in um
    }


def by_one_machine(product, trigger, readings, zones, platform, index):
    """What a machine of the zone's own publishes of all readings, and when it queries telemetry."""
    alert, zone = alert_condition(product), int(zones.cells[index])
    metrics = metrics_of(trigger, alert)
    mine = [
        each
        for each in readings
        if each.metric in metrics
        and not (
            trigger.platform_only and each.platform != platform and each.metric in NAMING_A_PLATFORM | {trigger.metric}
        )
    ]
    places = list(dict.fromkeys((each.metric, each.provider, each.area) for each in mine))
    ranks = ranks_of(places, zones, index)
    rank_of = {id(each): ranks.get(places.index((each.metric, each.provider, each.area))) for each in mine}
    near = {each.identity for each in mine if rank_of[id(each)] is not None}
    if not any(places[number][0] == trigger.metric for number in ranks):
        return [], set()
    moments = {}
    for each in readings:
        if each.identity in near:
            moments.setdefault(each.effective_ms, []).append(Observation(each, rank_of.get(id(each))))
    terms = with_threshold(trigger, zone_threshold(trigger, zone))

    def run(corroborated):
        machine = TriggerMachine(terms, alert, corroborated)
        published = [each for at_ms in sorted(moments) for each in machine.take_effect(at_ms, moments[at_ms])]
        return published + machine.run_until(END_OF_TIME_MS), set(machine.query_times_ms)

    if trigger.telemetry_condition is None:
        return run(frozenset())
    queried = run(frozenset())[1]
    corroborated = {
        at_ms for at_ms in queried if telemetry_condition_holds(trigger.telemetry_condition, measured(zone, at_ms))
    }
    return run(corroborated)[0], queried


@given(drawn, st.sampled_from(TRIGGERS))
def test_all_at_once_is_a_machine_for_each_zone(history, chosen):
    product, trigger = chosen
    readings = readings_of(product, trigger, history)
    zones = zones_at(*PLACES, resolution=product.zone_resolution)
    found, telemetry_values = all_at_once(product, trigger, readings, zones)
    expected, queried = {}, set()
    for platform in ["zepto"] if trigger.platform_only else [None]:
        for index, zone in enumerate(zones.cells.tolist()):
            published, moments = by_one_machine(product, trigger, readings, zones, platform, index)
            if published:
                expected[platform, zone] = published
            if trigger.telemetry_condition is not None:
                queried |= {(platform, zone, at_ms) for at_ms in moments}
    assert spelled(found) == expected
    assert set(telemetry_values) == queried


@given(drawn, st.sampled_from(TRIGGERS), st.lists(st.integers(0, 60), max_size=5), st.integers(0, 3), st.booleans())
def test_it_says_what_judging_all_at_once_does(history, chosen, steps, split, forgets):
    product, trigger = chosen
    readings = readings_of(product, trigger, history)
    zones = zones_at(*PLACES, resolution=product.zone_resolution)
    expected, telemetry_values = all_at_once(product, trigger, readings, zones)
    running = IncrementalTrigger(trigger, product.zone_resolution, alert_condition(product))
    asking = TelemetryQueryTrigger(trigger, product.zone_resolution)
    for each in (running, asking):
        for item in readings:
            each.observe(item, item.effective_ms)
    cells = zones.cells.tolist()
    got, queried = [], set()
    for upto_ms in [*sorted(at(17 * step) for step in steps), 2**62]:
        new = cells[:split] if upto_ms < 2**62 else cells
        running.add_cells(new)
        asking.add_cells(new)
        for moments in asking.pending_queries(upto_ms) if trigger.telemetry_condition else ():
            for zone in moments.zones.tolist():
                for at_ms in moments.moments_ms.tolist():
                    assert (moments.platform, zone, at_ms) not in queried
                    queried.add((moments.platform, zone, at_ms))
                    running.set_telemetry_value(moments.platform, zone, at_ms, measured(zone, at_ms))
        got += running.advance(upto_ms)
        if forgets:
            running.expire(0)  # machines are made anew from what is left: everything
            asking.expire(0)
    assert spelled(got) == spelled(expected)
    assert queried == set(telemetry_values)


@given(drawn, st.sampled_from(TRIGGERS), st.randoms())
def test_order_and_zones_judged_with_it_make_no_difference(history, chosen, random):
    product, trigger = chosen
    readings = readings_of(product, trigger, history)
    zones = zones_at(*PLACES, resolution=product.zone_resolution)
    expected, _ = all_at_once(product, trigger, readings, zones)
    shuffled = list(readings)
    random.shuffle(shuffled)
    got = {}
    for cell in np.unique(zones.cells):
        alone = type(zones).from_cells(np.array([cell], dtype=np.uint64), zones.resolution)
        got |= spelled(all_at_once(product, trigger, shuffled, alone)[0])
    assert got == spelled(expected)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["rain_mm_24h", "aqi"]),
            st.sampled_from(["imd", "admin"]),
            st.integers(-2, 2),  # hundredths of a degree north
            st.integers(1, 4),  # kilometers around
        ),
        min_size=1,
        max_size=8,
        unique=True,
    ),
    st.integers(1, 30),
)
def test_groups_of_zones_as_places_come_are_those_of_all_places(drawn_places, first):
    places = [
        (metric, provider, Area("disc", LAT + 0.01 * north, LON, radius_km=kilometers))
        for metric, provider, north, kilometers in drawn_places
    ]
    grid = [(LAT + 0.01 * north, LON + 0.005 * east) for north in range(-3, 4) for east in range(-2, 3)]
    early, late = zones_at(*grid[::2], resolution=8), zones_at(*grid[first::2], resolution=8)
    late = Zones.from_cells(np.setdiff1d(late.cells, early.cells), 8)
    kept = PlaceOrder()
    for zones in (early, late):
        for number, place in enumerate(places):
            for cell, distance_um in covered_cells(place[2], zones):
                kept.add(cell, number, place, distance_um)
    every = early.joined(late)
    assert every.cells.tolist() == Zones.from_cells(every.cells, 8).cells.tolist()
    alike = {}
    for index, cell in enumerate(every.cells.tolist()):
        ranks = ranks_of(places, every, index)
        if ranks:
            alike.setdefault(tuple(sorted(ranks.items())), set()).add(cell)
    groups = {frozenset(cells): dict(ranks) for ranks, cells in alike.items()}
    orders = {}
    for cell, zone in kept.zones.items():
        orders.setdefault(zone.order, set()).add(cell)
    assert set(map(frozenset, orders.values())) == groups.keys()
    for cells, ranks in groups.items():
        for cell in cells:
            zone = kept.zones[cell]
            sorted_um = {number: zone.sorted_um[places[number][:2]] for number in ranks}
            assert {number: sorted_um[number].index(um) for number, um in zone.distance_um.items()} == ranks
