"""Policies of any product: plans, options, prices, changes in mid-storm, several policies, stated figures."""

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from monsoon.sources.simulator import load_storm, simulate_frames
from monsoon.sources.simulator.terms import Plan, Policies, Upgrade

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def cloudburst():
    return load_storm("delhi-2024-07-31-cloudburst")


@pytest.fixture(scope="module")
def rained(cloudburst):
    return simulate_frames(cloudburst, 320, 9)


def holding(storm, *policies):
    return replace(storm, modeled=replace(storm.modeled, policies=policies))


def test_riders_hold_several_products_and_are_the_same_people(rained):
    table = rained.subscriptions
    assert set(table["product"]) == {"gic", "offshift", "jugaad", "nexora"}
    products = table.group_by("worker_id").agg(pl.col("product").n_unique())["product"]
    assert (products > 1).sum() > 100
    for name in ("daily_wage_inr", "home_lat", "trust_tier", "device_id", "payout_account", "platform"):
        assert table.group_by("worker_id").agg(pl.col(name).n_unique())[name].max() == 1, name
    assert table.group_by("policy_id").agg(pl.col("product").n_unique())["product"].max() == 1
    assert table["event_id"].is_unique().all()


def test_plans_have_their_hours_and_prices(cloudburst, rained):
    (offer,) = [policies for policies in cloudburst.modeled.policies if policies.product == "offshift"]
    table = rained.subscriptions.filter(pl.col("type").is_in(["activated", "renewed"]), product="offshift")
    assert set(table["plan"]) == set(offer.plans)
    for (plan,), mine in table.group_by("plan"):
        assert set(mine["coverage_end"] - mine["coverage_start"]) == {offer.plans[plan].hours * HOUR_MS}
        assert set(mine["premium_inr"]) == {offer.plans[plan].premium_inr}
    options = rained.subscriptions.filter(product="jugaad")["plan"].unique()
    assert "basic:heat,aqi,congestion" in set(options)


def test_most_plans_are_in_force_when_the_storm_begins(cloudburst, rained):
    start = cloudburst.time_ms(cloudburst.modeled.riders.start)
    for (product,), mine in rained.subscriptions.group_by("product"):
        policies = mine["policy_id"].n_unique()
        on = mine.filter(pl.col("coverage_start") <= start, pl.col("coverage_end") > start)["policy_id"].n_unique()
        assert on > 0.6 * policies, product


def test_shares_are_held_by_honest_riders_and_all_attackers(rained):
    held = rained.subscriptions.filter(product="nexora")["worker_id"].unique()
    by_kind = rained.labels.with_columns(pl.col("worker_id").is_in(held.to_list()).alias("held"))
    honest = by_kind.filter(kind="honest")["held"]
    assert 0.4 < honest.mean() < 0.6
    assert by_kind.filter(pl.col("kind") != "honest")["held"].all()


def test_upgrades_and_cancellations_in_mid_storm_keep_the_period(cloudburst):
    offer = Policies(
        product="jugaad",
        plans={"basic": Plan(weight=1), "standard": Plan(weight=0.001)},
        cancelled_share=0.2,
        upgrade=Upgrade(share=0.3, to="standard"),
    )
    table = simulate_frames(holding(cloudburst, offer), 200, 9).subscriptions
    window = cloudburst.time_ms("2024-07-31 16:00"), cloudburst.time_ms("2024-07-31 22:00")
    change = pl.col("type").eq("upgraded") | (
        pl.col("type").eq("cancelled") & (pl.col("event_time") > window[0])  # others cancel before the storm
    )
    changes = table.filter(change)
    assert changes["event_time"].is_between(*window).all()
    counts = dict(changes.group_by("type").len().rows())
    assert counts["upgraded"] > 25
    assert counts["cancelled"] > 15
    assert set(changes.filter(type="upgraded")["plan"]) == {"standard"}
    periods = table.filter(~change).select("policy_id", "coverage_start", "coverage_end")
    assert changes.join(periods.unique(), on=["policy_id", "coverage_start", "coverage_end"]).height == changes.height
    assert (changes["event_time"] >= changes["coverage_start"]).all()
    assert (changes["event_time"] < changes["coverage_end"]).all()


def test_a_product_may_stand_twice():
    table = simulate_frames(load_storm("delhi-2023-07-13-flood"), 200, 9).subscriptions
    policies = table.group_by("worker_id").agg(pl.col("policy_id").n_unique())["policy_id"]
    assert set(policies) == {1, 2}
    assert 5 < (policies == 2).sum() < 40


def test_stated_figures_are_those_of_the_work_simulated(rained):
    """The stated mean is what a rider delivers in an hour without rain, give or take; its spread that of hours."""
    stated = rained.subscriptions.filter(pl.col("orders_per_hour").is_not_null()).group_by("worker_id").first()
    dry = rained.telemetry.join(rained.labels.filter(kind="honest", district="Faridabad"), on="worker_id")
    dry = dry.filter(pl.col("orders_completed").is_not_null(), pl.col("app_state") != "offline")
    minutes = dry.select("worker_id", pl.col("event_time") // 60_000).unique().height
    usual = 60 * dry["orders_completed"].sum() / minutes
    assert stated["orders_per_hour"].mean() == pytest.approx(usual, rel=0.15)
    assert 0.5 < stated["orders_per_hour_sd"].mean() < 1.5


def test_a_tenth_leaves_a_stated_figure_out(rained):
    for product, name in (("gic", "shift_baseline_inr"), ("gic", "orders_per_hour"), ("jugaad", "slab_orders")):
        first = rained.subscriptions.filter(product=product).group_by("policy_id").first()[name]
        assert 0.03 < first.null_count() / len(first) < 0.2, name
    assert rained.subscriptions.filter(product="offshift")["shift_baseline_inr"].null_count() > 0
    assert rained.subscriptions.filter(product="nexora")["slab_orders"].drop_nulls().is_empty()


def test_what_the_week_has_carried_begins_at_nothing_on_monday(rained):
    table = rained.subscriptions.filter(product="jugaad").drop_nulls("week_hours_carried")
    local_ms = table["event_time"].to_numpy() + 330 * 60_000
    gone = (local_ms / 86_400_000 + 3) % 7 / 7
    ratio = table["week_hours_carried"].to_numpy() / table["planned_hours_week"].to_numpy()
    assert np.all(np.abs(ratio - gone) <= 0.1 * gone + 0.01)
    assert (table["week_orders_carried"] >= 0).all()


def test_slabs_are_within_reach_for_some_and_not_for_all(rained):
    table = rained.subscriptions.filter(product="jugaad").drop_nulls(["slab_orders", "orders_per_hour"])
    reached = (table["orders_per_hour"] * table["planned_hours_week"] >= table["slab_orders"]).mean()
    assert 0.4 < reached < 0.98


def test_the_same_seed_gives_the_same_policies(cloudburst, rained):
    assert simulate_frames(cloudburst, 320, 9).subscriptions.equals(rained.subscriptions)
