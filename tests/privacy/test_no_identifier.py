"""No plain MAC, UPI or IP address and no telephone number is in anything that is written, whichever field held it."""

import pytest
from kit.graph import Graph, settings_of
from kit.reserves import RESERVES
from kit.streams import small_storm, write_streams

from monsoon.cli.main import main
from monsoon.pipelines.flink.result_metrics import ResultMetrics
from monsoon.sources.files import FilePart
from monsoon.transforms.validation.fields import stream_fields

RAW = ("a4:5e:60:c2:11:22", "rider.name@okhdfcbank", "203.0.113.77", "+919876543210", "9876543210")
NAMES = ("reading_id", "provider", "event_id")
"""Of things: ten digits there are a number like any other."""
STREAMS = ("telemetry", "oracle_readings", "subscriptions", "reserves", "confirmations")


def records():
    storm = small_storm(20)
    storm["reserves"] = [dict(each) for each in RESERVES]
    storm["confirmations"] = [
        {
            "answer_id": "a1", "event_time": storm["oracle_readings"][0]["event_time"] + 60_000, "worker_id": "w1",
            "policy_id": "p1", "claim_id": "c" + 32 * "0", "answer": "confirm",
        }
    ]  # fmt: skip
    return storm


CASES = [
    (stream, name, RAW[number % (len(RAW) - (name in NAMES))])
    for stream in STREAMS
    for number, name in enumerate([*(each.name for each in stream_fields(stream) if each.kind == "string"), "unknown"])
] + [("telemetry", "bssids", RAW[0]), ("subscriptions", "consents", RAW[3])]


@pytest.mark.parametrize(("stream", "field", "raw"), CASES)
def test_in_no_output_of_either_engine(tmp_path, capfd, stream, field, raw):
    """Every record of a stream has it in a field, as it is or in a list, and one as an object."""
    found = records()
    value = [raw] if field in ("bssids", "consents") else raw
    found[stream] = [each | {field: value} for each in found[stream]]
    found[stream].append(found[stream][0] | {field: {"nested": raw}})
    assert_nowhere(tmp_path, capfd, found, raw)


@pytest.mark.parametrize("stream", STREAMS)
def test_in_place_of_numbers(tmp_path, capfd, stream):
    """As a text where a number belongs, in one record a field."""
    found = records()
    others = [each.name for each in stream_fields(stream) if each.kind != "string"]
    found[stream] += [found[stream][0] | {name: raw} for name in others for raw in RAW[1:4:2]]
    for raw in RAW[1:4:2]:
        assert_nowhere(tmp_path / raw[1:5], capfd, found, raw)


def assert_nowhere(place, capfd, found, raw):
    """Replays, plays the steps, and looks for it in all that was written."""
    source = write_streams(place / "in", found)
    assert main(["replay", "--input", str(source), "--output", str(place / "out")]) == 0
    for path in (place / "out").rglob("*"):
        if path.is_file():
            assert raw not in path.read_text(encoding="utf-8"), path
    graph = Graph(settings_of(source))
    for name in found:
        for path in sorted((source / name).iterdir()):
            graph.read(name, FilePart(path))
    graph.finish()
    for kind, payload in graph.results:
        assert raw.encode() not in (payload if isinstance(payload, bytes) else payload.encode()), kind
    assert raw not in " ".join(metrics_of(graph.results))
    assert graph.collected().dead_letters or stream_is_used(graph)
    assert raw not in "".join(capfd.readouterr())


class Metrics:
    """Flink's metric groups, which remember under what names something was counted."""

    def __init__(self, path="", names=None):
        self.path, self.names = path, [] if names is None else names

    def get_metrics_group(self):
        return self

    def add_group(self, key, value):
        return Metrics(f"{self.path} {key}={value}", self.names)

    def counter(self, name):
        self.names.append(f"{self.path} {name}")
        return self

    def inc(self, count):
        """Counts are not looked at."""


def metrics_of(results):
    """The names and labels of the metrics that results are counted by."""
    metrics = Metrics()
    counters = ResultMetrics(metrics)
    for kind, payload in results:
        counters.count(kind, payload)
    assert metrics.names
    return metrics.names


def stream_is_used(graph):
    return bool(graph.collected().outcome.disruptions)
