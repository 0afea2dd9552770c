"""What honest riders and attackers do, against the labels."""

import numpy as np
import polars as pl
import pytest

KINDS = ["honest", "mock_app", "replayed_trace", "radio_spoof"]


@pytest.fixture(scope="module")
def told(frames):
    """Telemetry with its rider's label; `false` where the position is a lie."""
    table = frames.telemetry.join(frames.labels, on="worker_id", maintain_order="left")
    return table.with_columns(pl.col("attack_ms").le(pl.col("event_time")).fill_null(False).alias("false"))


def towers_apart_m(frames, table):
    """Meters from each fix to its serving cell."""
    cell = pl.format("{}-{}-{}-{}-{}", "radio", "mcc", "net", "area", "cell")
    towers = frames.cell_towers.select(
        cell.alias("cell"), pl.col("lat").alias("tower_lat"), pl.col("lon").alias("tower_lon")
    )
    joined = table.join(towers, on="cell")
    north = (joined["lat"] - joined["tower_lat"]).to_numpy() * 111_195
    east = (joined["lon"] - joined["tower_lon"]).to_numpy() * 111_195 * np.cos(np.radians(28.6))
    return np.hypot(north, east)


def test_labels_are_of_every_rider_and_kind(frames):
    assert frames.labels.height == 300
    assert set(frames.labels["kind"]) == set(KINDS)
    assert (frames.labels["kind"] != "honest").sum() == 75
    assert set(frames.telemetry["worker_id"]) <= set(frames.labels["worker_id"])
    assert set(frames.subscriptions["worker_id"]) == set(frames.labels["worker_id"])
    assert frames.labels.filter(pl.col("ring").is_not_null())["kind"].is_in(KINDS[1:]).all()
    assert (frames.labels["attack_ms"].is_null() == (frames.labels["kind"] == "honest")).all()


def test_rings_have_their_size_and_share_what_rings_share(frames, told):
    members = frames.labels.filter(pl.col("ring").is_not_null())
    sizes = members.group_by("ring").len()["len"]
    assert sizes.is_between(8, 30).all()
    accounts = frames.subscriptions.group_by("worker_id").first().join(members, on="worker_id")
    for (_,), ring in accounts.group_by("ring"):
        assert ring["payout_account"].n_unique() < ring.height
        assert (ring["event_time"] // 60_000).value_counts()["count"].max() >= ring.height / 2
    seen = told.filter(pl.col("ring").is_not_null(), ~pl.col("false")).explode("bssids").drop_nulls("bssids")
    homes = seen.group_by("ring", "bssids").agg(pl.col("worker_id").n_unique().alias("riders"))
    assert (homes.group_by("ring").agg(pl.col("riders").max())["riders"] >= 3).all()


def test_attackers_lie_about_the_place_and_cells_do_not(frames, told):
    honest = towers_apart_m(frames, told.filter(pl.col("kind") == "honest"))
    lies = towers_apart_m(frames, told.filter(pl.col("false")))
    before = towers_apart_m(frames, told.filter(pl.col("kind") != "honest", ~pl.col("false")))
    assert np.quantile(honest, 0.99) < 2_000
    assert np.quantile(before, 0.99) < 2_000
    assert np.quantile(lies, 0.01) > 3_000


def test_attackers_claim_struck_districts(frames, delhi):
    struck = {district.title for district in delhi.modeled.riders.districts if district.struck}
    assert set(frames.labels.filter(pl.col("kind") != "honest")["district"]) <= struck


def test_each_method_leaves_its_own_marks(told):
    lies = {kind: told.filter(pl.col("false"), pl.col("kind") == kind) for kind in KINDS[1:]}
    honest = told.filter(pl.col("kind") == "honest")
    flagged = pl.col("mock_location").fill_null(False) | pl.col("mock_setting").fill_null(False)
    assert lies["mock_app"].filter(flagged).height > 0.3 * lies["mock_app"].height
    for kind in ("replayed_trace", "radio_spoof"):
        assert lies[kind].filter(flagged).is_empty()
    assert honest.filter(flagged).height < 0.01 * honest.height
    # Radio: louder satellites; nobody else's are.
    assert lies["radio_spoof"]["cn0_dbhz"].median() > honest["cn0_dbhz"].median() + 3
    assert lies["replayed_trace"]["cn0_dbhz"].median() < honest["cn0_dbhz"].median()
    for table in lies.values():
        assert table["accel_var"].median() < 0.01
        assert table["orders_completed"].sum() == 0


def test_honest_riders_ride_deliver_and_lose_reports(told):
    honest = told.filter(pl.col("kind") == "honest")
    riding = honest.filter(pl.col("speed_mps") > 3)
    assert riding["accel_var"].median() > 0.5
    hours = honest.group_by("worker_id").agg((pl.col("event_time").max() - pl.col("event_time").min()).alias("ms"))
    orders_per_hour = honest["orders_completed"].sum() / (hours["ms"].sum() / 3_600_000)
    assert 0.8 < orders_per_hour < 4
    assert {"offline", "online", "on_trip"} <= set(honest["app_state"])
    assert 0.005 < honest["speed_mps"].null_count() / honest.height < 0.15
    gaps = honest.sort("worker_id", "event_time").select(pl.col("event_time").diff().over("worker_id")).drop_nulls()
    assert gaps["event_time"].median() == pytest.approx(15_000, abs=1_000)
    assert gaps["event_time"].max() > 60_000


def test_phones_differ_by_tier(told):
    lacking = told.group_by("device_tier").agg(pl.col("pressure_hpa").null_count() / pl.len())
    shares = dict(lacking.rows())
    assert shares["entry"] > shares["flagship"]
    assert 0.2 < told["agc_db"].null_count() / told.height < 0.9


def test_some_riders_do_not_report_at_all(frames):
    reporting = frames.telemetry["worker_id"].n_unique()
    assert 0.4 * 300 < reporting < 0.9 * 300


def test_riding_shakes_a_phone_as_much_as_two_wheelers_did(shared, told):
    """15 s variances of recorded rides and of simulated ones: medians and tails within a factor of 2."""
    rides = pl.read_parquet(shared / "data/accel/two_wheeler_rides.parquet").with_columns(
        (pl.col("ax_mps2") ** 2 + pl.col("ay_mps2") ** 2 + pl.col("az_mps2") ** 2).sqrt().alias("a"),
        (pl.col("ts_ms_epoch") // 15_000).alias("window"),
    )
    real = (
        rides.group_by("ride", "phone_id", "window").agg(pl.col("a").var(), pl.len()).filter(pl.col("len") > 200)["a"]
    )
    ours = told.filter(pl.col("kind") == "honest", pl.col("speed_mps") > 3)["accel_var"]
    for share in (0.05, 0.5, 0.95):
        assert 0.5 < ours.quantile(share) / real.quantile(share) < 2


def test_fixes_jump_about_as_often_as_geolifes(shared, told):
    """Share of steps above 150 km/h: within a factor of 3 of a real phone's."""
    real = pl.read_csv(shared / "data/gps/geolife_user1.csv.gz").select(
        pl.col("ts_local_naive").str.to_datetime().dt.epoch("s").alias("s"), "lat", "lon"
    )
    honest = told.filter(pl.col("kind") == "honest").sort("worker_id", "event_time")
    ours = honest.select((pl.col("event_time") / 1000).alias("s"), "lat", "lon")

    def share(table, longest_s):
        s, lat, lon = (np.diff(table[name].to_numpy()) for name in ("s", "lat", "lon"))
        m = 111_195 * np.hypot(lat, lon * np.cos(np.radians(table["lat"].to_numpy()[1:])))
        step = (s > 0) & (s <= longest_s)
        return np.mean(m[step] / s[step] > 150 / 3.6)

    assert 1 / 3 < share(ours, 31) / share(real, 30) < 3
