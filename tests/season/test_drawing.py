"""Drawing storm-years: the rates, the months, and what must not change what."""

import dataclasses

import numpy as np
import pytest
from msgspec.structs import replace

from monsoon.pipelines.season.drawing import draw_years
from monsoon.pipelines.season.settings import SeasonSettings, StormSettings

RAIN = StormSettings("rain", "rain", "Delhi", "0", per_year=1.5, dispersion=1.0, months=(6, 7))
SMOG = StormSettings("smog", "smog", "Delhi", "0", per_year=18.0, dispersion=3.0, months=(1, 12))


@pytest.fixture(scope="module")
def settings():
    return SeasonSettings(
        years=2_000, seed=5, storms=(RAIN, SMOG), riders=50, replicates=4, products={}, product_files=(), models={}
    )


def rows(drawn, storm, years=None):
    """The occurrences of a storm as tuples, of the first years alone."""
    of = (drawn.storm == storm) & (drawn.year < (years or 10**9))
    return list(zip(*(column[of].tolist() for column in (drawn.year, drawn.day, drawn.replicate)), strict=True))


def test_numbers_of_a_year_have_the_mean_and_the_dispersion_of_the_frequency(settings):
    drawn = draw_years(settings)
    for index, storm in enumerate(settings.storms):
        counts = np.bincount(drawn.year[drawn.storm == index], minlength=settings.years)
        error = (storm.dispersion * storm.per_year / settings.years) ** 0.5
        assert counts.mean() == pytest.approx(storm.per_year, abs=4 * error)
        assert counts.var() / counts.mean() == pytest.approx(storm.dispersion, rel=0.15)


def test_days_are_in_the_months_and_in_order(settings):
    drawn = draw_years(settings)
    june_and_july, winter = drawn.day[drawn.storm == 0], drawn.day[drawn.storm == 1]
    assert (june_and_july.min(), june_and_july.max()) == (151, 211)
    assert set(winter.tolist()) == {*range(31), *range(334, 365)}
    assert np.all(np.diff(drawn.year * 365 + drawn.day) >= 0)
    assert np.bincount(drawn.replicate, minlength=4).min() > 0.2 * len(drawn.replicate)
    assert drawn.replays(settings)[:2] == [("rain", 0), ("rain", 1)]


def test_a_storms_occurrences_depend_on_the_seed_and_nothing_else(settings):
    drawn = draw_years(settings)
    assert rows(draw_years(replace(settings, storms=(RAIN,))), 0) == rows(drawn, 0)
    fewer = draw_years(replace(settings, years=30))
    assert rows(fewer, 1) == rows(drawn, 1, years=30)
    other = draw_years(replace(settings, seed=6))
    assert rows(other, 0) != rows(drawn, 0)
    again = draw_years(settings)
    for field in dataclasses.fields(drawn):
        assert getattr(again, field.name).tolist() == getattr(drawn, field.name).tolist()
