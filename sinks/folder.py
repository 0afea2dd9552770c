"""A replay's output folder: one folder a stream, of JSON Lines or Parquet, and `summary.json`.

Everything is written beside its place first, and at the end an earlier result is moved aside and the new one in, the
summary last. So a folder with a `summary.json` is whole, one without is not, and an earlier result is there until the
new one is: what fails in between is undone, at once or, after a kill, by the next replay. That holds through a power
cut as well: what a summary accounts for is on the disk before the summary has its name.

Interpretations of the specification: docs/interpretations.md#records-and-folders.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import msgspec

from monsoon.sinks.durable import sync_folder, write_file
from monsoon.sinks.record_files import PARTS, Format, encoded

STREAMS = (
    "disruptions",
    "claims",
    "payouts",
    "notifications",
    "reserve_alerts",
    "syndicate_alerts",
    "ring_alerts",
    "dead_letters",
)
DERIVED_STREAMS = ("drift_reports",)
"""Written into a finished folder, from the records that it has; they go with these when a replay replaces them."""
REPORT = "report.html"
"""Likewise, and no stream: the page of `monsoon report`."""
SUMMARY = "summary.json"
_PARTIAL = ".monsoon-partial"
_ENTRIES = (SUMMARY, *STREAMS, *DERIVED_STREAMS, REPORT)
_MEND = "give --output a new or empty folder"
_WRITES_HERE = f"another replay is writing here; wait for it, or {_MEND}"


class OutputError(Exception):
    """The output folder cannot be used; the message says what is in the way and what to do."""


class OutputFolder:
    """Opens `path` for one result, replacing an earlier result but nothing else, whatever format that one had; as a
    context, it abandons what was not finished.

    `inputs` are folders that are read meanwhile: none of them may lie in the output, nor the output in one of them.
    Raises OutputError where the folder cannot be used or another replay is writing to it.
    """

    def __init__(self, path: Path, inputs: Iterable[Path] = (), file_format: Format = "jsonl") -> None:
        self._path = path
        self._format: Format = file_format
        self._partial = path / _PARTIAL
        self._earlier = self._partial / "earlier"
        self._finished = False
        self._lock: int | None = None
        _refuse_overlap(path, inputs)
        refuse_what_is_not_ours(path)
        self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            with _interrupts_deferred():
                path.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(path)
                self._clear()
                self._partial.mkdir()
        except BaseException as error:
            if self._lock is not None:  # otherwise it is another replay's
                self.abandon()
            if isinstance(error, OSError):
                raise OutputError(
                    f"{path}: cannot write here ({error.strerror or error}); give --output a folder that you may write"
                ) from error
            raise

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._finished:
            self.abandon()

    def write(self, stream: str, records: Iterable[Mapping[str, Any]]) -> None:
        """One stream's records, in the order given."""
        folder = self._partial / stream
        folder.mkdir()
        write_file(folder / f"part-00000.{self._format}", encoded(stream, list(records), self._format))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Puts every stream and the summary in place of an earlier result. Ctrl-C meanwhile takes effect after it.

        Whatever fails, the earlier result is put back and the error raised; OutputError where even that fails.
        """
        for stream in STREAMS:
            (self._partial / stream).mkdir(exist_ok=True)
            sync_folder(self._partial / stream)
        write_file(self._partial / SUMMARY, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        with _interrupts_deferred():
            self._earlier.mkdir()
            try:
                self._sync()
                self._move(_ENTRIES, self._path, self._earlier)
                self._move(_ENTRIES[::-1], self._partial, self._path)
                for folder in self._made:
                    sync_folder(folder.parent)
            except BaseException:
                self._put_back()
                raise
            self._finished = True
            shutil.rmtree(self._partial, ignore_errors=True)
            self._unlock()

    def _move(self, names: Sequence[str], source: Path, target: Path) -> None:
        """Moves what there is. The summary's move is on the disk before another's if it comes first, and after all
        others' if it comes last."""
        for name in names:
            if (source / name).exists():
                if name == SUMMARY:
                    self._sync()
                os.rename(source / name, target / name)
                if name == SUMMARY:
                    self._sync()
        self._sync()

    def _sync(self) -> None:
        for folder in (self._earlier, self._partial, self._path):
            sync_folder(folder)

    def abandon(self) -> None:
        """Removes what was not finished, and the folder if it was new; an earlier result stays."""
        with _interrupts_deferred():
            if not self._earlier.exists():  # otherwise it holds what could not be put back
                shutil.rmtree(self._partial, ignore_errors=True)
            for folder in self._made:
                try:
                    folder.rmdir()
                except OSError:
                    break  # somebody else's files came into it
            self._unlock()

    def _put_back(self) -> None:
        """Undoes the moves of `finish`, wherever they stopped. What is no longer in `_partial` has been put in place;
        `_earlier` goes once everything is back, so that doing this again does no harm."""
        try:
            placed = [name for name in (SUMMARY, *STREAMS) if not (self._partial / name).exists()]
            self._move(placed, self._path, self._partial)
            self._move(_ENTRIES[::-1], self._earlier, self._path)
            self._earlier.rmdir()
        except OSError as error:
            raise OutputError(
                f"{self._path}: neither could the new result be put in place nor the earlier one back "
                f"({error.strerror or error}); the earlier one is in {self._earlier}, and the next replay to here "
                "puts it back"
            ) from error

    def _clear(self) -> None:
        """Removes what a killed replay left, after putting back the result that it was about to replace."""
        if self._earlier.exists() and (self._partial / SUMMARY).exists():  # the summary is the last to be moved
            self._put_back()
        if self._partial.exists():
            shutil.rmtree(self._partial)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def write_derived(path: Path, stream: str, records: Sequence[Mapping[str, Any]], file_format: Format) -> None:
    """A stream of DERIVED_STREAMS into the finished output folder at `path`, in place of an earlier one.

    Raises OutputError where it cannot be written.
    """
    folder = path / stream
    part, new = folder / f"part-00000.{file_format}", folder / f"part-new.{file_format}"
    try:
        with locked_folder(path, _WRITES_HERE), _interrupts_deferred():
            folder.mkdir(exist_ok=True)
            write_file(new, encoded(stream, records, file_format))
            os.replace(new, part)
            for pattern in PARTS:
                for other in folder.glob(pattern):
                    if other != part:
                        other.unlink()
            sync_folder(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


@contextmanager
def locked_folder(path: Path, refusal: str) -> Iterator[None]:
    """The folder for this process alone. Raises OutputError, with `refusal`, where another has it, and OSError where it
    cannot be opened."""
    descriptor = _lock(path, refusal)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path, refusal: str = _WRITES_HERE) -> int:
    """A descriptor that holds the kernel's lock on the folder: whoever holds it dies, it is free."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OutputError(f"{path}: {refusal}") from error
    except OSError:
        pass  # a file system without locks: two writers at once are then for the user to avoid
    return descriptor


def _refuse_overlap(path: Path, inputs: Iterable[Path]) -> None:
    output = Path(os.path.realpath(path))  # Path.resolve raises at a loop of links
    for folder in inputs:
        source = Path(os.path.realpath(folder))
        if output == source or output in source.parents or source in output.parents:
            raise OutputError(f"{path}: overlaps the input {folder}; {_MEND} apart from it")


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False where nothing is. Raises OutputError for anything else."""
    if path.is_symlink() and not path.exists():
        raise OutputError(f"{path}: is a symbolic link to {os.readlink(path)}, which is not there; {_MEND}")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path}: is a file; {_MEND}")
    return path.exists()


def refuse_what_is_not_ours(path: Path) -> None:
    """Raises OutputError unless all that is at `path` can be an earlier result."""
    if not is_folder(path):
        return
    try:
        foreign = next(filter(None, map(_foreign, sorted(path.iterdir()))), None)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if foreign:
        raise OutputError(f"{path}: holds something that is not a replay's output ({foreign}); {_MEND}")


def _foreign(entry: Path) -> str | None:
    """What here cannot be a replay's: that has the summary, and a folder a stream with nothing but parts."""
    if entry.name not in (*_ENTRIES, _PARTIAL):
        return entry.name
    if entry.is_symlink():
        return f"{entry.name}, a symbolic link"
    if entry.is_dir() == (entry.name in (SUMMARY, REPORT)):
        return f"{entry.name}, a {'folder' if entry.is_dir() else 'file'}"
    if entry.name != _PARTIAL and entry.is_dir():
        for part in sorted(entry.iterdir()):
            if not (part.is_file() and any(map(part.match, PARTS))):
                return f"{entry.name}/{part.name}"
    return None


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C within takes effect at the end. Only the main thread is ever interrupted by it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        signal.raise_signal(signal.SIGINT)
