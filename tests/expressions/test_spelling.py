"""Which known name was meant."""

import pytest

from monsoon.transforms.spelling import closest_name

STORMS = ["delhi-2024-05-29-heat", "delhi-2024-06-28", "chennai-2016-12-12-vardah"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("cpcb", ["cpcb"], "cpcb"),
        ("CPCB", ["cpcb", "openaq"], "cpcb"),
        ("open meteo", ["open_meteo", "openaq"], "open_meteo"),
        (" Delhi_2024_06_28", STORMS, "delhi-2024-06-28"),
        ("vardah", STORMS, "chennai-2016-12-12-vardah"),
        ("delhi", STORMS, None),
        ("kavach", ["gic", "kawaach"], "kawaach"),
        ("A", ["a", "A"], "A"),
        ("", ["a"], None),
        ("x", ["xylophone"], None),
        ("a" * 81, ["a" * 80], None),
        ("rain", [], None),
    ],
)
def test_the_nearest_name(name, known, meant):
    assert closest_name(name, known) == meant
    assert closest_name(name, reversed(known)) == meant
