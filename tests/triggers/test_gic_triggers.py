"""GIC's rain: zones with a threshold of their own, and the rain while it lasts."""

from dataclasses import replace

import h3.api.basic_int as h3
import pytest
from kit import LAT, LON, at, evaluate, product_of, reading, zones_at

from monsoon.transforms.product import Comparison
from monsoon.transforms.triggers.evaluate import evaluate_trigger

GIC = product_of("gic")


def rain(value, minutes, name="imd", quality="official", **fields):
    return reading("rain_mm_h", value, minutes, provider=name, quality=quality, **fields)


@pytest.mark.parametrize(
    ("value", "quality", "confirmed"), [(15, "official", True), (14.99, "official", False), (60, "fallback", False)]
)
def test_one_provider_at_the_threshold(value, quality, confirmed):
    assert bool(evaluate(GIC, "rain", [rain(value, 0, quality=quality)])) == confirmed


def test_a_zone_may_have_a_threshold_of_its_own():
    here, there = h3.latlng_to_cell(LAT, LON, 7), h3.latlng_to_cell(LAT + 0.06, LON, 7)
    trigger = replace(GIC.trigger("rain"), zone_breaches={h3.int_to_str(there): Comparison(">=", 12.0)})
    zones = zones_at((LAT, LON), (LAT + 0.06, LON), resolution=7)
    emitted = [rain(13, 0, radius_km=30), rain(16, 10, radius_km=30)]
    found = {series.zones.tolist()[0]: series for series in evaluate_trigger(trigger, emitted, zones)}
    assert {zone: series.revisions[0].event.confirmed_at_ms for zone, series in found.items()} == {
        here: at(10), there: at(0),
    }  # fmt: skip
    assert {id(series.trigger) for series in found.values()} == {id(trigger)}


def test_the_rain_of_any_quality_is_told_in_time_and_without_a_record():
    emitted = [rain(16, 0), rain(40, 5, "grid", "fallback"), rain(16, 10), rain(9, 20), rain(18, 30), rain(5, 40)]
    revisions = evaluate(GIC, "rain", emitted)
    emitted = [((r.at_ms - at(0)) / 60_000, r.revision, r.state, r.silent) for r in revisions]
    assert emitted == [
        (0, 0, "confirmed", False), (5, 0, "confirmed", True),
        (20, 0, "confirmed", True),  # it may have ended
        (30, 0, "confirmed", True),  # it has not
        (35 + 1 / 60_000, 0, "confirmed", True),  # grid has gone stale
        (40, 0, "confirmed", True), (100, 1, "ended", False),
    ]  # fmt: skip
    assert revisions[2].event.absent_since_ms == at(20)
    last = revisions[-1].event
    assert last.values == ((at(0), 16.0), (at(5), 40.0), (at(20), 0.0), (at(30), 40.0), (at(35) + 1, 18.0))
    assert (last.absent_since_ms, revisions[-2].event.values[-1]) == (at(40), (at(40), 0.0))


def test_a_correction_tells_the_whole_trace_again():
    emitted = [rain(16, 0), rain(30, 10, reading_id="r")]
    corrected = rain(20, 10, reading_id="r", revision=1, issued_time=at(300))
    *_, ended, again = evaluate(GIC, "rain", [*emitted, corrected])
    assert (ended.event.values, ended.silent) == (((at(0), 16.0), (at(10), 30.0)), False)
    assert (again.event.values, again.silent, again.state) == (((at(0), 16.0), (at(10), 20.0)), True, "ended")
    assert (again.at_ms, again.revision) == (at(300), ended.revision)
