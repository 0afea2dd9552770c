"""From the kill of a TaskManager to the next payout that a consumer of committed records has, while payouts are due all
the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from monsoon.bench.live_city import HISTORY_STEPS, City, CityProducer
from monsoon.bench.live_latency import city_job
from monsoon.bench.live_payouts import COMMITTED, PayoutReader, SeenPayout, payout_readers
from monsoon.bench.processes import BenchError
from monsoon.pipelines.flink.chaos import crash
from monsoon.pipelines.stack.processes import StackProcess
from monsoon.pipelines.stack.stack import Stack

TARGET_S = 15.0
_STEP_S = 1.0
_ZONES_A_STEP = 2
_WARM_S, _PAUSE_S = 20.0, 25.0
"""Before the first kill, and from one recovery to the next kill: the job has caught up by then."""
_PATIENCE_S = 120.0
_LOOK_S = 0.05


class Recovery(NamedTuple):
    """After how many seconds from a kill the JobManager had noticed it, had begun to start the job's tasks again, all
    tasks ran, and the first payout was read that was written and committed after the kill."""

    noticed_s: float
    restarted_s: float
    running_s: float
    paid_s: float


def recovery(folder: Path, kills: int, gather_ms: int) -> Iterator[str]:
    """Lines that say what was measured over so many kills, with a new TaskManager for each that is killed, and with one
    more TaskManager that stands by."""
    for spare in (0, 1):
        taken = list(_kills(folder / f"stack-recovery-{spare}", kills, gather_ms, 1 + spare))
        yield f"recovery, {kills} kills of a TaskManager, {'one more stands by' if spare else 'a new one is started'}"
        yield "  s to: noticed  restarted  all tasks run  a new payout committed"
        for each in taken:
            yield f"  {each.noticed_s:13.1f} {each.restarted_s:10.1f} {each.running_s:14.1f} {each.paid_s:23.1f}"
        paid_s = sorted(each.paid_s for each in taken)
        yield f"  median {median(paid_s):.1f} s, worst {paid_s[-1]:.1f} s   target: {TARGET_S:g} s"


def _kills(folder: Path, kills: int, gather_ms: int, task_managers: int) -> Iterator[Recovery]:
    steps = int((_WARM_S + kills * (_PAUSE_S + 2 * TARGET_S)) / _STEP_S)
    city = City(steps * _ZONES_A_STEP, _ZONES_A_STEP)
    with (
        city_job(folder, city, gather_ms, task_managers) as (stack, job, producer),
        payout_readers(stack.broker.address) as readers,
        _fed(city, producer) as feeding,
    ):
        time.sleep(_WARM_S)
        for number in range(kills):
            if number:
                time.sleep(_PAUSE_S)
            yield _recovered(stack, job, readers[COMMITTED])
            if not feeding():
                raise BenchError("recovery: all zones were under curfew before the last kill")


def _recovered(stack: Stack, job: str, committed: PayoutReader) -> Recovery:
    killed = _with_tasks(stack, job)
    crash(killed)
    killed_s = time.time()
    running_s: float | None = None
    with ThreadPoolExecutor(1) as supervisor:
        mended = supervisor.submit(stack.mend)
        while (paid_s := first_written_after(committed.seen.values(), killed_s)) is None:
            if time.time() - killed_s > _PATIENCE_S:
                raise BenchError(
                    f"recovery: no payout {_PATIENCE_S:g} s after a kill; the logs: {stack.folder / 'logs'}"
                )
            if running_s is None and _all_run_since(stack, job, killed_s):
                running_s = time.time()
            time.sleep(_LOOK_S)
        mended.result()
    since_ms: dict[str, int] = stack.cluster.get(f"/jobs/{job}")["timestamps"]
    return Recovery(
        since_ms["RESTARTING"] / 1000 - killed_s,
        since_ms["RUNNING"] / 1000 - killed_s,
        (running_s or paid_s) - killed_s,
        paid_s - killed_s,
    )


def first_written_after(seen: Iterable[SeenPayout], killed_s: float) -> float | None:
    """When the first of those payouts was read (s) that the broker took after the kill; None: there is none yet. What
    was written before it, and committed by the job that was restored, is not new."""
    return min((payout.read_s for payout in seen if payout.appended_ms > killed_s * 1000), default=None)


def _with_tasks(stack: Stack, job: str) -> StackProcess:
    """A TaskManager that runs tasks of the job."""
    get = stack.cluster.get
    (vertex, *_) = get(f"/jobs/{job}")["vertices"]
    busy = {each["taskmanager-id"] for each in get(f"/jobs/{job}/vertices/{vertex['id']}")["subtasks"]}
    return next(process for process in stack.cluster.task_managers if process.name in busy)


def _all_run_since(stack: Stack, job: str, killed_s: float) -> bool:
    """Whether all tasks of the job run, after it was restarted."""
    with suppress(OSError, ValueError, LookupError):
        found = stack.cluster.get(f"/jobs/{job}")
        restarted = found["timestamps"]["RESTARTING"] > killed_s * 1000 and found["state"] == "RUNNING"
        return restarted and all(vertex["status"] == "RUNNING" for vertex in found["vertices"])
    return False


@contextmanager
def _fed(city: City, producer: CityProducer) -> Iterator[Callable[[], bool]]:
    """Sends a city's steps meanwhile, at a steady speed; gives whether it still does. Raises what ended it."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as feeder:

        def feed() -> None:
            began_s = time.monotonic()
            for step in range(HISTORY_STEPS, city.steps):
                if ended.wait(max(0.0, began_s + (step - HISTORY_STEPS) * _STEP_S - time.monotonic())):
                    return
                producer.send(step)

        feeding = feeder.submit(feed)
        try:
            yield lambda: not feeding.done()
        finally:
            ended.set()
        feeding.result()
