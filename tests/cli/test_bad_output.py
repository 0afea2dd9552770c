"""A place that cannot be written is told in a line before the work, in every command that writes to one."""

import argparse
import importlib

import pytest

from monsoon.cli.main import COMMANDS, PLACES, _parser, main

STORM = ["--storm", "delhi-2024-06-28", "--riders", "1"]
COMMANDS_THAT_WRITE = {
    "replay": (["replay", "--input", "IN"], "--output"),
    "replay --engine": (["replay", "--engine", "flink", "--input", "IN"], "--output"),
    "run": (["run", "--input", "IN"], "--output"),
    "run --checkpoints": (["run", "--input", "IN", "--output", "OUT"], "--checkpoints"),
    "live": (["live", "--input", "IN"], "--output"),
    "live --stack": (["live", "--input", "IN", "--output", "OUT"], "--stack"),
    "chaos": (["chaos", "--input", "IN"], "--stack"),
    "up": (["up"], "--stack"),
    "simulate": (["simulate", *STORM], "--output"),
    "simulate --rows": (["simulate", "--storm", "delhi-2024-06-28", "--rows", "1000"], "--output"),
    "feed": (["feed", "--provider", "us_embassy", "--input", "IN"], "--output"),
    "dispute": (["dispute", "c1", "--reading", "IN", "--results", "IN", "--input", "IN"], "--output"),
    "erase": (["erase", "w1", "--input", "IN"], "--output"),
    "features build": (["features", "build", "--input", "IN"], "--output"),
    "features export": (
        ["features", "export", "--store", "IN", "--rows", "IN", "--entity", "rider", "--features", "shift_pattern"],
        "--output",
    ),
    "basis-risk": (["basis-risk", "--input", "IN", "--results", "IN"], "--output"),
    "diff": (["diff", "IN", "IN"], "--output"),
    "whatif": (["whatif", "--input", "IN", "--vary", "kawaach.triggers.rain.full=100"], "--output"),
    "notebooks": (["notebooks"], "--output"),
    "season": (["season", "--years", "10"], "--output"),
    "premium": (["premium", "--product", "kawaach", "--riders", "IN"], "--output"),
    "train": (["train"], "--output"),
    "train --model": (["train", "--model", "outage"], "--output"),
    "train --product": (["train", "--model", "premium", "--product", "kawaach"], "--output"),
    "evaluate": (["evaluate", "--quick"], "--output"),
    "demo": (["demo"], "--folder"),
    "demo --product": (["demo", "--product", "kawaach"], "--folder"),
    "bench replay": (["bench", "replay"], "--folder"),
    "bench products": (["bench", "products"], "--folder"),
    "bench state": (["bench", "state"], "--folder"),
    "bench flink": (["bench", "flink"], "--folder"),
    "bench start": (["bench", "start"], "--folder"),
    "bench live": (["bench", "live"], "--folder"),
}
WORK = [
    "monsoon.pipelines.local.replay.read_inputs",
    "monsoon.pipelines.whatif.read_inputs",
    "monsoon.pipelines.season.drawing.draw_years",
    "monsoon.pipelines.pricing.riders.read_riders",
    "monsoon.workbench.diff.differences",
    "monsoon.workbench.notebooks.execute",
    "monsoon.pipelines.flink.replay.in_any_order",
    "monsoon.pipelines.flink.run.plan",
    "monsoon.pipelines.flink.live.History",
    "monsoon.pipelines.stack.stack.free_ports",
    "monsoon.sources.simulator.write.build_scenario",
    "monsoon.sources.simulator.frames.build_scenario",
    "monsoon.sources.feeds.readings.read_feed",
    "monsoon.pipelines.training.claim_anomaly.simulated_claims",
    "monsoon.pipelines.training.outage.crowds",
    "monsoon.pipelines.training.premium.replayed_riders",
    "monsoon.pipelines.features.write_features",
    "monsoon.pipelines.dispute.after_everything",
    "monsoon.pipelines.erasure.erase_input",
    "monsoon.pipelines.features.rows_of",
    "monsoon.pipelines.evaluation.evaluate.evaluate",
    "monsoon.bench.replay.measure",
    "monsoon.bench.products.measure",
    "monsoon.bench.state.measure",
    "monsoon.bench.flink.measure",
    "monsoon.bench.start.measure",
    "monsoon.bench.live.measure",
]
"""Where each command's work begins."""
LEAVES_OTHER_FILES_ALONE = {"feed", "demo", "demo --product", "bench replay", "bench products", "bench state"}
LEAVES_OTHER_FILES_ALONE |= {
    "bench flink",
    "bench start",
    "bench live",
    "evaluate",
    "features build",
    "erase",
    "notebooks",
}


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    def begun(*unused, **also):
        raise AssertionError("the work was begun")

    for name in WORK:
        module, _, attribute = name.rpartition(".")
        monkeypatch.setattr(importlib.import_module(module), attribute, begun)


def refused(capsys, tmp_path, command, place):
    words, option = COMMANDS_THAT_WRITE[command]
    (tmp_path / "in").mkdir()
    given = {"IN": str(tmp_path / "in"), "OUT": str(tmp_path / "out")}
    assert main([*(given.get(word, word) for word in words), option, str(place)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"monsoon {words[0]}: ")
    assert told.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    return told.err, option


def parsers(parser):
    """The parser and those of its commands, with the words that lead to them."""
    yield (), parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                for words, each in parsers(inner):
                    yield (name, *words), each


def test_every_command_that_writes_is_tried():
    writing = {
        " ".join(words)
        for command in COMMANDS
        for words, parser in parsers(_parser([command]))
        if words[:1] == (command,) and {f"--{place}" for place in PLACES} & set(parser._option_string_actions)
    }
    writing.remove("doctor")  # it writes nothing, and tells of a bad --output among its findings
    writing -= {"explain", "report", "drift"}  # of an output that is there
    writing -= {
        "down",
        "status",
        "produce",
        "consume",
        "features consume",
        "dispatch",
        "ledger",
        "reconcile",
        "control list",
        "control put",
        "dlq list",
        "dlq show",
        "dlq fix",
        "dlq redrive",
    }  # of a stack that is there, or of none
    assert writing == {name.partition(" --")[0] for name in COMMANDS_THAT_WRITE}


@pytest.mark.parametrize("command", COMMANDS_THAT_WRITE)
def test_a_file(capsys, tmp_path, command):
    (tmp_path / "file").touch()
    told, option = refused(capsys, tmp_path, command, tmp_path / "file")
    assert f"file: is a file; give {option} a new or empty folder" in told


@pytest.mark.parametrize("command", COMMANDS_THAT_WRITE)
def test_below_a_file(capsys, tmp_path, command):
    (tmp_path / "file").touch()
    told, option = refused(capsys, tmp_path, command, tmp_path / "file" / "new")
    assert f"file: is a file, so that {tmp_path}/file/new cannot be a folder; give {option}" in told


@pytest.mark.parametrize("command", COMMANDS_THAT_WRITE)
def test_a_link_to_nowhere(capsys, tmp_path, command):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    told, _ = refused(capsys, tmp_path, command, tmp_path / "link")
    assert "is a symbolic link" in told
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", COMMANDS_THAT_WRITE)
@pytest.mark.parametrize("place", ["/proc/new", "/dev/full/new", "n" * 300])
def test_where_nothing_can_be_made(capsys, tmp_path, monkeypatch, command, place):
    monkeypatch.chdir(tmp_path)
    refused(capsys, tmp_path, command, place)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("command", sorted(COMMANDS_THAT_WRITE.keys() - LEAVES_OTHER_FILES_ALONE))
def test_something_else_is_there(capsys, tmp_path, command):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").touch()
    told, _ = refused(capsys, tmp_path, command, tmp_path / "used")
    assert "used: holds something" in told
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("command", "below"),
    [
        ("feed", "oracle_readings"),
        ("feed", "dead_letters"),
        ("demo", "input"),
        ("demo", "output"),
        ("demo --product", "kawaach"),
        ("demo --product", "kawaach/mumbai-2025-10-20-outage/input"),
        ("demo --product", "kawaach/mumbai-2025-10-20-outage/output"),
    ],
)
def test_a_place_below_it(capsys, tmp_path, command, below):
    """Of several storms, the last one's place is looked at before the first is played."""
    place = tmp_path / "used" / below
    place.parent.mkdir(parents=True)
    place.touch()
    told, _ = refused(capsys, tmp_path, command, tmp_path / "used")
    assert f"{below}: is a file" in told
