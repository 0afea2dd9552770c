"""Flink's Python workers on the embedded mini cluster: threads of this process, each with channels to the JVM."""

from __future__ import annotations

import threading
from typing import Any

_READERS = ("read_grpc_client_inputs", "read_state")
"""Names of threads that wait on a channel, as Beam gives them."""


def hush_closed_channels() -> None:
    """From now on a worker's channel that the JVM hung up is no news: that is how every step ends.

    Whatever else ends a thread is told as before.
    """
    before = threading.excepthook
    if getattr(before, "hushes_channels", False):
        return

    def hook(told: Any) -> None:
        closed = type(told.exc_value).__name__ == "_MultiThreadedRendezvous"
        if not (closed and told.thread is not None and told.thread.name.startswith(_READERS)):
            before(told)

    hook.hushes_channels = True  # type: ignore[attr-defined]
    threading.excepthook = hook
