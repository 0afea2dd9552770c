"""Progress on a terminal: one line that is rewritten, with the stage, the share done and the time left."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class ProgressLine:
    """Call with a stage and the share of it that is done (None: unknown). Prints nothing when not on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._on = self._stream is not None and self._stream.isatty()  # None: closed by whoever started us
        self._stage = ""
        self._began_s = 0.0
        self._shown_s = 0.0

    def __call__(self, stage: str, share: float | None = None) -> None:
        if not self._on:
            return
        now_s = time.monotonic()
        if stage != self._stage:
            self._stage, self._began_s = stage, now_s
        elif now_s - self._shown_s < 0.1:
            return
        self._shown_s = now_s
        self._show(f"{stage} ...{self._share(share, now_s)}")

    def done(self) -> None:
        """Clears the line."""
        if self._on:
            self._show("")

    def _share(self, share: float | None, now_s: float) -> str:
        if not share:
            return ""
        left_s = (now_s - self._began_s) * (1 - share) / share
        return f" {share:4.0%}, {left_s:.0f} s left"

    def _show(self, text: str) -> None:
        self._stream.write(f"\r\x1b[2K{text}")
        self._stream.flush()
