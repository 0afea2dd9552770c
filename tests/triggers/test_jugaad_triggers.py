"""Jugaad's seven triggers, through the product file."""

import pytest
from kit import LAT, at, evaluate, product_of, reading, zones_at

from monsoon.transforms.triggers.alerts import Alert
from monsoon.transforms.triggers.evaluate import evaluate_trigger, telemetry_queries

JUGAAD = product_of("jugaad")
MS = 1 / 60_000
"""A millisecond in minutes."""


def every(step, count, metric, value, **fields):
    return [reading(metric, value, step * n, **fields) for n in range(count)]


def span(revisions):
    event = revisions[0].event
    return event.start_ms, event.confirmed_at_ms


@pytest.mark.parametrize(
    ("trigger", "flag", "metric", "good", "bad", "minutes"),
    [("heat", "red_alert", "heat_index_c", 43.99, 44, 120), ("fog", "fog_advisory", "visibility_m", 100, 99, 180)],
)
def test_heat_and_fog_are_sustained_while_the_flag_need_only_hold(trigger, flag, metric, good, bad, minutes):
    lasting = every(60, minutes // 60 + 1, metric, bad, provider="skymet")
    assert evaluate(JUGAAD, trigger, lasting) == []
    assert evaluate(JUGAAD, trigger, [reading(flag, 1, 0), *every(60, minutes // 60 + 1, metric, good)]) == []
    assert evaluate(JUGAAD, trigger, [reading(flag, 1, 0, quality="fallback"), *lasting]) == []
    revisions = evaluate(JUGAAD, trigger, [reading(flag, 1, minutes), *lasting])
    assert span(revisions) == (at(0), at(minutes))
    assert revisions[0].event.providers == ("imd", "skymet")
    assert len(revisions[0].event.reading_ids) == 2
    assert (
        evaluate(JUGAAD, trigger, [reading(flag, 1, minutes), *lasting[:-1], reading(metric, bad, minutes - MS)]) == []
    )


def test_a_flag_that_comes_later_confirms_and_one_that_goes_ends():
    hot = every(60, 6, "heat_index_c", 45)
    (confirmed, ended) = evaluate(JUGAAD, "heat", [*hot, reading("red_alert", 1, 150), reading("red_alert", 0, 200)])
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(0), at(150))
    assert ended.event.absent_since_ms == at(200)
    back = [reading("red_alert", value, minutes) for value, minutes in ((1, 150), (0, 200), (1, 250))]
    (_, ended) = evaluate(JUGAAD, "heat", [*hot, *back])
    assert ended.event.absent_since_ms == at(390) + 1


@pytest.mark.parametrize(("began", "earlier"), [(24 * 60 + 30, 0), (24 * 60 + 29.99, 1)])
def test_an_alert_that_another_follows_within_a_day_of_its_end_is_remembered(began, earlier):
    flags = [reading("red_alert", value, minutes) for value, minutes in ((1, 0), (0, 30), (1, began))]
    rain = [reading("rain_mm_h", 30, began + each, provider=name) for each in range(0, 91, 30) for name in ("a", "b")]
    alert = evaluate(JUGAAD, "rain", [*flags, *rain])[0].event.alert
    assert alert == Alert(at(began), None, (Alert(at(0), at(30)),) * earlier)


def test_rain_lasts_90_minutes_on_two_providers():
    def rain(last, value=25):
        return [r for n in (0, 30, 60, last) for name in ("imd", "skymet")
                for r in [reading("rain_mm_h", value, n, provider=name)]]  # fmt: skip

    assert evaluate(JUGAAD, "rain", rain(90, 24.99)) == []
    assert evaluate(JUGAAD, "rain", rain(90 - MS)) == []
    assert evaluate(JUGAAD, "rain", rain(90 + MS)) == []  # a gap of 30 min and a millisecond breaks the run
    assert span(evaluate(JUGAAD, "rain", rain(90))) == (at(0), at(90))


@pytest.mark.parametrize(
    ("value", "quality", "confirmed"), [(400, "official", True), (399, "official", False), (400, "secondary", False)]
)
def test_aqi_lasts_3_hours_on_one_official_or_two(value, quality, confirmed):
    assert bool(evaluate(JUGAAD, "aqi", every(60, 4, "aqi", value, quality=quality))) == confirmed
    two = every(60, 4, "aqi", value, quality=quality, provider="aqicn") + every(60, 4, "aqi", value, quality=quality)
    assert bool(evaluate(JUGAAD, "aqi", two)) == (value == 400)


def curfews(minutes=0.0, value=1, **fields):
    return [reading("curfew", value, minutes, provider=name, **fields) for name in ("gov", "news", "police")]


@pytest.mark.parametrize(("drop", "confirmed"), [(0.65, True), (0.6499, False)])
def test_a_bandh_is_three_providers_and_the_drop_of_orders(drop, confirmed):
    assert bool(evaluate(JUGAAD, "bandh", curfews(), telemetry_values={0: drop})) == confirmed
    assert evaluate(JUGAAD, "bandh", curfews()[:2], telemetry_values={0: 1.0}) == []
    assert evaluate(JUGAAD, "bandh", curfews()) == []


def test_a_bandh_is_judged_at_curfew_readings_and_once_open_by_them_alone():
    emitted = [*curfews(), *curfews(30), *curfews(60)]
    (confirmed, ended) = evaluate(JUGAAD, "bandh", emitted, telemetry_values={30: 0.7})
    assert (confirmed.event.confirmed_at_ms, ended.event.absent_since_ms) == (at(30), at(25 * 60) + 1)
    (_, ended) = evaluate(JUGAAD, "bandh", curfews(), telemetry_values={0: 0.7})
    assert ended.event.absent_since_ms == at(24 * 60) + 1
    (queried,) = telemetry_queries(JUGAAD.trigger("bandh"), emitted, zones_at(resolution=8))
    assert queried.moments_ms.tolist() == [at(0), at(30), at(60)]


def test_zones_of_which_telemetry_differs_are_apart():
    places = ((LAT, 77.2056), (LAT + 0.02, 77.2056))
    zones = zones_at(*places, resolution=8)
    emitted = {(None, zones.cells.tolist()[0], at(0)): 0.9, (None, zones.cells.tolist()[1], at(0)): 0.1}
    (series,) = evaluate_trigger(JUGAAD.trigger("bandh"), curfews(radius_km=20), zones, telemetry_values=emitted)
    assert series.zones.tolist() == zones.cells.tolist()[:1]


@pytest.mark.parametrize(("value", "last", "confirmed"), [(2.01, 60, True), (2.0, 60, False), (2.01, 60 - MS, False)])
def test_congestion_lasts_an_hour(value, last, confirmed):
    emitted = [reading("travel_time_ratio", value, minutes, provider="osrm") for minutes in (0, 30, last)]
    assert bool(evaluate(JUGAAD, "congestion", emitted)) == confirmed


def reports(minutes, value=500):
    return reading("outage_reports_30m", value, minutes, provider="downdetector", platform="zepto")


@pytest.mark.parametrize(
    ("first", "last", "confirmed"),
    [
        (0, 45, True),
        (0, 45 - MS, False),
        (-60, -15, True),  # 11:00 is in
        (-60 - MS, -15 - MS, False),  # a millisecond before is not
        (135, 180 - MS, False),  # 15:00 is out: no reading 45 min later can be in
        (135 - MS, 180 - MS, True),
        (135, 180, False),
        (360, 405, True),  # 18:00
        (615 - MS, 660 - MS, True),
        (615, 660, False),  # 23:00
        (200, 245, False),
    ],
)  # fmt: skip
def test_the_whole_run_of_an_outage_lies_in_its_hours(first, last, confirmed):
    emitted = [reports(first), reports((first + last) / 2), reports(last)]
    assert bool(evaluate(JUGAAD, "outage", emitted)) == confirmed


def test_once_open_the_hours_no_longer_matter():
    emitted = [reports(100 + 20 * n) for n in range(8)]  # from 13:40 to 16:00
    (confirmed, ended) = evaluate(JUGAAD, "outage", emitted)
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(100), at(160))
    assert ended.event.absent_since_ms == at(270) + 1


def test_readings_outside_the_hours_belong_to_no_run():
    emitted = [reports(minutes) for minutes in (-90, -75, -61, -45, -30, -16)]  # 10:30 to 11:44
    assert evaluate(JUGAAD, "outage", emitted) == []
    assert span(evaluate(JUGAAD, "outage", [*emitted, reports(0)])) == (at(-45), at(0))
