"""Kafka records to lines, and a folder's lines to records."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.streams import small_storm, write_streams

from monsoon.sources.kafka.history import History, moments_of
from monsoon.sources.kafka.records import lines_of

NOON_MS = 1_719_556_200_000


def lines(values, partitions, stamps_ms):
    found = lines_of(values, np.array(partitions, dtype=np.int64), np.array(stamps_ms, dtype=np.int64))
    return found.content, found.partitions.tolist(), found.arrived_ms.tolist(), found.beats_ms


def test_a_record_is_one_line_or_several_each_with_its_partition_and_the_time_of_arrival():
    values = [b'{"a":1}', b'{"b":2}\n{"c":3}\n\n', b"x\r\n", b'{"d":4}']
    content = b'{"a":1}\n{"b":2}\n{"c":3}\nx\r\n{"d":4}'
    assert lines(values, [7, 8, 7, 9], [1, 2, 3, 4]) == (content, [7, 8, 8, 7, 9], [1, 2, 2, 3, 4], {})


def test_an_empty_record_is_a_heartbeat_of_its_partition_and_a_tombstone_is_nothing():
    values = [b"", None, b"\n", b"", b"x", b""]
    assert lines(values, [1, 1, 1, 1, 2, 2], [5, 9, 8, 3, 1, 4]) == (b"x", [2], [1], {1: 5, 2: 4})


def test_nothing_but_heartbeats():
    assert lines([b"", None], [1, 2], [5, 6]) == (b"", [], [], {1: 5})


RECORD = st.lists(st.sampled_from([b"", b"a", b"{}", b"b\r"]), max_size=4).map(b"\n".join) | st.none()


@given(st.lists(st.tuples(RECORD, st.integers(0, 3), st.integers(0, 2**43)), max_size=12))
def test_every_line_has_the_origin_of_its_record(records):
    content, partitions, stamps_ms, beats_ms = lines(*([each[at] for each in records] for at in range(3)))
    expected = [
        (line, partition, stamp_ms)
        for value, partition, stamp_ms in records
        if value is not None and value.rstrip(b"\n")
        for line in value.rstrip(b"\n").split(b"\n")
    ]
    found = content.split(b"\n") if expected else []
    assert list(zip(found, partitions, stamps_ms, strict=True)) == expected
    beats = [(partition, stamp_ms) for value, partition, stamp_ms in records if value == b""]
    assert beats_ms == {each: max(ms for partition, ms in beats if partition == each) for each, _ in beats}


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
