"""Subscription events to the riders whom their policies concern."""

from __future__ import annotations

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
"""Product and policy_id: a policy is told from another of its id by its product."""


class PolicyBook:
    """Subscription events by policy, each once; an entry a policy, forgotten when its cover is long over."""

    def __init__(self, state: StateWriter) -> None:
        self._state = state
        self._events: dict[PolicyKey, dict[str, dict[str, Any]]] = {}

    def __bool__(self) -> bool:
        return bool(self._events)

    def add(self, events: Iterable[dict[str, Any]]) -> dict[PolicyKey, list[dict[str, Any]]]:
        """Takes events in; gives those that are new."""
        new: dict[PolicyKey, list[dict[str, Any]]] = {}
        for event in events:
            policy = _policy_of(event)
            known = self._events.setdefault(policy, {})
            if event["event_id"] not in known:
                known[event["event_id"]] = event
                new.setdefault(policy, []).append(event)
        for policy in new:
            if self._state.durable:
                self._state.put(_entry(policy), pack_small(self.of(policy)))
        return new

    def of(self, policy: PolicyKey) -> list[dict[str, Any]]:
        """All events of a policy."""
        return list(self._events.get(policy, {}).values())

    def all(self) -> Iterator[dict[str, Any]]:
        """All events."""
        for events in self._events.values():
            yield from events.values()

    def of_product(self, product: str) -> Iterator[dict[str, Any]]:
        """All events of a product's policies."""
        for policy, events in self._events.items():
            if policy[0] == product:
                yield from events.values()

    def expire(self, before_ms: int) -> set[PolicyKey]:
        """Drops policies of which every event and every period lie before a moment; gives them."""
        gone = {
            policy
            for policy, events in self._events.items()
            if all(max(event["event_time"], event["coverage_end"]) < before_ms for event in events.values())
        }
        for policy in gone:
            del self._events[policy]
            self._state.drop(_entry(policy))
        return gone

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Takes over what was kept."""
        for _, payload in entries_of(entries, "policy"):
            for event in unpack_small(payload, list[dict[str, Any]]):
                self._events.setdefault(_policy_of(event), {})[event["event_id"]] = event


def _entry(policy: PolicyKey) -> str:
    return f"policy/{policy[0]}/{policy[1]}/events"


class RoutePolicies(KeyedOperator):
    """Whole policies to every rider who ever held them; the cells of their homes to the triggers."""

    uid: ClassVar = "route-policies"
    label: ClassVar = "subscription events by policy"
    to: ClassVar = ("ask-witness", "witness-telemetry", "judge-triggers", "riders-evidence")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._arrived: list[tuple[str, list[dict[str, Any]]]] = []
        self._book = PolicyBook(state)
        self._told = ZoneAnnouncements(state, config)

    def process(self, message: Message) -> None:
        name = self._name("arrived")
        self._arrived.append((name, unpack(message.payload, list[dict[str, Any]])))
        self.state.put(name, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        yield from self._told.catch_up(self._homes(self._book.all()), upto_ms)
        arrived: list[dict[str, Any]] = []
        for name, events in self._arrived:
            self.state.drop(name)
            arrived.extend(events)
        self._arrived.clear()
        holders = {policy: self._policy_holders(policy) for policy in {_policy_of(event) for event in arrived}}
        new = self._book.add(arrived)
        by_bucket: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for policy, events in new.items():
            for bucket, told in self._tell(policy, events, holders[policy]):
                by_bucket[bucket].extend(told)
        telemetry_values = {version.name for version, _ in self._config.telemetry_values.values()}
        for bucket, events in sorted(by_bucket.items()):
            yield Message("riders-evidence", bucket, "policies", upto_ms, pack(events))
            asking = [event for event in events if event["product"] in telemetry_values]
            if asking:
                yield Message("witness-telemetry", bucket, "policies", upto_ms, pack(asking))
        for resolution, cells in self._homes(event for events in new.values() for event in events).items():
            yield from self._told.tell(resolution, cells, upto_ms)

    def _homes(self, events: Iterable[Mapping[str, Any]]) -> dict[int, list[int]]:
        """The cells of the homes that events of running products state, by resolution."""
        homes: dict[int, set[tuple[float, float]]] = defaultdict(set)
        for event in events:
            product = self._config.running.get(event["product"])
            if product is not None:
                homes[product.zone_resolution].add((event["home_lat"], event["home_lon"]))
        cells = {}
        for resolution, some in homes.items():
            places = np.array(sorted(some), dtype=np.float64)
            cells[resolution] = np.unique(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution)).tolist()
        return cells

    def _policy_holders(self, policy: PolicyKey) -> set[int]:
        """Buckets of riders who have the policy's events."""
        return {bucket_of(event["worker_id"], self._config.buckets) for event in self._book.of(policy)}

    def _tell(
        self, policy: PolicyKey, events: list[dict[str, Any]], known: set[int]
    ) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """New events to those who know the policy, all of them to those who do not."""
        for bucket in sorted(known):
            yield bucket, events
        for bucket in sorted(self._policy_holders(policy) - known):
            yield bucket, self._book.of(policy)

    @property
    def next_work_ms(self) -> int | None:
        return self.done_ms if self._arrived or self._told.new else None

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._book)

    def expire(self, upto_ms: int) -> None:
        self._book.expire(upto_ms - self._config.policies_kept_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._arrived.append((name, unpack(payload, list[dict[str, Any]])))
        self._book.restore(entries)
        self._told.restore(entries)


def _policy_of(event: Mapping[str, Any]) -> PolicyKey:
    return event["product"], event["policy_id"]
