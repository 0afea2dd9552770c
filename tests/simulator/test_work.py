"""What riders deliver, what keeps them from it, and the weeks before."""

import polars as pl
import pytest
from msgspec.structs import replace

from monsoon.sources.simulator import load_storm, simulate_frames
from monsoon.sources.simulator.terms import Hindrance
from monsoon.transforms.geo.cells import cells_of

WEEK_MS = 7 * 24 * 3_600_000


def told(frames):
    return frames.telemetry.join(frames.labels, on="worker_id", maintain_order="left").filter(kind="honest")


@pytest.fixture(scope="module")
def curfew():
    return load_storm("bengaluru-2020-03-22-curfew")


@pytest.fixture(scope="module")
def curfew_frames(curfew):
    return simulate_frames(curfew, 128, 5)


@pytest.fixture(scope="module")
def outage():
    return load_storm("mumbai-2025-10-20-outage")


@pytest.fixture(scope="module")
def outage_frames(outage):
    return simulate_frames(outage, 200, 5)


def between(storm, table, start, end):
    return table.filter(pl.col("event_time").is_between(storm.time_ms(start), storm.time_ms(end), closed="left"))


def orders_per_hour(table):
    """Of those who state their orders, per hour in which they report."""
    stated = table.filter(pl.col("orders_completed").is_not_null())
    minutes = stated.select("worker_id", pl.col("event_time") // 60_000).unique().height
    return 60 * stated["orders_completed"].sum() / minutes


def test_a_curfew_ends_work_for_nearly_all_and_not_outside(curfew, curfew_frames):
    table = between(curfew, told(curfew_frames), "2020-03-22 08:00", "2020-03-22 12:00")
    inside = table.filter(pl.col("district") != "Hosur")
    usual = orders_per_hour(table.filter(district="Hosur"))
    assert orders_per_hour(inside) < 0.3 * usual
    working = inside.group_by("worker_id").agg(pl.col("orders_completed").sum())["orders_completed"]
    assert 0 < (working > 0).sum() < 0.25 * len(working)
    offline = inside.group_by("worker_id").agg((pl.col("app_state") == "offline").mean())["app_state"]
    assert 0.15 < (offline > 0.9).sum() / len(offline) < 0.45


def test_the_weeks_before_are_as_usual_and_thin(curfew, curfew_frames):
    table = told(curfew_frames)
    for week in (1, 2, 3):
        start, end = (curfew.time_ms(at) - week * WEEK_MS for at in ("2020-03-22 05:30", "2020-03-22 12:00"))
        mine = table.filter(pl.col("event_time").is_between(start - 5_000, end))
        assert 1.5 < orders_per_hour(mine) < 4
        gaps = mine.sort("worker_id", "event_time").select(pl.col("event_time").diff().over("worker_id")).drop_nulls()
        assert gaps["event_time"].min() > 55_000
    first = curfew.time_ms("2020-03-22 05:30") - 3 * WEEK_MS
    assert first - 5_000 < table["event_time"].min() < first + 3_600_000
    assert table["event_id"].is_unique().all()


def test_zones_have_a_usual_hour_to_compare_the_curfews_with(curfew, curfew_frames):
    """Orders of 08:00-09:00 in cells of about 1 km2: each earlier Sunday had some where hardly any is left."""
    table = told(curfew_frames).filter(pl.col("district") != "Hosur", pl.col("orders_completed") > 0)
    eight = curfew.time_ms("2020-03-22 08:00")
    by_week = [
        table.filter(pl.col("event_time").is_between(eight - week * WEEK_MS, eight - week * WEEK_MS + 3_600_000))
        for week in range(4)
    ]
    usual = pl.concat(by_week[1:])
    assert min(week["orders_completed"].sum() for week in by_week[1:]) > 60
    assert by_week[0]["orders_completed"].sum() < 0.25 * usual["orders_completed"].sum() / 3
    cells = [cells_of(week["lat"].to_numpy(), week["lon"].to_numpy(), 8) for week in by_week]
    assert len(set(cells[1]) & set(cells[2]) & set(cells[3])) > 10


def test_in_the_rain_most_deliver_less_than_half_of_the_usual():
    storm = load_storm("delhi-2024-07-31-cloudburst")
    table = between(storm, told(simulate_frames(storm, 320, 9)), "2024-07-31 18:45", "2024-07-31 19:45")
    stated = table.filter(pl.col("orders_completed").is_not_null())
    orders = stated.group_by("worker_id", "district").agg(pl.col("orders_completed").sum(), pl.len())
    orders = orders.filter(pl.col("len") > 180)  # on shift for most of the hour
    few = dict(orders.group_by("district").agg((pl.col("orders_completed") <= 1).mean()).rows())
    assert few["Mayur Vihar"] > 0.6
    assert few["Faridabad"] < 0.3
    some = orders.filter(pl.col("orders_completed") > 0, district="Mayur Vihar").height
    assert 0.05 < some / orders.filter(district="Mayur Vihar").height < 0.6


def test_history_changes_nothing_of_the_storm_itself(curfew, curfew_frames):
    riders = replace(curfew.modeled.riders, history=None)
    alone = simulate_frames(replace(curfew, modeled=replace(curfew.modeled, riders=riders)), 128, 5).telemetry
    start = curfew.time_ms("2020-03-22 05:00")
    assert curfew_frames.telemetry.filter(pl.col("event_time") > start).equals(alone)


def test_in_an_outage_a_platforms_riders_fall_silent_after_having_been_online(outage, outage_frames):
    table = told(outage_frames)
    before = between(outage, table, "2025-10-20 11:30", "2025-10-20 12:15")
    during = between(outage, table, "2025-10-20 12:20", "2025-10-20 15:00")
    active = pl.col("app_state").is_in(["online", "on_trip"])
    for platform, least, most in (("swiggy", 0.0, 0.15), ("zepto", 0.8, 1.0)):
        was = set(before.filter(active, platform=platform)["worker_id"])
        still = set(during.filter(active, platform=platform)["worker_id"])
        assert len(was) > 4
        assert least <= len(was & still) / len(was) <= most
    silent = set(before.filter(platform="swiggy")["worker_id"]) - set(during["worker_id"])
    assert len(silent) > 10


def test_of_a_fake_outage_only_attackers_go_silent(outage, outage_frames):
    table = outage_frames.telemetry.join(outage_frames.labels, on="worker_id").filter(platform="zomato")
    now = between(outage, table, "2025-10-20 13:00", "2025-10-20 14:30")
    assert now.filter(pl.col("kind") != "honest").is_empty()
    assert table.filter(pl.col("kind") != "honest").height > 1_000
    assert now.filter(kind="honest")["worker_id"].n_unique() > 10


def test_a_hindrance_more_changes_nobody_elses_day(outage, outage_frames):
    jam = Hindrance(start="2025-10-20 11:00", end="2025-10-20 12:00", pace=0.3, districts=("Panvel",))
    modeled = replace(outage.modeled, hindrances=(*outage.modeled.hindrances, jam))
    other = simulate_frames(replace(outage, modeled=modeled), 200, 5)
    panvel = set(outage_frames.labels.filter(district="Panvel")["worker_id"])
    mine, others = (frames.telemetry.filter(~pl.col("worker_id").is_in(panvel)) for frames in (outage_frames, other))
    assert mine.select("event_id", "app_state", "orders_completed").equals(
        others.select("event_id", "app_state", "orders_completed")
    )


def test_slow_roads_slow_riders():
    """Half the pace, about half the orders."""
    storm = load_storm("delhi-2019-11-03-smog")
    jam = Hindrance(start="2019-11-03 06:30", end="2019-11-03 13:00", pace=0.5)
    slow, usual = (
        told(simulate_frames(replace(storm, modeled=replace(storm.modeled, hindrances=h)), 128, 5, attackers=0.0))
        for h in ((jam,), ())
    )
    assert 0.35 < orders_per_hour(slow) / orders_per_hour(usual) < 0.65
    assert slow["speed_mps"].max() < usual["speed_mps"].max()
