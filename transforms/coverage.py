"""Coverage: the state of a policy at a moment, from its subscription events, and which of a rider's policies applies.

Both change only at some moments: when an event happens or its waiting period has passed, and when a period begins or
ends. A timeline holds the state from each of them on. The state at a moment depends on the events up to that moment
only, in whatever order they arrive. Interpretations of the specification: docs/interpretations.md#coverage-and-waiting.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.product import Product, Trigger
from monsoon.transforms.stated_amounts import StatedAmounts
from monsoon.transforms.waiting_period import TermsInForce, WaitingRules, cover_ends, states_a_period


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy that is in force at a moment: the terms that count then (`monsoon.transforms.waiting_period`) and the
    period, [start, end) in milliseconds."""

    record: Mapping[str, Any]
    period_start_ms: int
    activated_at_ms: int
    """When the present unbroken cover was bought: the last activation, or a later renewal or upgrade that came after
    all cover before it had ended (the first event of a policy does, whatever its type)."""
    in_force_since_ms: int
    """Since when it has been in force without a gap, as known at the moment."""

    @property
    def policy_id(self) -> str:
        return str(self.record["policy_id"])

    @property
    def worker_id(self) -> str:
        return str(self.record["worker_id"])


@dataclass(slots=True)
class Timeline:
    """The state in force: `states[i]` from `moments_ms[i]` up to the next moment, None before the first."""

    moments_ms: list[int] = field(default_factory=list)
    states: list[PolicyState | None] = field(default_factory=list)

    def at(self, at_ms: int) -> PolicyState | None:
        index = bisect_right(self.moments_ms, at_ms) - 1
        return self.states[index] if index >= 0 else None

    def add(self, from_ms: int, state: PolicyState | None) -> None:
        """Adds the state from a moment on; moments must come in order, of one moment the last counts."""
        if self.moments_ms and self.moments_ms[-1] == from_ms:
            self.states[-1] = state
        else:
            self.moments_ms.append(from_ms)
            self.states.append(state)


class Policy:
    """One policy, from its validated subscription events in any order, under its product's waiting period."""

    def __init__(self, policy_id: str, events: Iterable[Mapping[str, Any]], rules: WaitingRules) -> None:
        self.policy_id, self._rules = policy_id, rules
        self._events = sorted(events, key=lambda event: (event["event_time"], event["event_id"]))

    def in_force(self, at_ms: int) -> PolicyState | None:
        """The policy at `at_ms` if it covers that moment, else None."""
        return self.timeline.at(at_ms)

    @property
    def workers(self) -> set[str]:
        """Every rider whom one of its events names."""
        return {event["worker_id"] for event in self._events}

    @cached_property
    def terms(self) -> TermsInForce:
        """The terms that count at every moment, whether it covers that or not."""
        return self._rules.terms(self._events)

    @property
    def homes(self) -> Iterator[tuple[int, float, float]]:
        """(from when on in ms, latitude, longitude) of each home that counts, one after another."""
        before: tuple[float, float] | None = None
        for from_ms, record in zip(self.terms.moments_ms, self.terms.records, strict=True):
            home = record["home_lat"], record["home_lon"]
            if home != before:
                yield from_ms, *home
                before = home

    @cached_property
    def timeline(self) -> Timeline:
        """The policy at every moment."""
        terms = self.terms
        moments = {event[name] for event in self._events for name in ("coverage_start", "coverage_end")}
        moments.update(terms.moments_ms)
        ended_ms = list(cover_ends(self._events))
        timeline = Timeline()
        ahead: list[tuple[int, int]] = []
        begun: list[tuple[int, int]] = []
        """Periods known by now, future and begun: (start, end) and (-start, end), heaps."""
        known_starts: set[int] = set()
        since_ms: int | None = None
        activated_at_ms = 0
        applied = counting = 0
        for now_ms in sorted(moments):
            while applied < len(self._events) and self._events[applied]["event_time"] <= now_ms:
                event = self._events[applied]
                kind, start_ms = event["type"], event["coverage_start"]
                if kind == "cancelled":
                    ahead, begun = [], []
                elif states_a_period(event, known_starts):
                    heapq.heappush(ahead, (start_ms, event["coverage_end"]))
                known_starts.add(start_ms)
                if kind == "activated" or (kind != "cancelled" and _is_anew(event["event_time"], ended_ms[applied])):
                    activated_at_ms = event["event_time"]
                applied += 1
            while ahead and ahead[0][0] <= now_ms:
                start_ms, end_ms = heapq.heappop(ahead)
                heapq.heappush(begun, (-start_ms, end_ms))
            while begun and begun[0][1] <= now_ms:
                heapq.heappop(begun)
            while counting < len(terms.moments_ms) and terms.moments_ms[counting] <= now_ms:
                counting += 1
            if not begun:
                since_ms = None
                timeline.add(now_ms, None)
                continue
            since_ms = now_ms if since_ms is None else since_ms
            record = terms.records[counting - 1]
            timeline.add(now_ms, PolicyState(record, -begun[0][0], activated_at_ms, since_ms))
        return timeline


def _is_anew(event_ms: int, ended_ms: int | None) -> bool:
    """Whether an event comes after all cover before it had ended: at its very end it does not; the first one does."""
    return ended_ms is None or event_ms > ended_ms


class Coverage:
    """The policies of one product, from its validated subscription events in any order."""

    def __init__(self, product: Product, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self._rules = WaitingRules(product)
        self.policies: dict[str, Policy] = {}
        self._policies_of: dict[str, dict[str, Policy]] = {}
        self._with_order_mean: dict[str, list[tuple[int, PolicyState | None]]] = {}
        self._applicable: dict[str, dict[tuple[str | None, frozenset[str]], Timeline]] = {}
        """By worker_id."""
        self._homes: dict[int, _Homes] = {}
        """By resolution, created when first needed."""
        self._amounts: StatedAmounts | None = None
        events_of: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for event in events:
            events_of[event["policy_id"]].append(event)
        for policy_id, mine in events_of.items():
            self.replace_events(policy_id, mine)

    def replace_events(self, policy_id: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Replaces the events of a policy, by none to drop it; costs nothing for other policies."""
        before = self.policies.pop(policy_id, None)
        for worker in () if before is None else before.workers:
            self._of_worker(worker).pop(policy_id, None)
            if not self._policies_of[worker]:
                del self._policies_of[worker]
        if before is not None:
            for homes in self._homes.values():
                homes.remove(before)
        if events:
            policy = self.policies[policy_id] = Policy(policy_id, events, self._rules)
            for worker in policy.workers:
                self._of_worker(worker)[policy_id] = policy
            for homes in self._homes.values():
                homes.add(policy)
        if self._amounts is not None:
            self._amounts.replace(policy_id, self.policies[policy_id].timeline if events else None)

    def stated_amounts(self, counts: Callable[[str], bool] | None = None) -> StatedAmounts:
        """What policies in force state that their riders earn; those count that a rider holds for whom `counts` (None:
        all), the same at each call."""
        if self._amounts is None:
            self._amounts = StatedAmounts() if counts is None else StatedAmounts(counts)
            for policy in self.policies.values():
                self._amounts.replace(policy.policy_id, policy.timeline)
        return self._amounts

    def is_home(self, cell: int, resolution: int, at_ms: int) -> bool:
        """Whether the home that counts of a policy at a moment lies in a cell of this resolution, in force or not."""
        return self._homes_at(resolution).any_in(cell, at_ms)

    def residents(self, cell: int, resolution: int) -> set[str]:
        """The riders of policies that ever state a home that counts in a cell of this resolution."""
        policies = (self.policies[policy_id] for policy_id in self._homes_at(resolution).policies_in(cell))
        return {worker for policy in policies for worker in policy.workers}

    def _homes_at(self, resolution: int) -> _Homes:
        homes = self._homes.get(resolution)
        if homes is None:
            homes = self._homes[resolution] = _Homes(resolution)
            for policy in self.policies.values():
                homes.add(policy)
        return homes

    def _of_worker(self, worker: str) -> dict[str, Policy]:
        """The policies of a rider, which are about to change: clears what is cached of them."""
        self._with_order_mean.pop(worker, None)
        self._applicable.pop(worker, None)
        return self._policies_of.setdefault(worker, {})

    @property
    def workers(self) -> list[str]:
        """Every rider that ever held a policy of the product, sorted."""
        return sorted(self._policies_of)

    @property
    def holders(self) -> Set[str]:
        """The same, as a set."""
        return self._policies_of.keys()

    def held_by(self, worker_id: str) -> Collection[Policy]:
        """The policies of which an event names the rider."""
        return self._policies_of.get(worker_id, {}).values()

    def applicable_policy(
        self,
        worker_id: str,
        trigger: Trigger,
        platform: str | None,
        start_ms: int,
        bridges: frozenset[str] = frozenset(),
    ) -> PolicyState | None:
        """The rider's policy that applies to a disruption that began at `start_ms` (in the text: "speaks"); None
        without cover.

        Of the policies in force that the trigger concerns, the one whose period in force began earliest, then
        policy_id. A trigger for one platform concerns policies of that platform, and those of the plans `bridges`,
        whatever their own: name them where the rider's telemetry named the platform. A policy whose plan lacks the
        trigger is concerned like any other, and where it applies nothing is paid (so the worked examples).
        """
        if trigger.platform_only and platform is None:
            return None
        of_worker = self._applicable.setdefault(worker_id, {})
        key = (platform if trigger.platform_only else None, bridges if trigger.platform_only else _NONE)
        if key not in of_worker:

            def concerned(state: PolicyState) -> bool:
                return state.worker_id == worker_id and (
                    not trigger.platform_only
                    or state.record.get("platform") == platform
                    or plan_name(state.record["plan"]) in bridges
                )

            of_worker[key] = _earliest_begun(self.held_by(worker_id), concerned)
        return of_worker[key].at(start_ms)

    def policies_with_order_mean(self, worker_id: str) -> list[tuple[int, PolicyState | None]]:
        """By moment (ms, in order), the policy that applies from then on among the rider's policies in force that state
        a platform and orders per hour: the one whose period began earliest, then policy_id; None: none."""

        def stated(state: PolicyState) -> bool:
            states_both = state.record.get("platform") is not None and state.record.get("orders_per_hour") is not None
            return states_both and state.worker_id == worker_id

        if worker_id not in self._with_order_mean:
            timeline = _earliest_begun(self.held_by(worker_id), stated)
            self._with_order_mean[worker_id] = list(zip(timeline.moments_ms, timeline.states, strict=True))
        return self._with_order_mean[worker_id]


class _Homes:
    """The homes of some policies that count, by cell of one resolution."""

    def __init__(self, resolution: int) -> None:
        self._resolution = resolution
        self._spans: dict[int, dict[str, list[tuple[int, float]]]] = {}
        """By cell and policy_id: the spans [from, until) in ms."""

    def add(self, policy: Policy) -> None:
        homes = list(policy.homes)
        until_ms = [*(from_ms for from_ms, _, _ in homes[1:]), math.inf]
        for (from_ms, lat, lon), end_ms in zip(homes, until_ms, strict=True):
            of_cell = self._spans.setdefault(cell_of(lat, lon, self._resolution), {})
            of_cell.setdefault(policy.policy_id, []).append((from_ms, end_ms))

    def remove(self, policy: Policy) -> None:
        for _, lat, lon in policy.homes:
            self._spans[cell_of(lat, lon, self._resolution)].pop(policy.policy_id, None)

    def policies_in(self, cell: int) -> Collection[str]:
        return self._spans.get(cell, {}).keys()

    def any_in(self, cell: int, at_ms: int) -> bool:
        return any(
            from_ms <= at_ms < until_ms for spans in self._spans.get(cell, {}).values() for from_ms, until_ms in spans
        )


_NONE: frozenset[str] = frozenset()


def plan_name(text: str) -> str:
    """The plan of a policy's plan string, without its options."""
    return text.partition(":")[0]


def _earliest_begun(policies: Collection[Policy], concerned: Callable[[PolicyState], bool]) -> Timeline:
    """Of the policies in force that are concerned, the one whose period began earliest, then policy_id."""
    if len(policies) == 1:
        (own,) = (policy.timeline for policy in policies)
        states = [state if state is not None and concerned(state) else None for state in own.states]
        return Timeline(own.moments_ms, states)
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
        timeline.add(from_ms, now[queue[0][1]] if queue else None)
    return timeline
