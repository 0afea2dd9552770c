"""Real monitors' hours into readings, against indices computed here another way; and the smog that they confirm."""

import csv
import gzip
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from kit.streams import policy_record, write_streams

from monsoon.pipelines.local.replay import replay
from monsoon.sources.feeds.readings import read_feed
from monsoon.sources.feeds.rows import Place
from monsoon.sources.files import InputError
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.provider_files import load_provider, parse_provider

IST = timedelta(minutes=330)
HOUR = timedelta(hours=1)
BANDS = [
    (0, 30, 0, 50),
    (31, 60, 51, 100),
    (61, 90, 101, 200),
    (91, 120, 201, 300),
    (121, 250, 301, 400),
    (251, 380, 401, 500),
]

# Low-cost stations of one city; whether their stamps begin or end the hour is not said. Taken to begin it, no
# reading is ahead of its time.
KOLKATA = b"""
name: kolkata_static
provider: kolkata_static
title: IIT Delhi, fixed low-cost stations in Kolkata
quality: secondary
clock: {field: ts_local_ist, format: "%Y-%m-%d %H:%M", zone: Asia/Kolkata, stamps: hour_beginning}
area: {lat_field: lat, lon_field: lon}
missing: [-999]
quantities:
  - {field: pm25_ugm3, quantity: pm25, unit: ug/m3, averaged_over: 1 h}
"""


GAUGE = b"""
name: karimganj
provider: cwc
title: Central Water Commission, the gauge at Karimganj
quality: official
clock: {field: ts_ist, format: "%Y-%m-%d %H:%M:%S", zone: Asia/Kolkata, stamps: hour_ending}
area: {lat: 24.865, lon: 92.359}
long: {parameter: data_type_code, value: value_mm}
quantities:
  - {field: MPM, quantity: rain_1h, unit: mm}
  - {field: MPS, quantity: rain_24h, unit: mm}
"""

# Half hours named by their beginning; the column says mm and holds mm/h.
IMERG = b"""
name: imerg
provider: imerg
title: NASA IMERG, half hours
quality: fallback
clock: {field: timestamp, format: "%m/%d/%Y %H:%M", zone: UTC, stamps: hour_beginning, step: 30 min}
area: {lat: 13.08, lon: 80.27}
quantities:
  - {field: rainfall_mm, quantity: rain_1h, unit: mm/h}
"""


def table(path):
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.name.endswith(".gz") else content).decode()
    return list(csv.DictReader(text.splitlines()))


def moment(local):
    return datetime.strptime(local, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) - IST


def ms(when):
    return round(when.timestamp() * 1000)


def index_of(mean):
    """CPCB's formula for PM2.5 in exact fractions; a mean between two bands lies on the line that joins them."""
    for place, (low, high, lowest, highest) in enumerate(BANDS):
        if mean < low:
            before = BANDS[place - 1]
            low, high, lowest, highest = before[1], low, before[3], lowest
        if mean <= high:
            return lowest + (mean - low) * Fraction(highest - lowest, high - low)
    return Fraction(500)


def indices(hours, every=1):
    """Index by the end of the hour, where that hour and 15 of the 23 before it are known, rounded half up; of one hour
    in `every`."""
    found = {}
    for end in sorted(hours)[::every]:
        window = [hours[end - lag * HOUR] for lag in range(24) if end - lag * HOUR in hours]
        if len(window) >= 16:
            found[ms(end)] = int(index_of(sum(map(Fraction, window)) / len(window)) + Fraction(1, 2))
    return found


@pytest.fixture(scope="module")
def embassy(shared):
    path = shared / "data/airquality/us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz"
    return path, table(path)


@pytest.mark.slow
def test_the_embassys_five_years(embassy):
    path, rows = embassy
    hours, seen = {}, defaultdict(list)
    for row in rows:
        if row["qc"] == "Valid" and 0 <= float(row["pm25_raw_ugm3"]) <= 10_000:
            seen[row["ts_local_ist_hour_ending"]].append(row)
    for local, some in seen.items():
        values = {row["pm25_raw_ugm3"] for row in some}
        if len(values) == 1:  # three stamps come twice, with different values: which one stands is not decided here
            hours[moment(local)] = values.pop()
    doubtful = {ms(moment(local)) for local, some in seen.items() if len({row["pm25_raw_ugm3"] for row in some}) > 1}
    found = read_feed(load_provider("us_embassy"), [path])
    assert found.summary["rows"]["read"] == len(rows)
    assert found.summary["dead_letters"]["conflicting_duplicate"] == len(doubtful) == 3
    expected = {
        end: value for end, value in indices(hours, every=5).items()
        if not any(end - 24 * 3_600_000 < other <= end for other in doubtful)
    }  # fmt: skip
    got = {reading["event_time"]: reading["value"] for reading in found.readings}
    assert len(expected) > 7_600
    assert {end: got.get(end) for end in expected} == expected


@pytest.mark.slow
def test_the_stations_of_kolkata(shared):
    path = shared / "data/airquality/kolkata_static_pm25_hourly_2023_24.csv.gz"
    hours = defaultdict(dict)
    for row in table(path):
        hours[float(row["lat"]), float(row["lon"])][moment(row["ts_local_ist"]) + HOUR] = row["pm25_ugm3"]
    found = read_feed(parse_provider(KOLKATA, where="kolkata.yaml"), [path])
    assert found.summary["rows"]["dead"] == 0
    got = defaultdict(dict)
    for reading in found.readings:
        got[reading["lat"], reading["lon"]][reading["event_time"]] = reading["value"]
    assert len(got) > 20
    for place in sorted(hours)[::5]:
        expected = indices(hours[place], every=3)
        assert expected
        assert {end: got[place].get(end) for end in expected} == expected


@pytest.mark.slow
def test_the_gauge_of_karimganj(shared):
    """What the telemetry says of an hour and the observer of a day; what a counter accumulates is not spoken."""
    path = shared / "data/rainfall/karimganj_cwc_gauge_2014_2021.csv.gz"
    rows = table(path)
    found = read_feed(parse_provider(GAUGE, where="karimganj.yaml"), [path])
    for code, metric in (("MPM", "rain_mm_h"), ("MPS", "rain_mm_24h")):
        said = {
            ms(datetime.strptime(row["ts_ist"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) - IST): float(row["value_mm"])
            for row in rows if row["data_type_code"] == code
        }  # fmt: skip
        got = {reading["event_time"]: reading["value"] for reading in found.readings if reading["metric"] == metric}
        assert len(said) > 2_500
        assert got == said
    others = sum(row["data_type_code"] in ("IPC", "MPC") for row in rows)
    assert found.summary["other_quantity"]["IPC"] + found.summary["other_quantity"]["MPC"] == others
    assert found.summary["rows"]["used"] + others == len(rows)


def test_half_hours_of_the_flood_of_chennai(shared):
    """Two half hours of intensity are an hour's rain; the hour with the slot that is missing has no reading."""
    path = shared / "data/rainfall/chennai_imerg_halfhourly_20151128_1204.csv"
    hours = defaultdict(list)
    for row in table(path):
        begins = datetime.strptime(row["timestamp"], "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
        hours[ms(begins.replace(minute=0) + HOUR)].append(float(row["rainfall_mm"]))
    found = read_feed(parse_provider(IMERG, where="imerg.yaml"), [path])
    expected = {end: round(sum(halves) / 2, 3) for end, halves in hours.items() if len(halves) == 2}
    got = {reading["event_time"]: reading["value"] for reading in found.readings}
    assert got == pytest.approx(expected, abs=0.0011)
    assert len(hours) - len(got) == found.summary["hours"]["incomplete"] == 1
    assert max(got.values()) > 24


@pytest.mark.parametrize(("provider", "file", "words"), [
    ("open_meteo", "rainfall/karimganj_openmeteo_daily_2015_2021.csv.gz", "has no column 'temperature_2m'"),
    ("cpcb", "airquality/us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz", "has no column 'To Date'"),
    ("open_meteo", "rainfall/mumbai_mcgm_aws_station_coordinates.csv", "has no column 'time'"),
])  # fmt: skip
def test_what_is_no_such_feed_says_what_it_lacks(shared, provider, file, words):
    with pytest.raises(InputError, match=words):
        read_feed(load_provider(provider), [shared / "data" / file], Place("", 24.865, 92.359))


DAYS = ("2019-11-01 00:00", "2019-11-06 00:00")


@pytest.fixture(scope="module")
def smog(embassy, tmp_path_factory):
    """The monitor's hours of the smog after Diwali: as the embassy's own file, and as OpenAQ republished them."""
    folder = tmp_path_factory.mktemp("smog")
    rows = [r for r in embassy[1] if "2019-10-31" <= r["ts_local_ist_hour_ending"] <= DAYS[1]]
    own, again = folder / "embassy.csv", folder / "openaq.jsonl"
    with own.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    kept = [row for row in rows if row["qc"] == "Valid"]
    again.write_text("".join(json.dumps({
        "location_id": 8118, "datetime": moment(row["ts_local_ist_hour_ending"]).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lat": 28.598, "lon": 77.189, "parameter": "pm25", "units": "\u00b5g/m\u00b3",
        "value": float(row["pm25_raw_ugm3"]),
    }) + "\n" for row in kept))  # fmt: skip
    return (
        own,
        again,
        {moment(r["ts_local_ist_hour_ending"]): r["pm25_raw_ugm3"] for r in kept if float(r["pm25_raw_ugm3"]) >= 0},
    )


def confirmed(tmp_path, readings):
    start = ms(moment("2019-10-01 00:00"))
    policy = policy_record(
        "rider", "p1", home_lat=28.598, home_lon=77.189, event_time=start, coverage_start=start,
        coverage_end=ms(moment("2020-01-01 00:00")),
    )  # fmt: skip
    streams = {"telemetry": [], "oracle_readings": readings, "subscriptions": [policy]}
    write_streams(tmp_path / "in", streams)
    summary = replay(tmp_path / "in", tmp_path / "out", load_products(["kawaach"]), ["kawaach"], load_scorer())
    assert summary["streams"]["oracle_readings"]["used"] == len(readings)
    lines = (tmp_path / "out/disruptions/part-00000.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], summary["products"]["kawaach"]


def test_two_clocks_one_monitor(smog):
    """Local hours and UTC, wide and long: the same moments, the same values."""
    own, again, hours = smog
    first = read_feed(load_provider("us_embassy"), [own]).readings
    second = read_feed(load_provider("openaq"), [again]).readings
    assert [(r["event_time"], r["value"]) for r in first] == [(r["event_time"], r["value"]) for r in second]
    assert {r["event_time"]: r["value"] for r in first} == indices(hours)


def test_the_smog_of_november_2019_is_confirmed_and_paid(smog, tmp_path):
    own, again, hours = smog
    readings = (
        read_feed(load_provider("us_embassy"), [own]).readings + read_feed(load_provider("openaq"), [again]).readings
    )
    disruptions, result = confirmed(tmp_path, readings)
    ended = {record["start"]: record["absent_since"] for record in disruptions if record["state"] == "ended"}
    assert {record["trigger"] for record in disruptions} == {"aqi"}

    above = [end for end, value in sorted(indices(hours).items()) if value > 300]
    known_days = {(datetime.fromtimestamp(end / 1000, UTC) + IST).day for end in above if ms(moment(DAYS[0])) <= end}
    assert {1, 2, 3, 4} <= known_days
    spans = list(ended.items())
    for day in (1, 2, 3, 4):
        early = ms(moment(f"2019-11-0{day} 03:00"))
        assert any(start <= early < absent for start, absent in spans), f"{day} November is above 300 at 03:00"
    covered = [end for end in above if any(start <= end < absent for start, absent in spans)]
    assert len(covered) > 0.9 * len(above)
    assert result["payouts"] >= 1


def test_one_monitor_alone_pays_nobody(smog, tmp_path):
    own, _, _ = smog
    disruptions, result = confirmed(tmp_path, read_feed(load_provider("us_embassy"), [own]).readings)
    assert disruptions == []
    assert result["payouts"] == 0
