"""A standalone Flink cluster: a JobManager and any number of TaskManagers, each a process of its own."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from monsoon.pipelines.flink.local_cluster import network_memory_mb, streaming_settings
from monsoon.pipelines.flink.rest_api import RestApi
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.jars import java_home
from monsoon.pipelines.stack.jvm import QUICK_START, flink_home, launch
from monsoon.pipelines.stack.ports import HOST, free_ports
from monsoon.pipelines.stack.processes import StackProcess, processes_of, stop

JOB_MANAGER = "jobmanager"
TASK_MANAGER = "taskmanager-"
_PATIENCE_S = 180
_GRACE_S = 10
_JOB_MANAGER_CLASS = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER_CLASS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

_FRAMEWORK_HEAP_MB = 128
_FRAMEWORK_OFF_HEAP_MB = 128
_TASK_OFF_HEAP_MB = 64
_METASPACE_MB = 256
_OVERHEAD_MB = 192
_MANAGED_MB_PER_SLOT = 256
"""RocksDB's, and what Python workers may ask for."""
_TASK_HEAP_MB = 512
_TASK_HEAP_MB_PER_SLOT = 256
_JOB_MANAGER_HEAP_MB = 512


class FlinkCluster:
    """The cluster of a stack's folder."""

    def __init__(
        self,
        folder: Path,
        web_port: int | None = None,
        *,
        slots: int = 2,
        parallelism: int | None = None,
        zookeeper: str | None = None,
        jars: Sequence[Path] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`web_port` is a free one where none is given; `slots` are those of each TaskManager, `parallelism` a job's
        where it does not say (default: slots); `zookeeper` the address of the one that makes a new JobManager take up
        the jobs of the last; `jars` are added to Flink's; `settings` override the configuration."""
        rpc_port, free_port = free_ports(2)
        self.web_port = web_port or free_port
        self.job_manager = StackProcess(folder, JOB_MANAGER)
        self._root, self._folder = folder, folder.absolute() / "flink"
        self._slots, self._rpc_port, self._zookeeper = slots, rpc_port, zookeeper
        self._parallelism = parallelism or slots
        self._jars, self._settings = jars, settings or {}
        self._launched: dict[str, StackProcess] = {}
        """Of those started by this command the exit code is known."""

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, with one of savepoints in it."""
        return self._folder / "checkpoints"

    @property
    def task_managers(self) -> list[StackProcess]:
        """Those that were started and not stopped, in the order in which they were."""
        started = [process for process in processes_of(self._root) if process.name.startswith(TASK_MANAGER)]
        known = [self._launched.get(process.name, process) for process in started]
        return sorted(known, key=lambda process: _number(process.name))

    @property
    def client_environment(self) -> dict[str, str]:
        """The environment of a client that submits jobs to this cluster: `bin/flink`, or a program with PyFlink."""
        return {
            "FLINK_CONF_DIR": str(self._folder / "conf"),
            "FLINK_LIB_DIR": str(self._folder / "lib"),
            "FLINK_LOG_DIR": str(self._root.absolute() / "logs"),
            "JAVA_HOME": str(java_home()),
        }

    def get(self, path: str) -> Any:
        """What the JobManager answers to a GET of `path` of its REST API. Raises OSError and ValueError."""
        return RestApi(self.web_port).get(path)

    def stop_with_savepoint(self, job: str) -> str:
        """Stops a job with a savepoint, from which it can be restored at any parallelism; returns its address.

        Raises StackError where that fails.
        """
        api = RestApi(self.web_port)
        asked = api.post(f"/jobs/{job}/stop", {"drain": False, "targetDirectory": self.checkpoints.as_uri()})
        for _ in range(10 * _PATIENCE_S):
            found = api.get(f"/jobs/{job}/savepoints/{asked['request-id']}")
            if found["status"]["id"] == "COMPLETED":
                if "location" in found["operation"]:
                    return str(found["operation"]["location"])
                raise StackError(f"no savepoint: {found['operation']['failure-cause']['class']}; see the logs")
            time.sleep(0.1)
        raise StackError(f"no savepoint after {_PATIENCE_S} s; see the logs")

    def cancel(self, job: str) -> None:
        """Cancels a job, and returns when it has ended; nothing if it had."""
        with suppress(OSError, ValueError):
            RestApi(self.web_port).cancel(job)
            for _ in range(_PATIENCE_S):
                if self.get(f"/jobs/{job}")["state"] in ("CANCELED", "FAILED", "FINISHED"):
                    return
                time.sleep(1)

    def start(self, task_managers: int, progress: Progress = no_progress) -> None:
        """Starts it, and returns when all slots are there. Raises StackError."""
        self.launch(task_managers)
        self.wait_until_ready(progress)

    def launch(self, task_managers: int) -> None:
        """Starts its processes, without waiting."""
        self._write_configuration()
        self.launch_job_manager()
        for number in range(1, task_managers + 1):
            self._launch_task_manager(number)

    def launch_job_manager(self) -> None:
        """Starts the JobManager, the first or, after it was killed, another."""
        options = (f"-Xmx{_JOB_MANAGER_HEAP_MB}m", "-XX:+UseSerialGC", *QUICK_START)
        self._launch(self.job_manager, _JOB_MANAGER_CLASS, ["--executionMode", "cluster"], options)

    def launch_task_manager(self) -> StackProcess:
        """Starts one more TaskManager, and returns its process."""
        # Never the name of one that was killed: the JobManager may not know yet.
        numbers = [_number(log.stem) for log in (self._root / "logs").glob(f"{TASK_MANAGER}*.log")]
        return self._launch_task_manager(max(numbers, default=0) + 1)

    def _launch_task_manager(self, number: int) -> StackProcess:
        process = StackProcess(self._root, f"{TASK_MANAGER}{number}")
        self._launched[process.name] = process
        heap_mb = _FRAMEWORK_HEAP_MB + self._task_heap_mb
        direct_mb = _FRAMEWORK_OFF_HEAP_MB + _TASK_OFF_HEAP_MB + network_memory_mb(self._parallelism)
        options = (
            f"-Xms{heap_mb}m",
            f"-Xmx{heap_mb}m",
            f"-XX:MaxDirectMemorySize={direct_mb}m",
            f"-XX:MaxMetaspaceSize={_METASPACE_MB}m",
            "-XX:+UseG1GC",
            *QUICK_START,
        )
        self._launch(process, _TASK_MANAGER_CLASS, ["-D", f"taskmanager.resource-id={process.name}"], options)
        return process

    def wait_until_ready(self, progress: Progress = no_progress) -> None:
        """Returns when the JobManager knows every TaskManager. Raises StackError if one ends, or takes too long."""
        self.job_manager.wait_until(lambda: self._registered() is not None, _PATIENCE_S, progress)
        for process in self.task_managers:
            process.wait_until(partial(self._is_registered, process.name), _PATIENCE_S, progress)

    def stop(self) -> None:
        """Ends all its processes. With ZooKeeper, its jobs go on when it is started again."""
        stop([*self.task_managers, self.job_manager], _GRACE_S)

    def _registered(self) -> list[str] | None:
        """The names of the TaskManagers that the JobManager knows; None while it does not answer."""
        try:
            return [each["id"] for each in self.get("/taskmanagers")["taskmanagers"]]
        except (OSError, ValueError):
            return None

    def _is_registered(self, name: str) -> bool:
        return name in (self._registered() or ())

    def _launch(self, process: StackProcess, main_class: str, words: Sequence[str], options: Sequence[str]) -> None:
        conf, lib = self._folder / "conf", self._folder / "lib"
        launch(
            process,
            main_class,
            ["--configDir", str(conf), *words],
            str(lib / "*"),
            # The web UI shows the file that log.file names.
            (*options, f"-Dlog.file={process.log.absolute()}", *_opened_modules().split()),
            {
                "FLINK_CONF_DIR": str(conf),
                "FLINK_LIB_DIR": str(lib),
                "FLINK_PLUGINS_DIR": str(flink_home() / "plugins"),
                # A Python worker for each slot: more threads in each would only wait for one another.
                "POLARS_MAX_THREADS": "1",
            },
        )

    def _write_configuration(self) -> None:
        home = flink_home()
        conf, lib = self._folder / "conf", self._folder / "lib"
        for folder in (conf, lib):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (conf, lib, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)
        for jar in (*(home / "lib").glob("*.jar"), *self._jars):
            (lib / jar.name).symlink_to(jar.absolute())
        shutil.copyfile(home / "conf" / "log4j-cli.properties", conf / "log4j-cli.properties")
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in sorted(self._configuration().items())]
        (conf / "config.yaml").write_text("".join(lines))

    def _configuration(self) -> dict[str, str]:
        job = streaming_settings(
            self._parallelism, checkpoints=self.checkpoints, checkpoint_interval_ms=1_000, state_backend="rocksdb"
        )
        return {
            **job,
            **RestApi(self.web_port).settings,
            **self._memory(),
            **(self._high_availability() if self._zookeeper else {}),
            "env.java.opts.all": _opened_modules(),
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": str(self._rpc_port),
            "jobmanager.bind-host": HOST,
            "taskmanager.host": HOST,
            "taskmanager.bind-host": HOST,
            "taskmanager.numberOfTaskSlots": str(self._slots),
            # Else one for each operator, beside the logs of processes.
            # Until then slots of a killed TaskManager are offered, and a job restarted there fails again.
            "heartbeat.interval": "2 s",
            "heartbeat.timeout": "8 s",
            # A machine that is lost is no reason to give up a job; one that cannot run at all fails in the end.
            "restart-strategy.exponential-delay.attempts-before-reset-backoff": "100",
            "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
            "restart-strategy.exponential-delay.max-backoff": "5 s",
            **self._settings,
        }

    def _memory(self) -> dict[str, str]:
        """Every part of a TaskManager's memory: one that is called directly does not divide a sum by itself."""
        network_mb = network_memory_mb(self._parallelism)
        sizes_mb = {
            "framework.heap.size": _FRAMEWORK_HEAP_MB,
            "framework.off-heap.size": _FRAMEWORK_OFF_HEAP_MB,
            "task.heap.size": self._task_heap_mb,
            "task.off-heap.size": _TASK_OFF_HEAP_MB,
            "managed.size": _MANAGED_MB_PER_SLOT * self._slots,
            "network.min": network_mb,
            "network.max": network_mb,
            "jvm-metaspace.size": _METASPACE_MB,
            "jvm-overhead.min": _OVERHEAD_MB,
            "jvm-overhead.max": _OVERHEAD_MB,
        }
        memory = {f"taskmanager.memory.{name}": f"{size_mb} mb" for name, size_mb in sizes_mb.items()}
        return memory | {
            "taskmanager.cpu.cores": str(self._slots),
            "jobmanager.memory.heap.size": f"{_JOB_MANAGER_HEAP_MB} mb",
        }

    def _high_availability(self) -> dict[str, str]:
        return {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": str(self._zookeeper),
            "high-availability.storageDir": (self._folder / "high-availability").as_uri(),
            "high-availability.cluster-id": "/monsoon",
            # For so long a killed JobManager is still the leader.
            "high-availability.zookeeper.client.session-timeout": "8 s",
            "high-availability.zookeeper.client.connection-timeout": "6 s",
            "zookeeper.sasl.disable": "true",
            "high-availability.zookeeper.client.tolerate-suspended-connections": "true",
        }

    @property
    def _task_heap_mb(self) -> int:
        return _TASK_HEAP_MB + _TASK_HEAP_MB_PER_SLOT * self._slots


def _opened_modules() -> str:
    """The parts of Java that Flink's own configuration opens to it."""
    file = flink_home() / "conf" / "config.yaml"
    found = re.search(r"^ +all: (--add-.+)$", file.read_text(), re.MULTILINE)
    if found is None:
        raise StackError(f"{file}: has no env.java.opts.all; reinstall the package apache-flink")
    return found[1].strip()


def _number(name: str) -> int:
    return int(name.removeprefix(TASK_MANAGER))
