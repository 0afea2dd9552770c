"""What the operator adds where a storm asks for it: when reports arrived, and the register of providers."""

import csv
import json

import numpy as np
import polars as pl
import pytest
import yaml

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import StormError, simulate, simulate_frames
from monsoon.sources.simulator.storm import STORM_FILES
from monsoon.sources.simulator.weather import readings

SPELL_MS = 10 * 60_000
REGISTER = [
    {"provider": "imd", "metric": "*", "quality": "official"},
    {"provider": "skymet", "metric": "rain_mm_24h", "quality": "fallback"},
]


def storm(root, riders=None, modeled=None, name="delhi-2024-06-28"):
    document = yaml.safe_load((root / "storms" / f"{name}.yaml").read_text())
    document["modeled"]["riders"] |= riders or {}
    document["modeled"] |= modeled or {}
    return STORM_FILES.parse(json.dumps(document).encode(), where="x.yaml")


@pytest.fixture(scope="module")
def stamped(root):
    """The storm with a gateway; a fifth of all spells without network, so that there are many."""
    return simulate_frames(storm(root, {"gateway": {"buffered_share": 0.2}}), 150, 11).telemetry


def test_a_gateway_changes_nothing_but_the_stamp(root, stamped):
    plain = simulate_frames(storm(root), 150, 11).telemetry
    assert "received_time" not in plain.columns
    assert stamped.drop("received_time").equals(plain)
    assert stamped.columns[:-1] == plain.columns
    assert stamped["received_time"].null_count() == 0


def test_delays_are_those_of_a_network(stamped):
    delay_ms = (stamped["received_time"] - stamped["event_time"]).to_numpy()
    assert delay_ms.min() > 0
    at_once = delay_ms[delay_ms < 8_000]
    assert 650 < np.median(at_once) < 950
    assert 0.72 < len(at_once) / len(delay_ms) < 0.86, "four fifths of all spells have a network"
    assert delay_ms.max() < SPELL_MS + 60_000


def test_what_a_phone_kept_arrives_together(stamped):
    late = stamped.filter(pl.col("received_time") - pl.col("event_time") > 60_000)
    batches = late.group_by("worker_id", "received_time").agg(
        pl.len(), (pl.col("event_time").max() - pl.col("event_time").min()).alias("span")
    )
    assert batches["len"].median() > 20
    assert batches["span"].max() <= SPELL_MS


def test_one_seed_gives_one_arrival(root, stamped):
    again = simulate_frames(storm(root, {"gateway": {"buffered_share": 0.2}}), 150, 11).telemetry
    assert again.equals(stamped)


def test_earlier_weeks_are_stamped_in_their_own_time(root):
    frame = simulate_frames(storm(root, {"gateway": {}, "history": {"weeks": 2}}), 20, 3).telemetry
    delay_ms = frame["received_time"] - frame["event_time"]
    assert delay_ms.min() > 0
    assert delay_ms.max() < SPELL_MS + 60_000
    assert frame["event_time"].max() - frame["event_time"].min() > 14 * 86_400_000


def lines(folder):
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def simulated(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("operator")
    simulate(storm(root, {"gateway": {}}, {"register": REGISTER}), 60, 1, folder / "in")
    simulate(storm(root), 60, 1, folder / "plain")
    return folder


@pytest.mark.slow
def test_a_report_that_is_sent_again_arrives_again(simulated):
    arrivals = {}
    for record in lines(simulated / "in/telemetry"):
        arrivals.setdefault(record["event_id"], []).append(record["received_time"])
    again = [times for times in arrivals.values() if len(times) > 1]
    assert len(again) > 10
    assert all(second - first >= 5_000 for first, second in again)


def test_the_register_is_written_where_a_storm_has_one(simulated):
    with (simulated / "in/reference/providers.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == REGISTER
    assert not (simulated / "plain/reference/providers.csv").exists()


def test_a_simulation_with_a_register_is_replaced_like_any(root, simulated, tmp_path):
    simulate(storm(root, {}, {"register": REGISTER}), 1, 1, tmp_path)
    simulate(storm(root), 1, 1, tmp_path)
    assert sorted(path.name for path in (tmp_path / "reference").iterdir()) == ["access_points.csv", "cell_towers.csv"]


def test_both_are_read_by_a_replay(simulated):
    """Every line is used, and reports that were sent again are duplicates though they arrived later."""
    found = {}
    for name in ("in", "plain"):
        summary = replay(
            simulated / name, simulated / f"{name}-out", load_products(["kawaach"]), ["kawaach"], load_scorer()
        )
        for stream, counts in summary["streams"].items():
            assert (counts["dead"], counts["nulled"]) == (0, {}), stream
        found[name] = summary["streams"]["telemetry"]
    assert found["in"]["used"] == found["plain"]["used"]
    assert found["in"]["duplicate"] == found["plain"]["duplicate"] > 10


@pytest.mark.parametrize(("riders", "modeled", "words"), [
    ({"gateway": {"median_delay_s": 0}}, {}, "0 is not above 0"),
    ({"gateway": {"buffered_share": 1.5}}, {}, "1.5 is above 1"),
    ({"gateway": {"delay": 1}}, {}, 'unknown field "delay"'),
    ({}, {"register": [{"provider": "IMD", "metric": "*", "quality": "official"}]}, '"IMD" is no provider'),
    ({}, {"register": [{"provider": "imd", "metric": "rain", "quality": "official"}]}, '"rain" is none of'),
    ({}, {"register": [{"provider": "imd", "metric": "*", "quality": "good"}]}, '"good" is none of'),
])  # fmt: skip
def test_what_no_operator_could_mean_is_refused(root, riders, modeled, words):
    with pytest.raises(StormError, match=words.replace("(", r"\\(")):
        storm(root, riders, modeled)


@pytest.mark.parametrize(("change", "words"), [
    ({"lat": 0, "lon": 0}, "0, 0 is no place"), ({"lat": 91}, "91 is above 90"), ({"radius_km": 4000}, "above 79.78"),
])  # fmt: skip
def test_a_place_that_no_reading_may_name_is_refused(root, change, words):
    document = yaml.safe_load((root / "storms" / "delhi-2024-06-28.yaml").read_text())
    document["places"]["ridge"] |= change
    with pytest.raises(StormError, match=words):
        STORM_FILES.parse(json.dumps(document).encode(), where="x.yaml")


@pytest.mark.parametrize(("feed", "change", "words"), [
    (0, {"gain": 10}, "imd would report rain_mm_24h of"), (3, {"bias": -1}, "rain_mm_h of -1"),
    (5, {"gain": 2}, "red_alert of 2"),
])  # fmt: skip
def test_a_reading_that_no_instrument_shows_is_refused(root, feed, change, words):
    document = yaml.safe_load((root / "storms" / "delhi-2024-06-28.yaml").read_text())
    document["modeled"]["feeds"][feed] |= change
    with pytest.raises(StormError, match=words):
        readings(STORM_FILES.parse(json.dumps(document).encode(), where="x.yaml"))
