"""OffShift's five triggers, through the product file."""

import pytest
from kit import LAT, at, evaluate, product_of, reading, zones_at

from monsoon.transforms.triggers.alerts import Alert
from monsoon.transforms.triggers.evaluate import telemetry_queries

OFFSHIFT = product_of("offshift")
MINUTE_MS = 60_000


def hourly(metric, value, hours, **fields):
    return [reading(metric, value, 60 * hour, **fields) for hour in range(hours + 1)]


@pytest.mark.parametrize(("value", "confirmed"), [(65, False), (65.01, True)])
def test_rain_is_above_65_on_two_providers(value, confirmed):
    first, second = reading("rain_mm_h", value, 0), reading("rain_mm_h", 66, 0, provider="skymet", quality="secondary")
    assert bool(evaluate(OFFSHIFT, "rain", [first, second])) == confirmed
    assert evaluate(OFFSHIFT, "rain", [second]) == []


@pytest.mark.parametrize(
    ("trigger", "metric", "below", "above"), [("heat", "temperature_c", 45, 45.1), ("aqi", "aqi", 300, 301)]
)
def test_heat_and_aqi_last_3_hours_on_one_official_or_two(trigger, metric, below, above):
    assert evaluate(OFFSHIFT, trigger, hourly(metric, below, 3)) == []
    assert evaluate(OFFSHIFT, trigger, hourly(metric, above, 2)) == []
    (confirmed, _) = evaluate(OFFSHIFT, trigger, hourly(metric, above, 3))
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(0), at(180))
    unofficial = hourly(metric, above, 3, provider="skymet", quality="secondary")
    assert evaluate(OFFSHIFT, trigger, unofficial) == []
    assert evaluate(OFFSHIFT, trigger, unofficial + hourly(metric, above, 3, provider="grid", quality="fallback"))


def test_a_curfew_is_from_news_and_from_admin():
    news, admin = (reading("curfew", 1, minute, provider=name) for minute, name in ((0, "news"), (30, "admin")))
    assert evaluate(OFFSHIFT, "curfew", [news, reading("curfew", 1, 0, provider="police")]) == []
    (confirmed, _) = evaluate(OFFSHIFT, "curfew", [news, admin, reading("curfew", 1, 0, provider="police")])
    assert (confirmed.event.confirmed_at_ms, confirmed.event.severity) == (at(30), 1)


def test_of_news_and_admin_one_at_least_is_not_fallback():
    cached = [reading("curfew", 1, 0, provider=name, quality="fallback") for name in ("news", "admin")]
    assert evaluate(OFFSHIFT, "curfew", [*cached, reading("curfew", 1, 0, provider="police")]) == []
    assert evaluate(OFFSHIFT, "curfew", [cached[0], reading("curfew", 1, 0, provider="admin", quality="secondary")])


def reports(value, minutes, **fields):
    return reading("outage_reports_30m", value, minutes, provider="downdetector", platform="zepto", **fields)


@pytest.mark.parametrize(("value", "quorum", "confirmed"), [(500, 40, True), (499, 40, False), (500, 39.99, False)])
def test_an_outage_needs_reports_and_the_quorum_at_the_same_moment(value, quorum, confirmed):
    assert bool(evaluate(OFFSHIFT, "outage", [reports(value, 0)], telemetry_values={0: quorum})) == confirmed


def test_a_quorum_a_millisecond_off_is_none_and_once_open_the_reports_decide():
    emitted = [reports(600, 20 * step) for step in range(4)]
    assert evaluate(OFFSHIFT, "outage", emitted, telemetry_values={1 / MINUTE_MS: 45, 19.9: 45}) == []
    (confirmed, ended) = evaluate(OFFSHIFT, "outage", emitted, telemetry_values={20: 45})
    assert (confirmed.event.confirmed_at_ms, ended.event.absent_since_ms) == (at(20), at(90) + 1)


def test_the_quorum_matters_at_every_moment_at_which_the_reports_breach():
    near, far = {"lat": LAT, "radius_km": 30}, {"lat": LAT + 0.01, "radius_km": 30}
    emitted = [reports(600, 0, **near), reports(100, 5, **near), reports(700, 6, **far)]
    corrected = reports(550, 5, **near, reading_id=emitted[1].reading_id, revision=1, issued_time=at(90))
    zones = zones_at(resolution=OFFSHIFT.zone_resolution)
    (queried,) = telemetry_queries(OFFSHIFT.trigger("outage"), emitted, zones)
    near_is_stale_ms = at(35) + 1
    assert (queried.platform, queried.moments_ms.tolist()) == ("zepto", [at(0), near_is_stale_ms])
    (queried,) = telemetry_queries(OFFSHIFT.trigger("outage"), [*emitted, corrected], zones)
    assert queried.moments_ms.tolist() == [at(0), at(5), at(6), near_is_stale_ms]


def alert_at(confirmed, *flags):
    emitted = [
        reading("red_alert", value, minutes, provider=name, issued_time=at(issued))
        for name, value, minutes, issued in flags
    ]
    rain = [reading("rain_mm_h", 70, confirmed, provider=name) for name in ("imd", "skymet")]
    return evaluate(OFFSHIFT, "rain", [*emitted, *rain])[0].event.alert


def test_the_alert_of_a_disruption_is_the_last_that_began_by_its_confirmation():
    assert alert_at(60) is None
    assert alert_at(60, ("imd", 1, 61, 61)) is None
    assert alert_at(60, ("imd", 1, 60, 58)) == Alert(at(58), None)
    assert alert_at(60, ("imd", 1, 0, 1), ("imd", 1, 30, 31)) == Alert(at(1), None)
    assert alert_at(60, ("imd", 1, 0, 1), ("imd", 0, 30, 31)) == Alert(at(1), at(30))
    assert alert_at(60, ("imd", 1, 0, 1), ("imd", 0, 30, 31), ("imd", 1, 40, 42)) == Alert(at(42), None)
    assert alert_at(60, ("imd", 1, 0, 1), ("ndma", 1, 20, 20), ("imd", 0, 30, 31)) == Alert(at(1), None)


@pytest.mark.parametrize(("age_ms", "ended"), [(24 * 3_600_000, False), (24 * 3_600_000 + 1, True)])
def test_an_alert_holds_24_hours_without_a_reading(age_ms, ended):
    known = alert_at(age_ms / MINUTE_MS, ("imd", 1, 0, 0))
    assert known == Alert(at(0), at(0) + age_ms if ended else None)


def test_a_corrected_alert_is_told_by_a_revision():
    rain = [reading("rain_mm_h", 70, 60, provider=name) for name in ("imd", "skymet")]
    flag = reading("red_alert", 1, 50, reading_id="flag")
    taken_back = reading("red_alert", 0, 50, reading_id="flag", revision=1, issued_time=at(70))
    revisions = evaluate(OFFSHIFT, "rain", [*rain, flag, taken_back])
    assert [(r.revision, r.state, r.event.alert) for r in revisions] == [
        (0, "confirmed", Alert(at(50), None)), (1, "confirmed", None), (2, "ended", None),
    ]  # fmt: skip
