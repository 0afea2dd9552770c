"""An address of a store is not taken for a folder here, by any command."""

import pytest

from monsoon.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "--input", "s3://bucket/in", "--output", "out"],
        ["replay", "--input", "in", "--output", "s3://bucket/out"],
        ["run", "--input", "in", "--output", "out", "--checkpoints", "s3://bucket/state"],
        ["run", "--input", "in", "--output", "out", "--model", "gs://models/a"],
        ["simulate", "--storm", "delhi-2024-06-28", "--output", "hdfs://host:8020/x"],
        ["demo", "--product", "kawaach", "--product-file", "s3://bucket/p.yaml", "--folder", "x"],
        ["products", "check", "a.yaml", "s3://bucket/p.yaml"],
        ["replay", "--input", "file:///data/in", "--output", "out"],
    ],
    ids=" ".join,
)
def test_an_address_is_told(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    address = next(word for word in words if "://" in word)
    assert address in told
    assert "is an address" in told
    assert ("Give it as /data/in" in told) == address.startswith("file:")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_colon_in_its_name_is_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run:1").mkdir()
    assert main(["replay", "--input", "run:1/in", "--output", "out"]) == 1
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "s3:" / "in").mkdir(parents=True)
    assert main(["replay", "--input", "s3:/in", "--output", "out"]) == 1
    assert "no such folder" in capsys.readouterr().err
