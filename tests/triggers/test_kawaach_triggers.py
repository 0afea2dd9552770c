"""Every rule and worked vector of the specification's trigger section for kawaach, through the product file."""

import pytest
from kit import LAT, MINUTE_MS, at, evaluate, kawaach, reading, zones_at

from monsoon.transforms.triggers.evaluate import evaluate_trigger

PROVIDERS = (("imd", "official"), ("openweather", "secondary"), ("skymet", "secondary"))
KAWAACH = kawaach()


def three(metric, values, minutes=0.0, **fields):
    return [
        reading(metric, value, minutes, provider=provider, quality=quality, **fields)
        for (provider, quality), value in zip(PROVIDERS, values, strict=True)
    ]


def final(revisions):
    return {revision.event.start_ms: revision for revision in revisions}


@pytest.mark.parametrize(
    ("values", "level", "severity"),
    [((60, 70, 74), None, None), ((75, 80, 70), "partial", 75), ((101, 125, 85), "full", 101)],
)
def test_rain_vectors(values, level, severity):
    revisions = evaluate(KAWAACH, "rain", three("rain_mm_24h", values))
    if level is None:
        assert revisions == []
    else:
        assert (revisions[0].event.level, revisions[0].event.severity) == (level, severity)


@pytest.mark.parametrize(("values", "confirmed"), [((45, 58, 59), False), ((60, 65, 50), True)])
def test_wind_vectors(values, confirmed):
    readings = three("wind_kmh", values, 0) + three("wind_kmh", values, 30)
    revisions = evaluate(KAWAACH, "wind", readings)
    assert bool(revisions) == confirmed
    if confirmed:
        assert revisions[0].event.severity == 60
        assert (revisions[0].event.start_ms, revisions[0].event.confirmed_at_ms) == (at(0), at(30))


def test_wind_must_last_its_30_minutes():
    assert evaluate(KAWAACH, "wind", three("wind_kmh", (60, 65, 50), 0) + three("wind_kmh", (60, 65, 50), 29.99)) == []


def test_aqi_is_strictly_above_300_for_3_hours_on_two_providers():
    def hourly(value, hours=4):
        return [r for hour in range(hours) for r in three("aqi", (value, value, 10), 60 * hour)]

    assert evaluate(KAWAACH, "aqi", hourly(300)) == []
    assert evaluate(KAWAACH, "aqi", hourly(301, hours=3)) == []
    (confirmed, ended) = evaluate(KAWAACH, "aqi", hourly(301))
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(0), at(180))
    assert confirmed.event.providers == ("imd", "openweather")
    assert ended.state == "ended"


def test_a_lower_reading_in_between_breaks_the_run():
    values = (310, 290, 310, 310, 310)
    readings = [r for hour, value in enumerate(values) for r in three("aqi", (value, value, 0), 60 * hour)]
    assert evaluate(KAWAACH, "aqi", readings) == []


@pytest.mark.parametrize(("gap_ms", "confirmed"), [(90 * MINUTE_MS, True), (90 * MINUTE_MS + 1, False)])
def test_neighbors_of_a_run_are_at_most_max_gap_apart(gap_ms, confirmed):
    gap = gap_ms / MINUTE_MS
    readings = [r for minutes in (0, gap, 2 * gap) for r in three("aqi", (310, 310, 0), minutes)]
    assert bool(evaluate(KAWAACH, "aqi", readings)) == confirmed


def test_a_curfew_needs_an_official_voice():
    assert evaluate(KAWAACH, "curfew", [reading("curfew", 1, 0, provider="news", quality="secondary")]) == []
    assert evaluate(KAWAACH, "curfew", [reading("curfew", 1, 0, provider="cache", quality="fallback")]) == []
    assert evaluate(KAWAACH, "curfew", [reading("curfew", 1, 0)])[0].event.start_ms == at(0)


def test_fallback_readings_corroborate_but_never_confirm_alone():
    def fallback(provider):
        return reading("rain_mm_24h", 120, 0, provider=provider, quality="fallback")

    assert evaluate(KAWAACH, "rain", [fallback("grid"), fallback("model"), fallback("cache")]) == []
    official = reading("rain_mm_24h", 80, 0)
    (confirmed, _) = evaluate(KAWAACH, "rain", [fallback("grid"), official])
    assert (confirmed.event.level, confirmed.event.severity) == ("partial", 80)


def test_an_outage_concerns_each_platform_by_itself():
    readings = [
        reading("platform_down", 1, minutes, provider="webhook", platform=platform)
        for minutes, platform in ((0, "zepto"), (120, "zepto"), (0, "blinkit"), (119, "blinkit"))
    ]
    (series,) = evaluate_trigger(KAWAACH.trigger("platform_downtime"), readings, zones_at())
    assert series.platform == "zepto"
    assert series.revisions[0].event.start_ms == at(0)


@pytest.mark.parametrize(("age_ms", "fresh"), [(90 * MINUTE_MS, True), (90 * MINUTE_MS + 1, False)])
def test_a_reading_exactly_ttl_old_is_still_fresh(age_ms, fresh):
    readings = [
        reading("rain_mm_24h", 80, 0, provider="openweather", quality="secondary"),
        reading("rain_mm_24h", 80, age_ms / MINUTE_MS),
    ]
    assert bool(evaluate(KAWAACH, "rain", readings)) == fresh


def test_a_disruption_ends_60_minutes_after_the_breach_was_last_there():
    readings = three("rain_mm_24h", (80, 80, 0), 0) + three("rain_mm_24h", (70, 70, 0), 30)
    (_, ended) = evaluate(KAWAACH, "rain", readings)
    assert (ended.event.absent_since_ms, ended.event.end_ms, ended.at_ms) == (at(30), at(90), at(90))


def test_silence_ends_it_too_once_the_readings_are_stale():
    (_, ended) = evaluate(KAWAACH, "rain", three("rain_mm_24h", (80, 80, 0), 0))
    assert ended.event.absent_since_ms == at(90) + 1
    assert ended.event.end_ms == at(150) + 1


@pytest.mark.parametrize(("back_ms", "disruptions"), [(90 * MINUTE_MS - 1, 1), (90 * MINUTE_MS, 2)])
def test_a_breach_back_after_exactly_60_minutes_is_a_new_disruption(back_ms, disruptions):
    readings = (
        three("rain_mm_24h", (80, 80, 0), 0)
        + three("rain_mm_24h", (70, 70, 0), 30)
        + three("rain_mm_24h", (80, 80, 0), back_ms / MINUTE_MS)
    )
    starts = {revision.event.start_ms for revision in evaluate(KAWAACH, "rain", readings)}
    assert len(starts) == disruptions


def test_once_open_it_needs_no_sustained_time():
    gusts = (60, 60, 50, 60)  # calm at minute 60, back at 90: open all the while
    readings = [r for i, value in enumerate(gusts) for r in three("wind_kmh", (value, value, 0), 30 * i)]
    starts = {revision.event.start_ms for revision in evaluate(KAWAACH, "wind", readings)}
    assert starts == {at(0)}


def test_start_is_when_the_consensus_runs_began_not_the_earliest_run():
    readings = [reading("wind_kmh", 70, minutes) for minutes in (0, 25, 50)]
    readings += [reading("wind_kmh", 65, m, provider="skymet", quality="secondary") for m in (10, 25, 50)]
    (confirmed, _) = evaluate(KAWAACH, "wind", readings)
    assert (confirmed.event.start_ms, confirmed.event.confirmed_at_ms) == (at(10), at(50))
    assert confirmed.event.severity == 65


def test_a_start_never_reaches_into_the_previous_disruption():
    windy = [r for minutes in range(0, 61, 30) for r in three("wind_kmh", (70, 70, 0), minutes)]
    calm = three("wind_kmh", (10, 10, 0), 61)
    again = [r for minutes in (62, 92, 121, 151) for r in three("wind_kmh", (70, 70, 0), minutes)]
    events = sorted(final(evaluate(KAWAACH, "wind", windy + calm + again)))
    assert events == [at(0)]  # back within the hour: the same disruption


def test_a_rise_is_a_revision_of_the_same_disruption():
    readings = three("rain_mm_24h", (80, 80, 0), 0) + three("rain_mm_24h", (100, 100, 0), 30)
    revisions = evaluate(KAWAACH, "rain", readings)
    assert [(r.revision, r.state, r.event.level) for r in revisions] == [
        (0, "confirmed", "partial"), (1, "confirmed", "full"), (2, "ended", "full"),
    ]  # fmt: skip
    assert {r.event.start_ms for r in revisions} == {at(0)}


def test_the_level_stays_at_the_highest_reached():
    readings = [
        r for minutes, value in ((0, 110), (30, 80), (60, 76)) for r in three("rain_mm_24h", (value, value, 0), minutes)
    ]
    assert {revision.event.level for revision in evaluate(KAWAACH, "rain", readings)} == {"full"}


def test_the_nearest_place_with_a_fresh_reading_speaks():
    near = {"lat": LAT + 0.001}
    far = {"lat": LAT + 0.03}
    other = [reading("rain_mm_24h", 90, minutes, provider="skymet", quality="secondary") for minutes in (0, 60, 120)]
    disagreeing = [reading("rain_mm_24h", 20, 0, **near), reading("rain_mm_24h", 90, 0, **far)]
    assert evaluate(KAWAACH, "rain", other + disagreeing) == []
    later_far = [reading("rain_mm_24h", 90, 60, **far)]  # speaks once the near one is stale
    (confirmed, _) = evaluate(KAWAACH, "rain", other + disagreeing + later_far)
    assert confirmed.event.confirmed_at_ms == at(90) + 1


def test_of_one_place_and_time_the_later_issued_speaks():
    other = [reading("rain_mm_24h", 90, 0, provider="skymet", quality="secondary")]
    early = reading("rain_mm_24h", 90, 0, reading_id="b", issued_time=at(1))
    late = reading("rain_mm_24h", 20, 0, reading_id="a", issued_time=at(2))
    assert evaluate(KAWAACH, "rain", [*other, early, late]) == []


def test_a_reading_from_the_future_waits_for_its_event_time():
    readings = three("rain_mm_24h", (80, 80, 0), 0) + three("rain_mm_24h", (10, 10, 0), 600, issued_time=at(-600))
    (confirmed, ended) = evaluate(KAWAACH, "rain", readings)
    assert confirmed.event.confirmed_at_ms == at(0)
    assert ended.event.end_ms == at(150) + 1
