"""The folder of a season: its settings, a file for each finished replay, and in the end the results.

A replay's file is there whole or not at all, so a season that was interrupted goes on with those that are missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from monsoon.pipelines.season.replays import Replay
from monsoon.pipelines.season.settings import SeasonSettings
from monsoon.sinks.durable import replace_file
from monsoon.sinks.folder import OutputError, is_folder, locked_folder

SETTINGS, REPLAYS, SUMMARY = "season.json", "replays", "summary.json"
TABLES = ("occurrences", "exceedance", "premiums", "storms", "layers")
_FILES = (SETTINGS, REPLAYS, SUMMARY, *(f"{name}.parquet" for name in TABLES))
_MEND = "give --output a new or empty folder"


class SeasonFolder:
    """A season's folder. Raises OutputError where `path` is something else, or the folder of another season."""

    def __init__(self, path: Path, settings: SeasonSettings) -> None:
        self._path, self._settings = path, settings
        _refuse_what_is_not_ours(path)
        self._refuse_another_season()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made if need be, for this process alone. Raises OutputError where another season runs in it."""
        self._path.mkdir(parents=True, exist_ok=True)
        with locked_folder(self._path, "another season is being computed here; wait for it"):
            self._refuse_another_season()
            self.write(SETTINGS, self._settings.encoded())  # first: a folder is known by it
            (self._path / REPLAYS).mkdir(exist_ok=True)
            yield

    @property
    def path(self) -> Path:
        return self._path

    def write(self, name: str, content: bytes) -> None:
        """A file of the folder, whole or not at all. Raises OSError."""
        replace_file(self._path / name, content, self._path / f".{name}.partial")

    def finished(self, replays: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Replay]:
        """Those of these replays whose files are there and whole; of any other the file does not count."""
        found = {}
        for storm, replicate in replays:
            replay = _read(replay_path(self._path, storm, replicate))
            if replay is not None and (replay.storm, replay.replicate) == (storm, replicate):
                found[storm, replicate] = replay
        return found

    def _refuse_another_season(self) -> None:
        """Raises OutputError that names the first settings that differ."""
        path = self._path / SETTINGS
        if not path.exists() or path.read_bytes() == self._settings.encoded():
            return
        try:
            there = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError:
            raise OutputError(f"{path}: cannot be read; {_MEND}") from None
        here = msgspec.json.decode(self._settings.encoded())
        other = there if isinstance(there, dict) else {}
        differ = [name for name in here if other.get(name) != here[name]]
        if not differ:
            raise OutputError(f"{path}: is of another version of Monsoon; {_MEND}")
        name = differ[0]
        raise OutputError(
            f"{self._path}: is the folder of a season with other settings ({_difference(name, other, here)}); give the "
            f"same settings to go on with it, or {_MEND.removeprefix('give ')}"
        )


def replay_path(folder: Path, storm: str, replicate: int) -> Path:
    """The file of a replay in a season's folder."""
    return folder / REPLAYS / f"{storm}.{replicate:04d}.json"


def write_replay(folder: Path, replay: Replay) -> None:
    """A finished replay, whole or not at all, whoever else writes the same one. Raises OSError."""
    path = replay_path(folder, replay.storm, replay.replicate)
    content = msgspec.json.format(msgspec.json.encode(replay), indent=1) + b"\n"
    replace_file(path, content, path.with_name(f".{path.name}.{os.getpid()}"))


def _read(path: Path) -> Replay | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Replay)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _difference(name: str, there: dict[str, object], here: dict[str, object]) -> str:
    if isinstance(here[name], int | str):
        return f"{name}: {there.get(name)} there, {here[name]} here"
    return name


def _refuse_what_is_not_ours(path: Path) -> None:
    if not is_folder(path):
        return
    entries = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    foreign = [name for name in entries if name not in _FILES]
    if entries and SETTINGS not in entries:
        foreign = foreign or entries
    if foreign:
        raise OutputError(f"{path}: holds something that is not a season ({foreign[0]}); {_MEND}")
