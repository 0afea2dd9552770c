"""What a provider's book did, a JSON line each, in a file: a process that was killed goes on from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """The journal of one book; a last line that a crash cut off is removed."""

    def __init__(self, path: Path) -> None:
        """Made where there is none. Raises OSError."""
        self._path = path
        # Unbuffered: what was written outlives the process at once.
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - open as long as the book

    def read(self) -> Iterator[dict[str, Any]]:
        """What was written before. Raises ValueError where the file is not of a book."""
        self._file.seek(0)
        read_bytes = 0
        for line in self._file.readlines():
            if not line.endswith(b"\n"):
                break
            entry = json.loads(line)
            if not isinstance(entry, dict) or "key" not in entry:
                raise ValueError(f"{line[:40]!r} is no line of a book")
            yield entry
            read_bytes += len(line)
        os.truncate(self._path, read_bytes)

    def write(self, entry: dict[str, Any]) -> None:
        """Adds a line."""
        self._file.write(json.dumps(entry).encode() + b"\n")
