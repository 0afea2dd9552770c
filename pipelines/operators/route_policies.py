"""Routes subscription events to the buckets of the riders who hold their policies."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from monsoon.pipelines.operators.zone_announcements import ZoneAnnouncements
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, bucket_of, pack, unpack
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.transforms.geo.cells import cells_of

PolicyKey = tuple[str, str]
"""Product and policy_id: two products may use the same policy_id."""


class PolicyBook:
    """Subscription events by policy, deduplicated; one state entry a policy, dropped some time after its cover."""

    def __init__(self, state: StateWriter) -> None:
        self._state = state
        self._events: dict[PolicyKey, dict[str, dict[str, Any]]] = {}
        self._ends: list[tuple[int, PolicyKey]] = []
        """A heap of when events and their periods are over (ms)."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, events: Iterable[dict[str, Any]]) -> dict[PolicyKey, list[dict[str, Any]]]:
        """Adds events; gives those that are new."""
        new_events: dict[PolicyKey, list[dict[str, Any]]] = {}
        for event in events:
            policy = _policy_of(event)
            known_events = self._events.get(policy, {})
            if event["event_id"] not in known_events:
                self._know(policy, event)
                new_events.setdefault(policy, []).append(event)
        for policy in new_events:
            if self._state.durable:
                self._state.put(_entry(policy), pack_small(self.events_of(policy)))
        return new_events

    def _know(self, policy: PolicyKey, event: dict[str, Any]) -> None:
        self._events.setdefault(policy, {})[event["event_id"]] = event
        heapq.heappush(self._ends, (_over_ms(event), policy))

    def events_of(self, policy: PolicyKey) -> list[dict[str, Any]]:
        """All events of a policy."""
        return list(self._events.get(policy, {}).values())

    def all_events(self) -> Iterator[dict[str, Any]]:
        """All events."""
        for events in self._events.values():
            yield from events.values()

    def of_product(self, product: str) -> Iterator[dict[str, Any]]:
        """All events of a product's policies."""
        for policy, events in self._events.items():
            if policy[0] == product:
                yield from events.values()

    def expire(self, before_ms: int) -> set[PolicyKey]:
        """Drops policies whose events and periods all lie before a moment; gives their keys."""
        gone = set()
        while self._ends and self._ends[0][0] < before_ms:
            _, policy = heapq.heappop(self._ends)
            if policy in self._events and all(_over_ms(each) < before_ms for each in self._events[policy].values()):
                del self._events[policy]
                self._state.drop(_entry(policy))
                gone.add(policy)
        return gone

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries."""
        for _, payload in entries_of(entries, "policy"):
            for event in unpack_small(payload, list[dict[str, Any]]):
                self._know(_policy_of(event), event)


def _over_ms(event: Mapping[str, Any]) -> int:
    """When an event and the period that it states are over (ms)."""
    return max(event["event_time"], event["coverage_end"])


def _entry(policy: PolicyKey) -> str:
    return f"policy/{policy[0]}/{policy[1]}/events"


class RoutePolicies(KeyedOperator):
    """Sends subscription events to the bucket of every rider who ever held the policy, and the cells of the homes to
    the triggers."""

    uid: ClassVar = "route-policies"
    label: ClassVar = "subscription events by policy"
    to: ClassVar = ("ask-witness", "witness-telemetry", "judge-triggers", "riders-evidence")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._book = PolicyBook(state)
        self._announcements = ZoneAnnouncements(state, config)

    def process(self, message: Message) -> None:
        self._defer_untimed("arrived", message.payload, unpack(message.payload, list[dict[str, Any]]))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        yield from self._announcements.catch_up(self._homes(self._book.all_events()), upto_ms)
        arrived = [event for events in self._drop_due(upto_ms) for event in events]
        holders = {policy: self._policy_holders(policy) for policy in {_policy_of(event) for event in arrived}}
        new_events = self._book.add(arrived)
        by_bucket: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for policy, events in new_events.items():
            for bucket, sent in self._events_by_bucket(policy, events, holders[policy]):
                by_bucket[bucket].extend(sent)
        telemetry_products = {version.name for version, _ in self._config.telemetry_triggers.values()}
        for bucket, events in sorted(by_bucket.items()):
            yield Message("riders-evidence", bucket, "policies", upto_ms, pack(events))
            with_telemetry_condition = [event for event in events if event["product"] in telemetry_products]
            if with_telemetry_condition:
                yield Message("witness-telemetry", bucket, "policies", upto_ms, pack(with_telemetry_condition))
        for resolution, cells in self._homes(event for events in new_events.values() for event in events).items():
            yield from self._announcements.announce(resolution, cells, upto_ms)

    def _homes(self, events: Iterable[Mapping[str, Any]]) -> dict[int, list[int]]:
        """The cells of the homes that events of running products state, by resolution."""
        homes: dict[int, set[tuple[float, float]]] = defaultdict(set)
        for event in events:
            product = self._config.running.get(event["product"])
            if product is not None:
                homes[product.zone_resolution].add((event["home_lat"], event["home_lon"]))
        cells = {}
        for resolution, coordinates in homes.items():
            places = np.array(sorted(coordinates), dtype=np.float64)
            cells[resolution] = np.unique(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution)).tolist()
        return cells

    def _policy_holders(self, policy: PolicyKey) -> set[int]:
        """The buckets of the riders who ever held a policy."""
        return {bucket_of(event["worker_id"], self._config.buckets) for event in self._book.events_of(policy)}

    def _events_by_bucket(
        self, policy: PolicyKey, events: list[dict[str, Any]], known_buckets: set[int]
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The events to send to each bucket: the new ones to `known_buckets`, all to those that had none before."""
        for bucket in sorted(known_buckets):
            yield bucket, events
        for bucket in sorted(self._policy_holders(policy) - known_buckets):
            yield bucket, self._book.events_of(policy)

    @property
    def next_work_ms(self) -> int | None:
        return self.done_ms if self._announcements.new_triggers else super().next_work_ms

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._book)

    def expire(self, upto_ms: int) -> None:
        self._book.expire(upto_ms - self._config.policies_kept_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._restore_untimed(name, unpack(payload, list[dict[str, Any]]))
        self._book.restore(entries)
        self._announcements.restore(entries)


def _policy_of(event: Mapping[str, Any]) -> PolicyKey:
    return event["product"], event["policy_id"]
