"""Frequencies of storm files, and storms weaker or stronger than their files."""

import numpy as np
import polars as pl
import pytest

from monsoon.pipelines.season.book import LISTED, plans_of, with_book
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import available_storms, load_storm
from monsoon.sources.simulator.intensity import factor_of, with_intensity
from monsoon.sources.simulator.subscriptions import subscriptions
from monsoon.sources.simulator.terms import Intensity
from monsoon.sources.simulator.weather import readings
from monsoon.transforms.atmosphere.cpcb import cpcb_sub_index


def test_every_storm_states_how_often_and_how_that_is_known():
    for name in available_storms():
        frequency = load_storm(name).frequency
        assert frequency is not None, name
        assert len(frequency.source) > 20, name


def test_the_frequencies_of_smog_are_those_of_the_real_series(shared):
    """Times that the index rose above 300 for 3 h or more, as the products' triggers see it: those below 480 are the
    first storm's, the others the second's; their intensities the greatest means over the storm's own."""
    path = shared / "data/airquality/us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz"
    table = pl.read_csv(path).select(
        hour=pl.col("ts_local_ist_hour_ending").str.to_datetime("%Y-%m-%d %H:%M"),
        ug_m3=pl.when(pl.col("qc") == "Valid", pl.col("pm25_raw_ugm3") >= 0).then("pm25_raw_ugm3"),
    )
    table = table.unique("hour", keep="first", maintain_order=True).sort("hour").upsample("hour", every="1h")
    known = table["ug_m3"].is_not_null().to_numpy().astype(np.int64)
    hours = np.convolve(known, np.ones(24, np.int64))[: len(known)]
    total = np.convolve(table["ug_m3"].fill_null(0).to_numpy(), np.ones(24))[: len(known)]
    mean = np.where(hours >= 16, total / np.maximum(hours, 1), np.nan)
    above = np.flatnonzero(cpcb_sub_index("pm25", mean) > 300)
    spells = [each for each in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1) if len(each) >= 4]
    peaks = np.array([mean[spell].max() for spell in spells])
    severe = cpcb_sub_index("pm25", peaks) >= 480
    years = np.isfinite(mean).sum() / (24 * 365)
    for name, own, peak in (("delhi-2019-11-02-smog", ~severe, 332), ("delhi-2019-11-03-smog", severe, 691)):
        frequency = load_storm(name).frequency
        assert frequency.basis == "series"
        assert frequency.per_year == pytest.approx(own.sum() / years, abs=0.05)
        assert frequency.intensity.median == pytest.approx(np.median(peaks[own]) / peak, abs=0.005)
        assert frequency.intensity.sigma == pytest.approx(np.log(peaks[own]).std(), abs=0.01)
        assert frequency.intensity.min == pytest.approx(peaks[own].min() / peak, abs=0.005)


def greatest(storm, metric, provider):
    return readings(storm).filter(metric=metric, provider=provider)["value"].max()


def test_intensity_scales_rain_smog_and_wind_and_nothing_else():
    delhi = load_storm("delhi-2024-06-28")
    half = with_intensity(delhi, 0.5)
    assert greatest(half, "rain_mm_24h", "imd") == pytest.approx(228.1 / 2, abs=0.06)
    assert greatest(half, "rain_mm_h", "imd") == pytest.approx(greatest(delhi, "rain_mm_h", "imd") / 2, abs=0.06)
    assert greatest(half, "red_alert", "imd") == 1
    assert half.modeled.corrections[0].first == pytest.approx(5.3 / 2)
    wind = load_storm("chennai-2016-12-12-vardah")
    assert greatest(with_intensity(wind, 0.75), "wind_kmh", "imd") == 69
    smog = load_storm("delhi-2019-11-03-smog")
    assert greatest(with_intensity(smog, 0.1), "aqi", "cpcb") < 200 < 480 < greatest(smog, "aqi", "cpcb")
    heat = load_storm("delhi-2024-05-29-heat")
    assert readings(with_intensity(heat, 0.5)).equals(readings(heat))
    assert with_intensity(delhi, 1.0) is delhi


def test_the_factor_is_lognormal_between_its_bounds():
    intensity = Intensity(median=0.5, sigma=0.3, min=0.4)
    assert factor_of(intensity, 0) == 0.5
    assert factor_of(intensity, 1) == pytest.approx(0.5 * np.exp(0.3), abs=0.0005)
    assert (factor_of(intensity, -5), factor_of(intensity, 9)) == (0.4, 1.5)
    assert factor_of(Intensity(), 3) == 1.0


def test_in_a_season_every_rider_holds_each_product_and_nothing_is_queued(scenario_of):
    products = load_products()
    storm = with_book(load_storm("delhi-2024-07-31-cloudburst"), products)
    assert storm.modeled.reserves == ()
    table, _ = subscriptions(storm, *scenario_of(storm, 60))
    held = table.select("worker_id", "product").unique()
    assert held.height == 60 * len(products)
    assert set(table["plan"]) == {plan for product in products.values() for plan in plans_of(product)}


def test_listed_plans_are_those_of_the_products():
    products = load_products()
    assert set(LISTED) == set(products)
    for name, plans in LISTED.items():
        assert set(plans) == set(products[name].plans)
