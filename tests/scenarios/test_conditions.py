"""Each condition is what its name says, in each tier, and the labels say who is who."""

import numpy as np
import polars as pl
import pytest
from kit.scenarios import COUNTS

from monsoon.sources.scenarios import ATTACKS, HONEST_CONDITIONS, build_labeled_scenario, planned_counts
from monsoon.sources.scenarios.conditions import CONDITIONS
from monsoon.sources.scenarios.riders import alert_of
from monsoon.sources.simulator.population import LABEL_COLUMNS

MINUTE_MS = 60_000
SENSORS = ["accel_var", "battery_pct", "cell", "gnss_time"]
"""Columns that all phones have, bar a few."""


def of(table, condition):
    return table.filter(condition=condition)


@pytest.fixture(scope="module")
def stormy(telemetry):
    """Reports of the storm's own day."""
    return telemetry.filter(pl.col("event_id").str.contains("-0-"))


def test_labels_name_the_conditions_that_were_asked_for(scenario):
    labels = scenario.labels
    assert labels.columns == list(LABEL_COLUMNS)
    assert labels["worker_id"].is_unique().all()
    assert dict(labels["condition"].value_counts().iter_rows()) == COUNTS
    kinds = {each.name: each.kind for each in CONDITIONS}
    assert labels["kind"].to_list() == [kinds[name] for name in labels["condition"]]
    assert (labels["attack_ms"].is_null() == (labels["kind"] == "honest")).all()
    in_rings = set(labels.filter(pl.col("ring").is_not_null())["condition"])
    assert in_rings == {each.name for each in ATTACKS if each.size > 1 and each.name in COUNTS}


@pytest.mark.parametrize("condition", [each.name for each in HONEST_CONDITIONS if each.name != "family_account"])
def test_every_tier_is_in_every_condition(scenario, condition):
    assert set(of(scenario.labels, condition)["device_tier"]) == {"entry", "mid", "flagship"}


def test_labels_say_where_attackers_really_are(scenario):
    labels = scenario.labels
    at_home = {each.name for each in ATTACKS if each.at_home}
    stays = labels["condition"].is_in(at_home)
    assert (labels["true_lat"].is_null() == ~stays).all()
    assert (labels["true_lon"].is_null() == ~stays).all()
    riders, streets = scenario.riders, scenario.streets
    away_m = np.hypot(riders.home_u - riders.base_u, riders.home_v - riders.base_v)
    assert away_m[riders.has("track") != "none"].min() > 5_000 + 2_000  # from the zones about the base as well
    lat, lon = streets.to_degrees(riders.home_u, riders.home_v)
    assert np.allclose(labels["true_lat"].to_numpy()[stays], lat[stays], atol=1e-5)
    assert np.allclose(labels["true_lon"].to_numpy()[stays], lon[stays], atol=1e-5)
    sources = dict(labels.select("condition", "false_sources").unique().iter_rows())
    assert {name for name, text in sources.items() if text} == {"way_7_quorum", "way_10_invented_providers"}


def test_a_plan_has_whole_groups_and_every_rider():
    for riders in (1, 40, 500, 3_000):
        for share in (0.0, 0.04, 0.3, 1.0):
            counts = planned_counts(riders, share)
            assert sum(counts.values()) == riders
            assert sum(counts[each.name] for each in ATTACKS) == round(share * riders)
            assert all(count >= 0 for count in counts.values())
            assert all(counts[each.name] % each.size == 0 for each in CONDITIONS)
    assert all(planned_counts(1_000, 0.3).values())
    with pytest.raises(ValueError, match="share"):
        planned_counts(10, 1.5)


def test_what_phones_state(stormy):
    assert of(stormy, "developer_option")["mock_setting"].all()
    assert not stormy.filter(condition="developer_option")["mock_location"].any()
    assert not of(stormy, "ordinary")["mock_setting"].any()
    phones = stormy.group_by("worker_id", "condition").agg(pl.col("device_id").n_unique())
    assert set(phones.filter(condition="two_phones")["device_id"]) == {2}
    assert set(phones.filter(pl.col("condition") != "two_phones")["device_id"]) == {1}
    ahead = (pl.col("gnss_time") - pl.col("network_time")).abs()
    rollover = of(stormy, "gnss_week_rollover").select(ahead.median()).item()
    assert rollover == pytest.approx(1_024 * 7 * 86_400_000, abs=10_000)
    assert of(stormy, "ordinary").select(ahead.max()).item() < 5_000


def test_when_reports_come(stormy, scenario):
    off = (pl.col("received_time") - pl.col("event_time")).alias("off")
    clocks = of(stormy, "clock_off").group_by("worker_id").agg(off.median())
    assert clocks["off"].abs().min() > 1.9 * MINUTE_MS
    late = of(stormy, "late_upload").select(off.median()).item()
    assert late > 15 * MINUTE_MS
    assert of(stormy, "ordinary").select(off.max()).item() < MINUTE_MS
    gaps = (
        of(stormy, "dead_zone")
        .filter(pl.col("event_time") > alert_of(scenario.storm))
        .sort("worker_id", "event_time")
        .select(pl.col("event_time").diff().over("worker_id").max())
    )
    assert gaps.item() >= 40 * MINUTE_MS
    assert of(stormy, "silent_at_home").is_empty()


def test_what_is_lost_or_missing(stormy):
    def share(condition):
        return of(stormy, condition).select(pl.mean_horizontal(pl.col(SENSORS).is_null().mean())).item()

    usual = share("ordinary")
    assert usual < 0.06
    assert share("sensor_loss_30") == pytest.approx(0.3, abs=0.05)
    assert share("sensor_loss_60") == pytest.approx(0.6, abs=0.05)
    one = of(stormy, "one_sensor_missing").group_by("worker_id").agg(pl.col(SENSORS).is_null().all())
    assert one.select(pl.sum_horizontal(SENSORS)).to_series().to_list() == [1, 1, 1]


def test_what_policies_state(scenario):
    events = scenario.subscriptions.join(scenario.labels.select("worker_id", "condition"), on="worker_id")
    assert of(events, "squad")["squad_id"].n_unique() == 1
    assert set(events.filter(pl.col("squad_id").is_not_null())["condition"]) == {"squad"}
    assert of(events, "family_account")["payout_account"].n_unique() == 1
    weekly = events.filter(product="kawaach").sort("worker_id", "coverage_start")
    gap = (pl.col("coverage_start") - pl.col("coverage_end").shift().over("worker_id")).fill_null(0)
    assert of(weekly, "late_renewal").select(gap.max()).item() == 86_400_000
    assert of(weekly, "ordinary").select(gap.max()).item() == 0
    wages = of(weekly, "raised_wage").group_by("worker_id").agg(pl.col("daily_wage_inr").sort_by("event_time"))
    for row in wages["daily_wage_inr"]:
        assert 1.3 < row[-1] / row[0] < 1.5
    before = (
        alert_of(scenario.storm) - of(weekly, "raised_wage").filter(pl.col("daily_wage_inr").diff() > 0)["event_time"]
    )
    assert before.min() > 7 * 86_400_000
    assert of(events, "way_7_quorum")["worker_id"].n_unique() == 3
    assert of(events, "way_8_silent_accounts").select(pl.col("device_id", "payout_account").n_unique()).row(0) == (1, 1)


def test_a_ring_is_of_one_platform_and_buys_one_plan_in_a_minute(storm):
    table = build_labeled_scenario(storm, 1, 3, counts={"ring_full_evidence": 24, "adaptive_ring": 20})
    events = table.subscriptions.join(table.labels.select("worker_id", "ring", "condition"), on="worker_id")
    bought = events.filter(type="activated").group_by("ring", "product", "condition").agg(
        pl.col("platform", "plan").n_unique(),
        (pl.col("event_time") // MINUTE_MS).n_unique().alias("minutes"),
        (pl.col("event_time").max() - pl.col("event_time").min()).alias("spread_ms"),
    )  # fmt: skip
    assert set(bought["platform"]) == set(bought["plan"]) == {1}
    assert set(bought.filter(condition="ring_full_evidence")["minutes"]) == {1}
    assert bought["spread_ms"].max() < 60 * MINUTE_MS


def test_of_a_ring_of_part_evidence_each_shares_some_things(storm):
    riders = build_labeled_scenario(storm, 1, 3, counts={"ring_part_evidence": 960}).riders
    others = riders.member > 0
    first = riders.rider - riders.member
    for column, of in (("network", first), ("bought_with", first)):
        assert np.mean(getattr(riders, column)[others] == of[others]) == pytest.approx(0.6, abs=0.1)
    alone = np.bincount(riders.device, minlength=len(riders))[riders.device] == 1
    assert np.mean(alone) == pytest.approx(0.4, abs=0.1)


def test_history_that_was_sent_in_one_evening(telemetry):
    made_up = of(telemetry, "way_11_history_in_one_evening").filter(~pl.col("event_id").str.contains("-0-"))
    assert made_up.height > 100
    assert (made_up["received_time"].max() - made_up["received_time"].min()) < 3 * 3_600_000
    assert (made_up["event_time"].max() - made_up["event_time"].min()) > 15 * 86_400_000
