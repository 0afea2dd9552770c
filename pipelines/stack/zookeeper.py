"""ZooKeeper, in which Flink keeps what a new JobManager has to know; its server comes with the package apache-flink."""

from __future__ import annotations

from pathlib import Path

from monsoon.pipelines.progress import Progress
from monsoon.pipelines.stack.jvm import QUICK_START, flink_home, launch
from monsoon.pipelines.stack.ports import HOST, answers, free_ports
from monsoon.pipelines.stack.processes import StackProcess, stop

TICK_MS = 1_000
"""A session's timeout is 2 to 20 of them."""
_MAIN_CLASS = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain"
_JVM = (*QUICK_START, "-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-Dzookeeper.admin.enableServer=false")
_PATIENCE_S = 120
_GRACE_S = 10


class ZooKeeper:
    """The single server of a stack's folder. Started again on the same folder, it has its data."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """The port is a free one where none is given."""
        self.port = port or free_ports(1)[0]
        self.process = StackProcess(folder, "zookeeper")
        self._folder = folder.absolute() / "zookeeper"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    def launch(self) -> None:
        """Starts it, without waiting. Raises StackError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "zoo.cfg"
        settings.write_text(
            f"tickTime={TICK_MS}\ndataDir={self._folder / 'data'}\nclientPort={self.port}\nclientPortAddress={HOST}\n"
            "autopurge.purgeInterval=1\n"
        )
        launch(self.process, _MAIN_CLASS, [str(settings)], str(flink_home() / "lib" / "*"), _JVM)

    def wait_until_ready(self, progress: Progress) -> None:
        """Returns when it accepts clients. Raises StackError."""
        self.process.wait_until(lambda: answers(self.port), _PATIENCE_S, progress)

    def stop(self) -> None:
        """Ends it in good order."""
        stop([self.process], _GRACE_S)
