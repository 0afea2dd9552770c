"""Rows that stand for less than an hour, or for more: averaged to hours, or refused with the reason; none is lost."""

import json
import random
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.examples import examples
from msgspec import structs

from monsoon.sources.feeds.readings import read_feed
from monsoon.sources.feeds.rows import Place
from monsoon.sources.provider_files import ProviderError, load_provider, parse_provider

HERE = Place("R K Puram", 28.563, 77.187)
STAMP = "%d-%m-%Y %H:%M"
START = datetime(2019, 11, 2)

INTERVALS = """
name: test_steps
provider: test_steps
title: a station that says from when to when
quality: official
clock: {field: to, begins: from, format: "%d-%m-%Y %H:%M", zone: Asia/Kolkata, stamps: hour_ending, issued: issued}
area: {lat: 28.6, lon: 77.2}
quantities:
  - {field: pm25, quantity: pm25, unit: ug/m3, averaged_over: 1 h}
  - {field: pm10, quantity: pm10, unit: ug/m3, averaged_over: 1 h}
  - {field: t, quantity: temperature, unit: C}
  - {field: rain, quantity: rain_1h, unit: mm}
"""
STEPS = parse_provider(INTERVALS.encode(), where="test_steps.yaml")
CPCB = load_provider("cpcb")


def at(minute):
    return (START + timedelta(minutes=minute)).strftime(STAMP)


def ms(minute):
    return round((START + timedelta(minutes=minute - 330) - datetime(1970, 1, 1)).total_seconds() * 1000)


def row(begin, end, **values):
    """`begin` and `end` in minutes of 2 November."""
    return {"from": at(begin), "to": at(end), **values}


def feed(folder, rows, provider=STEPS):
    path = folder / "feed.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return read_feed(provider, [path])


def export(folder, rows, head="From Date,To Date,PM2.5 (ug/m3)"):
    path = folder / "site.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return read_feed(CPCB, [path], HERE)


def accounted(found):
    rows = found.summary["rows"]
    assert rows["read"] == sum(count for name, count in rows.items() if name != "read")
    assert rows["dead"] == len(found.dead_letters) == sum(found.summary["dead_letters"].values())
    return rows


def every(step, hours, value):
    """CPCB's rows of `step` minutes over `hours` hours; `value` of the number of the step in its hour."""
    return [
        f"{at(minute)},{at(minute + step)},{value(minute % 60 // step)}" for minute in range(0, 60 * hours, step)
    ]  # fmt: skip


@pytest.mark.parametrize("step", [5, 10, 15, 30, 60])
def test_steps_of_any_length_are_averaged_to_the_hour(tmp_path, step):
    """One step of the hour is far above the others; the mean of the hour is 115 whatever the step."""
    count = 60 // step
    found = export(tmp_path, every(step, 16, lambda n: 115 * count - 20 * (count - 1) if n == count - 1 else 20))
    assert [(reading["event_time"], reading["value"]) for reading in found.readings] == [(ms(16 * 60), 283.0)]
    assert accounted(found)["used"] == 16 * count


def test_the_mean_of_an_hour_weighs_by_length(tmp_path):
    """45 min at 20 and 15 min at 400: 115, and not the mean of two numbers, 210."""
    rows = [item for hour in range(16) for item in (
        row(60 * hour, 60 * hour + 45, pm25=20), row(60 * hour + 45, 60 * hour + 60, pm25=400),
    )]  # fmt: skip
    assert [reading["value"] for reading in feed(tmp_path, rows).readings] == [283.0]


@pytest.mark.parametrize(("missing", "hours", "known"), [(1, 16, 16), (2, 16, 0)])
def test_three_quarters_of_an_hour_are_enough(tmp_path, missing, hours, known):
    """Of four steps three make an hour, two do not: then nothing is made of them, and they are counted."""
    rows = [line for n, line in enumerate(every(15, hours, lambda n: 130)) if n % 4 >= missing]
    found = export(tmp_path, rows)
    assert [reading["value"] for reading in found.readings] == [308.0] * (known // 16)
    assert found.summary["hours"]["averaged"] == known
    assert found.summary["hours"]["incomplete"] == hours - known
    assert accounted(found)["incomplete_hour"] == (0 if known else len(rows))


def test_a_missing_value_covers_nothing(tmp_path):
    found = export(tmp_path, every(15, 16, lambda n: "None" if n < 2 else 900))
    assert found.readings == []
    rows = accounted(found)
    assert (rows["missing"], rows["incomplete_hour"]) == (32, 32)


@pytest.mark.parametrize("hours", [4, 8, 24])
def test_means_of_many_hours_are_refused(tmp_path, hours):
    rows = [f"{at(60 * h)},{at(60 * (h + hours))},400" for h in range(0, 24 * 20, hours)]
    found = export(tmp_path, rows)
    assert found.readings == []
    assert found.summary["dead_letters"] == {"wrong_interval:From Date": len(rows)}
    assert f"{hours} h from From Date to To Date" in found.dead_letters[0]["detail"]
    accounted(found)


def test_weather_of_a_day_is_none_of_the_hour(tmp_path):
    found = feed(tmp_path, [row(0, 1440, t=44.0), row(0, 1440, rain=90), row(0, 60, t=40.0)])
    assert found.summary["dead_letters"] == {"wrong_interval:from": 2}
    assert [reading["value"] for reading in found.readings] == [40.0]


@pytest.mark.parametrize(("begin", "end"), [(60, 60), (60, 0)])
def test_an_interval_goes_forward(tmp_path, begin, end):
    assert feed(tmp_path, [row(begin, end, pm25=1)]).summary["dead_letters"] == {"bad_interval:from": 1}


def test_mixed_steps_make_one_series(tmp_path):
    """Six hours of 15 min, six of 60, four of 30."""
    rows = every(15, 6, lambda n: 400 if n == 1 else 20)
    rows += [f"{at(60 * h)},{at(60 * h + 60)},115" for h in range(6, 12)]
    rows += [f"{at(m)},{at(m + 30)},{210 if m % 60 else 20}" for m in range(720, 960, 30)]
    found = export(tmp_path, rows)
    assert [(reading["event_time"], reading["value"]) for reading in found.readings] == [(ms(960), 283.0)]


def test_an_hour_that_came_whole_stands_before_its_quarters(tmp_path):
    rows = [row(60 * hour, 60 * hour + 60, pm25=115) for hour in range(16)]
    rows += [row(60, 75, pm25=900), row(75, 90, pm25=900), row(45, 60, pm25=900)]
    found = feed(tmp_path, rows)
    assert [reading["value"] for reading in found.readings] == [283.0]
    assert found.summary["dead_letters"] == {"overlapping_interval": 3}
    accounted(found)


def test_of_overlapping_intervals_the_earlier_stands(tmp_path):
    rows = [row(60 * hour + start, 60 * hour + start + 30, pm25=value)
            for hour in range(16) for start, value in ((0, 115), (15, 900), (30, 115))]  # fmt: skip
    found = feed(tmp_path, rows)
    assert [reading["value"] for reading in found.readings] == [283.0]
    assert found.summary["dead_letters"] == {"overlapping_interval": 16}
    accounted(found)


def test_what_lies_across_the_end_of_an_hour_is_in_none(tmp_path):
    found = feed(tmp_path, [row(50, 65, pm25=900), *(row(60 * h, 60 * h + 60, pm25=115) for h in range(16))])
    assert found.summary["dead_letters"] == {"off_the_hour": 1}
    assert [reading["value"] for reading in found.readings] == [283.0]


def test_an_interval_to_the_last_minute_is_its_hour(tmp_path):
    """00:00 to 00:59, as some write an hour."""
    found = feed(tmp_path, [row(60 * hour, 60 * hour + 59, pm25=115) for hour in range(16)])
    assert [(reading["event_time"], reading["value"]) for reading in found.readings] == [(ms(960), 283.0)]


def test_a_repeated_quarter_counts_once_and_a_contradiction_is_told(tmp_path):
    rows = every(15, 16, lambda n: 115)
    found = export(tmp_path, [*rows, *rows[:7], rows[9].replace(",115", ",116")])
    assert [reading["value"] for reading in found.readings] == [283.0]
    assert accounted(found)["duplicate"] == 7
    assert found.summary["dead_letters"] == {"conflicting_duplicate": 1}


def test_a_corrected_quarter_revises_its_hour(tmp_path):
    rows = [row(m, m + 15, pm25=100) for m in range(0, 16 * 60, 15)]
    late = row(30, 45, pm25=2020, issued=at(3000))
    found = feed(tmp_path, [*rows, late])
    assert [(r["revision"], r["value"], r.get("issued_time")) for r in found.readings] == [
        (0, float(int(201 + (100 - 91) * 99 / 29 + 0.5)), ms(960)),
        (1, float(int(301 + ((15 * 100 + 580) / 16 - 121) * 99 / 129 + 0.5)), ms(3000)),
    ]  # fmt: skip


def test_other_quantities_of_the_row_keep_their_own_time(tmp_path):
    found = feed(tmp_path, [row(0, 15, pm25=900, t=30.0), row(15, 30, t=31.0)])
    assert [(r["metric"], r["event_time"], r["value"]) for r in found.readings] == [
        ("temperature_c", ms(15), 30.0), ("temperature_c", ms(30), 31.0),
    ]  # fmt: skip
    assert accounted(found)["used"] == 2
    assert found.summary["hours"]["incomplete"] == 1


def test_rain_is_added_up_and_a_gap_is_no_dry_quarter(tmp_path):
    rows = [row(m, m + 15, rain=5) for m in range(0, 120, 15)]
    found = feed(tmp_path, rows)
    assert [(r["metric"], r["event_time"], r["value"]) for r in found.readings] == [
        ("rain_mm_h", ms(60), 20.0), ("rain_mm_h", ms(120), 20.0),
    ]  # fmt: skip
    del rows[2]
    found = feed(tmp_path, rows)
    assert [r["event_time"] for r in found.readings] == [ms(120)]
    assert accounted(found)["incomplete_hour"] == 3


def test_an_hours_rain_beyond_any_instrument_is_refused(tmp_path):
    found = feed(tmp_path, [row(m, m + 15, rain=126) for m in range(0, 60, 15)])
    assert found.readings == []
    assert found.summary["dead_letters"] == {"out_of_range:rain_mm_h": 4}
    accounted(found)


@pytest.mark.parametrize("step", [10, 15, 20, 30])
def test_values_within_the_hour_that_do_not_say_so_are_refused(tmp_path, step):
    """Without beginnings nothing tells the mean of a quarter from the mean of an hour: no fourth value is taken."""
    text = INTERVALS.replace(" begins: from,", "")
    plain = parse_provider(text.encode(), where="x.yaml")
    rows = [{"to": at(m), "pm25": 400 if m % 60 == 15 else 20} for m in range(step, 24 * 60 + 1, step)]
    found = feed(tmp_path, rows, plain)
    assert found.readings == []
    assert found.summary["dead_letters"] == {"not_hourly": len(rows)}
    accounted(found)
    if step != 20:
        declared = parse_provider(text.replace("field: to,", f"field: to, step: {step} min,").encode(), where="x.yaml")
        assert feed(tmp_path, rows, declared).summary["rows"]["used"] == len(rows)


def test_a_declared_step_that_begins_with_its_stamp(tmp_path):
    head = "Timestamp,PM2.5 (µg/m³),RH (%)"
    provider = load_provider("cpcb_archive")
    rows = [f"{START + timedelta(minutes=m)},{400 if m % 60 == 15 else 20},60.5" for m in range(0, 960, 15)]
    path = tmp_path / "Raw_data_15Min.csv"
    path.write_text("\n".join([head, *rows]))
    assert read_feed(provider, [path], HERE).summary["dead_letters"] == {"not_hourly": 64}
    quarters = structs.replace(provider, clock=structs.replace(provider.clock, step="15 min"))
    found = read_feed(quarters, [path], HERE)
    assert [(r["event_time"], r["value"]) for r in found.readings] == [(ms(960), 283.0)]


@examples(60)
@given(st.lists(st.tuples(
    st.integers(0, 150), st.sampled_from([5, 10, 15, 20, 30, 45, 60, 60, 75]), st.integers(0, 300), st.integers(0, 2),
    st.booleans(),
), max_size=40), st.randoms(use_true_random=False))  # fmt: skip
def test_no_order_and_no_split_of_intervals_changes_anything(tmp_path_factory, some, chance):
    folder = tmp_path_factory.mktemp("intervals")
    rows = [row(10 * begin, 10 * begin + length, pm25=value, **({"t": 30.0, "pm10": value} if whole else {}),
                **({"issued": at(9000 + issue)} if issue else {}), rain=value % 7)
            for begin, length, value, issue, whole in some]  # fmt: skip
    first = feed(folder, rows)
    accounted(first)
    keys = [(r["reading_id"], r["revision"]) for r in first.readings]
    assert len(set(keys)) == len(keys)
    chance.shuffle(rows)
    assert feed(folder, rows) == first
    parts = [folder / f"part{n}.jsonl" for n in range(3)]
    for n, part in enumerate(parts):
        part.write_text("".join(json.dumps(item) + "\n" for item in rows[n::3]))
    assert read_feed(STEPS, parts) == first


def test_hours_of_any_cut_have_the_mean_of_their_minutes(tmp_path):
    """An hour cut at random has the mean that it was made with."""
    rng = random.Random(3)
    rows = []
    for hour in range(16):
        cuts = [0, *sorted(rng.sample(range(1, 60), 7)), 60]
        minutes = list(pairwise(cuts))
        rest = 115 * 60
        for place, (a, b) in enumerate(minutes):
            value = rest / (b - a) if place == len(minutes) - 1 else rng.randrange(60)
            rest -= value * (b - a)
            rows.append(row(60 * hour + a, 60 * hour + b, pm25=value))
    rng.shuffle(rows)
    assert [reading["value"] for reading in feed(tmp_path, rows).readings] == [283.0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("stamps: hour_ending", "stamps: hour_beginning", "clock.begins"),
        ("field: to,", "field: to, step: 15 min,", "clock.begins"),
        ("field: to,", "field: to, step: 20 min,", "step"),
        ("lon: 77.2", "lon: 77.2, radius_km: 80", "80 is above 79.78"),
        ("provider: test_steps", "provider: IMD", '"IMD" is no provider'),
        ("provider: test_steps", "provider: 'imd '", '"imd " is no provider'),
        ("provider: test_steps", 'provider: "imd\\n"', "is no provider"),
        ("provider: test_steps", "provider: _imd", '"_imd" is no provider'),
        ("field: to,", "field: [],", "the list is empty"),
        ("lon: 77.2", "lon: 77.2, may_lack: true", "may_lack"),
    ],
)
def test_a_provider_file_that_contradicts_itself_is_refused(old, new, words):
    with pytest.raises(ProviderError, match=words):
        parse_provider(INTERVALS.replace(old, new, 1).encode(), where="x.yaml")


def test_a_provider_may_be_called_as_the_contract_allows():
    text = INTERVALS.replace("provider: test_steps", "provider: imd.aws-2_delhi")
    assert parse_provider(text.encode(), where="x.yaml").provider == "imd.aws-2_delhi"
