"""Ctrl-C at any moment: one line, exit code 130, and nothing that looks whole or is left behind."""

import builtins
import signal
import subprocess
import sys

import pytest
from kit.examples import mostly_slow
from kit.streams import small_storm, write_streams

from monsoon.cli import replay as command
from monsoon.cli.main import main
from monsoon.pipelines.local import replay as pipeline
from monsoon.sinks.folder import OutputFolder
from monsoon.sources import streams

LINE = "monsoon: interrupted; nothing half-written was left\n"


@pytest.fixture(autouse=True)
def signals_as_before():
    """An interrupted command ignores both signals from then on; the tests' own process, and what it starts, do not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def words(tmp_path):
    write_streams(tmp_path / "in", small_storm())
    return ["replay", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]


def pressing(times, then=lambda *args, **kwargs: None):
    """In place of a function: presses Ctrl-C so many times, then does what it did."""

    def press(*args, **kwargs):
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        return then(*args, **kwargs)

    return press


MOMENTS = {
    "parsing": (command, "add_parser"),
    "opening": (pipeline, "OutputFolder"),
    "reading": (streams, "find_files"),
    "locating": (pipeline, "read_references"),
    "running": (pipeline, "run_products"),
    "writing": (OutputFolder, "write"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing_that_looks_whole(tmp_path, words, capsys, monkeypatch, moment):
    owner, name = MOMENTS[moment]
    monkeypatch.setattr(owner, name, pressing(1, getattr(owner, name)))
    assert main(words) == 130
    assert capsys.readouterr().err == LINE
    assert not (tmp_path / "out").exists()


def test_an_impatient_second_ctrl_c_breaks_no_clearing_up(tmp_path, words, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "run_products", pressing(1))
    monkeypatch.setattr(OutputFolder, "abandon", pressing(1, OutputFolder.abandon))
    assert main(words) == 130
    assert capsys.readouterr().err == LINE


def test_ctrl_c_while_telling_of_it_is_ignored(words, capsys, monkeypatch):
    monkeypatch.setattr(pipeline, "run_products", pressing(1))
    monkeypatch.setattr(builtins, "print", pressing(2, print))
    assert main(words) == 130
    assert capsys.readouterr().err == LINE


def test_whatever_an_interrupted_import_makes_of_it(words, capsys, monkeypatch):
    def import_module(name):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("monsoon.cli.main.import_module", import_module)
    assert main(words) == 130
    assert capsys.readouterr().err == LINE


WHILE_IMPORTING = """
import signal, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder)
from monsoon.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("module", mostly_slow(["numpy", "monsoon.cli.replay", "polars", "onnxruntime"]))
def test_ctrl_c_during_an_import(tmp_path, words, module):
    done = subprocess.run([sys.executable, "-c", WHILE_IMPORTING, module, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)
    assert not (tmp_path / "out").exists()


def test_a_command_that_was_not_interrupted_leaves_ctrl_c_as_it_was(capsys):
    before = signal.getsignal(signal.SIGINT)
    assert main([]) == 0
    assert signal.getsignal(signal.SIGINT) is before
