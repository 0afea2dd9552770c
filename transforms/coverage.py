"""Coverage: what a policy's events say of it at a moment, and which of a rider's policies speaks.

Both change only at some moments: when an event happens, a period begins or ends. A timeline holds what is so from each
of them on. Everything is asked as of a moment, from the events up to that moment, so late events and any arrival order
agree.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from monsoon.transforms.product import Trigger


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy at a moment: its last event's record and the period in force, [start, end) in milliseconds."""

    record: Mapping[str, Any]
    period_start_ms: int
    activated_at_ms: int | None
    """The last activation up to the moment; None where the policy began with another event."""

    @property
    def policy_id(self) -> str:
        return str(self.record["policy_id"])

    @property
    def worker_id(self) -> str:
        return str(self.record["worker_id"])


@dataclass(slots=True)
class Timeline:
    """What is in force: `states[i]` from `moments_ms[i]` up to the next moment, nothing before the first."""

    moments_ms: list[int] = field(default_factory=list)
    states: list[PolicyState | None] = field(default_factory=list)

    def at(self, at_ms: int) -> PolicyState | None:
        index = bisect_right(self.moments_ms, at_ms) - 1
        return self.states[index] if index >= 0 else None

    def put(self, from_ms: int, state: PolicyState | None) -> None:
        """What is so from a moment on; moments must come in order, of one moment the last counts."""
        if self.moments_ms and self.moments_ms[-1] == from_ms:
            self.states[-1] = state
        else:
            self.moments_ms.append(from_ms)
            self.states.append(state)


class Policy:
    """One policy, from its validated subscription events in any order."""

    def __init__(self, policy_id: str, events: Iterable[Mapping[str, Any]]) -> None:
        self.policy_id = policy_id
        self._events = sorted(events, key=lambda event: (event["event_time"], event["event_id"]))

    def in_force(self, at_ms: int) -> PolicyState | None:
        """The policy at `at_ms` if it covers that moment, else None."""
        return self.timeline.at(at_ms)

    @property
    def workers(self) -> set[str]:
        """Every rider whom one of its events names."""
        return {event["worker_id"] for event in self._events}

    def last_event(self, at_ms: int) -> Mapping[str, Any] | None:
        """What was last said of the policy by a moment, whether it covers that or not; None before its first event."""
        known = bisect_right(self._events, at_ms, key=lambda event: event["event_time"])
        return self._events[known - 1] if known else None

    def homes(self) -> list[tuple[int, float, float]]:
        """(event time in ms, latitude, longitude) of the home each event states."""
        return [(event["event_time"], event["home_lat"], event["home_lon"]) for event in self._events]

    @cached_property
    def timeline(self) -> Timeline:
        """The policy at every moment."""
        moments = {event[name] for event in self._events for name in ("event_time", "coverage_start", "coverage_end")}
        timeline = Timeline()
        ahead: list[tuple[int, int]] = []
        begun: list[tuple[int, int]] = []
        """Periods known by now, to begin and begun: (start, end) and (-start, end), heaps."""
        known_starts: set[int] = set()
        activated_at_ms = None
        told = 0
        for now_ms in sorted(moments):
            while told < len(self._events) and self._events[told]["event_time"] <= now_ms:
                event = self._events[told]
                kind, start_ms = event["type"], event["coverage_start"]
                if kind == "cancelled":
                    ahead, begun = [], []
                elif kind != "upgraded" or start_ms not in known_starts:
                    # An upgrade changes the plan, not the period, unless it brings a new start.
                    heapq.heappush(ahead, (start_ms, event["coverage_end"]))
                known_starts.add(start_ms)
                if kind == "activated":
                    activated_at_ms = event["event_time"]
                told += 1
            while ahead and ahead[0][0] <= now_ms:
                start_ms, end_ms = heapq.heappop(ahead)
                heapq.heappush(begun, (-start_ms, end_ms))
            while begun and begun[0][1] <= now_ms:
                heapq.heappop(begun)
            state = PolicyState(self._events[told - 1], -begun[0][0], activated_at_ms) if begun else None
            timeline.put(now_ms, state)
        return timeline


class Coverage:
    """The policies of one product, from its validated subscription events in any order."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        events_of: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        policies_of: dict[str, set[str]] = defaultdict(set)
        for event in events:
            events_of[event["policy_id"]].append(event)
            policies_of[event["worker_id"]].add(event["policy_id"])
        self.policies = {policy_id: Policy(policy_id, mine) for policy_id, mine in events_of.items()}
        self._policies_of = {worker: [self.policies[name] for name in names] for worker, names in policies_of.items()}
        self._stating: dict[str, list[tuple[int, PolicyState | None]]] = {}
        self._speaking: dict[tuple[str, str | None, frozenset[str]], Timeline] = {}

    @property
    def workers(self) -> list[str]:
        """Every rider that ever held a policy of the product, sorted."""
        return sorted(self._policies_of)

    def speaking(
        self,
        worker_id: str,
        trigger: Trigger,
        platform: str | None,
        start_ms: int,
        bridges: frozenset[str] = frozenset(),
    ) -> PolicyState | None:
        """The rider's policy that speaks for a disruption that began at `start_ms`, or None without cover.

        Of the policies in force that the trigger concerns, the one whose period in force began earliest, then
        policy_id. A trigger for one platform concerns policies of that platform, and those of the plans `bridges`,
        whatever their own: name them where the rider's telemetry named the platform. A policy whose plan lacks the
        trigger is concerned like any other, and where it speaks there is nothing to pay (so the worked examples).
        """
        if trigger.platform_only and platform is None:
            return None
        key = (worker_id, platform if trigger.platform_only else None, bridges if trigger.platform_only else _NONE)
        if key not in self._speaking:

            def concerned(state: PolicyState) -> bool:
                return state.worker_id == worker_id and (
                    not trigger.platform_only
                    or state.record.get("platform") == platform
                    or plan_name(state.record["plan"]) in bridges
                )

            self._speaking[key] = _first_begun(self._policies_of.get(worker_id, ()), concerned)
        return self._speaking[key].at(start_ms)

    def with_a_mean(self, worker_id: str) -> list[tuple[int, PolicyState | None]]:
        """From when on (ms) which of the rider's policies in force that state a platform and their orders per hour
        speaks: the one whose period began earliest, then policy_id; None: none. In the order of time."""

        def stated(state: PolicyState) -> bool:
            told = state.record.get("platform") is not None and state.record.get("orders_per_hour") is not None
            return told and state.worker_id == worker_id

        if worker_id not in self._stating:
            timeline = _first_begun(self._policies_of.get(worker_id, ()), stated)
            self._stating[worker_id] = list(zip(timeline.moments_ms, timeline.states, strict=True))
        return self._stating[worker_id]


_NONE: frozenset[str] = frozenset()


def plan_name(text: str) -> str:
    """The plan of a policy's plan string, without its options."""
    return text.partition(":")[0]


def _first_begun(policies: Sequence[Policy], concerned: Callable[[PolicyState], bool]) -> Timeline:
    """Of the policies in force that are concerned, the one whose period began earliest, then policy_id."""
    changes = [
        (from_ms, policy.policy_id, state if state is not None and concerned(state) else None)
        for policy in policies
        for from_ms, state in zip(policy.timeline.moments_ms, policy.timeline.states, strict=True)
    ]
    timeline = Timeline()
    now: dict[str, PolicyState | None] = {}
    queue: list[tuple[int, str]] = []
    """(start of the period in force, policy_id) of what is in force now, and of what no longer is; a heap."""
    for from_ms, policy_id, state in sorted(changes, key=lambda change: change[:2]):
        now[policy_id] = state
        if state is not None:
            heapq.heappush(queue, (state.period_start_ms, policy_id))
        while queue and ((first := now[queue[0][1]]) is None or first.period_start_ms != queue[0][0]):
            heapq.heappop(queue)
        timeline.put(from_ms, now[queue[0][1]] if queue else None)
    return timeline
