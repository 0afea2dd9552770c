"""The income that a storm truly takes, against what the simulation makes its riders do."""

import numpy as np
import polars as pl
import pytest

from monsoon.sources.scenarios.scenario import build_labeled_scenario
from monsoon.sources.simulator import build_scenario, load_storm, simulate_frames
from monsoon.sources.simulator.losses import LOSS_COLUMNS, shift_hours, with_losses

MINUTE_MS = 60_000


def test_hours_by_hand():
    """Six steps of ten minutes: as usual, half as fast, under a roof, and what is not of the shift."""
    pace = np.array([[1.0, 0.5, 0.5, 0.0, 0.0, 0.0], [1.0] * 6])
    working = np.array([[True, True, True, True, False, False], [True] * 6])
    found = shift_hours(pace, working, 10 * MINUTE_MS)
    assert found.shift.tolist() == pytest.approx([4 / 6, 1.0])
    assert found.lost.tolist() == pytest.approx([(0.5 + 0.5 + 1) / 6, 0.0])


def test_an_hour_is_an_eighth_of_the_wage_and_attackers_have_no_loss():
    labels = pl.DataFrame({"worker_id": ["a", "b", "c"], "kind": ["honest", "mock_app", "honest"]})
    hours = [shift_hours(np.array([[0.0] * 4] * count), np.array([[True] * 4] * count), 3_600_000) for count in (1, 2)]
    table = with_losses(labels, hours, np.array([640.0, 640.0, 401.0]))
    assert table.select(LOSS_COLUMNS).rows() == [(4.0, 4.0, 320.0), (None, None, None), (4.0, 4.0, 200.5)]


@pytest.fixture(scope="module")
def outage():
    return simulate_frames(load_storm("mumbai-2025-10-20-outage"), 200, 3)


def test_an_outage_takes_its_hours_from_riders_of_its_platform(outage):
    """From 12:18 to 15:10 nearly all of swiggy do nothing, whether offline or silent; it does not rain."""
    platform = outage.subscriptions.select("worker_id", "platform").unique()
    table = outage.labels.filter(kind="honest", on_shift=True).join(platform, on="worker_id")
    swiggy = table.filter(platform="swiggy")["lost_hours"]
    assert table.filter(pl.col("platform") != "swiggy")["lost_hours"].max() == 0
    assert swiggy.max() == pytest.approx(2 + 52 / 60, abs=0.01)
    assert (swiggy > 0).mean() > 0.8


def test_who_does_not_work_loses_nothing_and_nobody_more_than_his_shift(outage):
    honest = outage.labels.filter(kind="honest")
    assert honest.filter(on_shift=False).select(LOSS_COLUMNS).sum().row(0) == (0, 0, 0)
    assert (honest["lost_hours"] <= honest["shift_hours"]).all()
    assert (honest["shift_hours"] > 0).to_list() == honest["on_shift"].to_list()
    assert outage.labels.filter(pl.col("kind") != "honest").select(LOSS_COLUMNS).null_count().sum_horizontal().sum() > 0


def test_where_more_rain_falls_more_is_lost():
    """Both generators, by district: Safdarjung had 228 mm, Noida has the rain of Ayanagar, 66 mm."""
    storm = load_storm("delhi-2024-06-28")
    for build in (build_scenario, build_labeled_scenario):
        scenario = build(storm, 150, 4, attackers=0.1)
        blocks = list(scenario.played())
        assert sum(len(block.hours.lost) for block in blocks) == 150
        labels = with_losses(scenario.labels, [block.hours for block in blocks], scenario.daily_wage_inr)
        worked = labels.filter((pl.col("kind") == "honest") & (pl.col("shift_hours") > 0))
        share = worked.group_by("district").agg(pl.col("lost_hours").sum() / pl.col("shift_hours").sum())
        by_district = dict(share.iter_rows())
        assert by_district["Safdarjung"] > 1.5 * by_district["Noida"] > 0
