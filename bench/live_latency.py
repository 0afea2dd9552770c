"""From what lets the watermark pass a confirmation to its payout in Kafka, through the whole stack.

A payout is decided at the end of the live interval of its moment, once the watermark has passed that. The time from
the acknowledgment of the heartbeat which lets it pass to when a consumer has the payout is the latency; what is waited
for in event time is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from monsoon.bench.live_city import HISTORY_STEPS, City, CityProducer, step_that_decides
from monsoon.bench.live_job import CHECKPOINT_MS, LinesRead, shipped_settings, stack_in
from monsoon.bench.live_payouts import COMMITTED, UNCOMMITTED, SeenPayout, payout_readers
from monsoon.bench.processes import BenchError
from monsoon.pipelines.stack.stack import Stack
from monsoon.pipelines.stack.submit import submit

_STEP_S = 2.0
"""Event time goes five times as fast as it would."""
_WARM_STEPS = 15
"""So many steps with confirmations do not count: the JVM and its workers come to speed."""
_ZONES_A_STEP = 10
_BEHIND_STEPS = 5
"""Further steps, as the stream would go on, until the last payout is committed."""
TARGETS_MS = {UNCOMMITTED: 500, COMMITTED: CHECKPOINT_MS + 300}


def latency(folder: Path, confirmations: int, gather_ms: int) -> Iterator[str]:
    """Lines that say what was measured over about so many confirmations."""
    city = City(confirmations + _WARM_STEPS * _ZONES_A_STEP, _ZONES_A_STEP)
    with city_job(folder / "stack-latency", city, gather_ms) as (stack, job, producer):
        with payout_readers(stack.broker.address) as readers:
            began_s = time.monotonic()
            for step in range(HISTORY_STEPS, city.steps + _BEHIND_STEPS):
                time.sleep(max(0.0, began_s + (step - HISTORY_STEPS) * _STEP_S - time.monotonic()))
                producer.send(step)
            time.sleep(3 * CHECKPOINT_MS / 1000)
            seen = {isolation: reader.seen for isolation, reader in readers.items()}
        checkpoints = stack.cluster.get(f"/jobs/{job}/checkpoints")
    counted_from = HISTORY_STEPS + _WARM_STEPS
    yield (
        f"latency, {city.zones - _WARM_STEPS * _ZONES_A_STEP:,} confirmations, a payout each, {_ZONES_A_STEP} in each "
        f"interval of event time, an interval each {_STEP_S:g} s; gather_ms {gather_ms}"
    )
    for isolation, target_ms in TARGETS_MS.items():
        found = sorted(latencies_ms(seen[isolation].values(), producer.passed_s, counted_from))
        if not found:
            raise BenchError("latency: no payout came")
        yield (
            f"  {isolation:<16} {len(found):>6,} payouts   median {median(found):5,.0f} ms, p99 "
            f"{percentile(found, 0.99):5,.0f} ms, largest {found[-1]:5,.0f} ms   target: p99 {target_ms:,} ms"
        )
    took = checkpoints["summary"]["end_to_end_duration"]
    yield f"  checkpoints each {CHECKPOINT_MS:,} ms; one takes {took['p50']:,.0f} ms (median), {took['p99']:,.0f} (p99)"


def latencies_ms(seen: Iterable[SeenPayout], passed_s: Mapping[int, float], counted_from: int) -> Iterator[float]:
    """Of each payout that a step from this one on decided: from when the watermark could pass the step's end until it
    was read (ms)."""
    for payout in seen:
        step = step_that_decides(payout.created_ms)
        if step >= counted_from and step in passed_s:
            yield (payout.read_s - passed_s[step]) * 1000


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that is at least as large as this share of all."""
    return ascending[max(0, -int(-share * len(ascending) // 1) - 1)]


@contextmanager
def city_job(
    folder: Path, city: City, gather_ms: int, task_managers: int = 1
) -> Iterator[tuple[Stack, str, CityProducer]]:
    """A stack with the live job as it is shipped, which has read the city's history; taken down in the end."""
    with stack_in(folder, task_managers) as stack:
        producer = CityProducer(city, stack.broker.address)
        producer.send_history()
        job = submit(stack, shipped_settings(stack, CHECKPOINT_MS, gather_ms))
        read = LinesRead(stack.broker.address)
        read.wait_for(producer.sent)
        yield stack, job, producer
