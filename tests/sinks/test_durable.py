"""A folder that has a summary is whole, even after a power cut: what reaches the disk, and in which order."""

import errno
import os
from pathlib import Path

import pytest
from kit.disk import DiskCalls

from monsoon.sinks.durable import replace_file, sync_folder
from monsoon.sinks.feed_folder import write_feed
from monsoon.sinks.folder import STREAMS, SUMMARY, OutputFolder

PARTIAL = ".monsoon-partial"


def put(folder, run):
    with OutputFolder(folder) as output:
        for stream in STREAMS[:3]:
            output.write(stream, [{"run": run}])
        output.finish({"run": run})


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "out"


def test_a_result_is_on_the_disk_before_its_summary_has_a_name(folder, monkeypatch):
    disk = DiskCalls(monkeypatch)
    put(folder, 1)
    files = [f"{stream}/part-00000.jsonl" for stream in STREAMS[:3]]
    disk.require_whole(folder, files, SUMMARY, written=folder / PARTIAL)
    for stream in STREAMS[3:]:
        assert disk.synced(folder / PARTIAL / stream)
    for made in (folder.parent, folder.parent.parent):
        assert disk.synced(made), "new folders have names too"


def test_an_earlier_summary_is_gone_before_what_it_speaks_for_is(folder, monkeypatch):
    put(folder, 1)
    disk = DiskCalls(monkeypatch)
    put(folder, 2)
    earlier = folder / PARTIAL / "earlier"
    (aside,) = disk.moves_to(earlier / SUMMARY)
    assert disk.synced(folder / PARTIAL, last=aside), "where it goes to is there for good"
    for stream in STREAMS:
        (moved,) = disk.moves_to(earlier / stream)
        assert disk.synced(folder, aside, moved)
        assert disk.synced(earlier, aside, moved)
        (placed,) = disk.moves_to(folder / stream)
        assert disk.synced(earlier, moved, placed), "the earlier one is safe before it is replaced"
    disk.require_whole(folder, ["claims/part-00000.jsonl"], SUMMARY, written=folder / PARTIAL)


def test_an_earlier_result_that_is_put_back_gets_its_summary_last(folder, monkeypatch):
    put(folder, 1)
    disk = DiskCalls(monkeypatch)
    recording = os.rename

    def failing(source, target):
        if Path(source) == folder / PARTIAL / SUMMARY:
            raise OSError(errno.EIO, "torn off")
        recording(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="torn off"):
        put(folder, 2)
    (back,) = disk.moves_to(folder / SUMMARY)
    for stream in STREAMS:
        moved = disk.moves_to(folder / stream)[-1]
        assert moved < back
        assert disk.synced(folder, moved, back)
    assert disk.synced(folder, back)


@pytest.mark.parametrize("call", range(23))
def test_a_disk_that_refuses_leaves_the_earlier_result(folder, monkeypatch, call):
    put(folder, 1)
    real, count = os.fsync, iter(range(1000))

    def failing(descriptor):
        if next(count) == call:
            raise OSError(errno.EIO, "the disk says no")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="the disk says no"):
        put(folder, 2)
    assert (folder / SUMMARY).read_text() == '{\n  "run": 1\n}\n'


def test_a_feed_is_on_the_disk_before_its_summary(tmp_path, monkeypatch):
    disk = DiskCalls(monkeypatch)
    write_feed(tmp_path, "x", [{"a": 1}], [{"b": 2}], {"c": 3})
    (named,) = disk.moves_to(tmp_path / "feed-x.summary.json")
    for folder in ("oracle_readings", "dead_letters"):
        (moved,) = disk.moves_to(tmp_path / folder / "feed-x.jsonl")
        assert disk.synced(disk.calls[moved][1], last=moved)
        assert disk.synced(tmp_path / folder, moved, named)
    assert disk.synced(tmp_path, named)


def test_a_file_system_that_cannot_sync_folders_is_left_to_itself(tmp_path, monkeypatch):
    def refusing(descriptor):
        raise OSError(errno.EINVAL, "no such thing here")

    monkeypatch.setattr(os, "fsync", refusing)
    sync_folder(tmp_path)


def test_a_file_is_replaced_whole(tmp_path, monkeypatch):
    disk = DiskCalls(monkeypatch)
    replace_file(tmp_path / "a", b"1", tmp_path / ".a")
    assert disk.calls == [
        ("sync", str(tmp_path / ".a")), ("move", str(tmp_path / ".a"), str(tmp_path / "a")), ("sync", str(tmp_path))
    ]  # fmt: skip
