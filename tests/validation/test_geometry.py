"""Polygons and cells that a reading may name."""

import pytest

from monsoon.transforms.validation.geometry import is_reading_cell, polygon_fault


def box(west, south, east, north):
    return f"{west} {south},{east} {south},{east} {north},{west} {north},{west} {south}"


GOOD = [
    f"POLYGON(({box(77, 28, 77.5, 28.5)}))",
    f"polygon (({box(77, 28, 77.5, 28.5)}))",
    f"POLYGON(({box(77, 28, 77.5, 28.5)}),({box(77.1, 28.1, 77.2, 28.2)}))",
    f"MULTIPOLYGON((({box(77, 28, 77.5, 28.5)})),(({box(78, 28, 78.5, 28.5)})))",
    f"MULTIPOLYGON((({box(77, 28, 77.5, 28.5)})),EMPTY)",
    f"POLYGON(({box(179, 0, 180, 1)}))",
    f"POLYGON(({box(0, 0, 1.27, 1.27)}))",
    f"POLYGON(({box(0, 0, 2, 2)}),({box(0.01, 0.01, 1, 1.99)}),({box(1.1, 0.1, 1.9, 1.9)}))",
]
BAD = {
    "": "not WKT",
    "POLYGON((0 0,1 0,1 1": "not WKT",
    "POLYGON((0 0,1 0,1 1,0 1))": "not closed",
    "POLYGON((0 0,0 0))": "too few points",
    "POINT(asha@okaxis)": "not WKT: POLYGON",
    "POLYGON((0 0,1 0,1 1,0 0))\x00": "not WKT",
    f"SRID=4326;POLYGON(({box(0, 0, 1, 1)}))": "not WKT",
    "POINT(77 28)": "Point",
    f"GEOMETRYCOLLECTION(POLYGON(({box(0, 0, 1, 1)})))": "GeometryCollection",
    "CURVEPOLYGON((0 0,1 0,1 1,0 0))": "not WKT",
    "POLYGON EMPTY": "empty",
    "MULTIPOLYGON(EMPTY)": "empty",
    "POLYGON((0 0,1 1,1 0,0 1,0 0))": "invalid",
    f"MULTIPOLYGON((({box(0, 0, 1, 1)})),(({box(0.5, 0, 1.5, 1)})))": "invalid",
    f"POLYGON(({box(77, 89, 77.5, 90.5)}))": "globe",
    f"POLYGON(({box(179.5, 0, 180.5, 1)}))": "globe",
    "POLYGON((0 0,1e999 0,1 1,0 0))": "globe",
    f"POLYGON(({box(-179.9, 10, 179.9, 10.0001)}))": "antimeridian",
    f"POLYGON(({box(0, 0, 1.28, 1.28)}))": "km2",
    f"MULTIPOLYGON((({box(0, 0, 1, 1)})),(({box(2, 0, 3, 1)})))": "km2",
}


@pytest.mark.parametrize("wkt", GOOD)
def test_good_polygons(wkt):
    assert polygon_fault(wkt) is None


@pytest.mark.parametrize(("wkt", "word"), BAD.items())
def test_bad_polygons(wkt, word):
    assert word in polygon_fault(wkt)


def test_cells_of_resolutions_4_to_9():
    by_resolution = {
        3: "833da1fffffffff", 4: "843da11ffffffff", 9: "893da115657ffff", 10: "8a3da115640ffff",
    }  # fmt: skip
    assert {r for r, cell in by_resolution.items() if is_reading_cell(cell)} == {4, 9}


@pytest.mark.parametrize(
    "cell", ["", "zzz", "863da1157fffff", "0x863da1157ffffff", " 863da1157ffffff", "f" * 15, "8" * 40]
)
def test_what_is_no_cell(cell):
    assert not is_reading_cell(cell)


@pytest.mark.parametrize(
    "wkt", ["POLYGON((77 28,78 28,78 29,77 28),EMPTY)", "MULTIPOLYGON(((77 28,78 28,78 29,77 28),EMPTY),EMPTY)"]
)
def test_an_empty_hole_is_no_hole(wkt):
    assert polygon_fault(wkt) is None
