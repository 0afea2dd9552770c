"""Coverage: what a policy's events say of it at a moment, and which of a rider's policies speaks.

State machine of one policy: its events, in the order of event time. Everything is asked as of a moment, from the
events up to that moment, so late events and any arrival order agree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Policy:
    """One policy's events. `add` takes them in any order."""

    policy_id: str
    _events: list[Mapping[str, Any]] = field(default_factory=list)
    _times_ms: list[int] = field(default_factory=list)
    _sorted: bool = True

    def add(self, event: Mapping[str, Any]) -> None:
        """A validated subscription event of this policy."""
        self._events.append(event)
        self._sorted = False

    def in_force(self, at_ms: int) -> PolicyState | None:
        """The policy at `at_ms` if it covers that moment, else None."""
        events = self._up_to(at_ms)
        periods: dict[int, int] = {}
        known_starts: set[int] = set()
        activated_at_ms = None
        for event in events:
            kind, start_ms, end_ms = event["type"], event["coverage_start"], event["coverage_end"]
            if kind == "cancelled":
                periods.clear()
            elif kind != "upgraded" or start_ms not in known_starts:
                # An upgrade changes the plan, not the period, unless it brings a new start.
                periods[start_ms] = max(end_ms, periods.get(start_ms, end_ms))
            known_starts.add(start_ms)
            if kind == "activated":
                activated_at_ms = event["event_time"]
        covering = [start_ms for start_ms, end_ms in periods.items() if start_ms <= at_ms < end_ms]
        if not covering:
            return None
        return PolicyState(events[-1], max(covering), activated_at_ms)

    def holders(self) -> set[str]:
        """Every rider that ever held the policy."""
        return {event["worker_id"] for event in self._events}

    def homes(self) -> list[tuple[int, float, float]]:
        """(event time in ms, latitude, longitude) of the home each event states."""
        return [(event["event_time"], event["home_lat"], event["home_lon"]) for event in self._up_to(2**62)]

    def _up_to(self, at_ms: int) -> Sequence[Mapping[str, Any]]:
        if not self._sorted:
            self._events.sort(key=lambda event: (event["event_time"], event["event_id"]))
            self._times_ms = [event["event_time"] for event in self._events]
            self._sorted = True
        return self._events[: bisect_right(self._times_ms, at_ms)]


class Coverage:
    """The policies of one product."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.policies: dict[str, Policy] = {}
        self._policies_of: dict[str, set[str]] = defaultdict(set)
        for event in events:
            policy = self.policies.setdefault(event["policy_id"], Policy(event["policy_id"]))
            policy.add(event)
            self._policies_of[event["worker_id"]].add(event["policy_id"])

    @property
    def workers(self) -> list[str]:
        """Every rider that ever held a policy of the product, sorted."""
        return sorted(self._policies_of)

    def speaking(self, worker_id: str, trigger: Trigger, platform: str | None, start_ms: int) -> PolicyState | None:
        """The rider's policy that speaks for a disruption that began at `start_ms`, or None without cover.

        Of the policies in force that the trigger concerns, the one whose period in force began earliest, then
        policy_id. A trigger for one platform concerns policies of that platform.
        """
        states = []
        for policy_id in self._policies_of.get(worker_id, ()):
            state = self.policies[policy_id].in_force(start_ms)
            if state is None or state.worker_id != worker_id:
                continue
            if trigger.platform_only and (platform is None or state.record.get("platform") != platform):
                continue
            states.append(state)
        return min(states, key=lambda state: (state.period_start_ms, state.policy_id), default=None)
