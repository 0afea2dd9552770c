"""TCP ports of this machine."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from monsoon.pipelines.stack.errors import StackError

HOST = "127.0.0.1"
_LOWEST = 15_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Different ports on which nothing listens. Raises StackError where there are too few.

    Below those that the system gives to outgoing connections: a client that tries to reach a server again and again
    could be given the server's own port, and the server not start any more.
    """
    end = _first_ephemeral()
    ports: list[int] = []
    for port in random.SystemRandom().sample(range(_LOWEST, end), end - _LOWEST):
        if is_free(port):
            ports.append(port)
        if len(ports) >= count:
            return ports
    raise StackError(f"fewer than {count} free ports from {_LOWEST} to {end - 1} on {HOST}; stop what listens there")


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of HOST."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether a server accepts connections on a port of HOST."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _first_ephemeral() -> int:
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except OSError:
        first = 32_768
    return first if first >= _LOWEST + 1_000 else 65_536
