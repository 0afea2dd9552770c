"""What a storm file may say of providers: rhythms, gaps, disagreement, platforms, areas, corrections of corrections."""

import polars as pl
import pytest
from msgspec.structs import replace

from monsoon.sources.simulator import StormError, load_storm
from monsoon.sources.simulator.terms import Correction, Curve, Feed, Period, Steps
from monsoon.sources.simulator.weather import readings


@pytest.fixture(scope="module")
def heat():
    return load_storm("delhi-2024-05-29-heat")


def saying(storm, feeds, series=None, corrections=()):
    """The storm with these feeds alone."""
    modeled = replace(
        storm.modeled, feeds=tuple(feeds), series=storm.modeled.series | (series or {}), corrections=tuple(corrections)
    )
    return replace(storm, modeled=modeled)


def feed(series, **terms):
    return Feed(
        **({"provider": "p", "quality": "official", "metric": "temperature_c", "at": {"najafgarh": series}} | terms)
    )


def test_published_maxima_are_reported_exactly(heat):
    """52.9 C first, 49.9 after the correction; 49.1 and 45.2 C elsewhere."""
    table = readings(heat).filter(provider="imd", metric="temperature_c")
    first, last = (table.group_by("reading_id").agg(pl.col("value").sort_by("revision").get(i)) for i in (0, -1))
    for name, place in (("mungeshpur", "mungeshpur"), ("highest", "najafgarh"), ("lowest", "safdarjung")):
        ((_, published),) = heat.series[f"{name}_maximum"].points
        assert last.filter(pl.col("reading_id").str.contains(place))["value"].max() == published
    assert first["value"].max() == 52.9


def test_the_correction_comes_three_days_late(heat):
    corrected = readings(heat).filter(pl.col("revision") == 1)
    assert set(corrected["issued_time"]) == {heat.time_ms("2024-06-01 17:00")}
    assert corrected["event_time"].max() == heat.time_ms("2024-05-29 18:30")
    assert corrected.height == 18


def test_a_curve_is_straight_between_its_points_and_unknown_outside(heat):
    curve = Curve(metric="temperature_c", points=(("2024-05-29 10:00", 30.0), ("2024-05-29 12:00", 40.0)))
    table = readings(saying(heat, [feed("c", every_min=30)], {"c": curve}))
    assert table["value"].to_list() == [30.0, 32.5, 35.0, 37.5, 40.0]
    assert table["event_time"].min() == heat.time_ms("2024-05-29 10:00")


def test_steps_hold_until_the_next_where_a_feed_has_a_rhythm(heat):
    steps = Steps(metric="curfew", points=(("2024-05-29 10:10", 1.0), ("2024-05-29 12:10", 0.0)))
    table = readings(saying(heat, [feed("c", every_min=60, metric="curfew")], {"c": steps}))
    assert table["value"].to_list()[:4] == [1, 1, 0, 0]
    assert table["event_time"].min() == heat.time_ms("2024-05-29 11:00")
    assert readings(saying(heat, [feed("c", metric="curfew")], {"c": steps}))["value"].to_list() == [1, 0]


def test_a_provider_is_silent_in_its_gaps_and_disagrees_by_gain_and_bias(heat):
    gap = Period(start="2024-05-29 12:00", end="2024-05-29 13:00")
    plain = readings(saying(heat, [feed("najafgarh", every_min=30)]))
    table = readings(saying(heat, [feed("najafgarh", every_min=30, gaps=(gap,), gain=0.9, bias=-0.5)]))
    times = [heat.time_ms(f"2024-05-29 {clock}") for clock in ("12:00", "12:30")]
    assert plain.height - table.height == 2
    assert not table["event_time"].is_in(times).any()
    joined = table.join(plain, on="event_time")
    assert ((joined["value"] - (0.9 * joined["value_right"] - 0.5)).abs() < 0.1).all()


def test_a_platform_is_named_and_keeps_readings_apart():
    storm = load_storm("mumbai-2025-10-20-outage")
    table = readings(storm)
    assert table["reading_id"].is_unique().all()
    assert table["platform"].null_count() == 0
    per_platform = table.filter(provider="downdetector").group_by("platform").len()
    assert dict(per_platform.rows()) == {"swiggy": 73, "zomato": 73}


def test_a_border_and_a_cell_stand_in_place_of_the_disc():
    table = readings(load_storm("bengaluru-2020-03-22-curfew"))
    areas = table.select((~pl.col(name).is_null()).alias(name) for name in ("lat", "h3", "wkt"))
    assert (areas.sum_horizontal() == 1).all()
    assert set(table.filter(provider="admin")["wkt"]) == {load_storm("bengaluru-2020-03-22-curfew").places["city"].wkt}
    assert set(table.filter(provider="police")["h3"]) == {"8461893ffffffff"}
    assert table.filter(provider="police")["lat"].null_count() == table.filter(provider="police").height


def test_a_correction_is_corrected_again(heat):
    slips = [
        Correction(
            provider="p",
            metric="temperature_c",
            place="najafgarh",
            time="2024-05-29 14:30",
            first=first,
            issued=f"2024-05-29 {issued}",
        )
        for first, issued in ((60.0, "18:00"), (20.0, "16:00"))
    ]
    table = readings(saying(heat, [feed("najafgarh", every_min=30)], corrections=slips))
    mine = table.filter(event_time=heat.time_ms("2024-05-29 14:30"))
    assert mine.select("revision", "value").rows() == [(0, 20.0), (1, 60.0), (2, 49.1)]
    assert mine["issued_time"].to_list()[1:] == [heat.time_ms(f"2024-05-29 {clock}") for clock in ("16:00", "18:00")]


def test_a_correction_of_nothing_is_an_error(heat):
    slip = Correction(
        provider="p",
        metric="temperature_c",
        place="najafgarh",
        time="2024-05-29 14:31",
        off_by=1,
        issued="2024-05-30 10:00",
    )
    with pytest.raises(StormError, match="to correct at that time"):
        readings(saying(heat, [feed("najafgarh", every_min=30)], corrections=[slip]))
