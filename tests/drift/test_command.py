"""`monsoon drift`: into an output folder of either format, which a later replay can replace."""

import json
import os

import msgspec
import polars as pl
import pytest
from drift.drawn import ZONES

from monsoon.cli.main import main
from monsoon.sinks.folder import STREAMS, OutputError, OutputFolder
from monsoon.sources.model_files import read_model
from monsoon.transforms.drift.reference import DRIFT
from monsoon.transforms.scoring.folder import MANIFEST, build_manifest


def write(folder, claims, file_format="jsonl"):
    with OutputFolder(folder, file_format=file_format) as output:
        for stream in STREAMS:
            output.write(stream, claims if stream == "claims" else [])
        output.finish({})


def lines(folder):
    return (folder / "drift_reports" / "part-00000.jsonl").read_bytes()


@pytest.fixture
def claims(honest):
    records = honest.records(60, 1)
    for record in records[::2]:
        record["zone"] = ZONES[1]
    return records


def test_it_writes_the_reports_and_prints_their_alerts(capsys, tmp_path, claims):
    write(tmp_path / "out", claims)
    assert main(["drift", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    reports = [json.loads(line) for line in lines(tmp_path / "out").splitlines()]
    assert [report["cell"] is None for report in reports] == [True, False, False]
    assert printed.startswith("drift: 3 reports on 1 days, ")
    assert printed.count("\n") == 1 + sum(len(report["alerts"]) for report in reports)


def test_order_changes_no_byte_and_parquet_holds_the_same(tmp_path, claims):
    for name, records, file_format in (
        ("one", claims, "jsonl"), ("other", claims[::-1], "jsonl"), ("table", claims, "parquet")
    ):  # fmt: skip
        write(tmp_path / name, records, file_format)
        assert main(["drift", "--output", str(tmp_path / name)]) == 0
    assert lines(tmp_path / "one") == lines(tmp_path / "other")
    table = pl.read_parquet(tmp_path / "table" / "drift_reports" / "part-00000.parquet")
    assert table.to_dicts() == [json.loads(line) for line in lines(tmp_path / "one").splitlines()]


def test_no_claims_is_an_empty_stream(capsys, tmp_path):
    write(tmp_path, [])
    assert main(["drift", "--output", str(tmp_path)]) == 0
    assert lines(tmp_path) == b""
    assert capsys.readouterr().out.startswith("drift: 0 reports on 0 days, 0 alerts")


def test_it_replaces_its_own_and_goes_with_the_records_it_is_of(tmp_path, claims):
    write(tmp_path, claims)
    for _ in range(2):
        assert main(["drift", "--output", str(tmp_path)]) == 0
    assert [path.name for path in (tmp_path / "drift_reports").iterdir()] == ["part-00000.jsonl"]
    write(tmp_path, claims, "parquet")
    assert not (tmp_path / "drift_reports").exists()


def test_a_replay_that_fails_at_its_end_leaves_the_reports(tmp_path, claims, monkeypatch):
    write(tmp_path, claims)
    assert main(["drift", "--output", str(tmp_path)]) == 0
    before = lines(tmp_path)
    output = OutputFolder(tmp_path)
    monkeypatch.setattr("os.rename", failing_after(len(STREAMS) + 3))
    with pytest.raises(OSError, match="no more"):
        output.finish({})
    monkeypatch.undo()
    output.abandon()
    assert lines(tmp_path) == before


def failing_after(calls):
    real, left = os.rename, [calls]

    def rename(*paths):
        left[0] -= 1
        if left[0] == 0:
            raise OSError("no more")
        return real(*paths)

    return rename


def test_what_is_no_output_is_refused(capsys, tmp_path):
    assert main(["drift", "--output", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "drift_reports").mkdir()
    (tmp_path / "drift_reports" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        OutputFolder(tmp_path)


def test_a_model_without_a_reference_is_refused_before_the_work(capsys, tmp_path, claims):
    model = read_model()
    contents = {name: content for name, content in model.contents.items() if name != DRIFT}
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(build_manifest(model.name, contents)))
    write(tmp_path / "out", claims)
    for words in (["drift"], ["replay", "--drift", "--input", str(tmp_path / "none")]):
        assert main([*words, "--output", str(tmp_path / "out"), "--model", str(folder)]) == 1
        assert "monsoon train --drift-only" in capsys.readouterr().err
    assert not (tmp_path / "out" / "drift_reports").exists()
