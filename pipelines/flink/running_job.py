"""A submitted job: waiting for it, its progress, its end by Ctrl-C."""

from __future__ import annotations

import bisect
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from monsoon.pipelines.flink.local_cluster import kill_jvm
from monsoon.pipelines.flink.rest_api import RestApi
from monsoon.pipelines.operators.adjudicate_claims import AdjudicateClaims
from monsoon.pipelines.progress import Progress
from monsoon.sources.files import InputError

_POLL_S = 0.2


class EventTimeShare:
    """The share of the plan that the watermark of the adjudication has passed: what is decided, not merely read.

    `lows_ms` are the earliest event times of the plan's splits, in their order.
    """

    def __init__(self, api: RestApi, job_id: str, lows_ms: Sequence[int]) -> None:
        self._api, self._job, self._lows_ms = api, f"/jobs/{job_id}", lows_ms
        self._vertex: str | None = None
        self._share: float | None = None
        self._queried_s = 0.0

    def __call__(self) -> float | None:
        """The share; None as long as Flink does not report a watermark."""
        if time.monotonic() - self._queried_s >= 1:
            with suppress(OSError, ValueError):  # not up yet, or no longer
                self._share = self._query()
            self._queried_s = time.monotonic()
        return self._share

    def _query(self) -> float | None:
        if self._vertex is None:
            vertices = self._api.get(self._job)["vertices"]
            self._vertex = next((each["id"] for each in vertices if AdjudicateClaims.uid in each["name"]), None)
        watermarks = self._vertex and self._api.get(f"{self._job}/vertices/{self._vertex}/watermarks")
        if not watermarks:
            return None
        return bisect.bisect_left(self._lows_ms, min(int(each["value"]) for each in watermarks)) / len(self._lows_ms)


def wait_for(job: Any, share: EventTimeShare, progress: Progress, watch: Callable[[], None]) -> None:
    """Returns when the job has ended; raises what Java threw if it failed. Ctrl-C kills the JVM that it runs in;
    what `watch` raises, which is called now and then and at the end, cancels the job."""
    ended = job.get_job_execution_result()
    try:
        while not ended.done():
            progress("running on Flink", share())
            watch()
            time.sleep(_POLL_S)
        ended.result()
        watch()
    except (KeyboardInterrupt, InputError) as error:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            if isinstance(error, KeyboardInterrupt):
                kill_jvm()
            elif not ended.done():
                job.cancel().result()
                with suppress(Exception):  # that it was canceled; its tasks have ended then, and their workers
                    ended.result()
        finally:
            signal.signal(signal.SIGINT, before)
        raise
