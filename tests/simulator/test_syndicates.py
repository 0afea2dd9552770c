"""Groups that join for a storm: sizes, shared phones, accounts, towers, purchases within the hour."""

import polars as pl
import pytest

from monsoon.sources.simulator import load_storm, simulate_frames


@pytest.fixture(scope="module")
def cloudburst():
    return load_storm("delhi-2024-07-31-cloudburst")


@pytest.fixture(scope="module")
def frames(cloudburst):
    return simulate_frames(cloudburst, 320, 9)


@pytest.fixture(scope="module")
def members(frames):
    return frames.labels.filter(pl.col("notes").str.contains("syndicate"))


def test_it_has_its_size_and_is_one_ring(members):
    assert members.height == 56
    assert members["ring"].n_unique() == 1
    assert set(members["kind"]) == {"mock_app"}
    assert set(members["district"]) == {"Mayur Vihar"}


def test_it_joins_within_the_hour_after_the_alert(cloudburst, frames, members):
    bought = frames.subscriptions.join(members, on="worker_id").filter(type="activated")
    alert = cloudburst.time_ms("2024-07-31 17:50")
    assert bought["product"].n_unique() >= 1
    for (product,), mine in bought.group_by("product"):
        assert mine["event_time"].is_between(alert, alert + 45 * 60_000).all()
        assert mine["worker_id"].n_unique() == 56, product


def test_it_shares_phones_accounts_and_a_tower(frames, members):
    events = frames.subscriptions.join(members, on="worker_id")
    phones = events.group_by("device_id").agg(pl.col("worker_id").n_unique())["worker_id"]
    assert phones.is_in([5, 6]).all()
    assert events["payout_account"].n_unique() == 2
    reports = frames.telemetry.join(members, on="worker_id")
    assert reports["cell"].drop_nulls().n_unique() == 1
    assert reports["accel_var"].median() < 0.002
    assert reports["worker_id"].n_unique() == 56


def test_it_shrinks_with_the_simulation_and_leaves_with_the_attackers(cloudburst):
    half = simulate_frames(cloudburst, 160, 9).labels
    assert half["notes"].str.contains("syndicate").sum() == 28
    none = simulate_frames(cloudburst, 160, 9, attackers=0.0).labels
    assert set(none["kind"]) == {"honest"}


def test_other_attackers_stay_as_many_as_asked_for(frames, members):
    assert (frames.labels["kind"] != "honest").sum() == 56 + round(0.04 * 320)
