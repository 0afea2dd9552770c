"""What a job on a cluster was begun with, kept in its output: its state knows places in a plan, and goes on with no
other.

A cluster restores any checkpoint that it is given. So the client checks the record before it submits the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from monsoon.pipelines.flink.keys import FORMER_BUCKETS
from monsoon.sinks.durable import replace_file, sync_folder
from monsoon.sinks.folder import OutputError

RECORD = ".monsoon-job.json"


@contextmanager
def recorded(output: Path, identity: Mapping[str, Any], restored_from: str | None) -> Iterator[None]:
    """While a job is submitted whose output this is: a new one, or one restored from a savepoint or checkpoint.

    Raises OutputError where a new job's output holds anything, and where a restored one was begun with something else,
    or elsewhere. A job that fails before it has written anything leaves no record either.
    """
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; give a new or empty folder")
    if restored_from is None:
        _refuse_what_is_there(output)
        output.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(identity), indent=2) + b"\n"
        replace_file(output / RECORD, content, output / f"{RECORD}.partial")
        sync_folder(output.parent)
    else:
        _require_same(output, identity, restored_from)
    try:
        yield
    except BaseException:
        if restored_from is None and [entry.name for entry in output.iterdir()] == [RECORD]:
            (output / RECORD).unlink()
        raise


@dataclass(frozen=True)
class Keying:
    """How a job's state is keyed: into how many buckets, and whether triggers are divided by region."""

    buckets: int
    by_region: bool = True

    @staticmethod
    def of(record: Mapping[str, Any]) -> Keying:
        """Of a job that was begun."""
        return Keying(int(record["buckets"]), record[_TRIGGER_KEYS] == "region")

    @property
    def identity(self) -> dict[str, Any]:
        """As a job's record states it."""
        return {"buckets": self.buckets, _TRIGGER_KEYS: "region" if self.by_region else "trigger"}


_TRIGGER_KEYS = "keys of triggers"


def keying_of(output: Path) -> Keying | None:
    """How the job of this output is keyed; None: there is none."""
    try:
        return Keying.of(read_record(output / RECORD))
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


def read_record(file: Path) -> dict[str, Any]:
    """What a job or a run was begun with; records of earlier releases do not state everything."""
    former = {**Keying(FORMER_BUCKETS, by_region=False).identity, "state backend": "hashmap"}
    return former | msgspec.json.decode(file.read_bytes(), type=dict[str, Any])


def _refuse_what_is_there(output: Path) -> None:
    found = sorted(entry.name for entry in output.iterdir()) if output.exists() else []
    if found:
        raise OutputError(
            f"{output}: holds something ({found[0]}), and a new job would write everything again beside it; give a new "
            "or empty folder, or go on with the job that wrote it: flink run -s SAVEPOINT"
        )


def _require_same(output: Path, identity: Mapping[str, Any], restored_from: str) -> None:
    try:
        before = read_record(output / RECORD)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise OutputError(
            f"{output}: holds no job to go on with from {restored_from}; give the output that the job was begun with"
        ) from error
    for name, value in identity.items():
        if before.get(name) != value:
            raise OutputError(
                f"{output}: its job was begun with another {name} ({before.get(name)}, not {value}); its state would "
                "skip records and read others twice. Restore it with the same, or begin a new one in a new folder"
            )
