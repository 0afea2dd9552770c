"""The command line: help that helps, errors in a line, progress on a terminal only."""

import io
import re
import time

import pytest

from monsoon.cli.main import COMMANDS, main
from monsoon.cli.progress import ProgressLine
from monsoon.pipelines.metrics import METRICS, RECORDS_READ, sample_name


def said(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 0
    return capsys.readouterr().out


def code_of(words):
    """The exit code, whether it is returned or, by argparse, raised."""
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


def test_help_names_every_command(capsys):
    text = said(capsys, "--help")
    assert all(re.search(rf"^    {command}\s", text, re.MULTILINE) for command in COMMANDS)
    assert "Start with: monsoon demo" in text.replace("\n", " ")


def test_no_command_is_a_call_for_help(capsys):
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("words", [(c,) for c in COMMANDS if c != "bench"] + [("bench", "replay"), ("bench", "score")])
def test_every_command_has_help_with_an_example(capsys, words):
    text = said(capsys, *words, "--help")
    assert "example:" in text
    assert "monsoon" in text


def test_an_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["replya"])
    assert stop.value.code == 2
    assert "invalid choice: 'replya'" in capsys.readouterr().err


REPLAY = ["replay", "--input", "x", "--output", "y"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["replya"], "replay"),
        (["Bench", "score"], "bench"),
        (["bench", "scores"], "score"),
        (["bench", "flink", "--only", "Latency"], "latency"),
        (["bench", "claims", "--products", "kawach"], "kawaach"),
        ([*REPLAY, "--engine", "Flink"], "flink"),
        ([*REPLAY, "--products", "OffShift"], "offshift"),
        (["run", "--input", "x", "--output", "y", "--products", "nexor"], "nexora"),
        (["products", "show", "Jugaad"], "jugaad"),
        (["products", "explain", "gci"], "gic"),
        (["products", "lst"], "list"),
        (["products", "show", "gic", "--format", "YAML"], "yaml"),
        (["demo", "--product", "KAWAACH"], "kawaach"),
        (["demo", "--product", "nexora", "--storm", "vardah"], "chennai-2016-12-12-vardah"),
        (["simulate", "--output", "y", "--storm", "delhi_2024_06_28"], "delhi-2024-06-28"),
        (["simulate", "--output", "y", "--storm", "delhi-2024-06-28", "--feeds", "grided"], "gridded"),
        (["train", "--output", "y", "--model", "claim-anomaly"], "claim_anomaly"),
        (["feed", "--input", "x", "--output", "y", "--provider", "CPCB"], "cpcb"),
        (["feed", "--input", "x", "--output", "y", "--provider", "OpenAQ"], "openaq"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_one_that_was_meant(capsys, tmp_path, monkeypatch, words, meant):
    monkeypatch.chdir(tmp_path)
    assert code_of(words) in (1, 2)
    said = capsys.readouterr().err
    assert re.search(rf"did you mean .?{re.escape(meant)}\b", said, re.IGNORECASE), said
    assert not any(tmp_path.iterdir()), "nothing was begun"


def test_a_name_like_none_is_answered_with_all(capsys):
    assert main(["feed", "--input", "x", "--output", "y", "--provider", "xyzzy"]) == 1
    said = capsys.readouterr().err
    assert "did you mean" not in said.casefold()
    assert "cpcb" in said


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--riders", "0"],
        ["demo", "--seed", "-1"],
        ["evaluate", "--riders", "1.5"],
        ["train", "--output", "x", "--seed", "x"],
        ["simulate", "--storm", "delhi-2024-06-28", "--output", "x", "--riders", "9" * 20],
        ["simulate", "--storm", "delhi-2024-06-28", "--output", "x", "--rows", "9" * 5_000],
    ],
)
def test_a_number_that_cannot_be_is_a_usage_error(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "is not a whole number from" in capsys.readouterr().err


def test_no_product_is_not_every_product(tmp_path, capsys):
    assert main(["replay", "--input", str(tmp_path), "--output", str(tmp_path / "out"), "--products", ""]) == 1
    assert "no product ''; there are: gic, jugaad, kawaach" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_stage_share_and_time_left_on_a_terminal():
    terminal = Terminal()
    line = ProgressLine(terminal)
    line("reading", 0.0)
    time.sleep(0.11)
    line("reading", 0.5)
    line.done()
    assert "reading" in terminal.getvalue()
    assert "50%, 0 s left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_progress_is_silent_elsewhere():
    pipe = io.StringIO()
    ProgressLine(pipe)("reading", 0.5)
    assert pipe.getvalue() == ""


def test_metrics_are_reported_under_names_of_the_list():
    assert sample_name(RECORDS_READ, stream="telemetry") == 'records_read{stream="telemetry"}'
    with pytest.raises(ValueError, match="labels"):
        sample_name(RECORDS_READ)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.unit and metric.meaning and metric.remedy for metric in METRICS)
