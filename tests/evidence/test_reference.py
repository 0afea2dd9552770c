"""Reference files: formats, places by code, rows that cannot be used."""

import gzip
from itertools import permutations

import numpy as np
import pytest
from evidence.conftest import reports, telemetry_table_of

from monsoon.sources.files import InputError
from monsoon.sources.reference import read_references
from monsoon.transforms.evidence.limits import UNKNOWN_TOWER_RANGE_M

OPENCELLID = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
CELL = "LTE-404-45-5123-20481"


def _located(folder):
    tables = read_references(folder)
    rows = reports("w", 2, cell=[CELL, "GSM-404-45-1-1"], bssids=[["ap1"], ["ap2"]])
    return tables, tables.locate(telemetry_table_of(rows))


def test_absent_files_locate_nothing(tmp_path):
    tables, references = _located(tmp_path / "nowhere")
    assert tables.faults == {}
    assert np.isnan(references.cell_lat).all()
    assert np.isnan(references.bssid_lon).all()


def test_opencellid_and_access_points(tmp_path):
    (tmp_path / "cell_towers.csv").write_text(
        OPENCELLID + "LTE,404,45,5123,20481,0,77.2,28.6,1500,9,1,0,0,0\nGSM,404,45,1,1,0,77.3,28.7,0,9,1,0,0,0\n"
    )
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\nap2,28.61,77.21\n")
    _, references = _located(tmp_path)
    assert references.cell_lat.tolist() == [28.7, 28.6]  # codes are in name order: GSM, LTE
    assert references.cell_range_m.tolist() == [UNKNOWN_TOWER_RANGE_M, 1500.0]
    assert np.isnan(references.bssid_lat[0])
    assert (references.bssid_lat[1], references.bssid_lon[1]) == (28.61, 77.21)


def test_sample_without_radio_and_range(tmp_path):
    (tmp_path / "cell_towers.csv").write_text("mcc,mnc,tac,cid,lat,lon\n404,45,5123,20481,28.6,77.2\n")
    _, references = _located(tmp_path)
    assert references.cell_lon[1] == 77.2
    assert references.cell_range_m[1] == UNKNOWN_TOWER_RANGE_M


def test_bad_rows_are_counted_and_told(tmp_path):
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\nap1,91,77\nap2,28.6,77.2\nap3,x,77\n,28,77\nap4\n")
    tables, references = _located(tmp_path)
    faults = tables.faults["access_points.csv"]
    assert faults.rows == 4
    assert faults.first[0].startswith("line 2: ")
    assert references.bssid_lat[1] == 28.6
    assert tables.account.rows_skipped == {"access_points.csv": 4}
    assert tables.account.warnings[0].startswith("reference/access_points.csv: 4 rows not used as written: line 2: ")
    assert "ap1" in tables.account.warnings[0]


def test_what_is_told_of_bad_rows_shows_no_raw_identifier(tmp_path):
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\naa:bb:cc:dd:ee:ff,91,77\n")
    [told] = read_references(tmp_path).account.warnings
    assert "aa:bb" not in told
    assert "[masked]" in told


@pytest.mark.parametrize("name", ["providers.csv", "cell_towers.csv", "access_points.csv"])
def test_a_file_that_begins_like_a_packed_stream_is_refused_in_words(tmp_path, name):
    columns = "provider,metric,quality,mcc,net,area,cell,bssid,lat,lon"
    (tmp_path / name).write_text(f"x^,{columns}\n" + "1," * 10 + "1\n")
    with pytest.raises(InputError, match="not a CSV file"):
        read_references(tmp_path)


def test_files_that_nobody_reads_are_told(tmp_path):
    for name in ("providers.CSV", "provider.csv", "cell_towers.csv.gz", "access_points.parquet", ".hidden", "_SUCCESS"):
        (tmp_path / name).touch()
    assert [line.partition(":")[0] for line in read_references(tmp_path).account.warnings] == [
        "reference/access_points.parquet", "reference/provider.csv", "reference/providers.CSV",
    ]  # fmt: skip
    assert read_references(tmp_path / "none").account.warnings == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_rows_of_one_access_point_the_same_stands_in_any_order(tmp_path, order):
    lines = ["ap1,28.6,77.2\n", "ap1,28.5985,77.2\n"]  # 167 m apart: two surveys of one place
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\n" + "".join(lines[index] for index in order))
    assert _located(tmp_path)[1].bssid_lat[0] == 28.5985


def test_an_access_point_that_moves_is_nowhere(tmp_path):
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\nap1,28.6,77.2\nap1,28.5,77.9\nap2,28.5,77.9\n")
    tables, references = _located(tmp_path)
    assert np.isnan(references.bssid_lat[0])
    assert references.bssid_lat[1] == 28.5
    assert tables.faults["access_points.csv"].rows == 2
    assert "in two places" in tables.faults["access_points.csv"].first[0]


# Two places in Delhi, 5,560 m apart, and one in Mumbai.
HERE, NEAR, FAR = (28.60, 77.2), (28.65, 77.2), (19.07, 72.87)


def tower(place, samples, updated=0, range_m=3000):
    return f"LTE,404,45,5123,20481,0,{place[1]},{place[0]},{range_m},{samples},1,0,{updated},0\n"


@pytest.mark.parametrize(
    ("rows", "lat"),
    [
        ([tower(HERE, 250), tower(FAR, 1)], 28.60),
        ([tower(HERE, 250), tower(FAR, 124)], 28.60),
        ([tower(HERE, 250), tower(FAR, 125)], None),  # like samples, and no range reaches so far
        ([tower(HERE, 250), tower(FAR, 250, updated=9)], None),
        ([tower(HERE, 0), tower(FAR, 0)], None),
        ([tower(HERE, ""), tower(FAR, "")], None),
        ([tower(HERE, ""), tower(FAR, 1)], 19.07),
        ([tower(HERE, "nan"), tower(FAR, -4)], None),
        ([tower(HERE, 250), tower(NEAR, 251, range_m=5600)], 28.65),  # within a range: one tower
        ([tower(HERE, 250), tower(NEAR, 251, range_m=5500)], None),
        ([tower(HERE, 9, updated=5), tower(NEAR, 9, updated=4, range_m=9000)], 28.60),  # of as many, the newest
        ([tower(HERE, 9, updated=5), tower(NEAR, 9, updated=6, range_m=9000)], 28.65),
        ([tower(HERE, 9), tower(NEAR, 9, range_m=9000)], 28.60),  # nothing tells: the numbers that sort first
        ([tower(HERE, 9), tower(HERE, 9)], 28.60),
        ([tower(HERE, 250), tower(FAR, 1), tower((12.9, 77.6), 1)], 28.60),  # what weighs little contradicts nobody
        ([tower(HERE, 250), tower(FAR, 1), tower((12.9, 77.6), 200)], None),
    ],
)
def test_of_several_rows_of_a_tower_the_best_known_speaks_unless_another_is_as_good(tmp_path, rows, lat):
    for order in permutations(rows):
        (tmp_path / "cell_towers.csv").write_text(OPENCELLID + "".join(order))
        tables, references = _located(tmp_path)
        assert np.array_equal(references.cell_lat[1], np.nan if lat is None else lat, equal_nan=True)
        assert bool(tables.faults) == (lat is None)


ROW = "LTE,404,45,5123,20481,0,77.2,28.6,1500,9,1,1693584000,1719504000,0\n"


@pytest.mark.parametrize(
    "content",
    [
        OPENCELLID + ROW,
        ROW,  # as opencellid.org hands it out, without names
        "\ufeff" + ROW,
        "\ufeff" + OPENCELLID + ROW,
        (OPENCELLID + ROW).replace("\n", "\r\n"),
        ROW.strip(),
        OPENCELLID + ROW.replace("404,45,5123,20481", "404.0,45.0,5123.0,20481.0"),
        OPENCELLID + ROW.replace("404,45,5123,20481", " 404 ,45 , 5123,2.0481e4"),
        OPENCELLID + ROW.replace("LTE", "lte "),
        ",".join(f'"{name}"' for name in OPENCELLID.strip().split(",")) + "\n" + ROW,
        ROW.replace("LTE", '"LTE"').replace("404", '"404"'),
        (OPENCELLID + ROW).replace(",", ";"),
        (OPENCELLID + ROW).replace(",", "\t"),
        (OPENCELLID + ROW).replace(",", ";").replace("77.2", "77,2").replace("28.6", "28,6"),
        ROW.replace(",", ";").replace("77.2", "77,2").replace("28.6", "28,6"),
        OPENCELLID.upper() + ROW,
        OPENCELLID + ROW.replace("20481", "1") + OPENCELLID + ROW,  # two files put one after the other
        "lat,lon,cell,area,net,mcc,radio\n28.6,77.2,20481,5123,45,404,LTE\n",
        "radio,mcc,mnc,lac,cid,lon,lat\nLTE,404,45,5123,20481,77.2,28.6\n",
        "radio,mcc,net,area,cell,lon,lat\n,404,45,5123,20481,77.2,28.6\n",  # a tower of no stated radio
    ],
)
def test_towers_in_every_form_in_which_people_have_them(tmp_path, content):
    for name, data in (
        ("cell_towers.csv", content.encode()),
        ("cell_towers.csv", gzip.compress(content.encode(), mtime=0)),
        ("cell_towers.csv", content.removeprefix("\ufeff").encode("utf-16")),
        ("cell_towers.csv.gz", gzip.compress(content.encode(), mtime=0)),
    ):
        (tmp_path / name).write_bytes(data)
        tables, references = _located(tmp_path)
        (tmp_path / name).unlink()
        assert references.cell_lat[1] == 28.6
        assert tables.faults == {}


@pytest.mark.parametrize("content", ["ap1,28.6,77.2\n", "ap1;28,6;77,2\n", "lon,BSSID,lat\n77.2,ap1,28.6\n"])
def test_access_points_with_and_without_names(tmp_path, content):
    (tmp_path / "access_points.csv").write_text(content)
    assert _located(tmp_path)[1].bssid_lat[0] == 28.6


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "cell_towers.csv",
            b"LTE,404,45,5123,20481,77.2,28.6\n",
            "no column mcc, net, area, cell, lat, lon; there are",
        ),
        ("cell_towers.csv", ROW.replace("28.6", "north").encode(), "no column mcc"),
        ("cell_towers.csv", gzip.compress(ROW.encode(), mtime=0)[:40], "cannot be read"),
        ("cell_towers.csv", b"\xff\xfe\x00", "cannot be read|no column"),
        ("cell_towers.csv.gz", b"\x1f\x8bnonsense", "cannot be read"),
        ("cell_towers.csv", b'{"mcc": 404}\n', "no column"),
        ("cell_towers.csv", b"mcc,net,area,cell,lat,lat,lon\n1,2,3,4,5,6,7\n", "column lat is there twice"),
        ("access_points.csv", b"28.6,77.2\n", "no column bssid, lat, lon"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line_that_says_where(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as told:
        read_references(tmp_path)
    assert str(told.value).startswith(str(tmp_path / name))
    assert "\n" not in str(told.value)


def test_of_a_file_and_its_packed_twin_neither_is_guessed(tmp_path):
    (tmp_path / "cell_towers.csv").write_text(OPENCELLID + ROW)
    (tmp_path / "cell_towers.csv.gz").write_bytes(gzip.compress(ROW.encode()))
    with pytest.raises(InputError, match=r"cell_towers.csv.gz is there too. Leave one"):
        read_references(tmp_path)


def test_parts_of_a_number_are_no_identity(tmp_path):
    (tmp_path / "cell_towers.csv").write_text(OPENCELLID + ROW.replace("404", "404.5") + ROW.replace("404", "inf"))
    tables, references = _located(tmp_path)
    assert tables.faults["cell_towers.csv"].rows == 2
    assert np.isnan(references.cell_lat).all()


def test_a_file_without_the_columns_is_told(tmp_path):
    (tmp_path / "cell_towers.csv").write_text("tower,lat,lon\n1,2,3\n")
    with pytest.raises(InputError, match="no column mcc, net, area, cell"):
        read_references(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("mcc,net,area,cell,lon,lat, lat\n1,2,3,4,5,6,7\n", "column lat is there twice"),
        ('mcc,net,area,cell,lon,lat\n"LTE,2,3,4,5,6\n' + "1,2,3,4,5,6\n" * 30, "not a CSV file"),
        ('"' + "x" * 5_000 + "\n" * 30, "not a CSV file|no column"),
        ("  \n", "no column"),
    ],
)
def test_a_broken_file_is_told_in_a_line(tmp_path, capfd, content, words):
    (tmp_path / "cell_towers.csv").write_text(content)
    with pytest.raises(InputError, match=words) as told:
        read_references(tmp_path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600
    assert capfd.readouterr().err == ""


def test_a_folder_in_place_of_a_file_is_told(tmp_path):
    (tmp_path / "cell_towers.csv").mkdir()
    with pytest.raises(InputError, match="is no regular file"):
        read_references(tmp_path)


def test_columns_of_any_other_name_do_no_harm(tmp_path):
    (tmp_path / "access_points.csv").write_text("line,key,good,bssid,lat,lon\n7,k,no,ap1,28.5,77.9\n8,k,no,,1,1\n")
    tables, references = _located(tmp_path)
    assert references.bssid_lat[0] == 28.5
    assert tables.faults["access_points.csv"].first[0].startswith("line 3: ")
