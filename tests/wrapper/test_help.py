"""`./monsoon COMMAND --help` on a fresh checkout: the words of the command itself, with nothing made or fetched."""

import shutil

import pytest
from kit.examples import mostly_slow

from monsoon.cli.bench import BENCHES
from monsoon.cli.main import COMMANDS, main
from monsoon.cli.schema import FORMATS
from monsoon.sources.file_formats import MODELS

ASKED = [
    ["--help"],
    ["replay", "--input", "in", "--hel"],
    ["run", "--resume", "--help"],
    ["test", "-k", "x", "--help"],
    *(["bench", bench, "--help"] for bench in BENCHES),
    [],
    ["-h"],
    *([command, "--help"] for command in COMMANDS),
    *(["products", action, "-h"] for action in ("list", "show", "check", "explain")),
]


@pytest.fixture
def sources(checkout, root):
    """A checkout with its sources, never set up."""
    for folder in sorted(init.parent.name for init in root.glob("*/__init__.py")):
        shutil.copytree(root / folder, checkout.folder / folder, ignore=shutil.ignore_patterns("__pycache__", "onnx"))
    return checkout


@pytest.fixture
def real(monkeypatch, capsys):
    """What the installed command prints."""
    monkeypatch.setenv("COLUMNS", "80")

    def print_help(words):
        try:
            code = main(words)
        except SystemExit as ended:
            code = ended.code
        assert not code
        return capsys.readouterr().out

    return print_help


@pytest.mark.parametrize("words", mostly_slow(ASKED, 6), ids=" ".join)
def test_help_is_the_commands_own_and_installs_nothing(sources, real, words):
    before = sorted(sources.folder.rglob("*"))
    done = sources.run(*words, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == real(words)
    assert done.stdout.startswith("usage: monsoon")
    assert sources.calls() == []
    assert sorted(sources.folder.rglob("*")) == before


def test_help_of_a_command_that_needs_more_than_is_installed(sources, real):
    sources.run("demo")
    calls = sources.calls()
    assert sources.run("run", "--help", COLUMNS="80").stdout == real(["run", "--help"])
    assert sources.calls() == calls


def test_a_command_that_is_not_there_is_told_without_installing(sources):
    done = sources.run("replya", "--help")
    assert done.returncode == 2
    assert "replya" in done.stderr
    assert sources.calls() == []


def test_what_follows_two_dashes_is_not_asked_of_monsoon(sources):
    sources.run("test", "--", "--help")
    assert sources.calls("venv") == ["venv"]


def test_help_needs_a_python_and_says_so(sources):
    (sources.path / "python3.11").unlink()
    done = sources.run("replay", "--help")
    assert done.returncode == 1
    assert "found no Python on PATH" in done.stderr


def test_formats_that_help_names_are_those_that_there_are():
    assert set(FORMATS) == set(MODELS)
