"""Redis as a process of this machine, in memory alone: the online feature store is a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.ports import HOST, answers
from monsoon.pipelines.stack.processes import StackProcess, stop

REDIS = "redis"
PROGRAM = "redis-server"
_PATIENCE_S = 20
_GRACE_S = 5


class RedisServer:
    """A Redis of its own, whose log and pid are in `folder`. Started again it is empty."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.process = StackProcess(folder, REDIS)
        self.url = f"redis://{HOST}:{port}/0"

    @staticmethod
    def is_installed() -> bool:
        """Whether this machine has the program."""
        return shutil.which(PROGRAM) is not None

    def start(self, progress: Progress = no_progress) -> None:
        """Starts it, and returns when it answers. Raises StackError."""
        self.launch()
        self.wait_until_ready(progress)

    def launch(self) -> None:
        """Starts it, without waiting. Raises StackError."""
        require_redis_server()
        if self.process.pid is None and answers(self._port):
            raise StackError(f"port {self._port}, for Redis, is taken; stop what listens there")
        home = self._folder / REDIS  # for what somebody tells it to save: it writes nothing by itself
        home.mkdir(parents=True, exist_ok=True)
        where = ["--bind", HOST, "--port", str(self._port), "--dir", str(home)]
        # A title would be written over the environment, by which the process is found again.
        settings = ["--save", "", "--appendonly", "no", "--set-proc-title", "no"]
        self.process.start([PROGRAM, *where, *settings])

    def wait_until_ready(self, progress: Progress = no_progress) -> None:
        """Returns when it answers. Raises StackError."""
        self.process.wait_until(lambda: answers(self._port), _PATIENCE_S, progress)

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Ends it (0: at once, as a kill does); what it held is gone."""
        stop([self.process], grace_s)


def require_redis_server() -> None:
    """Raises StackError where this machine does not have the program."""
    if not RedisServer.is_installed():
        raise StackError(f"{PROGRAM} is not installed; on Debian and Ubuntu: apt-get install redis-server")
