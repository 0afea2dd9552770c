"""Storm files: their strict schema, and that readings say what was published."""

import re

import polars as pl
import pytest

from monsoon.sources.simulator import StormError, available_storms, load_storm, terms
from monsoon.sources.simulator.storm import STORM_FILES
from monsoon.sources.simulator.weather import rain_mm, readings
from monsoon.transforms.documents import Section

HOUR_MS = 3_600_000


def last_word(storm, **where):
    """Readings after their corrections."""
    table = readings(storm).filter(**where)
    return table.sort("revision").group_by("reading_id").last()


def of_place(table, place):
    return table.filter(pl.col("reading_id").str.contains(f"-{place}-"))


@pytest.mark.parametrize("name", available_storms())
def test_every_storm_loads_and_reads(name):
    storm = load_storm(name)
    table = readings(storm)
    assert storm.published.source
    assert table.select("reading_id", "revision").is_unique().all()
    assert (table["issued_time"] >= table["event_time"]).all()
    assert {"official", "secondary", "fallback"} == set(table["quality"])


@pytest.mark.parametrize(
    ("place", "total_mm"),
    [("safdarjung", 228.1), ("lodhi_road", 192.8), ("ridge", 150.4), ("palam", 106.6), ("ayanagar", 66.3)],
)
def test_official_totals_of_delhi_are_the_published_ones(delhi, place, total_mm):
    official = of_place(last_word(delhi, provider="imd", metric="rain_mm_24h"), place)
    at_0830 = official.filter(event_time=delhi.time_ms("2024-06-28 08:30"))
    assert at_0830["value"].to_list() == [total_mm]
    assert official["value"].max() == total_mm


def test_the_published_part_of_safdarjung(delhi):
    times = [delhi.time_ms("2024-06-28 02:30"), delhi.time_ms("2024-06-28 05:30")]
    assert rain_mm(delhi, "safdarjung", *times) == pytest.approx(148.5)


def test_two_providers_pass_75_mm_where_it_rained_and_none_at_ayanagar(delhi):
    table = last_word(delhi, metric="rain_mm_24h").filter(pl.col("value") >= 75, pl.col("quality") != "fallback")
    for place in ("safdarjung", "lodhi_road", "ridge", "palam"):
        assert of_place(table, place)["provider"].n_unique() >= 2
    assert of_place(table, "ayanagar").is_empty()


def test_no_station_of_75_mm_reaches_ayanagar(delhi):
    from monsoon.transforms.geo import sphere

    ayanagar = delhi.places["ayanagar"]
    for name in ("safdarjung", "lodhi_road", "ridge", "palam"):
        place = delhi.places[name]
        apart_m = sphere.distance_m(ayanagar.lat, ayanagar.lon, place.lat, place.lon)
        assert float(apart_m) > 1000 * (ayanagar.radius_km + place.radius_km)


def test_even_first_figures_stay_below_75_at_ayanagar(delhi):
    assert of_place(readings(delhi).filter(metric="rain_mm_24h"), "ayanagar")["value"].max() < 75


def test_gridded_alone_says_14_3_mm(delhi):
    table = readings(delhi, gridded_only=True)
    assert set(table["quality"]) == {"fallback"}
    assert table["value"].max() == 14.3


def test_a_correction_is_the_same_reading_again(delhi):
    corrected = readings(delhi).filter(pl.col("revision") == 1)
    assert corrected.height == len(delhi.modeled.corrections)
    first = readings(delhi).filter(
        pl.col("revision") == 0, pl.col("reading_id").is_in(corrected["reading_id"].to_list())
    )
    assert first.height == corrected.height
    assert (corrected.sort("reading_id")["value"] != first.sort("reading_id")["value"]).all()


def test_chennai_rain_is_imergs(shared):
    """The 48 h that the storm file lists, added up from the file they come from."""
    storm = load_storm("chennai-2015-12-01")
    source = pl.read_csv(shared / "data/rainfall/chennai_imerg_halfhourly_20151128_1204.csv").with_columns(
        pl.col("timestamp").str.to_datetime("%m/%d/%Y %H:%M")
    )
    start_ms = storm.time_ms("2015-11-30 05:30")
    table = source.filter(pl.col("timestamp").dt.epoch("ms").is_between(start_ms, start_ms + 48 * HOUR_MS - 1))
    known = [value for value in storm.published.series["imerg"].mm_h if value is not None]
    assert known == pytest.approx(table["rainfall_mm"].to_list(), abs=0.006)


def test_smog_is_the_embassys(shared):
    storm = load_storm("delhi-2019-11-02-smog")
    source = pl.read_csv(shared / "data/airquality/us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz")
    table = source.filter(
        pl.col("ts_local_ist_hour_ending").is_between(pl.lit("2019-11-01 04:00"), pl.lit("2019-11-02 23:00"))
    )
    known = [value for value in storm.published.series["embassy"].ug_m3 if value is not None]
    assert known == table.filter(pl.col("pm25_raw_ugm3") >= 0)["pm25_raw_ugm3"].to_list()


def storm_text(delhi_text, old, new):
    assert old in delhi_text
    return delhi_text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("utc_offset_min: 330", "utc_offset_min: 330\nwind: strong", "wind"),
        ("delay_min: 12", "delay_minutes: 12", "delay_minutes"),
        ("ridge: ridge", "ridge: nowhere", "modeled.feeds[0].at"),
        ("place: palam, struck", "place: nowhere, struck", "modeled.riders.districts[3].place"),
        ("start: 2024-06-27 21:30", "start: 2024-06-27T21:30", "modeled.riders"),
        ("start: 2024-06-27 21:30", "start: 2024-06-29 21:30", "start is not before end"),
        ("mm: 228.1", "mm: much", "published.series"),
        ("{start: 2024-06-27 20:30", "{start: [2024-06-27 20:30", "not YAML"),
    ],
)
def test_a_wrong_storm_file_is_told_by_file_and_key(root, old, new, says):
    text = (root / "storms/delhi-2024-06-28.yaml").read_text()
    with pytest.raises(StormError) as told:
        STORM_FILES.parse(storm_text(text, old, new), where="mine.yaml")
    assert re.match(r"mine\.yaml:\d+: ", str(told.value))
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("pace: 0.6,", "pace: 1.5,", "pace"),
        ("districts: [Mayur Vihar, Safdarjung, Pragati Maidan]", "districts: [Atlantis]", "hindrances[0].districts"),
        ("pace: 0.6,", "platform: uber,", "modeled.hindrances[1].platform"),
        ("pace: 0.6,", "offline: 0.7, silent: 0.7,", "modeled.hindrances[1]: offline and silent"),
        ("end: 2024-07-31 21:45, pace", "end: 2024-07-31 18:15, pace", "hindrances[1]: start is not before end"),
        ("size: 56", "size: 0", "syndicates"),
        ("district: Mayur Vihar}", "district: Atlantis}", "modeled.riders.syndicates[0].district"),
        ("homes: 1,", "homes: 1, platform: uber,", "modeled.riders.syndicates[0].platform"),
        ("to: monthly_pro", "to: lifetime", "modeled.policies[1].upgrade.to"),
        ("states: [shift_baseline, orders]", "states: [shoe_size]", "states"),
        ("standard: {premium_inr: 39}", "standard: {premium: 39}", "premium"),
        ("first: 112.5", "first: 112.5, off_by: 40", "modeled.corrections[0]: give either"),
        ("first: 112.5,", "", "modeled.corrections[0]: give either"),
        ("issued: 2024-07-31 22:10", "issued: 2024-07-31 18:10", "modeled.corrections[0].issued: start is not"),
        ("[[2024-07-31 15:00, 1.05], [2024-07-31 17:30", "[[2024-07-31 17:40, 1.05], [2024-07-31 17:30",
         "series.jams.points[1]: start is not"),
        ("metric: travel_time_ratio\n      ev", "metric: outage_reports_30m\n      ev", '"platform" is missing'),
        ("metric: travel_time_ratio\n      ev", "metric: wind_kmh\n      ev", '"jams" is travel_time_ratio'),
        ("provider: skymet", "provider: imd", 'imd reports rain_mm_h at "mayur_vihar" twice'),
        ("gaps: [{start: 2024-07-31 19:30", "gaps: [{start: 2024-07-31 22:30", "modeled.feeds[2].gaps[0]"),
        ("place: mayur_vihar, day: 2024-07-31, amount_inr: 2500", "place: atlantis, day: 2024-07-31, amount_inr: 2500",
         "modeled.reserves[0].place"),
        ("day: 2024-07-31, amount_inr: 2500", "day: today, amount_inr: 2500", "reserves[0].day"),
        ("amount_inr: 2500, time: 2024-07-31 00:00", "amount_inr: 2500, time: noon", "modeled.reserves[0]"),
    ],
)  # fmt: skip
def test_wrong_terms_of_riders_policies_and_providers_are_told(root, old, new, says):
    text = (root / "storms/delhi-2024-07-31-cloudburst.yaml").read_text()
    with pytest.raises(StormError) as told:
        STORM_FILES.parse(storm_text(text, old, new), where="mine.yaml")
    assert says in str(told.value)


def test_every_fault_of_a_storm_file_is_told_at_its_line(root):
    text = (root / "storms/delhi-2024-06-28.yaml").read_text()
    text = text.replace("delay_min: 12", "delay_minutes: 12", 1).replace("mm: 228.1", "mm: much", 1)
    lines = text.splitlines()
    with pytest.raises(StormError) as told:
        STORM_FILES.parse(text.encode(), where="mine.yaml")
    rain, delay = (next(i for i, line in enumerate(lines, 1) if each in line) for each in ("mm: much", "delay_minutes"))
    first, second = told.value.faults
    assert first.startswith(f"mine.yaml:{rain}: published.series.")
    assert first.endswith("a number is wanted here")
    assert second.startswith(f"mine.yaml:{delay}: modeled.feeds[")
    assert second.endswith('unknown field "delay_minutes"; did you mean "delay_min"?')
    assert f"And 1 more: line {delay}: modeled.feeds[" in str(told.value)


def test_an_unknown_storm_names_those_there_are():
    with pytest.raises(StormError, match="delhi-2024-06-28"):
        load_storm("atlantis")
    with pytest.raises(StormError, match="no such storm file"):
        load_storm("atlantis.yaml")


def test_a_correction_needs_its_reading(root):
    text = (root / "storms/delhi-2024-06-28.yaml").read_text()
    storm = STORM_FILES.parse(
        storm_text(text, "time: 2024-06-28 05:30, first", "time: 2024-06-28 05:31, first"), where="x"
    )
    with pytest.raises(StormError, match="corrections"):
        readings(storm)


def test_the_page_on_storm_files_has_every_storm_and_key(root):
    """docs/storms.md: a row a storm that says what it shows, and each key of the sections in backticks."""
    page = (root / "docs/storms.md").read_text()
    for name in available_storms():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        for product, triggers in load_storm(name).shows.items():
            assert product in row
            assert all(trigger in row for trigger in triggers)
    keys = {key for section in vars(terms).values() if isinstance(section, type) for key in fields_of(section)}
    assert len(keys) > 70
    assert {key for key in keys if f"`{key}`" not in page and f".{key}`" not in page} == set()


def fields_of(section):
    return section.__struct_fields__ if issubclass(section, Section) else ()
