"""Indices and the heat index against what their authors published."""

import csv
import gzip

import numpy as np
import pytest

from monsoon.transforms.atmosphere.cpcb import POLLUTANTS, cpcb_aqi, cpcb_sub_index, min_hours, rounded_index
from monsoon.transforms.atmosphere.heat_index import heat_index_c
from monsoon.transforms.atmosphere.running_means import running_means
from monsoon.transforms.atmosphere.us_epa import (
    TABLE_2024_FROM_MS,
    pm25_ug_m3_of_us_epa_aqi,
    us_epa_aqi_of_pm25,
    us_epa_table_at,
)

CPCB_TABLE = {
    "pm25": [(0, 30), (31, 60), (61, 90), (91, 120), (121, 250)],
    "pm10": [(0, 50), (51, 100), (101, 250), (251, 350), (351, 430)],
    "no2": [(0, 40), (41, 80), (81, 180), (181, 280), (281, 400)],
    "so2": [(0, 40), (41, 80), (81, 380), (381, 800), (801, 1600)],
    "o3": [(0, 50), (51, 100), (101, 168), (169, 208), (209, 748)],
    "nh3": [(0, 200), (201, 400), (401, 800), (801, 1200), (1201, 1800)],
    "co": [(0, 1.0), (1.1, 2.0), (2.1, 10), (10.1, 17), (17.1, 34)],
    "pb": [(0, 0.5), (0.6, 1.0), (1.1, 2.0), (2.1, 3.0), (3.1, 3.5)],
}
"""The report's table of breakpoints, as printed."""
CPCB_BANDS = [(0, 50), (51, 100), (101, 200), (201, 300), (301, 400)]


@pytest.mark.parametrize("pollutant", POLLUTANTS)
def test_every_printed_breakpoint_of_cpcb(pollutant):
    for ends, indices in zip(CPCB_TABLE[pollutant], CPCB_BANDS, strict=True):
        assert cpcb_sub_index(pollutant, ends).tolist() == list(indices)


@pytest.mark.parametrize(
    ("ug_m3", "index"), [(30, 50), (30.5, 51), (31, 51), (45, 75), (60, 100), (120, 300), (250, 400)]
)
def test_pm25_as_cpcb_publishes_it(ug_m3, index):
    assert rounded_index(cpcb_sub_index("pm25", ug_m3)) == index


@pytest.mark.parametrize("pollutant", POLLUTANTS)
def test_a_sub_index_has_no_gap_and_never_falls(pollutant):
    means = np.linspace(0, POLLUTANTS[pollutant].highest[-1] * 2, 20_000)
    index = cpcb_sub_index(pollutant, means)
    assert (np.diff(index) >= 0).all()
    assert np.diff(index).max() < 0.5
    assert index[-1] == 500


def test_what_no_concentration_is():
    with pytest.raises(ValueError, match="pm25 below zero: -1"):
        cpcb_sub_index("pm25", [3, -1])
    with pytest.raises(ValueError, match="no pollutant 'radon'"):
        cpcb_sub_index("radon", 3)
    with pytest.raises(ValueError, match="at least one"):
        cpcb_aqi({})
    with pytest.raises(ValueError, match="below zero"):
        us_epa_aqi_of_pm25([-0.1], "us_epa_2012")
    with pytest.raises(ValueError, match="below zero"):
        pm25_ug_m3_of_us_epa_aqi(-1, "us_epa_2012")
    with pytest.raises(ValueError, match="no table 'us_epa_2013'"):
        us_epa_aqi_of_pm25(1, "us_epa_2013")
    assert np.isnan(cpcb_sub_index("pm25", np.nan))


def test_the_worst_sub_index_is_the_index_and_three_pollutants_make_it_the_aqi():
    nan = np.nan
    found = cpcb_aqi({"pm25": [45, 45, nan, nan], "no2": [300, nan, 300, nan], "co": [1.5, 1.5, 1.5, nan]})
    assert [found.pollutants[worst] for worst in found.worst.tolist()[:3]] == ["no2", "pm25", "no2"]
    assert found.index[:3].tolist() == [317, 75, 317]
    assert np.isnan(found.index[3])
    assert found.worst[3] == -1
    assert found.complete.tolist() == [True, False, False, False]
    gases = cpcb_aqi({"so2": [10], "no2": [300], "co": [1.5]})
    assert gases.complete.tolist() == [False], "three, but neither PM2.5 nor PM10"


def test_a_mean_needs_two_thirds_of_its_hours():
    assert (min_hours("pm25"), min_hours("o3")) == (16, 6)
    hourly = np.arange(1.0, 31.0)
    assert np.isnan(running_means(hourly[:15], hours=24, min_known=16)).all()
    assert running_means(hourly, hours=24, min_known=16)[[15, 23, 29]].tolist() == [8.5, 12.5, 18.5]
    hourly[5:14] = np.nan
    means = running_means(hourly, hours=24, min_known=16)
    assert np.isnan(means[28]), "15 hours"
    assert means[29] == np.nanmean(hourly[6:30])
    with pytest.raises(ValueError, match="cannot need 25"):
        running_means(hourly, hours=24, min_known=25)


def test_a_mean_is_the_same_whatever_came_long_before():
    quiet = np.full(48, 0.1)
    wild = np.concatenate([np.full(1000, 1e9 / 7), np.zeros(24), quiet])
    assert running_means(wild, hours=24, min_known=16)[-1] == running_means(quiet, hours=24, min_known=16)[-1]


US_2012 = [(0, 0), (12.0, 50), (12.1, 51), (35.4, 100), (35.5, 101), (55.4, 150), (55.5, 151), (150.4, 200),
           (150.5, 201), (250.4, 300), (250.5, 301), (350.4, 400), (350.5, 401), (500.4, 500)]  # fmt: skip
US_2024 = [(0, 0), (9.0, 50), (9.1, 51), (35.4, 100), (35.5, 101), (55.4, 150), (55.5, 151), (125.4, 200),
           (125.5, 201), (225.4, 300), (225.5, 301), (325.4, 500)]  # fmt: skip


@pytest.mark.parametrize(("table", "points"), [("us_epa_2012", US_2012), ("us_epa_2024", US_2024)])
def test_every_printed_breakpoint_of_the_epa_and_back(table, points):
    for ug_m3, index in points:
        assert us_epa_aqi_of_pm25(ug_m3, table) == index
        assert pm25_ug_m3_of_us_epa_aqi(index, table) == pytest.approx(ug_m3)


@pytest.mark.parametrize("table", ["us_epa_2012", "us_epa_2024"])
def test_an_index_turned_back_and_forth_is_itself(table):
    indices = np.arange(0, 900)
    assert (np.abs(us_epa_aqi_of_pm25(pm25_ug_m3_of_us_epa_aqi(indices, table), table) - indices) <= 1).all()


@pytest.mark.parametrize("table", ["us_epa_2012", "us_epa_2024"])
def test_a_concentration_turned_back_is_right_to_a_microgram(table):
    ug_m3 = np.arange(0, 900, 0.1)
    back = pm25_ug_m3_of_us_epa_aqi(us_epa_aqi_of_pm25(ug_m3, table), table)
    assert np.abs(back - ug_m3).max() < 1.0 + 0.1


def test_the_tables_differ_and_each_has_its_time():
    assert us_epa_aqi_of_pm25(140, "us_epa_2012") == 195
    assert us_epa_aqi_of_pm25(140, "us_epa_2024") == 215
    assert us_epa_table_at(TABLE_2024_FROM_MS - 1) == "us_epa_2012"
    assert us_epa_table_at(TABLE_2024_FROM_MS) == "us_epa_2024"


def test_a_us_index_is_not_an_indian_one():
    """At 150 ug/m3 the US index calls 200 what CPCB calls 323: passed through, it would turn a Very Poor day away."""
    ug_m3 = pm25_ug_m3_of_us_epa_aqi(200, "us_epa_2012")
    assert rounded_index(cpcb_sub_index("pm25", ug_m3)) == 324


def test_the_embassys_own_indices(shared):
    """AirNow computed them from the NowCast, over four years, beyond 500 too."""
    path = shared / "data/airquality/us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        pairs = [(float(row["pm25_nowcast_ugm3"]), float(row["aqi_us_epa"])) for row in csv.DictReader(file)]
    concentrations, indices = np.array([pair for pair in pairs if min(pair) >= 0]).T
    assert len(indices) > 30_000
    assert indices.max() > 900
    assert (us_epa_aqi_of_pm25(concentrations, "us_epa_2012") == indices).all()
    assert (us_epa_aqi_of_pm25(concentrations, "us_epa_2024") == indices).mean() < 0.6


NWS_CHART_F = {
    40: [80, 81, 83, 85, 88, 91, 94, 97, 101, 105, 109, 114, 119, 124, 130, 136],
    45: [80, 82, 84, 87, 89, 93, 96, 100, 104, 109, 114, 119, 124, 130, 137],
    50: [81, 83, 85, 88, 91, 95, 99, 103, 108, 113, 118, 124, 131, 137],
    55: [81, 84, 86, 89, 93, 97, 101, 106, 112, 117, 124, 130, 137],
    60: [82, 84, 88, 91, 95, 100, 105, 110, 116, 123, 129, 137],
    65: [82, 85, 89, 93, 98, 103, 108, 114, 121, 128, 136],
    70: [83, 86, 90, 95, 100, 105, 112, 119, 126, 134],
    75: [84, 88, 92, 97, 103, 109, 116, 124, 132],
    80: [84, 89, 94, 100, 106, 113, 121, 129],
    85: [85, 90, 96, 102, 110, 117, 126, 135],
    90: [86, 91, 98, 105, 113, 122, 131],
    95: [86, 93, 100, 108, 117, 127],
    100: [87, 95, 103, 112, 121, 132],
}
"""The National Weather Service's heat index chart: relative humidity (%), then F at 80, 82, ... F."""


def test_the_chart_of_the_national_weather_service():
    differences = []
    for humidity, row in NWS_CHART_F.items():
        f = 80.0 + 2 * np.arange(len(row))
        # The chart is the regression alone; the adjustment for humid air came on top of it.
        adjustment = np.where(f <= 87, (humidity - 85) / 10 * (87 - f) / 5, 0) if humidity > 85 else 0
        differences += (heat_index_c((f - 32) / 1.8, humidity) * 1.8 + 32 - adjustment - row).tolist()
    assert len(differences) == 135
    assert max(np.abs(differences)) < 1.3, "the regression's own error is 1.3 F"
    assert np.mean(np.abs(np.round(differences)) == 0) > 0.9


def fahrenheit(t_f, humidity):
    return float(heat_index_c((t_f - 32) / 1.8, humidity)) * 1.8 + 32


def test_each_branch_by_hand():
    assert fahrenheit(70, 50) == pytest.approx(0.5 * (70 + 61 + 2 * 1.2 + 50 * 0.094))
    assert fahrenheit(96, 65) == pytest.approx(121, abs=0.5)
    dry = -42.379 + 2.04901523 * 100 + 10.14333127 * 5 - 0.22475541 * 500 - 0.00683783 * 1e4 - 0.05481717 * 25
    dry += 0.00122874 * 5e4 + 0.00085282 * 2500 - 0.00000199 * 25e4
    assert fahrenheit(100, 5) == pytest.approx(dry - (13 - 5) / 4 * (12 / 17) ** 0.5)
    humid = -42.379 + 2.04901523 * 82 + 10.14333127 * 90 - 0.22475541 * 7380 - 0.00683783 * 6724 - 0.05481717 * 8100
    humid += 0.00122874 * 6724 * 90 + 0.00085282 * 82 * 8100 - 0.00000199 * 6724 * 8100
    assert fahrenheit(82, 90) == pytest.approx(humid + 0.5 * 1)
    assert fahrenheit(113, 12.9) == pytest.approx(fahrenheit(113, 13), abs=0.2), "above 112 F nothing is subtracted"


@pytest.mark.parametrize(("t_c", "humidity"), [(65.1, 10), (-61, 10), (30, -1), (30, 101)])
def test_what_no_weather_is(t_c, humidity):
    with pytest.raises(ValueError, match="outside"):
        heat_index_c([20.0, t_c], [50.0, humidity])
    assert np.isnan(heat_index_c(np.nan, 50))
