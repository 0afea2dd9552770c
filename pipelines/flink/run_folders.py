"""What belongs to one run: its output, its checkpoints, and the record that holds them together.

State says how far which files of which output were written. So a run goes on only with what it began with: the same
input, products and model, the same two folders.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import msgspec

from monsoon.pipelines.flink.job_record import Keying, read_record
from monsoon.pipelines.flink.local_cluster import last_checkpoint
from monsoon.sinks.durable import replace_file, sync_files, sync_folder, write_file
from monsoon.sinks.folder import SUMMARY, OutputError, locked_folder

LOG = "flink.log"
_RECORD = "run.json"
_MARK = ".monsoon-run"
_MEND = "give new or empty folders, or --resume to go on with a run"


class RunFolders:
    """The two folders of a run, by absolute path."""

    def __init__(self, output: Path, checkpoints: Path, input_dir: Path) -> None:
        self.output, self.checkpoints = output.absolute(), checkpoints.absolute()
        self.input = input_dir
        _refuse_overlap({"--input": input_dir, "--output": output, "--checkpoints": checkpoints})

    @property
    def log(self) -> Path:
        return self.checkpoints / LOG

    @property
    def has_ended(self) -> bool:
        """The summary is written last."""
        return (self.output / SUMMARY).exists()

    def require_usable(self, resume: bool) -> None:
        """What `new_run` and `resumed_run` would refuse, checked before the input is scanned. Raises OutputError."""
        if resume:
            self._require_record()
        elif not self._has_no_results():
            self._require_empty()

    @contextmanager
    def new_run(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """A new run. If it fails before its first checkpoint it leaves nothing but the log; what a killed run left
        that never came so far is taken away.

        Raises OutputError where a folder holds anything else.
        """
        with self._locked():
            if self._has_no_results():
                self._empty()
            self._require_empty()
            run_id = uuid.uuid4().hex
            # The record first: what was killed after it is known as a run that decided nothing.
            _write(self.checkpoints / _RECORD, {**identity, "output": str(self.output), "run_id": run_id})
            write_file(self.output / _MARK, run_id.encode())
            sync_folder(self.output)
            try:
                yield
            except BaseException:
                if self._has_no_results():
                    self._empty()
                raise

    @contextmanager
    def resumed_run(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """Resumes a run. Raises OutputError where it is another one, or none."""
        self._require_record()
        with self._locked():
            record = self._record()
            for name, value in {**identity, "output": str(self.output)}.items():
                if record.get(name) != value:
                    raise OutputError(
                        f"{self.checkpoints}: its run began with another {name} "
                        f"({_shown(record.get(name))}, not {_shown(value)}); resume it with the same, or start a new "
                        "one in new folders"
                    )
            mark = self.output / _MARK
            if not mark.exists() or mark.read_text() != record["run_id"]:
                raise OutputError(f"{self.output}: is not the output of the run in {self.checkpoints}")
            yield

    @property
    def keying(self) -> Keying:
        """How the state of the run that was begun is keyed. Raises OutputError where there is no run."""
        self._require_record()
        return Keying.of(self._record())

    def _record(self) -> dict[str, Any]:
        return read_record(self.checkpoints / _RECORD)

    def _require_record(self) -> None:
        if not (self.checkpoints / _RECORD).exists():
            raise OutputError(f"{self.checkpoints}: holds no run to go on with; start one without --resume")

    def _require_empty(self) -> None:
        for folder in (self.output, self.checkpoints):
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{folder}: is a file; give a new or empty folder")
            own_files = (self.log, _partial(self.checkpoints / _RECORD))
            foreign = sorted(entry.name for entry in folder.glob("*") if entry not in own_files)
            if foreign:
                raise OutputError(f"{folder}: holds something ({foreign[0]}); {_MEND}")

    def restore_from(self, savepoint: str | None) -> str | None:
        """Where to go on: the savepoint if it is told, else the newest complete checkpoint; None where none is as new
        as the output, which may not be written twice. Raises OutputError for a savepoint that cannot be it."""
        committed = max((part.stat().st_mtime_ns for part in self.output.glob("*/part*")), default=0)
        if savepoint is None:
            newest = last_checkpoint(self.checkpoints)
            return None if newest is None or _moment_of(_path_of(newest)) < committed else newest
        folder = _path_of(savepoint).absolute()
        if not (folder / "_metadata").exists():
            raise OutputError(f"{savepoint}: is no complete savepoint (no _metadata in it)")
        if _moment_of(folder) < committed:
            raise OutputError(f"{savepoint}: is older than what {self.output} holds; go on from the newest: --resume")
        return folder.as_uri()

    def finish(self, summary: Mapping[str, Any], streams: tuple[str, ...], scratch: str) -> None:
        """Leaves whole files, the summary last, and no state: there is nothing to go on with.

        Flink renames what it has committed and leaves the rest to the operating system; the summary speaks for files
        that are on the disk.
        """
        for stream in streams:
            folder = self.output / stream
            folder.mkdir(exist_ok=True)
            for unfinished in folder.glob(".*"):  # a killed attempt's, never committed
                unfinished.unlink()
            sync_files(sorted(folder.iterdir()))
            sync_folder(folder)
        sync_folder(self.output)
        _write(self.output / SUMMARY, summary)
        shutil.rmtree(self.output / scratch, ignore_errors=True)
        for job in {path.parent for path in self.checkpoints.glob("*/chk-*")}:
            shutil.rmtree(job, ignore_errors=True)

    def _has_no_results(self) -> bool:
        return (
            (self.checkpoints / _RECORD).exists()
            and last_checkpoint(self.checkpoints) is None
            and not any(self.output.glob("*/part*"))
            and not self.has_ended
        )

    def _empty(self) -> None:
        for entry in (*self.output.iterdir(), *self.checkpoints.iterdir()):
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != self.log:
                entry.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The kernel's lock on the checkpoints: whoever holds it dies, it is free. Folders that were made and are
        empty in the end go again."""
        for folder in (self.output, self.checkpoints):
            if folder.exists() and not folder.is_dir():
                raise OutputError(f"{folder}: is a file; give a new or empty folder")
        created = []
        for folder in (self.output, self.checkpoints):
            created += [each for each in (folder, *folder.parents) if not each.exists()]
            folder.mkdir(parents=True, exist_ok=True)
        for folder in created:
            sync_folder(folder.parent)
        try:
            with locked_folder(self.checkpoints, "another run is under way here; wait for it"):
                yield
        finally:
            for folder in created:
                with suppress(OSError):  # it is in use
                    folder.rmdir()


def _write(file: Path, value: Mapping[str, Any]) -> None:
    """Writes a file atomically."""
    replace_file(file, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n", _partial(file))


def _partial(file: Path) -> Path:
    """The temporary name of a file that is being written."""
    return file.with_name(f".{file.name}")


def _refuse_overlap(folders: Mapping[str, Path]) -> None:
    real = {option: Path(os.path.realpath(folder)) for option, folder in folders.items()}
    for option, folder in real.items():
        for other, outer in real.items():
            if option != other and (folder == outer or outer in folder.parents):
                raise OutputError(f"{folders[option]}: {option} may not lie in {other}; give folders apart")


def _path_of(location: str) -> Path:
    return Path(unquote(urlparse(location).path)) if location.startswith("file:") else Path(location)


def _moment_of(snapshot: Path) -> int:
    return (snapshot / "_metadata").stat().st_mtime_ns


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
