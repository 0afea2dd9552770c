"""A feed's readings in the input folder of a replay, beside those of other feeds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sinks.durable import sync_folder, write_file
from monsoon.sinks.folder import OutputError
from monsoon.sinks.writable import require_writable

READINGS, DEAD_LETTERS = "oracle_readings", "dead_letters"


def require_feed_folder(folder: Path) -> None:
    """Raises OutputError where `write_feed` could not write, before there is anything to write."""
    for name in (READINGS, DEAD_LETTERS):
        require_writable(folder / name)


def write_feed(
    folder: Path,
    name: str,
    readings: Iterable[Mapping[str, Any]],
    dead_letters: Iterable[Mapping[str, Any]],
    summary: Mapping[str, Any],
) -> None:
    """Writes oracle_readings/feed-NAME.jsonl, dead_letters/feed-NAME.jsonl and feed-NAME.summary.json.

    An earlier result of the same name is replaced, file by file and the summary last; other files are left alone.
    Raises OutputError where the folder cannot be written.
    """
    encoder = msgspec.json.Encoder()
    contents = {
        folder / READINGS / f"feed-{name}.jsonl": encoder.encode_lines(list(readings)),
        folder / DEAD_LETTERS / f"feed-{name}.jsonl": encoder.encode_lines(list(dead_letters)),
        folder / f"feed-{name}.summary.json": msgspec.json.format(encoder.encode(summary), indent=2) + b"\n",
    }
    partial = {path: path.with_name(f".{path.name}.partial") for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(partial[path], content)
        for path in contents:
            os.replace(partial[path], path)
            sync_folder(path.parent)  # the summary, which comes last, marks the others as whole
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot write here ({error.strerror or error}); give --output a folder that you may write"
        ) from error
    finally:
        for left in partial.values():
            try:
                left.unlink(missing_ok=True)
            except OSError:
                break  # nothing could be written there either
