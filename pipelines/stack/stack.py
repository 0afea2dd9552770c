"""The whole stack in one folder: brought up by one command, looked at and ended by others.

`stack.json` states every address and pid; `logs/` has a log of each process. The other folders are the processes' own:
configurations, data, checkpoints, pid files.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monsoon.contracts.topics import TOPICS
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.features import CONSUMER, FeatureServices, features_record, require_features
from monsoon.pipelines.stack.flink_cluster import JOB_MANAGER, TASK_MANAGER, FlinkCluster
from monsoon.pipelines.stack.jars import flink_jars, java_home
from monsoon.pipelines.stack.jvm import flink_home
from monsoon.pipelines.stack.kafka_broker import KafkaBroker
from monsoon.pipelines.stack.payments import DISPATCHER, PaymentOptions, PaymentServices, require_payments
from monsoon.pipelines.stack.ports import HOST, free_ports, is_free
from monsoon.pipelines.stack.processes import StackProcess, processes_of, stop
from monsoon.pipelines.stack.zookeeper import ZooKeeper

RECORD = "stack.json"
_FOLDERS = ("kafka", "zookeeper", "flink", "postgres", "provider", "redis", "features", "logs", "pids", "tmp")
_SERVERS = ("broker", "controller", "zookeeper", "web")
"""What has an address in the record."""
_FIRST_TO_END = (JOB_MANAGER, TASK_MANAGER, DISPATCHER, CONSUMER)
"""The others serve them."""
_GRACE_S = 15
_MEND_ATTEMPTS = 3


class State(Enum):
    """Of a stack's processes."""

    ABSENT = "absent"
    """There is no stack in the folder."""
    STOPPED = "stopped"
    """No process is left, but data is."""
    RUNNING = "running"
    INCOMPLETE = "incomplete"
    """Some of its processes ended by themselves, or were never started."""


class Stack:
    """The stack of a folder, whoever brought it up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state(self) -> State:
        """As it is now."""
        processes = self.processes
        try:
            record = self.record
        except StackError:
            return State.INCOMPLETE
        if not processes:
            return State.STOPPED if record else State.ABSENT
        if record.get("processes") and all(process.pid is not None for process in processes):
            return State.RUNNING
        return State.INCOMPLETE

    @property
    def can_be_mended(self) -> bool:
        """Whether it was up as a whole, and some of its processes ended since by themselves."""
        try:
            return self.state is State.INCOMPLETE and bool(self.record.get("processes"))
        except StackError:
            return False

    @property
    def processes(self) -> list[StackProcess]:
        """Those that were started and not stopped, be they running or not."""
        return processes_of(self.folder)

    @property
    def record(self) -> dict[str, Any]:
        """What stack.json holds; empty where there is none. Raises StackError where it is broken."""
        try:
            record = json.loads((self.folder / RECORD).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            record = None
        if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in _SERVERS):
            raise StackError(
                f"{self.folder / RECORD} is broken, as after a crash of the machine; remove the stack: "
                f"./monsoon down --stack {self.folder}"
            )
        return record

    @property
    def broker(self) -> KafkaBroker:
        """The broker. Raises StackError where there is no stack."""
        return KafkaBroker(self.folder, self._port("broker"), self._port("controller"))

    @property
    def zookeeper(self) -> ZooKeeper:
        """ZooKeeper, which a stack without high availability does not start. Raises StackError where there is no
        stack."""
        return ZooKeeper(self.folder, self._port("zookeeper"))

    @property
    def cluster(self) -> FlinkCluster:
        """Flink. Raises StackError where there is no stack."""
        web_port, record = self._port("web"), self.record
        return FlinkCluster(
            self.folder,
            web_port,
            slots=record["slots"],
            parallelism=record["slots"] * record["taskmanagers"],
            zookeeper=record["zookeeper"] if record["high_availability"] else None,
            jars=flink_jars(),
        )

    @property
    def payments(self) -> PaymentServices | None:
        """What pays; None in a stack that does not. Raises StackError where there is no stack."""
        broker, record = self.broker, self.record
        return PaymentServices(self.folder, record["payments"], broker.address) if "payments" in record else None

    @property
    def features(self) -> FeatureServices | None:
        """What keeps features; None in a stack that does not. Raises StackError where there is no stack."""
        broker, record = self.broker, self.record
        return FeatureServices(self.folder, record["features"], broker.address) if "features" in record else None

    def places(self) -> dict[str, str]:
        """By the name of a process beside broker and cluster, where it is reached. Raises StackError where there is no
        stack."""
        return {name: place for services in self._others() for name, place in services.places().items()}

    def jobs(self) -> list[tuple[str, str]]:
        """The name and state of each job of the cluster, the newest last; none where it does not answer."""
        with suppress(OSError, ValueError, LookupError, StackError):
            found = self.cluster.get("/jobs/overview")["jobs"]
            return [(job["name"], job["state"]) for job in sorted(found, key=lambda job: job["start-time"])]
        return []

    def up(
        self,
        taskmanagers: int = 1,
        slots: int = 2,
        ha: bool = True,
        *,
        broker_port: int | None = None,
        web_port: int | None = None,
        payments: PaymentOptions | None = None,
        features: bool = False,
        progress: Progress = no_progress,
    ) -> bool:
        """Starts every process, and returns when all are ready, the topics too; False if the stack ran already.

        `slots` are those of each TaskManager. With `ha` a new JobManager takes up the jobs of one that was killed.
        Ports are those of the data in the folder or, without any, free ones, where none are given. What pays and what
        keeps features is started as told, or as it was on these data. Raises StackError; what was started is ended
        then, with its logs kept. After Ctrl-C nothing is left that was not there before.
        """
        with self._locked():
            before = self.state
            if before is State.RUNNING:
                return False
            self.require_usable()
            told = {"broker": broker_port, "web": web_port}
            _require_installed()
            if payments is not None or "payments" in self.record:
                require_payments()
            if features or "features" in self.record:
                require_features()
            try:
                self._write(
                    {
                        **self._addresses(told),
                        "high_availability": ha,
                        "taskmanagers": taskmanagers,
                        "slots": slots,
                        **self._payments_record(payments),
                        **self._features_record(features),
                    }
                )
                self._start(taskmanagers, ha, progress)
                self._write_pids()
            except BaseException as error:
                with _no_interrupts():
                    stop(self.processes, 0)
                    if before is State.ABSENT and not isinstance(error, Exception):
                        self._remove()
                raise
        return True

    def require_usable(self) -> None:
        """Raises StackError where `up` could neither start the stack in its folder nor find it running there."""
        state = self.state
        if state is State.INCOMPLETE:
            start = f"start that again: ./monsoon up --stack {self.folder}; or " if self.can_be_mended else ""
            raise StackError(
                f"{self.folder}: the stack is incomplete, {self.not_running()}; {start}end it first: "
                f"./monsoon down --stack {self.folder}, with --keep-data to have its data again"
            )
        if state is State.ABSENT and self.folder.exists() and any(self.folder.iterdir()):
            raise StackError(f"{self.folder}: holds something, but no stack; give --stack a new or empty folder")

    def down(self, *, keep_data: bool = False) -> bool:
        """Ends every process, and removes all files unless `keep_data`; False if there was nothing to end or remove.

        Raises StackError.
        """
        if self.state is State.ABSENT:
            return False
        with self._locked(), _no_interrupts():
            stop([process for process in self.processes if process.name.startswith(_FIRST_TO_END)], _GRACE_S)
            stop(self.processes, _GRACE_S)
            if keep_data:
                self._write({name: value for name, value in self.record.items() if name != "processes"})
            else:
                self._remove()
        return True

    def add_task_manager(self, progress: Progress = no_progress) -> StackProcess:
        """Starts one more TaskManager, and returns it when its slots are there. Raises StackError."""
        with self._locked():
            cluster = self.cluster
            process = cluster.launch_task_manager()
            cluster.wait_until_ready(progress)
            self._write_pids()
        return process

    def mend(self, progress: Progress = no_progress) -> list[str]:
        """Starts again what ended, and another TaskManager in the place of each that did; returns what had ended when
        all are ready. Raises StackError.

        A TaskManager that runs Python may end some seconds after its JobManager did, in Beam's own code: so this looks
        more than once.
        """
        with self._locked():
            broker, zookeeper, cluster, others = self.broker, self.zookeeper, self.cluster, self._others()
            launch = {
                broker.process.name: broker.launch,
                zookeeper.process.name: zookeeper.launch,
                cluster.job_manager.name: cluster.launch_job_manager,
                **{name: start for services in others for name, start in services.launchers().items()},
            }
            mended: list[str] = []
            for attempt in range(1, _MEND_ATTEMPTS + 1):
                for process in [process for process in self.processes if process.pid is None]:
                    stop([process], 0)  # what it left behind
                    launch.get(process.name, cluster.launch_task_manager)()
                    mended.append(process.name)
                try:
                    broker.wait_until_ready(progress)
                    cluster.wait_until_ready(progress)
                    for services in others:
                        services.wait_until_ready(progress)
                    break
                except StackError:
                    if attempt == _MEND_ATTEMPTS:
                        raise
            self._write_pids()
        return mended

    def not_running(self) -> str:
        """Which of its processes do not run, and why, in words."""
        ended = [process for process in self.processes if process.pid is None]
        return (
            "; ".join(f"{each.name} ended: {each.exit_reason()}" for each in ended) or "it was not started to its end"
        )

    def _start(self, taskmanagers: int, ha: bool, progress: Progress) -> None:
        broker, zookeeper, cluster, others = self.broker, self.zookeeper, self.cluster, self._others()
        broker.launch()
        if ha:
            zookeeper.launch()
        cluster.launch(taskmanagers)
        for services in others:
            services.launch()
        broker.wait_until_ready(progress)
        progress("creating topics", None)
        broker.create_topics(TOPICS.values())
        for services in others:
            services.finish(progress)
        cluster.wait_until_ready(progress)

    def _addresses(self, told: Mapping[str, int | None]) -> dict[str, str]:
        """The address of each server. Raises StackError where one is taken."""
        kept = self.record
        addresses = {}
        for name, free in zip(_SERVERS, free_ports(len(_SERVERS)), strict=True):
            port = told.get(name) or (_port_of(kept[name]) if name in kept else free)
            if not is_free(port):
                mend = f"give another --{name}-port, or stop" if name in told else "stop"
                raise StackError(f"port {port}, for the stack's {name}, is taken; {mend} what listens there")
            addresses[name] = f"{HOST}:{port}"
        return addresses

    def _payments_record(self, payments: PaymentOptions | None) -> dict[str, Any]:
        """Of what pays: as told or, like the ports, as the data in the folder have it."""
        if payments is not None:
            return {"payments": payments.record()}
        return {"payments": self.record["payments"]} if "payments" in self.record else {}

    def _features_record(self, features: bool) -> dict[str, Any]:
        """Of what keeps features: as the data in the folder have it or, if told to, anew."""
        if "features" in self.record:
            return {"features": self.record["features"]}
        return {"features": features_record()} if features else {}

    def _others(self) -> list[PaymentServices | FeatureServices]:
        """What runs beside broker and cluster."""
        return [services for services in (self.payments, self.features) if services is not None]

    def _port(self, name: str) -> int:
        record = self.record
        if not record:
            raise StackError(f"{self.folder}: no stack here; bring one up: ./monsoon up --stack {self.folder}")
        return _port_of(record[name])

    def _write_pids(self) -> None:
        self._write(self.record | {"processes": {process.name: process.pid for process in self.processes}})

    def _write(self, record: Mapping[str, Any]) -> None:
        partial = self.folder / f"{RECORD}.partial"
        partial.write_text(json.dumps(record, indent=1) + "\n")
        partial.replace(self.folder / RECORD)

    def _remove(self) -> None:
        for name in _FOLDERS:
            if (self.folder / name).exists():
                shutil.rmtree(self.folder / name)
        for name in (f"{RECORD}.partial", RECORD):
            (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """No other command works on this stack meanwhile. The folder is made, and removed if it is empty in the end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StackError(f"{self.folder}: another command is bringing this stack up or down; wait for it") from None
        finally:
            os.close(lock)
            with suppress(OSError):
                self.folder.rmdir()


def _require_installed() -> None:
    """Raises StackError where something is lacking that is to be installed or fetched."""
    if find_spec("kafka") is None:
        raise StackError("kafka is not installed here; ./monsoon brings it, or: pip install 'monsoon[flink,kafka]'")
    flink_home()
    flink_jars()
    java_home()


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until what is within is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
