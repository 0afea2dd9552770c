"""`monsoon simulate`, as typed."""

import pytest

from monsoon.cli.main import main


def test_it_says_what_it_wrote(tmp_path, capsys):
    words = [
        "simulate",
        "--storm",
        "delhi-2024-06-28",
        "--riders",
        "40",
        "--seed",
        "2",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*words, "--gzip", "--feeds", "gridded", "--attackers", "0.25"]) == 0
    said = capsys.readouterr().out
    assert "40 riders, 10 of them attackers" in said
    assert (tmp_path / "out/telemetry/part-00000.jsonl.gz").is_file()


def test_an_unknown_storm_is_told_in_one_line(tmp_path, capsys):
    assert main(["simulate", "--storm", "atlantis", "--output", str(tmp_path / "out")]) == 1
    assert ", chennai-2015-12-01, " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [["--riders", "0"], ["--seed", "-1"], ["--attackers", "2"], ["--riders", "5", "--rows", "5"]]
)
def test_wrong_usage(tmp_path, wrong, capsys):
    with pytest.raises(SystemExit) as left:
        main(["simulate", "--storm", "delhi-2024-06-28", *wrong, "--output", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "--" in capsys.readouterr().err
