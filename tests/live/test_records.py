"""Kafka records to lines, and a folder's lines to records."""

import gzip
import json

import polars as pl
import pytest
from kit.streams import small_storm, write_streams

from monsoon.sources.kafka.history import History, moments_of
from monsoon.sources.kafka.records import lines_of

NOON_MS = 1_719_556_200_000


def test_a_record_is_one_line_or_several_each_with_the_time_of_arrival():
    lines = lines_of([b'{"a":1}', b'{"b":2}\n{"c":3}\n\n', b"x\r\n", b'{"d":4}'], [1, 2, 3, 4])
    assert lines.content == b'{"a":1}\n{"b":2}\n{"c":3}\nx\r\n{"d":4}'
    assert lines.arrived_ms.tolist() == [1, 2, 2, 3, 4]
    assert lines.beat_ms is None


def test_an_empty_record_is_a_heartbeat_and_a_tombstone_is_nothing():
    lines = lines_of([b"", None, b"\n", b"", b"x"], [5, 9, 8, 3, 1])
    assert (lines.content, lines.arrived_ms.tolist(), lines.beat_ms) == (b"x", [1], 5)


@pytest.mark.parametrize(
    ("record", "moments"),
    [
        ({"event_time": NOON_MS}, (NOON_MS, NOON_MS)),
        ({"event_time": NOON_MS, "received_time": NOON_MS + 5}, (NOON_MS, NOON_MS + 5)),
        ({"event_time": NOON_MS, "received_time": "soon"}, (NOON_MS, NOON_MS)),
        ({"event_time": NOON_MS + 9, "issued_time": NOON_MS, "revision": 1}, (NOON_MS, NOON_MS + 9)),
        ({"event_time": 12, "received_time": NOON_MS}, (0, NOON_MS)),
        ({"event_time": 5e12}, (0, 0)),
        ({"event_time": True}, (0, 0)),
        ({"raw": {"event_time": NOON_MS}}, (0, 0)),
        ([NOON_MS], (0, 0)),
        ({"event_time": NOON_MS, "note": "\ud83d"}, (NOON_MS, NOON_MS)),
    ],
)
def test_the_moments_of_a_line(record, moments):
    assert moments_of(json.dumps(record).encode()) == moments


@pytest.mark.parametrize("line", [b"", b"{", b"\xff", b"[" * 5000, b'{"event_time":1}{"event_time":1}'])
def test_what_is_no_record_names_no_moment(line):
    assert moments_of(line) == (0, 0)


def test_the_last_of_a_repeated_key_counts():
    assert moments_of(b'{"event_time":%d,"event_time":%d}' % (NOON_MS + 7, NOON_MS)) == (NOON_MS, NOON_MS)


def test_a_folder_is_read_in_event_time_order_whatever_its_files(tmp_path):
    folder = write_streams(tmp_path, small_storm())
    file = next((folder / "telemetry").glob("*.jsonl"))
    lines = file.read_bytes().splitlines()
    file.unlink()
    (folder / "telemetry" / "late.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(reversed(lines[::3])) + b"\n\n \n")
    (folder / "telemetry" / "zipped.ndjson.gz").write_bytes(gzip.compress(b"\n".join(lines[1::3])))
    rows = [{name: value for name, value in json.loads(line).items() if value is not None} for line in lines[2::3]]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "telemetry" / "rows.parquet")
    (folder / "telemetry" / "junk.json").write_bytes(b"not JSON\n" + b"long " * 300_000 + b"\n")
    with History(folder) as history:
        sent = list(history)
    assert [line.time_ms for line in sent] == sorted(line.time_ms for line in sent)
    telemetry = [line for line in sent if line.stream == "telemetry"]
    assert [line.line[:8] for line in telemetry[:2]] == [b"not JSON", b"long lon"]
    assert [line.time_ms for line in telemetry[:2]] == [min(line.time_ms for line in sent)] * 2

    def content(line):
        return sorted((name, value) for name, value in json.loads(line).items() if value is not None)

    assert sorted(map(content, lines)) == sorted(content(line.line) for line in telemetry[2:])
