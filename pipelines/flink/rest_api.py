"""Flink's REST API, which is also its web UI."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.stack.ports import free_ports

_REQUEST_TIMEOUT_S = 5.0
HOST = "localhost"


@dataclass(frozen=True)
class RestApi:
    """Flink's REST API of one cluster, on this machine only."""

    port: int

    @staticmethod
    def at(port: int | None) -> RestApi:
        """At the port asked for, or any that is free. Raises ClusterError where it is taken, and StackError where none
        is free."""
        if port is None:
            return RestApi(free_ports(1)[0])
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError as error:
                raise ClusterError(f"--web-port {port}: {error.strerror}; give another port") from error
            return RestApi(port)

    @property
    def settings(self) -> dict[str, str]:
        """For the cluster: where to listen, and that nobody sends it other jobs."""
        return {
            "rest.address": HOST,
            "rest.bind-address": HOST,
            "rest.port": str(self.port),
            "rest.bind-port": str(self.port),
            "web.submit.enable": "false",
            "metrics.fetcher.update-interval": "1000",
        }

    def get(self, path: str) -> Any:
        """The answer to a GET of `path`. Raises OSError and ValueError."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=_REQUEST_TIMEOUT_S) as response:
            return json.load(response)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a POST of `path`. Raises OSError and ValueError."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S) as response:
            return json.load(response)

    def cancel(self, job: str) -> None:
        """Asks that a job be canceled. Raises OSError."""
        request = urllib.request.Request(f"http://{HOST}:{self.port}/jobs/{job}?mode=cancel", method="PATCH")
        urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S).close()
