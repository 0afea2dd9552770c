"""Oracle modes in each disruption: fresh, stale, conflict, outage, as of the revision or the end."""

import pytest
from kit import at, evaluate, kawaach, product_of, reading

from monsoon.transforms.triggers.conditions import SeriesRules
from monsoon.transforms.triggers.event_detector import EventDetector

KAWAACH, JUGAAD = kawaach(), product_of("jugaad")
MS = 1 / 60_000
DAY = 24 * 60


def rain(value, minutes, name="imd", **fields):
    return reading("rain_mm_24h", value, minutes, provider=name, **fields)


@pytest.mark.parametrize(
    ("minutes", "mode"),
    [(0, "fresh"), (90, "fresh"), (90 + MS, "stale"), (DAY, "stale"), (DAY + MS, "outage")],
)
def test_the_age_of_the_newest_reading_decides(minutes, mode):
    detector = EventDetector(SeriesRules.of(KAWAACH.trigger("rain")))
    detector.observe(0, rain(10, 0))
    list(detector.run(at(minutes)))
    assert detector.modes(at(minutes)) == (("rain_mm_24h", mode),)


def test_nothing_heard_is_an_outage():
    assert EventDetector(SeriesRules.of(KAWAACH.trigger("rain"))).modes(at(0)) == (("rain_mm_24h", "outage"),)


def test_fresh_providers_on_both_sides_of_the_mildest_threshold_conflict():
    emitted = [rain(80, 0), rain(120, 0, "skymet"), rain(74.9, 0, "openweather")]
    assert evaluate(KAWAACH, "rain", emitted)[0].event.modes == (("rain_mm_24h", "conflict"),)
    emitted[2] = rain(75, 0, "openweather")  # between the levels, but on one side
    assert evaluate(KAWAACH, "rain", emitted)[0].event.modes == (("rain_mm_24h", "fresh"),)
    stale = rain(20, -91, "openweather")
    assert evaluate(KAWAACH, "rain", [*emitted, stale])[0].event.modes == (("rain_mm_24h", "fresh"),)


def test_a_disruption_that_ended_tells_of_its_end_and_one_that_is_withdrawn_of_that_moment():
    emitted = [rain(80, 0), rain(80, 0, "skymet", reading_id="s")]
    (confirmed, ended) = evaluate(KAWAACH, "rain", emitted)
    assert (confirmed.event.modes[0][1], ended.event.modes[0][1]) == ("fresh", "stale")
    much_later = rain(20, 0, "skymet", reading_id="s", revision=1, issued_time=at(3 * DAY))
    *_, withdrawn = evaluate(KAWAACH, "rain", [*emitted, much_later])
    assert (withdrawn.state, withdrawn.event.modes[0][1]) == ("withdrawn", "outage")


def test_every_metric_of_the_trigger_has_its_mode_and_the_alert_of_another_rule_has_none():
    hot = [
        reading("heat_index_c", value, 60 * n, provider=name)
        for n in range(3)
        for name, value in (("imd", 45), ("x", 40))
    ]
    (confirmed, _) = evaluate(JUGAAD, "heat", [*hot, reading("red_alert", 1, 0)])
    assert confirmed.event.modes == (("heat_index_c", "conflict"), ("red_alert", "fresh"))
    rain_only = [reading("rain_mm_h", 30, n, provider=name) for n in (0, 30, 60, 90) for name in ("imd", "x")]
    (confirmed, _) = evaluate(JUGAAD, "rain", [*rain_only, reading("red_alert", 1, 0)])
    assert confirmed.event.modes == (("rain_mm_h", "fresh"),)


def test_a_change_of_mode_alone_is_no_revision():
    emitted = [rain(80, 0), rain(80, 0, "skymet"), rain(20, 10, "x", reading_id="x")]
    corrected = rain(90, 10, "x", reading_id="x", revision=1, issued_time=at(20))
    assert len(evaluate(KAWAACH, "rain", [*emitted, corrected])) == len(evaluate(KAWAACH, "rain", emitted)) == 2
