"""`monsoon doctor`: from faked facts to what is wrong and how to mend it; and from this machine to facts."""

import json
import re
import socket
from dataclasses import replace
from importlib import metadata

import pytest
from kit.streams import small_storm, write_streams

from monsoon.cli import doctor_facts
from monsoon.cli.doctor_checks import FAULT, OK, WARNING, Facts, check
from monsoon.cli.main import main

FINE = Facts(
    python="CPython 3.11.9",
    executable="python3.11",
    root="checkout",
    ready={"core": True, "train": True, "dev": True, "flink": True, "kafka": True, "money": True, "redis": True},
    free_mb={"checkout": 50_000},
    index_error="",
    pinned={"numpy": "2.1.3"},
    installed={"numpy": "2.1.3", "monsoon": "0.1.0"},
    javas=(("jdk", 21),),
    flink_jars=9,
    kafka_jars=True,
    maven=True,
    postgres="/usr/bin",
    redis_server=True,
    input_error=("", ""),
    output_error=("", ""),
)
NEW = replace(FINE, ready=dict.fromkeys(FINE.ready, False), installed={}, javas=(), flink_jars=None, index_error=None)


def test_nothing_is_wrong_with_what_is_fine():
    findings = check(FINE)
    assert {finding.state for finding in findings} == {OK}
    assert not any(finding.mend for finding in findings)
    assert {finding.what for finding in findings} == {
        "python", "set-up", "versions", "disk", "index", "java", "jars", "kafka", "postgres", "redis", "ports", "input",
        "output",
    }  # fmt: skip


def test_jars_of_kafka_that_can_be_fetched_are_nothing_to_mend():
    (finding,) = [each for each in check(replace(FINE, kafka_jars=False)) if each.what == "kafka"]
    assert (finding.state, finding.mend) == (OK, "")
    assert "fetched by monsoon up" in finding.message


def test_a_fresh_checkout_is_no_fault():
    findings = check(NEW)
    assert [finding.what for finding in findings if finding.state != OK] == ["set-up"]
    assert "./monsoon sets up" in next(finding.mend for finding in findings if finding.what == "set-up")


@pytest.mark.parametrize(
    ("changed", "what", "state", "says", "mend"),
    [
        ({"python": "CPython 3.12.1"}, "python", FAULT, "needs CPython 3.11", "MONSOON_PYTHON="),
        ({"python": "PyPy 3.11.9"}, "python", FAULT, "needs CPython 3.11", "MONSOON_PYTHON="),
        ({"has_venv_module": False}, "python", FAULT, "no venv module", "apt-get install python3.11-venv"),
        ({"root_writable": False}, "set-up", FAULT, "cannot be written", "copy of the checkout"),
        ({"cut_off": True}, "set-up", WARNING, "interrupted", "call any command"),
        ({"made_elsewhere": True}, "set-up", WARNING, "by hand", "call any command"),
        ({"installed": {"numpy": "2.2.0"}}, "versions", FAULT, "numpy 2.2.0 (pinned 2.1.3)", "rm -rf checkout/.venv"),
        ({"lacking": ("polars",)}, "versions", FAULT, "polars is not installed", "rm -rf checkout/.venv"),
        ({"free_mb": {"checkout": 199}}, "disk", FAULT, "too little", "free some space"),
        ({"free_mb": {"checkout": 50_000, "other": 10}}, "disk", FAULT, "10 MB free at other", "free some space"),
        ({"index_error": "no route"}, "index", WARNING, "no route", "nothing now"),
        ({"javas": ()}, "java", FAULT, "no Java for Flink", "install a JDK of at least 17"),
        ({"javas": (("jdk", 11),)}, "java", FAULT, "no Java for Flink", "install a JDK of at least 17"),
        ({"java_home": "old", "javas": (("old", 11), ("jdk", 21))}, "java", WARNING, "is Java 11", "unset it"),
        ({"java_home": "x", "javas": (("x", None), ("jdk", 21))}, "java", WARNING, "no Java that runs", "unset it"),
        ({"flink_jars": 0}, "jars", FAULT, "without its jars", "rm -rf checkout/.venv"),
        ({"kafka_jars": False, "maven": False}, "kafka", WARNING, "Maven, which fetches them", "apt-get install maven"),
        ({"postgres": None}, "postgres", WARNING, "no PostgreSQL", "monsoon up --payments"),
        ({"redis_server": False}, "redis", WARNING, "no redis-server", "monsoon up --features"),
        ({"port_free": False, "port": 8081}, "ports", WARNING, "port 8081 is taken", "another --web-port"),
        ({"can_listen": False}, "ports", WARNING, "nothing can listen", "allow"),
        ({"input_error": ("in: no such folder", "Give one")}, "input", FAULT, "no such folder", "Give one"),
        ({"output_error": ("out: is a file", "give another")}, "output", FAULT, "is a file", "give another"),
        ({"not_found_out": (("java", "OSError: no"),)}, "java", WARNING, "could not be checked: OSError", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_mend(changed, what, state, says, mend):
    wrong = [finding for finding in check(replace(FINE, **changed)) if finding.state != OK]
    assert [(finding.what, finding.state) for finding in wrong] == [(what, state)]
    assert says in wrong[0].message
    assert mend in wrong[0].mend
    assert bool(wrong[0].mend) == bool(mend)


@pytest.mark.parametrize(
    ("changed", "what", "state", "says"),
    [
        ({"index_error": "no route"}, "index", FAULT, "no route"),
        ({"free_mb": {"checkout": 699}}, "disk", FAULT, "setting up needs 700 MB"),
        ({"free_mb": {"checkout": 2_999}}, "disk", WARNING, "flink 3,000"),
    ],
)
def test_before_the_first_set_up_more_is_needed(changed, what, state, says):
    findings = [finding for finding in check(replace(NEW, **changed)) if finding.what == what]
    assert [finding.state for finding in findings] == [state]
    assert says in findings[0].message


def test_without_the_index_what_is_installed_goes_on():
    ready = {**FINE.ready, "flink": False}
    findings = [finding for finding in check(replace(FINE, ready=ready, index_error="no route")) if finding.mend]
    assert [(finding.what, finding.state) for finding in findings] == [("index", WARNING)]
    assert "HTTPS_PROXY" in findings[0].mend


@pytest.fixture
def no_index(monkeypatch):
    monkeypatch.setattr(doctor_facts, "index_error", lambda version: "")


def test_it_finds_this_machine_fine_and_names_the_web_port(tmp_path, capsys, no_index):
    write_streams(tmp_path / "in", small_storm(every_min=30))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        words = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--web-port", str(port)]
        assert main(["doctor", *words]) == 0
    said = capsys.readouterr().out
    assert re.search(rf"^warning  ports +port {port} is taken$", said, re.M)
    assert re.search(r"^ok +input +can be read$", said, re.M)
    assert re.search(r"^ok +output +can be written$", said, re.M)
    assert not (tmp_path / "out").exists()


def test_a_fault_ends_with_1_and_each_has_its_mend(tmp_path, capsys, no_index):
    (tmp_path / "file").touch()
    words = ["--input", str(tmp_path / "no"), "--output", str(tmp_path / "file"), "--format", "json"]
    assert main(["doctor", *words]) == 1
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["input"]["state"] == found["output"]["state"] == "fault"
    assert found["output"]["mend"] == "give --output a new or empty folder"
    assert "Give the folder" in found["input"]["mend"]


def test_what_cannot_be_found_out_is_no_crash(capsys, no_index, monkeypatch):
    def broken(*unused):
        raise RuntimeError("no such tool")

    for name in ("pins", "ready_extras", "versions", "free_mb", "javas", "flink_jars"):
        monkeypatch.setattr(doctor_facts, name, broken)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.count("could not be checked: RuntimeError: no such tool") == 6


def test_pins_are_those_of_the_constraints(root):
    pins = doctor_facts.pins(root)
    assert pins["polars"] == metadata.version("polars")
    assert pins["typing-extensions"], "any spelling of a name is one name"


def test_a_stamp_counts_if_it_holds_what_would_be_installed_now(tmp_path):
    (tmp_path / ".venv").mkdir()
    for name, text in (("setup.py", "setup\n"), ("constraints.txt", "a==1\n")):
        (tmp_path / name).write_text(text)
    (tmp_path / ".venv" / "ready-core").write_text(f"setup\na==1\n{tmp_path}\n")
    (tmp_path / ".venv" / "ready-dev").write_text(f"setup\na==0\n{tmp_path}\n")
    others = dict.fromkeys(("train", "dev", "flink", "kafka", "money", "redis"), False)
    assert doctor_facts.ready_extras(tmp_path) == {"core": True} | others


def test_what_a_ready_extra_lacks(monkeypatch):
    wanted = ["polars", "apache-flink==2.3.0; extra == 'flink'", 'ruff ; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    ready = {"core": True, "dev": True, "flink": False}
    assert doctor_facts.lacking(ready, {"polars": "1"}) == ("ruff",)
    assert doctor_facts.lacking({"core": False}, {}) == ()
    assert doctor_facts.lacking({**ready, "flink": True}, {}) == ("apache-flink", "polars", "ruff")


@pytest.mark.slow
def test_an_index_that_does_not_answer_is_told_in_pips_words(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none"))
    assert "ERROR" in doctor_facts.index_error("1.17.0")
