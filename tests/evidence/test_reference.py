"""Reference files: formats, places by code, rows that cannot be used."""

import numpy as np
import pytest

from monsoon.sources.files import InputError
from monsoon.sources.reference import read_references
from monsoon.transforms.evidence.limits import UNKNOWN_TOWER_RANGE_M
from tests.evidence.conftest import reports, trail_of

OPENCELLID = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
CELL = "LTE-404-45-5123-20481"


def _located(folder):
    tables = read_references(folder)
    rows = reports("w", 2, cell=[CELL, "GSM-404-45-1-1"], bssids=[["ap1"], ["ap2"]])
    return tables, tables.locate(trail_of(rows))


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


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_places_of_one_access_point_the_same_stands_in_any_order(tmp_path, order):
    lines = ["ap1,28.6,77.2\n", "ap1,28.5,77.9\n"]
    (tmp_path / "access_points.csv").write_text("bssid,lat,lon\n" + "".join(lines[index] for index in order))
    assert _located(tmp_path)[1].bssid_lat[0] == 28.5


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
