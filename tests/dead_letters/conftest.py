"""A small storm with lines that are refused, and its replay."""

import json

import pytest
from kit import at
from kit.streams import report, small_storm, write_streams

from monsoon.cli.main import main

SENT_AT_MS = at(200)
"""After all that the storm decides."""
SENT_AT = "2024-06-28T15:20:00+05:30"


def pretended(**fields):
    """A report of w1 just before the first confirmation, that would have stopped the claim."""
    return report("w1", -0.05, event_id="x-lat", mock_location=True, **fields)


def refused():
    """Lines of telemetry that cannot be used: without a latitude, with a raw access point, half a line."""
    without = pretended()
    del without["lat"]
    return [
        json.dumps(without),
        json.dumps(report("w1", 0.1, event_id="x-mac", bssids=["00:1a:2b:3c:4d:5e"])),
        '{"event_id": "x-half", "worker_id": "w1", "eve',
    ]


def replayed(source, output):
    """The output folder of a replay."""
    assert main(["replay", "--input", str(source), "--output", str(output)]) == 0
    return output


def lines(folder, stream):
    return (folder / stream / "part-00000.jsonl").read_bytes()


@pytest.fixture
def storm(tmp_path):
    """A folder with the input `in` and the output `out` of it."""
    write_streams(tmp_path / "in", small_storm())
    (tmp_path / "in" / "telemetry" / "refused.jsonl").write_text("".join(line + "\n" for line in refused()))
    replayed(tmp_path / "in", tmp_path / "out")
    return tmp_path
