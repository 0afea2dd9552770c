"""Drops what native code writes to the process's standard error, past Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_messages_dropped() -> Iterator[None]:
    """Drops what is written to file descriptor 2 within.

    Polars panics at some damaged files: an exception that callers report in a line, but Rust has by then printed a
    message of its own, with a stack trace. Python's own messages must wait until the end.
    """
    if sys.stderr is None:  # closed when the process began: descriptor 2 may be any file by now
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
