"""`monsoon bench`: what it cannot measure is wrong usage; what an interrupted run left is simulated again."""

from itertools import accumulate

import pytest

from monsoon.bench import replay as bench
from monsoon.bench import start
from monsoon.bench.flink_streaming import Look, streamed
from monsoon.bench.processes import BenchError, Measured
from monsoon.cli.main import main


@pytest.mark.parametrize(
    "option",
    [("replay", "--rows"), ("replay", "--runs"), ("score", "--rows"), ("score", "--claims"), ("rings", "--claims")],
)
@pytest.mark.parametrize("number", ["0", "-5", "abc", "1.5", "1" + "0" * 20])
def test_a_number_that_cannot_be_is_a_usage_error(capsys, option, number):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *option, number])
    assert stop.value.code == 2
    assert f"argument {option[1]}: '{number}' is not a whole number from 1 to" in capsys.readouterr().err


def test_each_of_several_sizes_counts(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "replay", "--rows", "1000", "0"])
    assert "argument --rows: '0'" in capsys.readouterr().err


def test_only_whole_inputs_are_used_again(tmp_path, capsys, monkeypatch):
    (tmp_path / "10" / "telemetry").mkdir(parents=True)
    (tmp_path / "20").mkdir()
    (tmp_path / "20" / "labels.csv").touch()
    simulated = []

    def measure(command, runs):
        if "simulate" in command:
            simulated.append(command[command.index("--rows") + 1])
        return Measured(1.0, 1.0, 1.0)

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench, "_rows", lambda output: 10)
    assert main(["bench", "replay", "--rows", "10", "20", "--folder", str(tmp_path)]) == 0
    assert simulated == ["10"]
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_what_a_measured_command_said_is_told_in_a_line(tmp_path, capsys):
    (tmp_path / "1000").mkdir()
    (tmp_path / "1000" / "thesis.tex").touch()
    assert main(["bench", "replay", "--rows", "1000", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "failed (1): monsoon simulate: " in said
    assert "thesis.tex" in said
    assert said.count("\n") == 1


def test_nothing_to_measure_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "measure", lambda command, runs: Measured(1.0, 1.0, 1.0))
    monkeypatch.setattr(bench, "_rows", lambda output: 0)
    assert main(["bench", "replay", "--rows", "1", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "monsoon bench: --rows 1: so few riders that none reported; request more rows\n"


def test_a_start_is_measured_on_ten_records(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(start, "measure", lambda command, runs, environment: Measured(1.0, 0.5, 1.0))
    assert main(["bench", "start", "--folder", str(tmp_path)]) == 0
    lines = [line for file in (tmp_path / "ten").rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(lines) == 10
    assert "a replay of ten records     0.50    1.00" in capsys.readouterr().out


def test_rings_are_found_in_both_storms(capsys):
    assert main(["bench", "rings", "--claims", "400"]) == 0
    linked, shared = capsys.readouterr().out.splitlines()[2:4]
    assert linked.startswith("linked ")
    assert " 0 members of cliques" in linked
    assert "members of cliques, 1 rings of up to 400" in shared


def looks(rows_by_second, python_us=10):
    """A look each second at a run that commits so many rows in all."""
    seen = enumerate(accumulate(rows_by_second))
    return [Look(at_s, rows, {"JVM": at_s * 0.5, "Python": rows * python_us / 1e6}) for at_s, rows in seen]


def test_rates_are_of_the_first_and_the_last_quarter_without_start_and_end():
    seen = streamed(looks([0, 0, 100, *[100] * 3, *[70] * 8, *[50] * 4, 40]))
    assert (seen.rows, seen.first_rows_per_s, seen.last_rows_per_s) == (1200, 100, 54)
    assert seen.cpu_us["Python"] == pytest.approx(10)
    assert seen.cpu_us["JVM"] == pytest.approx(15 * 0.5 / 1060 * 1e6)
    assert seen.commit_s == 1
    assert seen.whole_cpu_us == pytest.approx(10 + 18 * 0.5 / 1200 * 1e6)


def test_a_run_that_was_over_at_once_has_no_rates():
    with pytest.raises(BenchError, match="request more rows"):
        streamed(looks([0, 100, 100]))
