"""A provider's feed in the forms in which people meet it: encodings, headers, units, lines above, whole answers."""

import json
from datetime import datetime, timedelta

import pytest

from monsoon.sources.feeds.readings import read_feed
from monsoon.sources.feeds.rows import Place
from monsoon.sources.files import InputError
from monsoon.sources.provider_files import load_provider
from monsoon.transforms.atmosphere.quantities import unit_name

HERE = Place("", 28.563, 77.187)
START = datetime(2019, 11, 2)
CO = [436.0] * 11
"""The indices of 40 mg/m3 of carbon monoxide, from the sixth of sixteen hours on: above those of the PM2.5."""
MICRO, GREEK, CUBE, DEGREE = "\u00b5", "\u03bc", "\u00b3", "\u00b0"


def accounted(found):
    rows = found.summary["rows"]
    assert rows["read"] == sum(count for name, count in rows.items() if name != "read")
    return rows


def cpcb_rows(values="130,40", stamp="%d-%m-%Y %H:%M", hours=16):
    return [
        f"{START + timedelta(hours=h):{stamp}},{START + timedelta(hours=h + 1):{stamp}},{values}" for h in range(hours)
    ]  # fmt: skip


def cpcb(tmp_path, head, *, rows=None, above=(), encoding="utf-8", bom=b"", end="\n"):
    path = tmp_path / "site.csv"
    path.write_bytes(bom + end.join([*above, head, *(rows or cpcb_rows()), ""]).encode(encoding))
    return read_feed(load_provider("cpcb"), [path], HERE)


def mojibake(text):
    return text.encode().decode("cp1252")


UNITS = {
    "ASCII": "ug/m3", "the micro sign": f"{MICRO}g/m{CUBE}", "the Greek letter": f"{GREEK}g/m{CUBE}",
    "a caret": f"{MICRO}g/m^3", "UTF-8 read as Windows-1252": mojibake(f"{MICRO}g/m{CUBE}"),
    "the Greek letter likewise": f"{mojibake(GREEK)}g/m3", "characters replaced": "\ufffdg/m\ufffd", "question marks":
    "?g/m?", "spaces": f" {MICRO}g / m{CUBE} ",
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_a_micro_sign_in_any_spelling(tmp_path, name):
    assert unit_name(UNITS[name]) == "ug/m3"
    found = cpcb(tmp_path, f"From Date,To Date,PM2.5 ({UNITS[name]}),CO (mg/m3)")
    assert [reading["value"] for reading in found.readings] == CO
    found = cpcb(tmp_path, f"From Date,To Date,PM2.5 ({UNITS[name]}),X")
    assert [reading["value"] for reading in found.readings] == [308.0]
    assert found.summary["columns_not_read"] == ["X"]


@pytest.mark.parametrize(("text", "unit"), [
    (f"{DEGREE}C", "C"), ("\u2103", "C"), ("degree C", "C"), ("deg C", "C"), (mojibake(f"{DEGREE}C"), "C"),
    (f"{DEGREE}F", "F"), ("m/sec", "m/s"), ("mp/h", "mph"), ("inch", "inch"), ("mg/m3", "mg/m3"), ("ppb", "ppb"),
])  # fmt: skip
def test_other_units_in_their_spellings(text, unit):
    assert unit_name(text) == unit


HEADERS = {
    "as documented": "From Date,To Date,PM2.5 (ug/m3),CO (mg/m3)",
    "without units": "From Date,To Date,PM2.5,CO",
    "spaces and case": " FROM DATE , to  date ,pm2.5(ug/m3), Co  (MG/M3) ".replace("MG/M3", "mg/m3"),
    "quoted": '"From Date","To Date","PM2.5 (ug/m3)","CO (mg/m3)"',
    "no-break spaces": "From\u00a0Date,To\u00a0Date,PM2.5\u00a0(ug/m3),CO (mg/m3)",
    "commas at the end": "From Date,To Date,PM2.5 (ug/m3),CO (mg/m3),,",
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_in_any_spelling(tmp_path, name):
    rows = [row + ",," for row in cpcb_rows()] if "end" in name else None
    found = cpcb(tmp_path, HEADERS[name], rows=rows)
    assert [reading["value"] for reading in found.readings] == CO
    assert accounted(found)["used"] == 16


@pytest.mark.parametrize(("encoding", "bom"), [
    ("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("cp1252", b""), ("latin-1", b""),
])  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_of_spreadsheets(tmp_path, encoding, bom, end):
    found = cpcb(
        tmp_path, f"From Date,To Date,PM2.5 ({MICRO}g/m{CUBE}),CO (mg/m{CUBE})", encoding=encoding, bom=bom, end=end
    )
    assert [reading["value"] for reading in found.readings] == CO


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path, delimiter):
    rows = [row.replace(",", delimiter) for row in cpcb_rows()]
    above = ["Station,R K Puram", "From here on; semicolons"]
    found = cpcb(tmp_path, delimiter.join(["From Date", "To Date", "PM2.5 (ug/m3)", "CO"]), rows=rows, above=above)
    assert [reading["value"] for reading in found.readings] == CO


def test_the_end_of_a_day_as_its_24th_hour(tmp_path):
    rows = [row.replace("03-11-2019 00:00", "02-11-2019 24:00") for row in cpcb_rows(hours=24)]
    assert rows != cpcb_rows(hours=24)
    assert cpcb(tmp_path, "From Date,To Date,PM2.5,CO", rows=rows).readings == cpcb(
        tmp_path, "From Date,To Date,PM2.5,CO", rows=cpcb_rows(hours=24)
    ).readings  # fmt: skip
    found = cpcb(tmp_path, "From Date,To Date,PM2.5,CO", rows=["02-11-2019 24:30,02-11-2019 24:45,1,1"])
    assert found.summary["dead_letters"] == {"bad_time:To Date": 1}


def test_utf_16_is_told(tmp_path):
    with pytest.raises(InputError, match=r"UTF-16 text\. Save it as UTF-8"):
        cpcb(tmp_path, "From Date,To Date,PM2.5", encoding="utf-16")


@pytest.mark.parametrize("stamp", ["%d-%m-%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%Y-%m-%d %H:%M"])
def test_the_boards_stamps(tmp_path, stamp):
    first, second = (
        cpcb(tmp_path, "From Date,To Date,PM2.5,CO", rows=cpcb_rows(stamp=s)) for s in (stamp, "%d-%m-%Y %H:%M")
    )
    assert first.readings == second.readings != []


PORTAL = [
    "CENTRAL POLLUTION CONTROL BOARD,", "CONTINUOUS AMBIENT AIR QUALITY,", "Date: Tuesday Nov 19 2019,", "State,Delhi",
    "City,Delhi", '"Station","R K Puram, Delhi - DPCC"', 'Parameter,"PM2.5,CO"', "AvgPeriod,1 Hours",
    "From,02-11-2019T00:00:00Z 00:00", ",", "R K Puram,", "Prescribed Standards,,0-60,0-4", "Remarks,", "",
]  # fmt: skip


def test_the_lines_above_the_boards_header(tmp_path):
    found = cpcb(tmp_path, "From Date,To Date,PM2.5,CO", above=PORTAL)
    assert [reading["value"] for reading in found.readings] == CO
    assert {reading["station"] for reading in found.readings} == {"R K Puram, Delhi - DPCC"}
    assert accounted(found)["read"] == 16
    assert found.summary["preamble_lines"] == len(PORTAL) - 1, "blank lines are none"


def test_a_file_with_several_tables(tmp_path):
    """The portal stacks tables of a few pollutants each; a daily table of something else is not spoken."""
    rows = [
        *cpcb_rows("45,10"), ",,,", "Remarks,", "From Date,To Date,PM10 (ug/m3),Benzene (ug/m3)", *cpcb_rows("351,3"),
        "From Date,To Date,Toluene (ug/m3),Xylene (ug/m3)", *cpcb_rows("1,1", hours=5),
    ]  # fmt: skip
    found = cpcb(tmp_path, "From Date,To Date,PM2.5 (ug/m3),NO2 (ug/m3)", rows=rows)
    assert [(reading["value"], reading["aqi_basis"]) for reading in found.readings] == [(301.0, "cpcb_aqi")]
    rows = accounted(found)
    assert (rows["used"], rows["other_quantity"], rows["dead"]) == (32, 5, 1)
    assert found.summary["dead_letters"] == {"not_csv": 1}


def test_a_column_in_another_unit_is_converted_or_named(tmp_path):
    found = cpcb(tmp_path, "From Date,To Date,PM2.5 (mg/m3),NO2 (ppb)", rows=cpcb_rows("0.13,40"))
    assert [reading["value"] for reading in found.readings] == [308.0]
    assert found.summary["columns_in_no_known_unit"] == ["NO2 (ppb)"]
    with pytest.raises(InputError, match=r"has no column 'PM2.5'.*NO2 \(ppb\): in no unit that can be read"):
        cpcb(tmp_path, "From Date,To Date,NO2 (ppb),X")


def test_one_field_in_two_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'PM2.5 \(ug/m3\)' and 'PM2.5' are one field"):
        cpcb(tmp_path, "From Date,To Date,PM2.5 (ug/m3),PM2.5")


def test_a_table_saved_as_json_has_its_header_in_every_row(tmp_path):
    head = ["From Date", "To Date", f"PM2.5 ({MICRO}g/m{CUBE})", "CO (mg/m3)"]
    records = [dict(zip(head, row.split(","), strict=True)) for row in cpcb_rows()]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "b.json").write_text(json.dumps(records, indent=2))
    for name in ("a.jsonl", "b.json"):
        found = read_feed(load_provider("cpcb"), [tmp_path / name], HERE)
        assert [reading["value"] for reading in found.readings] == CO


METEO = ["latitude,longitude,elevation,utc_offset_seconds,timezone,timezone_abbreviation",
         "28.5,77.25,215.0,OFFSET,Asia/Kolkata,GMT+5:30", ""]  # fmt: skip
METEO_HEAD = "time,temperature_2m (°C),relative_humidity_2m (%),precipitation (mm),wind_speed_10m (km/h)"


def meteo_rows(start_h=0, values="46.1,20,0.0,36"):
    return [f"{START + timedelta(hours=start_h + h):%Y-%m-%dT%H:%M},{values}" for h in range(3)]


def open_meteo(tmp_path, content, place=None, name="meteo.csv"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else "\n".join(content))
    return read_feed(load_provider("open_meteo"), [path], place)


def values(found):
    return {(r["metric"], r["event_time"]): r["value"] for r in found.readings}


def test_open_meteos_lines_above_the_header_say_where_and_on_which_clock(tmp_path):
    utc = open_meteo(tmp_path, [METEO_HEAD, *meteo_rows()], HERE)
    local = [line.replace("OFFSET", "19800") for line in METEO]
    found = open_meteo(tmp_path, [*local, METEO_HEAD, *meteo_rows(5.5)])
    assert values(found) == values(utc) != {}
    assert {(r["lat"], r["lon"]) for r in found.readings} == {(28.5, 77.25)}
    gmt = [line.replace("OFFSET", "0") for line in METEO]
    assert values(open_meteo(tmp_path, [*gmt, METEO_HEAD, *meteo_rows()])) == values(utc)


def test_open_meteo_without_its_place_must_be_told_it(tmp_path):
    with pytest.raises(InputError, match=r"has no column 'latitude'.*Say where with --at"):
        open_meteo(tmp_path, [METEO_HEAD, *meteo_rows()])
    two = [METEO[0], METEO[1].replace("OFFSET", "0"), METEO[1].replace("OFFSET", "0"), METEO_HEAD, *meteo_rows()]
    with pytest.raises(InputError, match="several places in one file"):
        open_meteo(tmp_path, two)


def test_open_meteo_in_other_units(tmp_path):
    head = "time,temperature_2m (°F),relative_humidity_2m (%),precipitation (inch),wind_speed_10m (mp/h)"
    found = open_meteo(tmp_path, [head, *meteo_rows(values="104,20,1,10")], HERE)
    first = {r["metric"]: r["value"] for r in found.readings[:4]}
    assert first == {
        "temperature_c": 40.0,
        "rain_mm_h": 25.4,
        "wind_kmh": 16.093,
        "heat_index_c": first["heat_index_c"],
    }


ANSWER = {
    "latitude": 28.5, "longitude": 77.25, "utc_offset_seconds": 19800, "timezone": "Asia/Kolkata",
    "hourly_units": {"time": "iso8601", "temperature_2m": "°C", "wind_speed_10m": "m/s"},
    "hourly": {"time": ["2019-11-02T05:30", "2019-11-02T06:30"], "temperature_2m": [46.1, None],
               "wind_speed_10m": [10, 20]},
}  # fmt: skip


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "pretty.json"])
def test_open_meteos_answer_as_it_came(tmp_path, name):
    found = open_meteo(tmp_path, json.dumps(ANSWER, indent=2 if name == "pretty.json" else None), name=name)
    assert [(r["metric"], r["event_time"], r["value"]) for r in found.readings] == [
        ("temperature_c", 1572652800000, 46.1), ("wind_kmh", 1572652800000, 36.0), ("wind_kmh", 1572656400000, 72.0),
    ]  # fmt: skip
    assert {(r["lat"], r["lon"]) for r in found.readings} == {(28.5, 77.25)}
    assert accounted(found)["read"] == 2


def test_an_answer_whose_lists_differ_is_a_dead_letter(tmp_path):
    broken = {**ANSWER, "hourly": {"time": ["2019-11-02T05:30"], "temperature_2m": []}}
    found = open_meteo(tmp_path, json.dumps(broken), name="a.jsonl")
    assert found.summary["dead_letters"] == {"not_json": 1}
    assert accounted(open_meteo(tmp_path, json.dumps({**ANSWER, "hourly": {}}), name="a.jsonl"))["missing"] == 1


def stamp(hour):
    moment = START + timedelta(hours=hour)
    return {
        "utc": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "local": f"{moment + timedelta(minutes=330):%Y-%m-%dT%H:%M:%S}+05:30",
    }


def result(hour, *, length_h=1, value=130.0, flagged=False, place=None):
    """A result as version 3 of OpenAQ's API gives it for a fixed sensor: without coordinates."""
    return {
        "value": value, "flagInfo": {"hasFlags": flagged},
        "parameter": {"id": 2, "name": "pm25", "units": f"{MICRO}g/m{CUBE}", "displayName": None},
        "period": {"label": "raw", "interval": "01:00:00", "datetimeFrom": stamp(hour - length_h),
                   "datetimeTo": stamp(hour)},
        "coordinates": place, "summary": None, "coverage": {"expectedCount": 1, "percentComplete": 100.0},
    }  # fmt: skip


def openaq(tmp_path, content, name, place=None):
    path = tmp_path / name
    path.write_text(content)
    return read_feed(load_provider("openaq"), [path], place)


def test_openaqs_answer_whole_and_a_result_a_line(tmp_path):
    results = [result(hour) for hour in range(1, 17)]
    answer = {"meta": {"name": "openaq-api", "found": 16}, "results": results}
    whole = openaq(tmp_path, json.dumps(answer, indent=1), "a.json", HERE)
    assert [(r["event_time"], r["value"]) for r in whole.readings] == [(1572710400000, 308.0)]
    assert openaq(tmp_path, "\n".join(map(json.dumps, results)), "a.jsonl", HERE).readings == whole.readings
    own = [result(hour, place={"latitude": 28.563, "longitude": 77.187}) for hour in range(1, 17)]
    assert openaq(tmp_path, "\n".join(map(json.dumps, own)), "a.jsonl").readings == whole.readings


def test_openaqs_quarters_days_flags_and_lost_places_are_told_apart(tmp_path):
    quarters = [result(n / 4, length_h=0.25, value=400 if n % 4 == 2 else 20) for n in range(1, 65)]
    found = openaq(tmp_path, json.dumps({"results": quarters}), "a.json", HERE)
    assert [r["value"] for r in found.readings] == [283.0]
    rows = [result(24, length_h=24), result(25, flagged=True), result(26)]
    found = openaq(tmp_path, json.dumps({"results": rows}), "a.json")
    assert found.summary["dead_letters"] == {
        "missing_field:coordinates.latitude": 1, "refused_by_provider:flagInfo.hasFlags": 1,
        "wrong_interval:period.datetimeFrom.utc": 1,
    }  # fmt: skip
    assert "--at LAT,LON" in next(d for d in found.dead_letters if d["reason"].startswith("missing"))["detail"]


def test_openaqs_explorer_and_archive(tmp_path):
    explorer = "location_id,location_name,parameter,value,unit,datetimeUtc,datetimeLocal,timezone,latitude,longitude"
    archive = "location_id,sensors_id,location,datetime,lat,lon,parameter,units,value"
    first = [f'17,"R K Puram",pm25,130,{MICRO}g/m{CUBE},{stamp(h)["utc"]},{stamp(h)["local"]},Asia/Kolkata,28.563,'
             "77.187" for h in range(1, 17)]  # fmt: skip
    second = [f'17,9,R K Puram,"{stamp(h)["local"]}",28.563,77.187,pm25,{MICRO}g/m{CUBE},130' for h in range(1, 17)]
    one = openaq(tmp_path, "\n".join([explorer, *first]), "explorer.csv")
    two = openaq(tmp_path, "\n".join([archive, *second]), "archive.csv")
    assert one.readings == two.readings
    assert [r["value"] for r in one.readings] == [308.0]


def test_what_is_other_quantity_leaves_its_name(tmp_path):
    rows = [{**result(1), "parameter": {"name": name, "units": "x"}} for name in ("um003", "um003", "relativehumidity")]
    rows.append({**result(1), "parameter": {"id": 2}})
    found = openaq(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl", HERE)
    assert found.summary["other_quantity"] == {"relativehumidity": 1, "um003": 2}
    assert found.summary["dead_letters"] == {"wrong_type:parameter": 1}


def test_heat_beyond_any_reading_is_a_dead_letter_of_both_its_rows(tmp_path):
    found = open_meteo(tmp_path, [METEO_HEAD, *meteo_rows(values="60,100,0,0"), *meteo_rows(9)], HERE)
    assert found.summary["dead_letters"] == {"out_of_range:heat_index_c": 3}
    assert {r["value"] for r in found.readings if r["metric"] == "temperature_c"} == {46.1}
    assert accounted(found)["dead"] == 3


@pytest.mark.parametrize(("column", "value"), [
    ("temperature_2m", 65.1), ("temperature_2m", 305.4), ("precipitation", 501), ("precipitation", -1),
    ("wind_speed_10m", 451), ("visibility", -9999), ("visibility", 100_001),
])  # fmt: skip
def test_no_reading_is_outside_its_metrics_range(tmp_path, column, value):
    found = open_meteo(tmp_path, ["time," + column, f"2019-11-02T05:30,{value}"], HERE)
    assert (found.readings, found.summary["dead_letters"]) == ([], {f"out_of_range:{column}": 1})


def test_a_row_at_0_0_has_no_position(tmp_path):
    found = openaq(tmp_path, json.dumps(result(1, place={"latitude": 0, "longitude": 0.0})), "a.jsonl")
    assert found.summary["dead_letters"] == {"out_of_range:coordinates.latitude": 1}
