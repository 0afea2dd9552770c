"""Checks whether a folder can be written, before the work that would be lost if it cannot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from monsoon.sinks.folder import OutputError


def require_writable(path: Path, option: str = "--output") -> None:
    """Raises OutputError unless a folder at `path` can be made, or files in the one that is there; leaves no trace.

    `option` is the one that named it, for the message. What the folder may hold is checked by those who write to it.
    """
    mend = f"give {option} a new or empty folder"
    try:
        for place in (path, *path.parents):
            if place.is_symlink() and not place.exists():
                raise OutputError(f"{place}: is a symbolic link to {os.readlink(place)}, which is not there; {mend}")
            if place.is_dir():
                break
            if place.exists():
                below = "" if place == path else f", so that {path} cannot be a folder"
                raise OutputError(f"{place}: is a file{below}; {mend}")
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")  # a full disk gives a name, and no room
    except OSError as error:
        raise OutputError(
            f"{path}: cannot write here ({error.strerror or error}); give {option} a folder that you may write"
        ) from error
