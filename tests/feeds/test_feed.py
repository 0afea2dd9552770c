"""A provider's raw feed into readings: clocks, scales, units, corrections, and rows that are none."""

import gzip
import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.examples import examples
from kit.hostile import HOSTILE

from monsoon.cli.main import main
from monsoon.sources.feeds.readings import read_feed
from monsoon.sources.feeds.rows import CPCB_HIGHEST, Place
from monsoon.sources.files import InputError
from monsoon.sources.provider_files import (
    MAX_RADIUS_KM,
    ProviderError,
    Scale,
    available_providers,
    load_provider,
    parse_provider,
)
from monsoon.transforms.atmosphere.heat_index import HIGHEST_HEAT_INDEX_C, LOWEST_HEAT_INDEX_C, heat_index_c
from monsoon.transforms.atmosphere.quantities import QUANTITIES
from monsoon.transforms.validation.fields import value_ranges

HERE = Place("Anand Vihar", 28.6469, 77.3160)

AIR = """
name: test_air
provider: test_air
title: a station with corrections
quality: official
clock: {field: time, format: "%Y-%m-%d %H:%M", zone: Asia/Kolkata, stamps: STAMPS, issued: issued}
area: {lat: 28.6, lon: 77.2}
missing: [-999]
quantities:
  - {field: pm25, quantity: pm25, unit: ug/m3, averaged_over: 1 h}
  - {field: pm10, quantity: pm10, unit: ug/m3, averaged_over: 1 h}
  - {field: no2, quantity: no2, unit: ug/m3, averaged_over: 1 h}
  - {field: t, quantity: temperature, unit: C}
  - {field: rh, quantity: relative_humidity, unit: "%"}
"""


def air(stamps="hour_ending"):
    return parse_provider(AIR.replace("STAMPS", stamps).encode(), where="test_air.yaml")


def ist(hour, fmt="%Y-%m-%d %H:%M"):
    """Local time, `hour` hours into 1 June 2024."""
    return (datetime(2024, 6, 1) + timedelta(hours=hour)).strftime(fmt)


def ms(hour):
    """The same in milliseconds since the epoch."""
    moment = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(hours=hour) - timedelta(minutes=330)
    return int(moment.timestamp()) * 1000


def write(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def feed(tmp_path, provider, rows, place=None):
    return read_feed(provider, [write(tmp_path / "feed.jsonl", rows)], place)


def hours(count, **values):
    return [{"time": ist(hour), **values} for hour in range(1, count + 1)]


def accounted(found):
    rows = found.summary["rows"]
    assert rows["read"] == sum(count for name, count in rows.items() if name != "read")
    assert rows["dead"] == len(found.dead_letters)
    return rows


def test_pm25_alone_works_and_says_what_it_is(tmp_path):
    found = feed(tmp_path, air(), hours(24, pm25=130.0))
    assert [reading["event_time"] for reading in found.readings] == [ms(hour) for hour in range(16, 25)]
    assert {reading["value"] for reading in found.readings} == {308.0}, "301 + 9 x 99 / 129"
    assert {reading["aqi_basis"] for reading in found.readings} == {"cpcb_sub_index:pm25"}
    assert accounted(found)["used"] == 24


def test_three_pollutants_make_the_boards_aqi(tmp_path):
    found = feed(tmp_path, air(), hours(16, pm25=45, pm10=351, no2=10))
    (reading,) = found.readings
    assert (reading["value"], reading["aqi_basis"]) == (301.0, "cpcb_aqi")


@pytest.mark.parametrize(("stamps", "later_h"), [("hour_ending", 0), ("moment", 0), ("hour_beginning", 1)])
def test_a_reading_names_the_end_of_its_hour(tmp_path, stamps, later_h):
    found = feed(tmp_path, air(stamps), hours(16, pm25=45))
    assert [reading["event_time"] for reading in found.readings] == [ms(16 + later_h)]


def test_readings_keep_the_contract(tmp_path, root):
    schema = json.loads((root / "contracts/oracle_reading.schema.json").read_text())
    letter = json.loads((root / "contracts/dead_letter.schema.json").read_text())
    found = feed(tmp_path, air(), [*hours(20, pm25=400, t=44.0, rh=30), "nonsense"])
    assert {reading["metric"] for reading in found.readings} == {"aqi", "temperature_c", "heat_index_c"}
    for reading in found.readings:
        jsonschema.validate(reading, schema)
    for dead in found.dead_letters:
        jsonschema.validate(dead, letter)
    hot = next(reading for reading in found.readings if reading["metric"] == "heat_index_c")
    assert hot["value"] == round(float(heat_index_c(44.0, 30)), 1)


def test_a_corrected_hour_revises_every_mean_that_it_is_part_of(tmp_path):
    rows = hours(40, pm25=100)
    correction = {"time": ist(18), "pm25": 820, "issued": ist(60)}
    found = feed(tmp_path, air(), [*rows, correction])
    plain = feed(tmp_path, air(), rows)
    assert [reading for reading in found.readings if not reading["revision"]] == plain.readings
    revised = [reading for reading in found.readings if reading["revision"]]
    assert [reading["event_time"] for reading in revised] == [ms(hour) for hour in range(18, 40 + 1)]
    assert {reading["issued_time"] for reading in revised} == {ms(60)}
    assert {reading["revision"] for reading in revised} == {1}
    ids = {reading["event_time"]: reading["reading_id"] for reading in plain.readings}
    assert all(reading["reading_id"] == ids[reading["event_time"]] for reading in revised)
    mean = (23 * 100 + 820) / 24
    assert revised[-1]["value"] == int(301 + (mean - 121) * 99 / 129 + 0.5)


def test_what_was_corrected_before_is_never_said_otherwise(tmp_path):
    """Hour 10 is corrected at hour 30: readings up to then are revised, later ones begin with the corrected mean."""
    rows = hours(33, pm25=100)
    found = feed(tmp_path, air(), [*rows, {"time": ist(10), "pm25": 820, "issued": ist(30)}])
    said = {(r["event_time"], r["revision"]): r["value"] for r in found.readings}
    before, after = float(int(201 + (100 - 91) * 99 / 29 + 0.5)), 308.0
    assert after == int(301 + ((23 * 100 + 820) / 24 - 121) * 99 / 129 + 0.5)
    assert [said[ms(29), revision] for revision in (0, 1)] == [before, after]
    assert [said[ms(hour), 0] for hour in (30, 31, 33)] == [after] * 3
    assert {time for time, revision in said if revision} == {ms(hour) for hour in range(16, 30)}


def test_a_correction_takes_turns_with_others_and_may_change_nothing(tmp_path):
    rows = [
        {"time": ist(1), "t": 52.9, "rh": 20, "issued": ist(2)},
        {"time": ist(1), "t": 49.9, "issued": ist(70)},
        {"time": ist(1), "t": 49.9, "issued": ist(71)},
        {"time": ist(1), "rh": 25, "issued": ist(72)},
    ]
    found = feed(tmp_path, air(), rows)
    said = [(r["metric"], r["revision"], r["value"], r["issued_time"]) for r in found.readings]
    hot = [round(float(heat_index_c(t, rh)), 1) for t, rh in ((52.9, 20), (49.9, 20), (49.9, 25))]
    assert said == [
        ("heat_index_c", 0, hot[0], ms(2)), ("heat_index_c", 1, hot[1], ms(70)), ("heat_index_c", 2, hot[2], ms(72)),
        ("temperature_c", 0, 52.9, ms(2)), ("temperature_c", 1, 49.9, ms(70)),
    ]  # fmt: skip
    assert found.summary["readings"]["temperature_c"] == {"readings": 1, "corrections": 1}


def test_a_retraction_without_a_value_is_for_people(tmp_path):
    rows = [{"time": ist(1), "t": 52.9, "issued": ist(2)}, {"time": ist(1), "t": -999, "issued": ist(70)}]
    found = feed(tmp_path, air(), [*rows, {"time": ist(2), "t": None}])
    assert [letter["reason"] for letter in found.dead_letters] == ["retracted_without_value"]
    assert accounted(found)["missing"] == 1
    assert [reading["value"] for reading in found.readings] == [52.9]


def test_the_same_rows_in_any_order_and_files_give_the_same(tmp_path):
    rng = random.Random(7)
    rows = [{"time": ist(hour), "pm25": rng.randrange(400), "no2": rng.randrange(300)} for hour in range(60)]
    rows += [{"time": ist(rng.randrange(60)), "pm25": rng.randrange(400), "issued": ist(100 + n)} for n in range(20)]
    rows += [{"time": ist(30), "pm25": value} for value in (1, 2, 3)] + ["{", '{"time": 3}', *map(str, rows[:3])]
    first = feed(tmp_path, air(), rows)
    accounted(first)
    assert any(reading["revision"] > 1 for reading in first.readings)
    for _ in range(3):
        rng.shuffle(rows)
        parts = [write(tmp_path / f"part{part}.jsonl", rows[part::3]) for part in range(3)]
        assert read_feed(air(), parts) == first


def test_of_two_values_at_once_always_the_same_stands(tmp_path):
    rows = [{"time": ist(1), "t": 30.0}, {"time": ist(1), "t": 40.0}, {"t": 30.0, "time": ist(1)}]
    for some in (rows, rows[::-1]):
        found = feed(tmp_path, air(), some)
        assert [reading["value"] for reading in found.readings] == [30.0]
        assert [letter["reason"] for letter in found.dead_letters] == ["conflicting_duplicate"]
        assert accounted(found)["duplicate"] == 1


def test_values_within_the_hour_are_no_hours(tmp_path):
    quarter = [{"time": ist(hour + 0.25), "pm25": 900} for hour in range(1, 10)]
    found = feed(tmp_path, air(), [*hours(16, pm25=45), *quarter])
    assert [(reading["event_time"], reading["value"]) for reading in found.readings] == [(ms(16), 75.0)]
    assert found.summary["dead_letters"] == {"off_the_hour": 9}
    accounted(found)


def test_years_between_two_days_cost_nothing(tmp_path):
    rows = [
        {"time": f"{year}-06-01 {hour:02d}:00", "pm25": 45} for year in (2001, 2024, 2098) for hour in range(20)
    ]  # fmt: skip
    found = feed(tmp_path, air(), rows)
    assert len(found.readings) == 15


OPENAQ = {"location_id": 8118, "location": "New Delhi", "lat": 28.63576, "lon": 77.22445, "parameter": "pm25"}


def test_a_long_feed_with_its_own_offset_and_units(tmp_path):
    stamp = "%Y-%m-%dT%H:%M:00+05:30"
    rows = [{**OPENAQ, "datetime": ist(hour, stamp), "units": "µg/m³", "value": 130} for hour in range(1, 17)]
    rows += [{**OPENAQ, "datetime": ist(1, stamp), "parameter": "relativehumidity", "units": "%", "value": 40}]
    rows += [{**OPENAQ, "datetime": ist(1, stamp), "parameter": "no2", "units": "ppb", "value": 40}]
    found = feed(tmp_path, load_provider("openaq"), rows)
    (reading,) = found.readings
    assert (reading["event_time"], reading["value"], reading["lat"]) == (ms(16), 308.0, 28.63576)
    assert found.summary["dead_letters"] == {"wrong_unit:no2": 1}
    assert accounted(found)["other_quantity"] == 1


def test_a_us_index_is_converted_never_passed_through(tmp_path):
    rows = [
        {"idx": 2556, "time": {"iso": ist(hour, "%Y-%m-%dT%H:%M:00+05:30")}, "city": {"geo": [28.6, 77.2]},
         "aqi": 999, "iaqi": {"pm25": {"v": 200}, "pm10": {"v": 999}}}
        for hour in range(1, 17)
    ]  # fmt: skip
    (reading,) = feed(tmp_path, load_provider("aqicn"), rows).readings
    assert reading["value"] == 324.0, "150.4 ug/m3"
    rows[3]["iaqi"]["pm25"]["v"] = "-"
    assert feed(tmp_path, load_provider("aqicn"), rows).readings == []


def test_by_date_the_epas_table_in_force_is_taken(tmp_path):
    text = AIR[: AIR.index("quantities:")].replace("STAMPS", "hour_ending") + (
        "quantities: [{field: v, quantity: aqi, unit: index, scale: us_epa_by_date, of: pm25, averaged_over: 24 h}]"
    )
    provider = parse_provider(text.encode(), where="x.yaml")
    rows = [{"time": "2024-05-01 12:00", "v": 200}, {"time": "2024-06-01 12:00", "v": 200}]
    assert [reading["value"] for reading in feed(tmp_path, provider, rows).readings] == [324.0, 304.0]


def test_what_goes_beyond_cpcbs_scale_is_on_another(tmp_path):
    text = AIR[: AIR.index("quantities:")].replace("STAMPS", "hour_ending")
    text += "quantities: [{field: v, quantity: aqi, unit: index, scale: cpcb}]"
    provider = parse_provider(text.encode(), where="x.yaml")
    found = feed(tmp_path, provider, [{"time": ist(1), "v": 321}, {"time": ist(2), "v": 560}])
    assert [(r["value"], r["aqi_basis"]) for r in found.readings] == [(321.0, "provider")]
    assert found.summary["dead_letters"] == {"out_of_range:v": 1}


def test_kelvin_and_meters_a_second(tmp_path):
    row = {"dt": ms(1) // 1000, "id": 1, "coord": {"lat": 28.6, "lon": 77.2}, "main": {"temp": 318.15, "humidity": 20},
           "wind": {"speed": 20.0}, "rain": {"1h": 12.5}, "visibility": 80}  # fmt: skip
    found = feed(tmp_path, load_provider("openweather"), [row])
    assert {r["metric"]: r["value"] for r in found.readings} == {
        "temperature_c": 45.0, "heat_index_c": round(float(heat_index_c(45.0, 20)), 1), "wind_kmh": 72.0,
        "rain_mm_h": 12.5, "visibility_m": 80.0,
    }  # fmt: skip
    assert {r["event_time"] for r in found.readings} == {ms(1)}


def test_a_station_of_the_board_by_its_export(tmp_path):
    head = "From Date,To Date,PM2.5 (ug/m3),PM10 (ug/m3),NO2 (ug/m3)"
    stamp = "%d-%m-%Y %H:%M"
    rows = [head, *(f"{ist(hour - 1, stamp)},{ist(hour, stamp)},130,None,12.5" for hour in range(1, 17))]
    path = write(tmp_path / "site.csv", rows)
    (reading,) = read_feed(load_provider("cpcb"), [path], HERE).readings
    assert (reading["value"], reading["lat"], reading["station"]) == (308.0, HERE.lat, "Anand Vihar")
    assert (reading["quality"], reading["aqi_basis"]) == ("official", "cpcb_sub_index:pm25")
    with pytest.raises(ProviderError, match="Say where with --at"):
        read_feed(load_provider("cpcb"), [path])
    with pytest.raises(ProviderError, match="Leave --at out"):
        read_feed(load_provider("us_embassy"), [path], HERE)


BAD_ROWS = {
    "not_json": '{"time"',
    "too_long": json.dumps({"time": "x" * 70_000}),
    "missing_field:time": {"t": 30},
    "bad_time:time": {"time": "yesterday", "t": 30},
    "out_of_range:time": {"time": "1999-12-31 00:00", "t": 30},
    "wrong_type:t": {"time": ist(1), "t": "warm"},
    "out_of_range:t": {"time": ist(1), "t": 318.15},
    "out_of_range:pm25": {"time": ist(1), "pm25": -1},
    "out_of_range:rh": {"time": ist(1), "rh": 1e308},
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_is_a_dead_letter_with_its_reason(tmp_path, reason):
    found = feed(tmp_path, air(), [BAD_ROWS[reason], {"time": ist(2), "t": 31}])
    assert [letter["reason"] for letter in found.dead_letters] == [reason]
    assert [reading["value"] for reading in found.readings] == [31.0]
    accounted(found)


def test_hostile_lines_are_all_accounted_for(tmp_path):
    lines = [line for stream in HOSTILE.values() for line in stream]
    lines += [
        "[" * 30_000,
        '{"a":' * 30_000,
        '{"time": ' + "9" * 5000 + "}",
        '{"t": ' + "9" * 400 + ', "time": "' + ist(1) + '"}',
    ]
    found = feed(tmp_path, air(), lines)
    rows = accounted(found)
    assert rows["read"] == sum(bool(line.strip()) for line in lines)
    assert found.readings == []


@examples(150)
@given(st.binary(max_size=300))
def test_no_bytes_crash_it(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a.jsonl").write_bytes(content)
    (folder / "b.csv").write_bytes(b"time,issued,pm25,t,rh\n" + content)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        with pytest.raises(InputError, match="UTF-16"):
            read_feed(air(), [folder / "a.jsonl"])
        content = b""
        (folder / "a.jsonl").write_bytes(content)
    accounted(read_feed(air(), [folder / "a.jsonl", folder / "b.csv"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
TIMES = st.integers(-3, 40).map(ist) | JSON


@examples(60)
@given(st.lists(st.fixed_dictionaries({}, optional={
    "time": TIMES, "issued": TIMES, "pm25": JSON | st.floats(0, 900), "t": JSON | st.floats(-90, 60), "rh": JSON,
}), max_size=12), st.randoms(use_true_random=False))  # fmt: skip
def test_no_value_crashes_it_and_no_order_changes_it(tmp_path_factory, rows, chance):
    folder = tmp_path_factory.mktemp("values")
    first = feed(folder, air(), rows)
    accounted(first)
    chance.shuffle(rows)
    assert feed(folder, air(), rows) == first


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 400), st.integers(51, 60)), max_size=30))
def test_after_all_corrections_the_readings_are_those_of_the_corrected_hours(tmp_path_factory, corrections):
    """The last revision of each reading is what a feed without mistakes would have said."""
    folder = tmp_path_factory.mktemp("corrections")
    last = {(hour, issued): value for hour, value, issued in corrections}
    rows = [{"time": ist(hour), "pm25": 5 * hour} for hour in range(51)]
    late = [{"time": ist(hour), "pm25": value, "issued": ist(issued)} for (hour, issued), value in last.items()]
    found = feed(folder, air(), rows + late)
    final = {reading["event_time"]: reading["value"] for reading in found.readings}  # in the order of revision
    true = {hour: 5 * hour for hour in range(51)} | {hour: last[hour, issued] for hour, issued in sorted(last)}
    clean = feed(folder, air(), [{"time": ist(hour), "pm25": value} for hour, value in true.items()])
    assert final == {reading["event_time"]: reading["value"] for reading in clean.readings}
    keys = [(reading["reading_id"], reading["revision"]) for reading in found.readings]
    assert len(set(keys)) == len(keys)
    assert {(name, revision - 1) for name, revision in keys if revision} <= set(keys), "revisions count up from 0"


def test_the_command(tmp_path, capsys):
    path = tmp_path / "feed.csv.gz"
    lines = ["time,pm25,t,rh", *(f"{ist(hour)},130,40,30" for hour in range(1, 18)), "x,1,2,3"]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "test_air.yaml").write_text(AIR.replace("STAMPS", "hour_ending"))
    words = ["feed", "--provider", str(tmp_path / "test_air.yaml"), "--input", str(path), "--output"]
    assert main([*words, str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "18 read, 17 used" in shown
    assert "1 bad_time:time" in shown
    out = tmp_path / "out"
    first = (out / "oracle_readings/feed-test_air.jsonl").read_bytes()
    assert len(first.splitlines()) == 2 + 17 + 17
    assert len((out / "dead_letters/feed-test_air.jsonl").read_text().splitlines()) == 1
    assert json.loads((out / "feed-test_air.summary.json").read_text())["rows"]["dead"] == 1
    (out / "oracle_readings/mine.jsonl").write_text("")
    assert main([*words, str(out)]) == 0
    assert (out / "oracle_readings/feed-test_air.jsonl").read_bytes() == first
    assert sorted(p.name for p in out.rglob("*") if p.is_file()) == [
        "feed-test_air.jsonl", "feed-test_air.jsonl", "feed-test_air.summary.json", "mine.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "when,pm25\n", "has no column 'time'"),
        ("a.csv", "time,temp\n", "has no column 'pm25'"),
        ("a.csv", "", "no header"),
        ("a.txt", "", "neither CSV nor JSON"),
        ("a.csv.gz", "no gzip", "damaged gzip"),
    ],
)
def test_a_file_that_is_no_feed(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        read_feed(air(), [tmp_path / name])


def test_every_provider_file_loads_under_its_name():
    assert {"cpcb", "openaq", "aqicn", "us_embassy", "open_meteo"} <= set(available_providers())
    for name in available_providers():
        provider = load_provider(name)
        if name.startswith("open_meteo") or name.endswith("_air"):
            assert provider.quality == "fallback", "modeled"


BROKEN = {
    "an unknown key": ("quality: official", "qualty: official", 'did you mean "quality"'),
    "an unknown choice": ("quality: official", "quality: offical", 'did you mean "official"'),
    "an unknown zone": ("Asia/Kolkata", "Asia/Calcuta", 'did you mean "Asia/Kolkata"'),
    "an unknown stamp": ("STAMPS", "hour_end", 'did you mean "hour_ending"'),
    "an unknown quantity": ("quantity: pm25", "quantity: pm2.5", 'did you mean "pm25"'),
    "a unit of something else": ("unit: C}", "unit: ppb}", "none of temperature's: C, K, F"),
    "a mean over other hours": ("averaged_over: 1 h", "averaged_over: 8 h", "of pm25 it is 1 h or 24 h"),
    "an index without a scale": (
        "field: t, quantity: temperature, unit: C", "field: t, quantity: aqi, unit: index", "aqi without a scale",
    ),
    "a US index of everything": (
        "quantity: temperature, unit: C", "quantity: aqi, unit: index, scale: us_epa_2012", "only if it is that of pm",
    ),
    "a US index of a NowCast": (
        "quantity: temperature, unit: C", "quantity: aqi, unit: index, scale: us_epa_2012, of: pm25", "NowCast",
    ),
    "the same twice": ("quantity: pm10", "quantity: pm25", "pm25 is read twice"),
    "half a place": ("lon: 77.2", "radius_km: 3", "come together"),
    "no pattern": ('"%Y-%m-%d %H:%M"', "local", "clock.format"),
    "no YAML": ("name: test_air", "name: [", "not YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_provider_file_is_told_with_the_right_word(name):
    old, new, words = BROKEN[name]
    assert old in AIR
    broken = AIR.replace(old, new, 1).replace("STAMPS", "hour_ending")
    with pytest.raises(ProviderError, match=rf"test_air\.yaml:\d+: .*{words}"):
        parse_provider(broken.encode(), where="test_air.yaml")


def test_an_unknown_provider_names_the_nearest():
    with pytest.raises(ProviderError, match="Did you mean openaq"):
        load_provider("openaqi")


def test_ranges_are_those_of_the_contract(root):
    """What a feed can make a reading of, readings may say: values, heat indices, radii, providers, times."""
    ranges = value_ranges()
    said = {q.metric: (q.min_value, q.max_value) for q in QUANTITIES.values() if q.metric not in (None, "aqi")}
    assert said == {metric: ranges[metric] for metric in said}
    assert ranges["aqi"] == (0, CPCB_HIGHEST)
    assert ranges["heat_index_c"] == (LOWEST_HEAT_INDEX_C, HIGHEST_HEAT_INDEX_C)
    contract = json.loads((root / "contracts/oracle_reading.schema.json").read_text())["properties"]
    assert contract["radius_km"]["maximum"] == MAX_RADIUS_KM
    ours = json.loads((root / "contracts/provider.schema.json").read_text())["properties"]["provider"]["pattern"]
    assert ours.removesuffix(r"(?!\n)") == contract["provider"]["pattern"]


def test_the_document_is_true(root):
    """Its example is a provider file, and it names every quantity, unit and scale there is."""
    text = (root / "docs" / "feeds.md").read_text()
    example = text.split("```yaml\n")[1].split("```")[0]
    provider = parse_provider(example.encode(), where="docs/feeds.md")
    assert (provider.clock.issued, provider.long.unit, provider.area.radius_km) == ("published_at", "units", 10)
    table = text.split("| quantity | units | range |")[1].split("\n\n")[0]
    for name, quantity in QUANTITIES.items():
        (row,) = [line for line in table.splitlines() if re.match(rf"\| ([a-z0-9_, ]*, )?{name}(,[^|]*)? \|", line)]
        assert set(quantity.units) <= set(re.split(r"[ ,|]+", row)), name
    assert all(f"`{scale}`" in text for scale in get_args(Scale))
