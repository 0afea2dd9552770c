"""Drives a rider's state machine through event time over a bounded set of inputs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from monsoon.transforms.adjudication.claims import AdjudicationInput
from monsoon.transforms.adjudication.machine import ClaimOutputs, RiderMachine
from monsoon.transforms.triggers.history import END_OF_TIME_MS


def run_rider(
    machine: RiderMachine, items: Iterable[AdjudicationInput], until_ms: int = END_OF_TIME_MS
) -> ClaimOutputs:
    """Runs a machine through all its inputs and timers up to `until_ms`.

    `items` must hold every input up to then.
    """
    moments = defaultdict(list)
    for item in items:
        moments[item.at_ms].append(item)
    ahead = sorted(moments, reverse=True)
    claims: list[dict[str, Any]] = []
    payouts: list[dict[str, Any]] = []
    while True:
        due_ms = machine.next_due_ms
        at_ms = ahead.pop() if ahead and (due_ms is None or ahead[-1] <= due_ms) else due_ms
        if at_ms is None or at_ms > until_ms:
            return claims, payouts
        decided = machine.decide(at_ms, moments.pop(at_ms, ()))
        claims.extend(decided[0])
        payouts.extend(decided[1])
