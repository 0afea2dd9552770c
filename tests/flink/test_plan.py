"""The order in which a run reads: parts of every kind of file, and what stands apart from the rest. Starts no JVM."""

import gzip
import json
import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import at
from kit.examples import mostly_slow
from kit.graph import Graph, locally, same, settings_of
from kit.streams import report, small_storm, write_lines, write_parquet, write_streams

from monsoon.pipelines.flink.file_splits import END_MS, in_any_order, plan
from monsoon.sources.files import Block, FilePart, InputError, LongLine
from monsoon.sources.parts import OpenFiles, parts_of, read_part
from monsoon.sources.record_times import times_ms, typical_bounds, within

YEAR_MINUTES = 365 * 24 * 60
YEARS_AGO = at(-23 * YEAR_MINUTES)
LINES = st.lists(
    st.one_of(
        st.integers(0, 20).map(lambda day: f'{{"event_time":{at(day * 1440)},"x":"\u20ac"}}'.encode()),
        st.sampled_from(
            [b"", b"\xff\xfe{", b"\xe2\x82", b'{"event_time":5}', b'{"event_time" : 99999999999999999999}']
        ),
        st.integers(0, 20).map(lambda day: f'{{"event_time":{at(0)},"issued_time":{at(day * 1440)}}}\r'.encode()),
    ),
    max_size=30,
)


@given(LINES, st.booleans(), st.integers(-1, 21), st.integers(-1, 21))
def test_halves_of_a_block_are_the_whole(lines, ended, first, second):
    """Byte for byte, whatever it holds."""
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    if not content:
        return
    low, high = (at(day * 1440) for day in sorted((first, second)))
    halves = [within("oracle_readings", Block(content), *bounds) for bounds in ((None, low), (low, high), (high, None))]
    found = [line for half in halves if half is not None for line in half.content.removesuffix(b"\n").split(b"\n")]
    assert sorted(found, key=repr) == sorted(content.removesuffix(b"\n").split(b"\n"), key=repr) or not ended
    assert sum(len(half.content) for half in halves if half is not None) == len(content)
    early = halves[0]
    assert early is None or (times_ms("oracle_readings", early) < low).any()


def test_a_line_too_long_belongs_to_one_half():
    def long():
        return LongLine(iter([b"x", b"y"]))

    assert within("telemetry", long(), None, 5) is None
    assert within("telemetry", long(), 5, 7) is None
    whole = within("telemetry", long(), 7, None)
    assert isinstance(whole, LongLine)
    assert list(whole.pieces) == [b"x", b"y"]


@pytest.mark.parametrize(
    ("hours", "since", "before"),
    [
        ([], None, None),
        ([3], None, None),
        ([0, 1, 2, 3], None, None),
        ([-900, 0, 1, 2, 3], 0, None),
        ([-900, -800, 0, 1, 2], 0, None),
        ([0, 1, 2, 900], None, 900),
        ([-900, 0, 1, 2, 900, 901], 0, 900),
        ([-900, -900, -900, 0, 1], None, 0),
    ],
)
def test_where_most_of_a_part_lies(hours, since, before):
    times = pl.Series([hour * 3_600_000 for hour in hours], dtype=pl.Int64).to_numpy()
    expected = [None if each is None else each * 3_600_000 for each in (since, before)]
    assert list(typical_bounds(times)) == expected


def contents(stream, parts, files=None):
    found = []
    for part in parts:
        for piece in read_part(stream, part, files):
            if isinstance(piece, Block):
                found += piece.content.removesuffix(b"\n").split(b"\n")
            elif isinstance(piece, LongLine):
                found.append(b"".join(piece.pieces))
            else:
                found += piece["event_id"].to_list()
    return found


@pytest.mark.parametrize("part_bytes", [1, 100, 5_000, 10**9])
def test_a_compressed_file_is_cut_where_a_plain_one_is(tmp_path, part_bytes):
    lines = [json.dumps(record) for record in small_storm(2.0)["telemetry"][:40]]
    content = ("\n\n" + "\n".join(lines)).encode()
    (tmp_path / "a.jsonl").write_bytes(content)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content[:9000]) + gzip.compress(content[9000:]))
    plain = list(parts_of(tmp_path / "a.jsonl", part_bytes))
    cut = list(parts_of(tmp_path / "a.jsonl.gz", part_bytes, cuts_gzip=True))
    assert [(part.start, part.stop) for part in cut] == [(part.start, part.stop) for part in plain]
    assert list(parts_of(tmp_path / "a.jsonl.gz", part_bytes)) == [FilePart(tmp_path / "a.jsonl.gz")]
    expected = content.split(b"\n")
    if part_bytes > 1:
        assert contents("telemetry", cut, OpenFiles()) == expected
        assert contents("telemetry", cut) == expected
        middle = len(cut) // 2  # as a worker does that goes on from a checkpoint
        assert contents("telemetry", cut[middle:], OpenFiles()) == contents("telemetry", plain[middle:])
        mixed = random.Random(1).sample(cut, len(cut))
        assert sorted(contents("telemetry", mixed, OpenFiles())) == sorted(expected)


def test_a_compressed_file_is_read_on_from_where_its_last_part_ended(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 1000))
    files = OpenFiles()
    first, second, *_ = parts_of(path, 800, cuts_gzip=True)
    list(read_part("telemetry", first, files))
    held = files(path)
    assert held.tell() == first.stop == second.start
    list(read_part("telemetry", second, files))
    assert files(path) is held
    for number in range(20):
        (tmp_path / f"{number}.jsonl.gz").write_bytes(path.read_bytes())
        files(tmp_path / f"{number}.jsonl.gz")
    assert held.closed, "a few stay open, not all"


def test_a_compressed_file_that_is_damaged_behind_its_first_part(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 1000)[:-9])
    with pytest.raises(InputError, match="damaged gzip file"):
        list(parts_of(path, 800, cuts_gzip=True))
    path.write_bytes(b"")
    with pytest.raises(InputError, match="damaged gzip file"):
        list(parts_of(path, 800, cuts_gzip=True))


@pytest.mark.parametrize("part_bytes", [1, 2_000, 10**9])
def test_rows_of_a_parquet_file_are_in_one_part_each(tmp_path, part_bytes):
    records = small_storm(8.0)
    write_parquet(tmp_path / "in", records)
    path = tmp_path / "in" / "telemetry" / "part-0.parquet"
    parts = list(parts_of(path, part_bytes))
    assert len(parts) == (1 if part_bytes == 10**9 else pytest.approx(30, abs=30))
    rows = pl.read_parquet(path)["event_id"].to_list()
    assert contents("telemetry", parts) == rows
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="unreadable Parquet file"):
        list(parts_of(tmp_path / "x.parquet", 100))


def in_order(records):
    for some in records.values():
        some.sort(key=lambda record: record["event_time"])
    return records


def write_as(kind, folder, records):
    if kind == "parquet":
        for stream in records:
            (folder / stream).mkdir(parents=True)
            pl.DataFrame(records[stream], infer_schema_length=None).write_parquet(folder / stream / "all.parquet")
        return folder
    return write_streams(folder, records, gz=kind == "gzip")


@pytest.mark.parametrize(
    ("kind", "place"),
    mostly_slow(
        [
            ("gzip", 700),
            *((kind, place) for kind in ("plain", "parquet") for place in (0, 700, -1)),
            ("gzip", 0),
            ("gzip", -1),
        ]
    ),
)
def test_one_report_of_years_ago_holds_nothing_back(tmp_path, kind, place):
    """It is read in its own time, and repeats and conflicts of it meet it; events come as if it were not there."""
    records = in_order(small_storm())
    without, _ = plan(write_as(kind, tmp_path / "without", records), 50_000)
    old = report("w1", 0) | {"event_id": "old", "event_time": YEARS_AGO}
    records["telemetry"].insert(place % len(records["telemetry"]), old)
    records["telemetry"][300:300] = [old, old | {"battery_pct": 7.0}]
    source = write_as(kind, tmp_path / "in", records)
    found, _ = plan(source, 50_000)
    lows = [planned.low_ms for planned in found]
    assert lows == sorted(lows)
    ours = [planned for planned in without if planned.stream == "telemetry"]
    telemetry = [planned for planned in found if planned.stream == "telemetry"]
    assert len(ours) >= 10
    assert len([each for each in telemetry if each.low_ms == YEARS_AGO]) <= 3 if kind != "gzip" else True
    assert {each.low_ms for each in telemetry} - {YEARS_AGO} <= {
        record["event_time"] for record in records["telemetry"]
    }
    # Half of the storm is decided when half of its telemetry is read.
    graph, decided = Graph(settings_of(source, 2)), []
    for planned in found:
        graph.advance(planned.low_ms - 1)
        decided.append(sum(kind == "claims" for kind, _ in graph.results))
        graph.read(planned.stream, planned.part)
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.dead_letters == inputs.dead_letters
    assert {name: counts["used"] for name, counts in collected.counts.items()} == {
        name: counts["used"] for name, counts in inputs.counts.items()
    }
    assert collected.counts["telemetry"]["duplicate"] == 1
    assert not collected.late
    assert decided[-2] >= 3, "decided before the end of the input"


@pytest.mark.slow
def test_a_phone_whose_clock_is_years_behind_holds_nothing_back(tmp_path):
    """Its reports are in every part."""
    records = in_order(small_storm())
    for number, record in enumerate(records["telemetry"]):
        if record["worker_id"] == "w3":
            record["event_time"] = YEARS_AGO + number * 1000
    source = write_streams(tmp_path / "in", records, gz=True)
    found, _ = plan(source, 50_000)
    telemetry = [planned.low_ms for planned in found if planned.stream == "telemetry"]
    assert sum(low_ms > at(-61) for low_ms in telemetry) == sum(low_ms < at(-61) for low_ms in telemetry)
    graph = Graph(settings_of(source, 2))
    for number, planned in enumerate(found):
        graph.advance(planned.low_ms - 1)
        graph.read(planned.stream, planned.part)
        if number % 7 == 3:
            graph = graph.restored()
    inputs, expected = locally(source)
    collected = graph.finish()
    same(collected.outcome, expected)
    assert collected.counts["telemetry"]["used"] == inputs.counts["telemetry"]["used"]


def test_a_time_that_no_record_may_have_holds_nothing_back(tmp_path):
    records = in_order(small_storm(2.0))
    lines = [json.dumps(record) for record in records["telemetry"]]
    for wrong in (5, -(10**15), 10**15, 10**30):
        lines.insert(20, json.dumps(report("w1", 0) | {"event_id": f"x{wrong}", "event_time": wrong}))
    write_streams(tmp_path / "in", records)
    write_lines(tmp_path / "in", "telemetry", lines)
    found, _ = plan(tmp_path / "in", 20_000)
    assert all(at(-61) <= planned.low_ms < END_MS for planned in found if planned.stream == "telemetry")
    assert sum(planned.part.before_ms is not None for planned in found if planned.stream == "telemetry") == 0


def test_the_plan_knows_what_parts_hold(tmp_path):
    """A file that says something else is another file, whatever its size and times."""
    for kind in ("plain", "gzip", "parquet"):
        records = small_storm(8.0)
        before = plan(write_as(kind, tmp_path / f"{kind}-1", records), 5_000)[0]
        records["telemetry"][7]["battery_pct"] = 81.0
        after = plan(write_as(kind, tmp_path / f"{kind}-2", records), 5_000)[0]
        assert [(each.part.start, each.low_ms) for each in before] == [(each.part.start, each.low_ms) for each in after]
        assert [each.content for each in before] != [each.content for each in after]


def test_in_batch_a_compressed_file_stays_whole(tmp_path):
    source = write_streams(tmp_path / "in", small_storm(8.0), gz=True)
    assert len(in_any_order(source, 1_000)[0]) == 3
