"""An output as tables: the same of both formats, typed and documented; what is damaged or of another version."""

import json
import shutil

import duckdb
import polars as pl
import pytest

from monsoon import workbench
from monsoon.sinks.parquet_records import columns_of
from monsoon.sources.files import InputError
from monsoon.workbench.columns import TIMES
from monsoon.workbench.output import TABLES

COUNTS = {
    "claim": {"revision"},
    "disruption": {"revision"},
    "drift_report": {"claims", "riders", "riders_with_evidence", "honest_looking_claims", "held_claims"},
    "notification": {"amount_paise"},
    "payout": {"amount_paise", "instalment"},
    "reserve_alert": {"reserve_paise", "paid_paise", "queued_paise", "queued_claims"},
}
"""Integers of contracts that are no moments."""


@pytest.fixture
def outputs(small_outputs):
    return {file_format: workbench.load(folder) for file_format, folder in small_outputs.items()}


@pytest.fixture
def copied(small_outputs, tmp_path):
    """An output in JSON Lines that a test may damage."""
    return shutil.copytree(small_outputs["jsonl"], tmp_path / "out")


def lines_of(folder, stream):
    return [json.loads(line) for line in (folder / stream / "part-00000.jsonl").read_text().splitlines()]


def test_an_integer_is_a_moment_or_a_count():
    contracts = [stream.removesuffix("s") for stream in TABLES]
    integers = {name: {field for field, kind in columns_of(name).items() if kind == pl.Int64} for name in contracts}
    assert integers == {name: TIMES[name] | COUNTS.get(name, set()) for name in contracts}


@pytest.mark.parametrize("stream", TABLES)
def test_both_formats_are_one_table_of_the_documented_types(outputs, stream):
    table = outputs["jsonl"].polars(stream)
    assert table.schema == {column.name: column.dtype for column in workbench.Output.columns(stream)}
    assert table.equals(outputs["parquet"].polars(stream))
    assert [c.name for c in workbench.Output.columns(stream) if not c.nullable and table[c.name].has_nulls()] == []


def test_a_table_holds_what_the_lines_say(outputs):
    lines = lines_of(outputs["jsonl"].folder, "claims")
    table = outputs["jsonl"].polars("claims")
    assert table["decided_at"].dt.epoch("ms").to_list() == [line["decided_at"] for line in lines]
    assert table["payout_inr"].to_list() == [line["payout_inr"] for line in lines]
    assert [json.loads(terms) for terms in table["payout_terms"]] == [line["payout_terms"] for line in lines]
    features = outputs["jsonl"].features()
    assert features["account_age_d"].to_list() == [line["features"]["account_age_d"] for line in lines]
    assert features.columns[:2] == ["claim_id", "revision"]
    assert set(features.columns[2:]) == {name for line in lines for name in line["features"]}


def test_the_last_revisions(outputs):
    last = {line["claim_id"]: line["status"] for line in lines_of(outputs["jsonl"].folder, "claims")}
    assert dict(outputs["parquet"].latest("claims", ["claim_id", "status"]).rows()) == last
    assert len(last) < len(outputs["parquet"].polars("claims"))


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_pandas_and_arrow(outputs, file_format):
    table = outputs[file_format].polars("payouts")
    frame, arrow = outputs[file_format].pandas("payouts"), outputs[file_format].arrow("payouts")
    assert str(frame.dtypes["created_at"]) == "datetime64[ms, UTC]"
    assert frame.amount_paise.sum() == table["amount_paise"].sum() > 0
    assert str(arrow.schema.field("created_at").type) == "timestamp[ms, tz=UTC]"
    assert arrow["created_at"].to_pylist() == table["created_at"].to_list()


def test_duckdb_reads_a_parquet_output_in_a_line(outputs, root):
    """The line of docs/workbench.md."""
    text = (root / "docs" / "workbench.md").read_text(encoding="utf-8")
    (line,) = [line.strip() for line in text.splitlines() if "duckdb.sql(" in line]
    folder = outputs["parquet"].folder
    found = eval(line.replace("runs/delhi-parquet", str(folder)), {"duckdb": duckdb})
    payouts = outputs["parquet"].polars("payouts")
    assert found.fetchall() == [(payouts["created_at"].min(), payouts["amount_paise"].sum() / 100)]


def test_some_columns(outputs):
    wanted = ["status", "features"]
    for output in outputs.values():
        assert output.polars("claims", wanted).equals(output.polars("claims").select(wanted))


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_an_output_of_an_older_version(outputs, tmp_path, file_format):
    """It has no folder of a stream that came later, and no column of a field that did."""
    folder = shutil.copytree(outputs[file_format].folder, tmp_path / "old")
    shutil.rmtree(folder / "ring_alerts")
    (part,) = (folder / "claims").iterdir()
    if file_format == "parquet":
        pl.read_parquet(part).drop("guard").write_parquet(part)
    else:
        lines = [{k: v for k, v in line.items() if k != "guard"} for line in lines_of(folder, "claims")]
        part.write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = workbench.load(folder)
    assert old.polars("ring_alerts").is_empty()
    assert old.polars("claims").equals(
        outputs[file_format].polars("claims").with_columns(guard=pl.lit(None, columns_of("claim")["guard"]))
    )


def test_no_claims(copied):
    (copied / "claims" / "part-00000.jsonl").write_text("")
    output = workbench.load(copied)
    assert output.features().columns == ["claim_id", "revision"]
    assert output.latest("claims").schema == output.polars("claims").schema
    assert len(output.polars("claims")) == 0


def damage(part, change):
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join([*lines[:1], change(lines[1]), *lines[2:]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line[:40], r"part-00000.jsonl, line 2: no record that this version knows \("),
        (lambda line: line.replace(b'"zone"', b'"zones"'), r"line 2: .*unknown field `zones`"),
        (lambda line: line.replace(b'"revision":0', b'"revision":"0"'), r"lines 1 to \d+: .*claim.revision"),
        (lambda line: b"\xff\n", r"line 2: no record"),
    ],
)
def test_a_damaged_line(copied, change, said):
    damage(copied / "claims" / "part-00000.jsonl", change)
    with pytest.raises(InputError, match=said):
        workbench.load(copied).polars("claims")


def test_a_file_that_is_no_parquet(small_outputs, tmp_path):
    folder = shutil.copytree(small_outputs["parquet"], tmp_path / "out")
    part = folder / "claims" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(InputError, match=r"part-00000.parquet: no Parquet file of claim records"):
        workbench.load(folder).polars("claims")


def test_what_is_no_complete_output(copied, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        workbench.load(tmp_path / "nowhere")
    (copied / "summary.json").unlink()
    with pytest.raises(InputError, match=r"no summary\.json, which is written last"):
        workbench.load(copied)


def test_names_that_are_none_are_answered_with_the_one_that_was_meant(outputs):
    with pytest.raises(InputError, match="no table 'claim'; did you mean claims"):
        outputs["jsonl"].polars("claim")
    with pytest.raises(InputError, match="no column 'statuss'; did you mean status"):
        outputs["jsonl"].polars("claims", ["statuss"])
