"""No test is left out in silence: what is absent is told, in CI it is a failure, and one place decides so."""

import ast

import pytest
from kit.needs import need

ONE_PLACE = "tests/kit/needs.py"
WAYS = {"skip", "skipif", "importorskip", "xfail"}


def test_what_is_absent_is_told(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    need(True, "nothing")
    with pytest.raises(pytest.skip.Exception, match="no moon"):
        need(False, "no moon")


@pytest.mark.parametrize("ci", ["true", "1", "TRUE"])
def test_in_ci_it_is_a_failure(monkeypatch, ci):
    monkeypatch.setenv("CI", ci)
    need(True, "nothing")
    with pytest.raises(pytest.fail.Exception, match="no moon"):
        need(False, "no moon")


@pytest.mark.parametrize("ci", ["", "false", "0"])
def test_what_says_no_is_no_ci(monkeypatch, ci):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception):
        need(False, "no moon")


def test_only_one_place_skips(root, tracked_files):
    tests = [path for path in tracked_files if path.suffix == ".py" and path.parts[0] == "tests"]
    wrong = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path in tests
        if path.as_posix() != ONE_PLACE
        for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call | ast.Attribute) and _leaves_out(node)
    ]
    assert wrong == []


def _leaves_out(node: ast.Call | ast.Attribute) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in {f"pytest.{way}" for way in WAYS}
    return ast.unparse(node) in {f"pytest.mark.{way}" for way in WAYS}
