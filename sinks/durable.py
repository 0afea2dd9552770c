"""Durable writes: files and names synced to disk, in an order that survives a power cut.

A file is safe once it is synced, its name once the folder that holds it is. A file that marks others as whole may get
its name only when they have both.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

_NO_SUCH_THING = (errno.EINVAL, errno.ENOTSUP)
"""Errors of file systems that cannot sync a folder, which are ignored."""


def write_file(path: Path, content: bytes) -> None:
    """A file's content, safe when this returns; its name is not yet. Raises OSError."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in a folder, be they new, gone or moved. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_THING:
            raise
    finally:
        os.close(descriptor)


def sync_files(files: Iterable[Path]) -> None:
    """The content of files that somebody else wrote. Raises OSError."""
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(path: Path, content: bytes, partial: Path) -> None:
    """A file, whole or not at all, its name included; written as `partial` in the same folder first. Raises OSError."""
    write_file(partial, content)
    os.replace(partial, path)
    sync_folder(path.parent)
