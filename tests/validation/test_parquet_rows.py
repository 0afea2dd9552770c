"""Parquet rows say what the same JSON line says: text in bytes, foreign types, unknown columns."""

import datetime
import json
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.examples import examples, mostly_slow
from validation.lines import CATALOGUE, GOOD, TELEMETRY, with_changes
from validation.test_line_blocks import outcome
from validation.test_read_stream import balanced

from monsoon.sources.line_blocks import BlockValidator
from monsoon.sources.parquet_rows import json_lines, validate_batch
from monsoon.sources.streams import read_stream
from monsoon.sources.telemetry_columns import NULLED
from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.record_validator import DeadLetter, RecordValidator

FIELDS = stream_fields("telemetry")
VALIDATOR = RecordValidator("telemetry")
DAY = datetime.datetime(2024, 6, 28, 2, 30)


def frame(stream="telemetry", rows=1, **columns):
    """Rows of the good record, with columns replaced or added."""
    good = pl.DataFrame([GOOD[stream]] * rows, infer_schema_length=None)
    return good.with_columns(pl.Series(name, values) for name, values in columns.items())


def read(folder, stream, rows):
    (folder / stream).mkdir(parents=True)
    rows.write_parquet(folder / stream / "x.parquet")
    return read_stream(stream, folder, CATALOGUE)


def both_ways(batch):
    """The batch judged in columns and as lines, which must agree; what it came to."""
    validator = BlockValidator(VALIDATOR)
    in_columns = validate_batch(batch, validator, FIELDS)
    assert outcome(in_columns) == outcome(validator.validate_all(json_lines(batch, FIELDS)))
    assert in_columns.read == batch.height
    return in_columns


def test_bytes_are_text():
    texts = {"event_id": [b"e-1"], "device_id": [b"d1"], "bssids": [[b"b1", b"b2"]], "cell": [b"LTE-404"]}
    (used,) = both_ways(frame(**texts)).frames[0].rows(named=True)
    assert (used["event_id"], used["device_id"], used["bssids"]) == ("e-1", "d1", ["b1", "b2"])
    assert used["cell"] == "LTE-404"


@pytest.mark.parametrize("spoiled", [{"cell": [b"\xff", b"ok"]}, {"bssids": [[b"b1", b"\xc3"], [b"b1"]]}])
def test_bytes_that_are_no_text_are_no_json(spoiled):
    validated = both_ways(frame(rows=2, event_id=["a", "b"], **spoiled))
    assert [dead.reason for dead in validated.dead] == ["not_json"]
    assert sum(part.height for part in validated.frames) == 1


def test_raw_identifiers_in_bytes_are_found():
    (dead,) = both_ways(frame(device_id=[b"00:1b:44:11:3a:b7"])).dead
    assert dead.reason == "raw_identifier:device_id"
    assert "00:1b" not in dead.raw


FOREIGN = [
    pl.Series([DAY]),
    pl.Series([DAY.date()]),
    pl.Series([DAY.time()]),
    pl.Series([datetime.timedelta(hours=1)]),
    pl.Series([2**62]).cast(pl.Datetime("ms")),  # no Python object holds it
    pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date),
    pl.Series([{"a": 1, "when": DAY}]),
    pl.Series([[[1.5, float("nan")]]]),
    pl.Series([[DAY]]),
    pl.Series([[{"a": b"x"}]]),
    pl.Series([[1]], dtype=pl.Array(pl.Int64, 1)),
]


@pytest.mark.parametrize("values", FOREIGN, ids=lambda values: str(values.dtype))
@pytest.mark.parametrize("field", mostly_slow(FIELDS, 6), ids=lambda field: field.name)
def test_a_foreign_type_is_the_wrong_type(field, values):
    validated = both_ways(frame().with_columns(values.alias(field.name)))
    if field.required:
        assert [dead.reason for dead in validated.dead] == [f"wrong_type:{field.name}"]
        json.loads(validated.dead[0].raw)
    else:
        assert [row[NULLED] for frame in validated.frames for row in frame.rows(named=True)] == [field.name]


@pytest.mark.parametrize(
    ("decimal", "stands"),
    [("28.6", {"lat": 28.6}), ("28.00", {"lat": 28.0}), ("7.00", {"orders_completed": 7}), ("7.5", {})],
)
def test_a_decimal_is_its_number(decimal, stands):
    changes = {name: [Decimal(decimal)] for name in stands or ("orders_completed",)}
    validated = both_ways(frame(**changes))
    (used,) = validated.frames[0].rows(named=True)
    assert used[NULLED] == (None if stands else "orders_completed")
    assert {name: used[name] for name in stands} == stands


UNKNOWN = {
    "infinite": [float("inf")],
    "nested": [{"a": [float("nan"), float("-inf")]}],
    "long": ["x" * 100_000],
    "when": pl.Series([2**62]).cast(pl.Datetime("ms")),
    "octets": [b"\xff"],
}


@pytest.mark.parametrize("stream", GOOD)
@pytest.mark.parametrize("changes", [{}, {"platform": ["p" * 1500]}], ids=["clean", "doubtful"])
def test_unknown_columns_are_ignored_whatever_they_hold(tmp_path, stream, changes):
    counts = read(tmp_path, stream, frame(stream, **changes, **UNKNOWN)).counts
    assert (counts["read"], counts["used"], counts["nulled"]) == (1, 1, {})


@pytest.mark.parametrize("stream", GOOD)
def test_rows_without_a_known_column_are_counted(tmp_path, stream):
    counts = read(tmp_path, stream, pl.DataFrame({"a": [1, 2]})).counts
    assert balanced(counts)
    assert (counts["read"], counts["dead"]) == (2, 1)


def test_a_row_is_too_long_where_the_line_of_its_known_fields_is(tmp_path):
    (letter,) = read(tmp_path, "telemetry", frame(platform=["x" * 70_000])).dead
    assert letter["reason"] == "too_long"


ODD_VALUES = {
    pl.Int8: st.integers(-128, 127),
    pl.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200),
    pl.UInt64: st.integers(0, 2**64 - 1),
    pl.Int128: st.integers(-(2**100), 2**100),
    pl.Float32: st.floats(width=32) | st.integers(-200, 200).map(float),
    pl.Float64: st.floats() | st.integers(-200, 200).map(float),
    pl.Decimal(38, 4): st.decimals(-(10**9), 10**9, places=4),
    pl.Boolean: st.booleans(),
    pl.String: st.text(max_size=70) | st.sampled_from(["b1", "online", "00:1b:44:11:3a:b7", "9876543210", "1.5"]),
    pl.Categorical: st.sampled_from(["b1", "zepto", "online", ""]),
    pl.Binary: st.binary(max_size=3) | st.sampled_from([b"b1", b"online", b"\xff"]),
    pl.Datetime("us"): st.datetimes(),
    pl.Date: st.dates(),
    pl.Null: st.none(),
}


@st.composite
def odd_batches(draw):
    rows = draw(st.integers(1, 3))
    batch = frame(rows=rows, event_id=[f"e-{row}" for row in range(rows)])
    for name in draw(st.lists(st.sampled_from([*TELEMETRY, "note"]), min_size=1, max_size=4)):
        dtype = draw(st.sampled_from([*ODD_VALUES]))
        values, wrapped = ODD_VALUES[dtype] | st.none(), draw(st.booleans()) and dtype != pl.Null
        if wrapped:
            dtype, values = pl.List(dtype), st.lists(values, max_size=3) | st.none()
        column = draw(st.lists(values, min_size=rows, max_size=rows))
        batch = batch.with_columns(pl.Series(name, column, dtype=dtype))
    return batch.select(draw(st.permutations(batch.columns)))


@pytest.mark.slow
@examples(200)
@given(odd_batches())
def test_columns_of_any_type_are_judged_as_their_lines(batch):
    both_ways(batch)


def test_the_order_of_columns_does_not_show():
    wrong = frame(lat=[91.0])
    assert [*json_lines(wrong, FIELDS)] == [*json_lines(wrong.select(reversed(wrong.columns)), FIELDS)]


def test_null_is_absent():
    changed = pl.DataFrame([with_changes("telemetry", {"lat": None})], infer_schema_length=None)
    (dead,) = both_ways(changed).dead
    assert isinstance(dead, DeadLetter)
    assert dead.reason == "missing_field:lat"


UTC = "UTC"
MOMENT = datetime.datetime(2024, 6, 28, 2, 30, 0, 123_000)
MOMENT_MS = 1_719_541_800_123


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("name", ["event_time", "gnss_time", "received_time"])
def test_a_moment_in_utc_of_any_unit_is_its_milliseconds(unit, zone, name):
    values = pl.Series([MOMENT, None]).cast(pl.Datetime(unit)).dt.replace_time_zone(UTC)
    values = values if zone == UTC else values.cast(pl.Datetime(unit, zone))
    rows = frame(rows=2, received_time=[None, None], event_id=["a", "b"]).with_columns(values.alias(name))
    validated = both_ways(rows)
    assert next(row[name] for part in validated.frames for row in part.rows(named=True)) == MOMENT_MS
    assert [dead.reason for dead in validated.dead] == (["missing_field:event_time"] if name == "event_time" else [])


@pytest.mark.parametrize(("nanoseconds", "milliseconds"), [(1_999_999, 1), (-1, -1), (-1_000_001, -2), (0, 0)])
def test_less_than_a_millisecond_is_rounded_down(nanoseconds, milliseconds):
    moments = pl.Series("gnss_time", [nanoseconds]).cast(pl.Datetime("ns", UTC))
    (used,) = both_ways(frame().with_columns(moments)).frames[0].rows(named=True)
    assert used["gnss_time"] == milliseconds


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_timestamp_of_no_zone_is_refused_with_the_mend(unit):
    (dead,) = both_ways(frame().with_columns(event_time=pl.Series([MOMENT]).cast(pl.Datetime(unit)))).dead
    assert dead.reason == "wrong_type:event_time"
    assert "isAdjustedToUTC" in dead.detail


def test_a_zone_that_another_writer_names_by_its_offset(tmp_path):
    moments = pa.array([MOMENT_MS * 1000], pa.timestamp("us", tz="+05:30"))
    table = frame("oracle_readings").to_arrow().drop_columns("event_time").append_column("event_time", moments)
    (tmp_path / "oracle_readings").mkdir()
    pq.write_table(table, tmp_path / "oracle_readings" / "x.parquet")
    (reading,) = read_stream("oracle_readings", tmp_path, CATALOGUE).records
    assert reading["event_time"] == MOMENT_MS


def test_a_reading_and_a_reserve_of_columns_of_time(tmp_path):
    moments = pl.Series([MOMENT]).dt.replace_time_zone(UTC)
    read_back = read(tmp_path / "a", "oracle_readings", frame("oracle_readings").with_columns(event_time=moments))
    assert [each["event_time"] for each in read_back.records] == [MOMENT_MS]
    days = pl.Series([datetime.date(2024, 6, 10)])
    reserves = read(tmp_path / "b", "reserves", frame("reserves").with_columns(day=days))
    assert [each["day"] for each in reserves.records] == ["2024-06-10"]
