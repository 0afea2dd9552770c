"""Probabilities of the days ahead: by hand, on made-up years whose answer is known, and on measured ones."""

import datetime
import gzip

import numpy as np
import polars as pl
import pytest

from monsoon.cli.main import main
from monsoon.pipelines.pricing.probabilities import cross_validations, read_series, storm_probabilities, year_of
from monsoon.sources.files import InputError
from monsoon.transforms.pricing.disruption_probability import (
    DailySeries,
    brier,
    climatology,
    cross_validate,
    fit,
    reliability,
    storm_probability,
    targets,
)
from monsoon.transforms.product import Comparison

NAN = float("nan")


def test_a_target_is_of_the_days_ahead_and_known_where_all_of_them_are():
    events = np.array([1, 0, 0, 0, NAN, 1, 0, 0], dtype=float)
    expected = [0, NAN, NAN, NAN, 1, NAN, NAN, NAN]
    assert np.array_equal(targets(events, 3), expected, equal_nan=True)
    assert np.array_equal(targets(events, 1), [0, 0, 0, NAN, 1, 0, 0, NAN], equal_nan=True)


def test_gaps_make_no_event_more_frequent():
    """An event on every eleventh day, a tenth of the days not measured: of seven days, 7 in 11 have one."""
    events = (np.arange(4_000) % 11 == 0).astype(float)
    events[np.random.default_rng(1).random(4_000) < 0.1] = NAN
    assert np.nanmean(targets(events, 7)) == pytest.approx(7 / 11, abs=0.04)


def test_scores_by_hand():
    chance, happened = np.array([0.0, 0.15, 0.12, 1.0, NAN, 0.5]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, NAN])
    assert brier(chance, happened) == pytest.approx((0 + 0.15**2 + 0.88**2 + 0) / 4)
    bins = reliability(chance, happened)
    assert [(each.days, each.frequency) for each in bins] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert bins[1].mean_probability == pytest.approx(0.135)


def made(years, forecast=False, seed=3):
    """Spells in July and August that last; a perfect forecast of the next three days, or none."""
    random = np.random.default_rng(seed)
    days = np.arange(0, round(365.25 * years))
    season = ((days % 365.25) > 181) & ((days % 365.25) < 243)
    wet, chance = np.zeros(len(days)), random.random(len(days))
    for day in range(1, len(days)):
        wet[day] = season[day] and chance[day] < (0.85 if wet[day - 1] else 0.06)
    values = np.where(wet == 1, 1.3, 0.4)
    ahead = np.where(targets(wet, 3) == 1, 1.5, 0.3) if forecast else np.full(len(days), NAN)
    return DailySeries(days, values, wet, ahead)


def test_climatology_knows_the_season_alone():
    series = made(8)
    found = climatology(series.days, targets(series.events, 3), np.array([15, 212]))
    assert found[0] < 0.05 < 0.25 < found[1]


def test_the_state_beats_climatology_and_persistence_and_is_reliable():
    series = made(10)
    found = cross_validate(series, (series.days // 365.25).astype(int), 3)
    assert found.brier_model < 0.9 * found.brier_climatology
    assert found.brier_model < 0.9 * found.brier_persistence
    large = [each for each in found.reliability if each.days >= 100]
    assert all(abs(each.frequency - each.mean_probability) < 0.1 for each in large)


def test_a_forecast_that_knows_is_followed():
    without, with_it = made(6), made(6, forecast=True)
    years = (without.days // 365.25).astype(int)
    assert cross_validate(with_it, years, 3).brier_model < 0.1 * cross_validate(without, years, 3).brier_model


def test_a_year_held_out_teaches_nothing():
    """Its outcomes turned round, the model of the others says the same of it."""
    series = made(4)
    outcomes = targets(series.events, 3)
    held = series.days < 365
    told = [
        fit(series, np.where(held, NAN, changed)).probabilities(series)[held]
        for changed in (outcomes, np.where(held, 1 - outcomes, outcomes))
    ]
    assert np.array_equal(*told)


def test_one_year_cannot_be_judged():
    series = made(1)
    with pytest.raises(ValueError, match="fewer than two years"):
        cross_validate(series, np.zeros(len(series.days)), 3)


def test_storm_frequencies_by_hand():
    june, january = np.full(7, 6), np.full(7, 1)
    months = frozenset([6, 7])
    assert storm_probability(0.61, months, 1.0, june, 61.0) == pytest.approx(1 - np.exp(-0.07))
    assert storm_probability(0.61, months, 1.0, january, 61.0) == 0
    # Negative binomial: no storm in (1 + 2 x 7/61)^(-0.61/2) of weeks, more than by Poisson, as storms cluster.
    clustered = storm_probability(0.61, months, 3.0, june, 61.0)
    assert clustered == pytest.approx(1 - (1 + 14 / 61) ** -0.305)
    assert clustered < 1 - np.exp(-0.07)


def test_storms_by_their_files():
    ((_, basis, winter),) = storm_probabilities(["delhi-2019-11-02-smog"], datetime.date(2026, 11, 3))
    ((_, _, summer),) = storm_probabilities(["delhi-2019-11-02-smog"], datetime.date(2026, 7, 3))
    assert basis == "series"
    assert summer == {3: 0, 7: 0}
    assert 0 < winter[3] < winter[7] < 1


def written(tmp_path, text, name="days.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_days_that_a_file_lacks_are_not_measured(tmp_path):
    path = written(tmp_path, "day,value\n2024-01-04,301\n2024-01-01,300\n2024-01-02,\n")
    series = read_series(path, Comparison(">", 300.0))
    assert np.array_equal(series.events, [0, NAN, NAN, 1], equal_nan=True)
    assert series.values[0] == 1.0
    assert year_of(series).tolist() == [2024] * 4


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("day,aqi\n2024-01-01,3\n", "there is no column value"),
        ("day,value\n2024-13-01,3\n", "'2024-13-01' is no day"),
        ("day,value\n2024-01-01,much\n", "value 'much' of 2024-01-01 is no number"),
        ("day,value\n2024-01-01,3\n2024-01-01,4\n", "2024-01-01 is there twice"),
        ("day,value\n2024-01-01,\n", "no day has a value"),
        ("day,value\n0001-01-01,1\n2024-01-01,1\n", "too many days"),
        ("", "no table"),
    ],
)
def test_a_file_that_is_no_series_is_told(tmp_path, text, problem):
    with pytest.raises(InputError) as told:
        read_series(written(tmp_path, text), Comparison(">", 300.0))
    assert problem in str(told.value)


def test_the_command_judges_and_forecasts(capsys, tmp_path):
    series = made(3)
    rows = [
        f"{datetime.date(1970, 1, 1) + datetime.timedelta(days=int(d))},{v * 100}" for d, v in enumerate(series.values)
    ]
    path = written(tmp_path, "\n".join(["day,value", *rows, ""]))
    assert main(["forecast", "--series", str(path), "--breach", ">= 100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("within 3 days: ")
    assert lines[1].startswith("Brier score 0.")
    assert lines[-1].startswith("after 1972-12-3")
    assert main(["forecast", "--series", str(path), "--breach", "warm"]) == 1
    assert "--breach" in capsys.readouterr().err
    assert main(["forecast", "--storm", "delhi-2024-06-28", "--day", "2026-07-01"]) == 0
    assert "(frequency by judgment)" in capsys.readouterr().out


def test_smog_of_delhi_is_foreseen_in_years_held_out(shared, tmp_path):
    """Hourly PM2.5 of five years: the day's mean over 120 ug/m3 is an index above 300."""
    with gzip.open(shared / "data" / "airquality" / "us_embassy_newdelhi_pm25_hourly_2015_2019.csv.gz") as file:
        hours = pl.read_csv(file.read())
    hours = hours.filter((pl.col("qc") == "Valid") & (pl.col("pm25_raw_ugm3") >= 0))
    ends = pl.col("ts_local_ist_hour_ending").str.to_datetime("%Y-%m-%d %H:%M")
    days = hours.group_by((ends - pl.duration(hours=1)).dt.date().alias("day")).agg(
        pl.col("pm25_raw_ugm3").mean().alias("value"), pl.len().alias("hours")
    )
    found = _judged(days.filter(pl.col("hours") >= 16).select("day", "value"), Comparison(">", 120.0), tmp_path)
    assert found[3] < 0.82
    assert found[7] < 0.92


def test_rain_of_karimganj_is_hardly_foreseen_by_its_own_past(shared, tmp_path):
    """A government gauge of eight years; heavy rain, 64.5 mm. About as good as climatology: no skill is claimed."""
    with gzip.open(shared / "data" / "rainfall" / "karimganj_cwc_gauge_2014_2021.csv.gz") as file:
        gauge = pl.read_csv(file.read()).filter(pl.col("data_type_code") == "MPS")
    days = gauge.group_by(pl.col("ts_ist").str.slice(0, 10).alias("day")).agg(pl.col("value_mm").max().alias("value"))
    found = _judged(days, Comparison(">=", 64.5), tmp_path)
    assert 0.95 < found[3] < 1.01
    assert 0.95 < found[7] < 1.04


def _judged(days, breach, folder):
    """By horizon the model's Brier score as a share of climatology's."""
    path = folder / "days.parquet"
    days.write_parquet(path)
    found = cross_validations(read_series(path, breach), path)
    return {each.horizon_days: each.brier_model / each.brier_climatology for each in found}


def test_two_years_that_meet_leave_no_day_to_judge(tmp_path):
    """A few days about New Year's Eve: each lies within a horizon of the other year's."""
    days = [datetime.date(2019, 12, 29) + datetime.timedelta(days=number) for number in range(11)]
    pl.DataFrame({"day": days, "value": [100.0 + day.day for day in days]}).write_csv(tmp_path / "days.csv")
    with pytest.raises(InputError, match="fewer than two years"):
        cross_validations(read_series(tmp_path / "days.csv", Comparison(">", 110)), tmp_path / "days.csv")
