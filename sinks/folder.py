"""A replay's output folder: one folder a stream of JSON Lines, and `summary.json`, written last.

Everything is written beside its place first and moved there at the end, so a folder with a `summary.json` is whole
and one without is not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

STREAMS = ("disruptions", "claims", "payouts", "syndicate_alerts", "dead_letters")
SUMMARY = "summary.json"
_PARTIAL = ".monsoon-partial"


class OutputError(Exception):
    """The output folder cannot be used; the message says what stands in the way and what to do."""


class OutputFolder:
    """Opens `path` for one result, replacing an earlier result but nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path / _PARTIAL
        self._refuse_what_is_not_ours()
        try:
            path.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir()
        except OSError as error:
            raise OutputError(
                f"{path}: cannot write here ({error.strerror or error}); give --output a folder that you may write"
            ) from error

    def _refuse_what_is_not_ours(self) -> None:
        if self._path.exists() and not self._path.is_dir():
            raise OutputError(f"{self._path}: is a file; give --output a new or empty folder")
        if not self._path.is_dir():
            return
        try:
            foreign = {entry.name for entry in self._path.iterdir() if not _is_result(entry)}
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be read ({error.strerror or error})") from error
        if foreign:
            example = sorted(foreign)[0]
            raise OutputError(
                f"{self._path}: holds something that is not a replay's output ({example}); "
                "give --output a new or empty folder"
            )

    def write(self, stream: str, records: Iterable[Mapping[str, Any]]) -> None:
        """One stream's records, in the order given."""
        folder = self._partial / stream
        folder.mkdir()
        encoder = msgspec.json.Encoder()
        with open(folder / "part-00000.jsonl", "wb") as file:
            file.write(encoder.encode_lines(list(records)))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Puts every stream in its place, and the summary last."""
        (self._path / SUMMARY).unlink(missing_ok=True)
        for stream in STREAMS:
            shutil.rmtree(self._path / stream, ignore_errors=True)
            if not (self._partial / stream).exists():
                (self._partial / stream).mkdir()
            os.rename(self._partial / stream, self._path / stream)
        staged = self._partial / SUMMARY
        staged.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
        os.rename(staged, self._path / SUMMARY)
        self._partial.rmdir()

    def abandon(self) -> None:
        """Removes what was not finished; an earlier result stays."""
        shutil.rmtree(self._partial, ignore_errors=True)


def _is_result(entry: Path) -> bool:
    """Whether a replay may have written this: a stream's folder with nothing but parts, or the summary."""
    if entry.name in (SUMMARY, _PARTIAL):
        return True
    if entry.name not in STREAMS or entry.is_symlink() or not entry.is_dir():
        return False
    return all(part.is_file() and part.match("part-*.jsonl") for part in entry.iterdir())
