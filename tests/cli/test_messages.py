"""What is said of an error: one line, whatever is in it; and standard streams that cannot be written."""

import subprocess
import sys

import pytest
from kit.examples import mostly_slow
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.sources.files import InputError


@pytest.mark.parametrize(
    ("name", "shown"), [("two\nlines", "two lines"), ("\x1b[2J", "\\x1b[2J"), ("b\udcff", "b\\xff"), ("a  b", "a  b")]
)
def test_an_error_is_one_line_that_a_terminal_can_show(capsys, monkeypatch, name, shown):
    def refuse(args):
        raise InputError("no such folder", name, "Give one.")

    monkeypatch.setattr("monsoon.cli.replay.run", refuse)
    assert main(["replay", "--input", "x", "--output", "y"]) == 1
    assert capsys.readouterr().err == f"monsoon replay: {shown}: no such folder. Give one.\n"


def shell(tmp_path, ending):
    write_streams(tmp_path / "in", small_storm())
    line = f"{sys.executable} -m monsoon.cli.main replay --input {tmp_path}/in --output {tmp_path}/out {ending}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True)


@pytest.mark.parametrize("ending", mostly_slow(["<&- >&- 2>&-", ">&-", "2>&-", ">&- 2>&-", "| true"]))
def test_closed_streams_are_no_error(tmp_path, ending):
    assert shell(tmp_path, ending).stderr == ""
    assert (tmp_path / "out" / "summary.json").exists()


def test_a_full_disk_behind_standard_output_is_told(tmp_path):
    done = shell(tmp_path, ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("monsoon replay: No space left on device")
    assert done.stderr.count("\n") == 1


def test_help_into_a_closed_pipe_is_silent():
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m monsoon.cli.main --help | true"], capture_output=True)
    assert done.stderr == b""
