"""Every simulated record keeps its contract, and is used by validation without a fault."""

import json

import jsonschema
import pytest
from kit.examples import mostly_slow

from monsoon.sources.simulator import available_storms, load_storm, simulate_frames
from monsoon.transforms.validation.raw_identifiers import is_raw_identifier

SCHEMAS = {"telemetry": "telemetry", "oracle_readings": "oracle_reading", "subscriptions": "subscription"}


@pytest.mark.parametrize("stream", SCHEMAS)
def test_every_record_is_valid(root, frames, stream):
    schema = json.loads((root / f"contracts/{SCHEMAS[stream]}.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    table = getattr(frames, stream)
    assert table.height > 0
    assert set(table.columns) <= set(schema["properties"])
    sample = table.gather_every(max(1, table.height // 4_000))
    for record in sample.to_dicts():
        validator.validate(record)


@pytest.mark.parametrize("name", mostly_slow(available_storms(), 2))
def test_every_record_of_every_storm_is_valid(root, name):
    frames = simulate_frames(load_storm(name), 24, 11, attackers=0.25)
    for stream, contract in SCHEMAS.items():
        schema = json.loads((root / f"contracts/{contract}.schema.json").read_text())
        validator = jsonschema.Draft202012Validator(schema)
        table = getattr(frames, stream)
        assert set(table.columns) <= set(schema["properties"])
        for record in table.gather_every(max(1, table.height // 300)).to_dicts():
            validator.validate(record)


def test_ranges_hold_in_every_row(frames):
    table = frames.telemetry
    assert table["lat"].is_between(28.2, 29.0).all()
    assert table["lon"].is_between(76.7, 77.6).all()
    for name, low, high in (
        ("accuracy_m", 0, 1e5),
        ("speed_mps", 0, 16 + 3),
        ("accel_var", 0, 1e4),
        ("pressure_hpa", 300, 1100),
        ("battery_pct", 0, 100),
        ("orders_completed", 0, 10),
    ):
        assert table[name].drop_nulls().is_between(low, high).all(), name
    assert table["bssids"].list.len().max() <= 20
    for name in ("event_id", "worker_id", "device_id", "event_time", "lat", "lon"):
        assert table[name].null_count() == 0


def test_ids_are_unique_and_no_raw_identifiers(frames):
    assert frames.telemetry["event_id"].is_unique().all()
    assert frames.subscriptions["event_id"].is_unique().all()
    assert frames.labels["worker_id"].is_unique().all()
    hashes = set(frames.telemetry["bssids"].explode().drop_nulls())
    for table, name in (
        (frames.telemetry, "worker_id"),
        (frames.telemetry, "device_id"),
        (frames.telemetry, "ip_prefix"),
        (frames.subscriptions, "payout_account"),
        (frames.subscriptions, "fund_account_id"),
    ):
        hashes |= set(table[name].drop_nulls())
    assert not [text for text in hashes if is_raw_identifier(text)]


def test_reports_of_a_rider_are_in_order(frames):
    ordered = frames.telemetry.sort("worker_id", "event_time")
    assert ordered.height == frames.telemetry.select("worker_id", "event_time").n_unique()


def test_reference_tables(frames):
    towers = frames.cell_towers
    assert towers.columns == (
        [
            "radio",
            "mcc",
            "net",
            "area",
            "cell",
            "unit",
            "lon",
            "lat",
            "range",
            "samples",
            "changeable",
            "created",
            "updated",
            "averageSignal",
        ]
    )
    assert towers["range"].is_between(500, 3000).all()
    assert frames.access_points.columns == ["bssid", "lat", "lon"]
    listed = set(towers.select("radio", "mcc", "net", "area", "cell").rows())
    served = [name.split("-") for name in frames.telemetry["cell"].drop_nulls().unique()]
    known = [(radio, int(mcc), int(net), int(area), int(cell)) in listed for radio, mcc, net, area, cell in served]
    assert 0.85 < sum(known) / len(known) < 1
    seen = set(frames.telemetry["bssids"].explode().drop_nulls())
    assert seen & set(frames.access_points["bssid"])


def test_coverage_lies_in_order(frames):
    table = frames.subscriptions
    assert (table["coverage_end"] > table["coverage_start"]).all()
    assert (table["account_created_at"] < table["coverage_start"]).all()
    first = table.group_by("policy_id", maintain_order=True).first()
    assert set(first["type"]) == {"activated"}
    assert table["type"].is_in(["activated", "renewed", "cancelled"]).all()
