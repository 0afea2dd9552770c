"""Folders in: the same result whatever the files' order, split, compression, kind and duplication."""

import gzip
import json
import os
import random
from functools import partial

import numpy as np
import polars as pl
import pytest
from kit.examples import mostly_slow
from validation.lines import CATALOGUE, GOOD, line_of, with_changes

from monsoon.sources import files, line_blocks, streams
from monsoon.sources.files import InputError
from monsoon.sources.parts import OpenFiles, parts_of, read_part
from monsoon.sources.streams import read_stream
from monsoon.sources.telemetry_table import to_telemetry_table
from monsoon.transforms.validation.details import ONE_ARRAY, PACKED, ZERO_BYTES
from monsoon.transforms.validation.fields import stream_fields
from monsoon.transforms.validation.record_validator import MAX_RAW_BYTES


def write(folder, stream, *contents, suffix=".jsonl"):
    target = folder / stream
    target.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents):
        data = content if isinstance(content, bytes) else b"".join(line + b"\n" for line in content)
        (target / f"part-{number}{suffix}").write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    return folder


def read(folder, stream="telemetry"):
    return read_stream(stream, folder, CATALOGUE)


def content(stream_read):
    """What must not depend on how the input is laid out."""
    kept = {name: stream_read.counts[name] for name in ("used", "dead", "nulled", "reasons")}
    return stream_read.frame.rows(), stream_read.records, stream_read.dead, kept


def balanced(counts):
    return counts["read"] == counts["used"] + counts["duplicate"] + counts["dead"]


def other(row):
    """The identity of one of the reports below."""
    return {"event_id": f"e-{row}", "worker_id": f"w-{row % 7}"}


def telemetry_lines():
    """Some hundred lines: good, odd, dead, repeated, conflicting, tied in time."""
    chance = random.Random(11)
    lines = []
    for row in range(300):
        changes = {
            "event_id": f"e-{row}",
            "worker_id": f"w-{row % 7}",
            "event_time": 1_718_000_000_000 + chance.randrange(60) * 15_000,
            "lat": round(28.5 + chance.random(), 6),
            "bssids": [f"b{chance.randrange(9)}f" for _ in range(chance.randrange(4))] or None,
            "platform": chance.choice(["zepto", "blinkit", None]),
        }
        if row % 20 == 0:
            changes["battery_pct"] = 101
        if row % 30 == 7:
            changes["lat"] = 95
        if row % 50 == 9:
            changes["device_id"] = "00:1b:44:11:3a:b7"
        lines.append(line_of(with_changes("telemetry", changes)))
    first = {"event_time": 1_718_000_000_000 - 1}
    lines += [line_of(with_changes("telemetry", {**other(row), "lat": row, **first})) for row in (1, 1, 2, 40)]
    lines += [line_of(with_changes("telemetry", {**other(3), "lat": 3, "accuracy_m": "x", **first}))] * 2
    lines += [line.replace(b'"lat":28.', b'"lat": 28.') for line in lines[100:120]]  # the same, otherwise written
    return [*lines, b"broken {", b"broken {", b"", b"\xff"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return read(write(tmp_path_factory.mktemp("plain"), "telemetry", telemetry_lines()))


def test_every_line_is_accounted_for(plain):
    counts = plain.counts
    assert balanced(counts)
    assert counts["read"] == len(telemetry_lines()) - 1
    assert counts["reasons"] == {
        "conflicting_duplicate": 4, "not_json": 2, "out_of_range:lat": 10, "raw_identifier:device_id": 6,
    }  # fmt: skip
    assert counts["dead"] == len(plain.dead) == 22
    assert counts["used"] == plain.frame.height == 284
    assert counts["nulled"] == {"accuracy_m": 1, "battery_pct": 14}  # of e-40, with one too, the earlier content stands
    assert all("00:1b" not in letter["raw"] for letter in plain.dead)


def split(lines, parts):
    lines = list(lines)
    random.Random(parts).shuffle(lines)
    return [lines[part::parts] for part in range(parts)]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_order_and_split(tmp_path, plain, parts, suffix):
    shuffled = read(write(tmp_path, "telemetry", *split(telemetry_lines(), parts), suffix=suffix))
    assert content(shuffled) == content(plain)
    assert shuffled.counts == plain.counts


def test_duplication(tmp_path, plain):
    parts = split(telemetry_lines(), 3)
    doubled = read(write(tmp_path, "telemetry", *parts, *reversed(parts)))
    assert content(doubled) == content(plain)
    assert balanced(doubled.counts)
    assert doubled.counts["read"] == 2 * plain.counts["read"]


@pytest.mark.parametrize("block_bytes", mostly_slow([30_000, 200]))
def test_block_size(tmp_path, plain, monkeypatch, block_bytes):
    monkeypatch.setattr(streams, "read_blocks", partial(files.read_blocks, block_bytes=block_bytes))
    assert content(read(write(tmp_path, "telemetry", telemetry_lines()))) == content(plain)


def test_judging_every_line_gives_the_same(tmp_path, plain, monkeypatch):
    monkeypatch.setattr(line_blocks, "clean_line_pattern", lambda fields, keys: None)
    assert content(read(write(tmp_path, "telemetry", telemetry_lines()))) == content(plain)


def test_line_ends(tmp_path, plain):
    carriage = b"\r\n".join(telemetry_lines())
    assert content(read(write(tmp_path, "telemetry", carriage))) == content(plain)


def test_rows_are_sorted_and_ties_broken_by_event_id(tmp_path):
    rows = [("w-2", 5, "b"), ("w-1", 9, "z"), ("w-2", 5, "a"), ("w-1", 9, "y"), ("w-2", 4, "c"), ("w-10", 1, "d")]
    rows = [(worker, 1_718_000_000_000 + time, event) for worker, time, event in rows]
    lines = [
        line_of(with_changes("telemetry", {"worker_id": w, "event_time": t, "event_id": e, "cell": e}))
        for w, t, e in rows
    ]
    frame = read(write(tmp_path, "telemetry", lines)).frame
    assert [(row["worker_id"], row["event_time"], row["cell"]) for row in frame.rows(named=True)] == sorted(rows)


PARQUET = pl.DataFrame(
    {
        "event_id": [f"p-{row}" for row in range(8)],
        "worker_id": ["w-1"] * 8,
        "device_id": ["dd1", "dd2", "00:1b:44:11:3a:b7", "dd4", "dd5", "dd6", "dd7", "1234567"],
        "event_time": [1.7e12, 1.7e12 + 1, 1.7e12 + 2, 1.7e12 + 3.5, 1.7e12 + 4, None, float("nan"), 1.7e12 + 7],
        "lat": [1, 2, 3, 4, 5, 6, 7, 8],
        "lon": [1.5, 91.0, -181.0, 4.0, float("nan"), 6.0, 7.0, 8.0],
        "accuracy_m": [float("nan"), -1.0, None, 1.0, 1.0, 1.0, 1.0, 1.0],
        "orders_completed": [1.0, float("nan"), None, 1.0, 1.0, 1.0, 1.0, 2.5],
        "bssids": [["b1"], [], None, ["b1"], ["b1"], ["b1"], ["b1"], ["b1", None]],
        "platform": pl.Series(["zepto"] * 8, dtype=pl.Categorical),
        "agc_db": pl.Series([1.5] * 8, dtype=pl.Float32),
        "note": ["x"] * 8,
    }
)


def test_parquet_rows_are_judged_as_the_lines_that_say_the_same(tmp_path):
    write(tmp_path / "a", "telemetry", [])
    PARQUET.write_parquet(tmp_path / "a" / "telemetry" / "x.parquet", row_group_size=3)
    lines = []
    for row in PARQUET.select(f.name for f in stream_fields("telemetry") if f.name in PARQUET).rows(named=True):
        record = {}
        for name, value in row.items():
            value = None if value != value else value
            whole = name in ("event_time", "orders_completed") and isinstance(value, float) and value.is_integer()
            record[name] = int(value) if whole else value
        lines.append(line_of(record))
    parquet, jsonl = read(tmp_path / "a"), read(write(tmp_path / "b", "telemetry", lines))
    assert content(parquet) == content(jsonl)
    assert parquet.counts["read"] == 8
    assert parquet.counts["reasons"]["wrong_type:event_time"] == 1
    assert parquet.counts["nulled"] == {"accuracy_m": 1, "bssids": 1, "orders_completed": 1}


def test_parquet_of_the_same_records_gives_the_same(tmp_path, plain):
    good = [json.loads(line) for line in telemetry_lines() if b"broken" not in line and line not in (b"", b"\xff")]
    good = [record for record in good if not isinstance(record["accuracy_m"], str)]
    faulty = line_of(
        with_changes("telemetry", {**other(3), "lat": 3, "accuracy_m": "x", "event_time": 1_718_000_000_000 - 1})
    )
    write(tmp_path, "telemetry", [b"broken {", b"broken {", b"\xff", faulty, faulty])
    pl.DataFrame(good, infer_schema_length=None).write_parquet(tmp_path / "telemetry" / "rest.parquet")
    parquet = read(tmp_path)
    assert parquet.frame.rows() == plain.frame.rows()
    assert parquet.counts == plain.counts


@pytest.mark.parametrize("types", [{"event_time": pl.String}, {"lat": pl.String}, {"bssids": pl.List(pl.Int64)}])
def test_parquet_of_other_types_goes_to_the_judge(tmp_path, types):
    write(tmp_path, "telemetry", [])
    frame = PARQUET.head(1).with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in types.items())
    frame.write_parquet(tmp_path / "telemetry" / "x.parquet")
    counts = read(tmp_path).counts
    assert counts["read"] == 1
    assert balanced(counts)


def test_conflicts_leave_the_smallest_canonical_content(tmp_path):
    contents = [with_changes("telemetry", {"lat": lat}) for lat in (3, 1.5, 1.25, 1.5, 3.0)]
    stream = read(write(tmp_path, "telemetry", [line_of(record) for record in contents]))
    assert stream.frame["lat"].to_list() == [1.25]
    assert [json.loads(letter["raw"])["lat"] for letter in stream.dead] == [1.5, 3]
    assert stream.counts["duplicate"] == 2
    assert all(letter["seen_at"] == GOOD["telemetry"]["event_time"] for letter in stream.dead)


@pytest.mark.parametrize(("agc_db", "nulled"), [(43, {"cell": 1}), (45, {})])
def test_fields_nulled_count_in_the_record_that_stands(tmp_path, agc_db, nulled):
    faulty = with_changes("telemetry", {"agc_db": agc_db, "cell": 5})
    lines = [line_of(faulty), line_of(GOOD["telemetry"]), line_of(faulty)]
    assert read(write(tmp_path, "telemetry", lines)).counts["nulled"] == nulled


@pytest.mark.parametrize("stream", ["oracle_readings", "subscriptions"])
def test_smaller_streams_do_not_depend_on_layout_either(tmp_path, stream):
    identity = "reading_id" if stream == "oracle_readings" else "event_id"
    lines = [line_of(with_changes(stream, {identity: f"r-{row % 9}", "platform": f"p{row % 2}"})) for row in range(40)]
    lines += [line_of(with_changes(stream, {identity: "r-1", "event_time": -1})), b"{"]
    first = read(write(tmp_path / "a", stream, lines), stream)
    second = read(write(tmp_path / "b", stream, *split(lines, 3), lines, suffix=".jsonl.gz"), stream)
    assert content(first) == content(second)
    assert balanced(first.counts)
    assert balanced(second.counts)
    assert first.counts["used"] == 9
    assert first.counts["reasons"]["conflicting_duplicate"] == 9


def test_a_readings_id_is_its_id_and_revision(tmp_path):
    lines = [
        line_of(with_changes("oracle_readings", {"revision": r, "value": v})) for r, v in ((0, 1), (None, 1), (1, 2))
    ]
    counts = read(write(tmp_path, "oracle_readings", lines), "oracle_readings").counts
    assert (counts["used"], counts["duplicate"], counts["dead"]) == (2, 0, 1)


@pytest.mark.parametrize("stream", GOOD)
@pytest.mark.parametrize(
    ("reason", "lines"),
    [
        ("not_json", [b"{\xff", b"{\xfe"]),
        ("missing_field", [b'{"device_id":"00:1b:44:11:3a:b%d"}' % digit for digit in range(2)]),
        ("too_long", [b"x" * MAX_RAW_BYTES + end for end in (b"1", b"2")]),
    ],
)
def test_dead_letters_that_read_the_same_are_as_many_as_their_lines(tmp_path, stream, reason, lines):
    first = read(write(tmp_path / "a", stream, lines), stream)
    again = read(write(tmp_path / "b", stream, [*reversed(lines), b""], [*lines, lines[0]]), stream)
    assert first.dead == again.dead
    assert first.dead[0] == first.dead[1]
    assert first.dead[0]["reason"].startswith(reason)
    assert [first.counts[name] for name in ("read", "dead", "duplicate")] == [2, 2, 0]
    assert [again.counts[name] for name in ("read", "dead", "duplicate")] == [5, 2, 3]


def test_identifiers_in_a_conflict_are_masked(tmp_path):
    lines = [line_of(with_changes("telemetry", {"lat": lat, "platform": "asha@okaxis"})) for lat in (1, 2, 3)]
    stream = read(write(tmp_path, "telemetry", lines))
    assert [json.loads(letter["raw"])["platform"] for letter in stream.dead] == ["[masked]"] * 2


def test_an_absurdly_long_line_is_one_dead_letter(tmp_path):
    good = line_of(GOOD["telemetry"])
    long = b'{"a":"' + b"x" * (3 * MAX_RAW_BYTES) + b'"}'
    one = read(write(tmp_path / "a", "telemetry", [good, long, good, long + b"\r"]))
    assert one.counts["reasons"] == {"too_long": 1}
    assert one.counts["used"] == 1
    assert balanced(one.counts)
    pieces = list(files.read_blocks(tmp_path / "a" / "telemetry" / "part-0.jsonl", block_bytes=50_000))
    assert isinstance(pieces[1], files.LongLine)


@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings", "subscriptions"])
def test_empty_streams(tmp_path, stream):
    empty = read(write(tmp_path, stream, b"", b"\n \n"), stream)
    assert empty.frame.height == len(empty.records) == 0
    assert empty.counts["read"] == 0
    if stream == "telemetry":
        telemetry = to_telemetry_table(empty.frame)
        telemetry.validate()


def test_errors_say_what_where_and_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no such folder") as missing:
        read(tmp_path)
    assert missing.value.where.endswith("telemetry")
    (tmp_path / "telemetry").write_text("")
    with pytest.raises(InputError, match="a file, not a folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.jsonl.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:-9]),
        ("not.jsonl.gz", b"{}\n"),
        ("bent.jsonl.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:12] + b"\xff" * 9),
        ("not.parquet", b"{}\n"),
    ],
)
def test_damaged_files(tmp_path, name, data):
    write(tmp_path, "telemetry", [])
    (tmp_path / "telemetry" / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        read(tmp_path)


def test_other_files_are_named_not_read(tmp_path):
    write(tmp_path, "telemetry", [])
    folder = tmp_path / "telemetry"
    for place in (folder, folder / "dt=2024-06-28", folder / "_temporary" / "0", folder / "dt=1" / ".git"):
        place.mkdir(parents=True, exist_ok=True)
        for name in (b"b.json.txt", b"c\xff.csv", b".DS_Store", b"_SUCCESS", b"#a.jsonl#", b"a.jsonl~", b"._a.jsonl"):
            (place / os.fsdecode(name)).write_text("{}")
    (folder / ".#part-0.jsonl").symlink_to("asha@phone.4711:1719500000")
    found = read(tmp_path)
    assert found.counts["read"] == 0
    names = (".DS_Store", "._a.jsonl", "_SUCCESS", "#a.jsonl#", "a.jsonl~", "b.json.txt", "c\\xff.csv")
    expected = [*names, ".#part-0.jsonl", "_temporary/", "dt=1/.git/", *(f"dt=2024-06-28/{name}" for name in names)]
    assert found.ignored == tuple(sorted(expected))


LINE_NAMES = ["x.jsonl", "x.ndjson", "x.json", "x.jsonl.gz", "x.ndjson.gz", "x.json.gz", "topic+0+00.JSON.GZ", "X.Json"]


@pytest.mark.parametrize("name", LINE_NAMES)
@pytest.mark.parametrize("place", [".", "dt=2024-06-28", "year=2024/month=06/hour=02", "x.parquet"])
def test_files_of_any_name_at_any_depth(tmp_path, plain, name, place):
    folder = tmp_path / "telemetry" / place
    folder.mkdir(parents=True)
    data = b"\n".join(telemetry_lines())
    (folder / name).write_bytes(gzip.compress(data) if name.lower().endswith(".gz") else data)
    found = read(tmp_path)
    assert content(found) == content(plain)
    assert found.ignored == ()


@pytest.mark.parametrize("suffix", [".jsonl", ".json.gz"])
@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings"])
@pytest.mark.parametrize("marks", [0, 1, 2])
def test_a_byte_order_mark_at_a_files_beginning_is_no_part_of_its_first_line(tmp_path, stream, marks, suffix):
    good = line_of(GOOD[stream])
    counts = read(write(tmp_path, stream, [b"\xef\xbb\xbf" * marks + good], suffix=suffix), stream).counts
    assert (counts["used"], counts["dead"]) == ((1, 0) if marks < 2 else (0, 1))
    (tmp_path / stream / f"part-0{suffix}").unlink()
    short = read(write(tmp_path, stream, b"\xef\xbb\xbf" * marks, b"\xef", suffix=suffix), stream).counts
    assert short["read"] == {0: 1, 1: 1, 2: 2}[marks]


@pytest.mark.parametrize("suffix", [".json", ".ndjson.gz"])
def test_a_byte_order_mark_is_passed_over_in_the_first_part_of_a_file_alone(tmp_path, suffix):
    content = b"\xef\xbb\xbf" + b"".join(b'{"n":%d}\n' % n for n in range(50))
    write(tmp_path, "telemetry", content, suffix=suffix)
    (file,) = files.find_files(tmp_path / "telemetry").files
    parts, opened = [*parts_of(file, 100, cuts_gzip=True)], OpenFiles()
    assert len(parts) > 3
    for held_open in (None, opened):
        read_back = b"".join(block.content for part in parts for block in read_part("telemetry", part, held_open))
        assert read_back == content[3:]
    opened.close(file)


ARRAYS = {
    "one line": b'[{"event_id":"a"},{"event_id":"b"}]',
    "pretty": b'[\n  {\n    "event_id": "a"\n  }\n]\n',
    "a record a line": b'[{"event_id":"a"},\n{"event_id":"b"}]\n',
    "long": b"[" + b'{"event_id":"a"},' * 100_000 + b"{}]",
}


@pytest.mark.parametrize("data", ARRAYS.values(), ids=ARRAYS.keys())
@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings"])
def test_a_file_that_is_one_array_is_told_so(tmp_path, stream, data):
    found = read(write(tmp_path, stream, data), stream)
    assert any(ONE_ARRAY in letter["detail"] for letter in found.dead)
    assert balanced(found.counts)


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (partial(gzip.compress, mtime=0), PACKED),
        (lambda data: data + bytes(512) + b"\n", ZERO_BYTES),
        (lambda data: data + bytes(7) + data, ZERO_BYTES),
    ],
    ids=["gzip under a plain name", "cut off by a crash", "cut off and gone on with"],
)
@pytest.mark.parametrize("stream", ["telemetry", "oracle_readings"])
def test_bytes_that_are_no_text_are_told_for_what_they_are(tmp_path, stream, spoil, hint):
    data = b"".join(line + b"\n" for line in telemetry_lines()[:3])
    found = read(write(tmp_path, stream, spoil(data)), stream)
    details = [letter["detail"] for letter in found.dead if letter["reason"] == "not_json"]
    assert sum(hint in detail for detail in details) == 1
    assert not any("UTF-16" in detail for detail in details)
    assert balanced(found.counts)


def test_utf_16_is_told(tmp_path):
    data = b"".join(line + b"\n" for line in telemetry_lines()[:3]).decode().encode("utf-16")
    found = read(write(tmp_path, "telemetry", data))
    assert {letter["reason"] for letter in found.dead} == {"not_json"}
    assert all("UTF-16" in letter["detail"] for letter in found.dead)
    assert balanced(found.counts)


def test_links_out_of_the_input_are_read_and_named(tmp_path):
    source = write(tmp_path / "in", "telemetry", [line_of(GOOD["telemetry"])])
    outside = tmp_path / "elsewhere" / "dt=1"
    outside.mkdir(parents=True)
    (outside / "a.jsonl").write_bytes(line_of(with_changes("telemetry", {"event_id": "e-2"})))
    folder = source / "telemetry"
    (folder / "one.jsonl").symlink_to(outside / "a.jsonl")
    (folder / "many").symlink_to(tmp_path / "elsewhere")
    (folder / "within.jsonl").symlink_to("part-0.jsonl")
    (folder / "loop").symlink_to(folder)
    (outside / "up").symlink_to(tmp_path / "elsewhere")
    found = read(source)
    assert found.foreign == tuple(f"{name} -> {outside / 'a.jsonl'}" for name in ("many/dt=1/a.jsonl", "one.jsonl"))
    assert found.ignored == ("loop/", "many/dt=1/up/")
    assert (found.counts["read"], found.counts["used"], found.counts["duplicate"]) == (4, 2, 2)


def test_a_link_to_nothing_is_told(tmp_path):
    write(tmp_path, "telemetry", [])
    (tmp_path / "telemetry" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"gone\.jsonl: a link to a file that is not there"):
        read(tmp_path)


def test_an_empty_file_is_empty_and_an_empty_gzip_file_damaged(tmp_path):
    write(tmp_path, "telemetry", b"")
    assert read(tmp_path).counts["read"] == 0
    (tmp_path / "telemetry" / "part-1.jsonl.gz").touch()
    with pytest.raises(InputError, match=r"part-1\.jsonl\.gz: damaged gzip file"):
        read(tmp_path)


@pytest.mark.parametrize("kept", [1, 5, 12, -9, -1])
def test_a_gzip_file_cut_off_anywhere_is_told(tmp_path, kept):
    write(tmp_path, "telemetry", gzip.compress(b"{}\n" * 1000, mtime=0)[:kept], suffix=".jsonl")
    os.rename(tmp_path / "telemetry" / "part-0.jsonl", tmp_path / "telemetry" / "part-0.jsonl.gz")
    with pytest.raises(InputError, match="damaged gzip file"):
        read(tmp_path)


def test_a_panic_says_nothing_of_its_own(tmp_path, capfd, monkeypatch):
    def panicking(path, *rows):
        os.write(2, b"thread 'x' panicked at ...\nstack backtrace:\n")
        raise InputError("unreadable Parquet file", str(path), "Write it again")
        yield

    monkeypatch.setattr(streams, "read_batches", panicking)
    write(tmp_path, "telemetry", b"", suffix=".parquet")
    with pytest.raises(InputError, match="unreadable Parquet"):
        read(tmp_path)
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_progress_reaches_the_end(tmp_path):
    seen = []
    write(tmp_path, "telemetry", *split(telemetry_lines(), 2))
    read_stream("telemetry", tmp_path, progress=lambda *told: seen.append(told))
    assert seen[-1][0] == "telemetry"
    assert seen[-1][2] == pytest.approx(1.0)


def test_the_trail_says_what_the_frame_says(plain):
    rows = plain.frame.rows(named=True)
    telemetry = to_telemetry_table(plain.frame.clone())
    telemetry.validate()
    assert [telemetry.workers[code] for code in telemetry.worker] == [row["worker_id"] for row in rows]
    assert [None if code < 0 else telemetry.platforms[code] for code in telemetry.platform] == [
        row["platform"] for row in rows
    ]
    offsets = telemetry.bssid_offsets
    seen = [
        [telemetry.bssids[code] for code in telemetry.bssid_codes[offsets[i] : offsets[i + 1]]]
        for i in range(len(rows))
    ]
    assert seen == [row["bssids"] or [] for row in rows]
    assert set(telemetry.mock.tolist()) == {0}
    assert set(telemetry.charging.tolist()) == {1}
    assert telemetry.gnss_time_ms.tolist() == [row["gnss_time"] for row in rows]
    assert set((telemetry.gnss_time_ms - telemetry.network_time_ms).tolist()) == {-20.0}
    assert np.array_equal(np.isnan(telemetry.battery_pct), [row["battery_pct"] is None for row in rows])


def test_worked_examples_have_no_line_that_is_refused_for_its_form(shared):
    folder = next(path for path in sorted((shared / "examples").iterdir()) if path.is_dir())
    for stream in ("telemetry", "oracle_readings"):
        counts = read(folder, stream).counts
        assert balanced(counts)
        assert set(counts["reasons"]) <= {"missing_field:platform"}
