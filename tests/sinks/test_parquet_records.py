"""Results as Parquet: the rows of the JSON Lines, typed by the contracts, the same bytes each time, for any reader."""

import io
import json
import os
import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kit.examples import mostly_slow
from kit.five import five_at_once
from kit.hostile import HOSTILE
from kit.reserves import RESERVES
from kit.streams import small_storm, write_lines, write_streams

from monsoon.cli.main import main
from monsoon.sinks.folder import STREAMS, OutputError, OutputFolder
from monsoon.sinks.parquet_records import RecordError, columns_of, parquet_of

OPEN = {"claims": ["payout_terms"]}
"""Columns of JSON text."""


@pytest.fixture(scope="module", params=mostly_slow(["made up", "five products"]))
def source(request, tmp_path_factory):
    """Inputs with which every output has a record, those of the second by another hand."""
    folder = tmp_path_factory.mktemp("in")
    if request.param == "five products":
        return write_streams(folder, five_at_once(request.getfixturevalue("shared")), parts=3)
    write_streams(folder, small_storm())
    (folder / "telemetry" / "hostile.jsonl").write_text("\n".join(HOSTILE["telemetry"]))
    write_lines(folder, "reserves", [json.dumps(reserve) for reserve in RESERVES])
    return folder


@pytest.fixture(scope="module")
def replayed(source, tmp_path_factory):
    """The output folders by format."""
    folder = tmp_path_factory.mktemp("out")
    for file_format in ("jsonl", "parquet"):
        words = ["replay", "--input", str(source), "--output", str(folder / file_format)]
        assert main([*words, "--format", file_format]) == 0
    return folder


def lines_of(folder, stream):
    return [json.loads(line) for line in (folder / "jsonl" / stream / "part-00000.jsonl").read_text().splitlines()]


def part_of(folder, stream):
    return folder / "parquet" / stream / "part-00000.parquet"


def told(value):
    """A record without what is null or absent, which a column cannot tell apart."""
    if isinstance(value, dict):
        return {name: told(each) for name, each in value.items() if each is not None}
    return [told(each) for each in value] if isinstance(value, list) else value


def row_of(stream, row):
    """A row as the record that it was."""
    return told(row | {name: json.loads(row[name]) for name in OPEN.get(stream, ()) if row[name] is not None})


def from_polars(path):
    return pl.read_parquet(path).to_dicts()


def from_pyarrow(path):
    """Maps come as lists of pairs."""
    table = pq.read_table(path)
    maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
    return [row | {name: dict(row[name]) for name in maps if row[name] is not None} for row in table.to_pylist()]


@pytest.mark.parametrize("read", [from_polars, from_pyarrow])
@pytest.mark.parametrize("stream", STREAMS)
def test_rows_are_the_records_of_the_lines(replayed, stream, read):
    rows = [row_of(stream, row) for row in read(part_of(replayed, stream))]
    assert rows == [told(record) for record in lines_of(replayed, stream)]


@pytest.mark.parametrize("stream", STREAMS)
def test_pandas_reads_the_same(replayed, stream):
    frame = pd.read_parquet(part_of(replayed, stream))
    records = lines_of(replayed, stream)
    assert len(frame) == len(records)
    assert list(frame.columns) == list(columns_of(stream.removesuffix("s")))
    for name, kind in columns_of(stream.removesuffix("s")).items():
        if kind in (pl.String(), pl.Int64(), pl.Float64()):
            found = [None if pd.isna(value) else value for value in frame[name]]
            assert found == [record.get(name) for record in records], name


def test_there_is_something_to_compare(replayed, source):
    counts = {stream: len(lines_of(replayed, stream)) for stream in STREAMS}
    expected = {"disruptions", "claims", "payouts", "notifications"}
    if (source / "reserves").exists():
        expected |= {"reserve_alerts", "dead_letters"}
    assert [stream for stream in expected if not counts[stream]] == []


def test_the_summary_is_the_same(replayed):
    assert len({(replayed / each / "summary.json").read_bytes() for each in ("jsonl", "parquet")}) == 1


def test_the_same_again_is_the_same_bytes(source, replayed, tmp_path):
    words = ["replay", "--input", str(source), "--output", str(tmp_path / "again"), "--format", "parquet"]
    assert main(words) == 0
    for stream in STREAMS:
        again = tmp_path / "again" / stream / "part-00000.parquet"
        assert again.read_bytes() == part_of(replayed, stream).read_bytes()


def test_types_are_the_contracts():
    claim = columns_of("claim")
    assert claim["decided_at"] == pl.Int64
    assert claim["payout_inr"] == pl.Float64
    assert claim["status"] == pl.String
    assert claim["features"] == pl.Map(pl.String(), pl.Float64())
    assert claim["feature_reports"] == pl.Map(pl.String(), pl.Int64())
    assert claim["reasons"] == pl.List(pl.String())
    assert claim["payout_terms"] is None
    assert columns_of("disruption")["oracle_modes"] == pl.Map(pl.String(), pl.String())
    signal = {"signal": pl.String(), "value": pl.Float64(), "threshold": pl.Float64()}
    assert columns_of("syndicate_alert")["evidence"] == pl.List(pl.Struct(signal))


@pytest.mark.parametrize("stream", STREAMS)
def test_no_record_is_a_file_with_the_same_columns(stream):
    contract = stream.removesuffix("s")
    empty = pl.read_parquet(io.BytesIO(parquet_of(contract, [])))
    assert empty.schema == {name: kind or pl.String() for name, kind in columns_of(contract).items()}
    open_columns = [name for name, kind in columns_of(contract).items() if kind is None]
    assert open_columns == OPEN.get(stream, [])


def payout(**fields):
    return {"reference_id": "r123", "claim_id": "c", "policy_id": "p", "worker_id": "w", "amount_paise": 100} | fields


@pytest.mark.parametrize(
    ("contract", "record", "field"),
    [
        ("payout", payout(amount_rupees=1), "amount_rupees"),
        ("payout", payout(amount_paise=100.5), "amount_paise"),
        ("payout", payout(amount_paise="100"), "amount_paise"),
        ("payout", payout(amount_paise=2**70), "amount_paise"),
        ("claim", {"features": {"x": "much"}}, "features"),
        ("claim", {"reasons": [1]}, "reasons"),
        ("syndicate_alert", {"evidence": [{"signal": "shared_device", "weight": 1.0}]}, "weight"),
    ],
)
def test_what_is_not_as_the_contract_says_is_never_left_out(contract, record, field):
    with pytest.raises(RecordError, match=field):
        parquet_of(contract, [record])


def test_one_format_takes_the_place_of_the_other_whole(tmp_path):
    for file_format in ("jsonl", "parquet", "jsonl"):
        output = OutputFolder(tmp_path / "out", file_format=file_format)
        output.write("payouts", [payout()])
        output.finish({})
        assert [path.name for path in (tmp_path / "out" / "payouts").iterdir()] == [f"part-00000.{file_format}"]
    (tmp_path / "out" / "payouts" / "part-0.csv").touch()
    with pytest.raises(OutputError, match=r"payouts/part-0\.csv"):
        OutputFolder(tmp_path / "out")


def test_a_replay_that_fails_leaves_the_earlier_one_of_another_format(tmp_path):
    output = OutputFolder(tmp_path / "out")
    output.write("payouts", [payout()])
    output.finish({})
    with pytest.raises(RecordError), OutputFolder(tmp_path / "out", file_format="parquet") as output:
        output.write("payouts", [payout(amount_paise="100")])
    assert (tmp_path / "out" / "payouts" / "part-00000.jsonl").exists()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*STREAMS, "summary.json"])


_HASH = """\
import hashlib
from monsoon.sinks.parquet_records import parquet_of
records = [
    {"reference_id": f"r{n:06}", "claim_id": f"c{n * 7919 % 99991}", "policy_id": f"p{n % 7}", "worker_id": "w",
     "fund_account_id": None if n % 3 else "fa", "amount_paise": n, "created_at": n, "instalment": 0}
    for n in range(110_000)
]
print(hashlib.sha256(parquet_of("payout", records)).hexdigest())
"""


@pytest.mark.slow
def test_bytes_do_not_follow_the_machine():
    """More than one group of rows, on one thread and on four, in another time zone, with other hashes."""
    surroundings = [
        {"POLARS_MAX_THREADS": "1", "TZ": "UTC", "PYTHONHASHSEED": "1"},
        {"POLARS_MAX_THREADS": "4", "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "2"},
    ]
    hashes = {
        subprocess.run([sys.executable, "-c", _HASH], env=os.environ | each, capture_output=True, check=True).stdout
        for each in surroundings
    }
    assert len(hashes) == 1
