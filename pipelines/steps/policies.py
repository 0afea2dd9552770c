"""Subscription events to the riders whom their policies concern."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from monsoon.pipelines.steps.duplicates import to_triggers
from monsoon.pipelines.steps.envelopes import Envelope, Item, bucket_of, pack, unpack
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import Kept, Step, entries_of
from monsoon.transforms.geo.cells import cells_of

PolicyKey = tuple[str, str]
"""Product and policy_id: a policy is told from another of its id by its product."""


class RoutePolicies(Step):
    """Whole policies to every rider who ever held them; the cells of their homes to the triggers."""

    uid: ClassVar = "route-policies"
    label: ClassVar = "subscription events by policy"
    to: ClassVar = ("judge-triggers", "riders-evidence")

    def __init__(self, key: int, kept: Kept, settings: Settings) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._arrived: list[tuple[str, list[dict[str, Any]]]] = []
        self._events: dict[PolicyKey, list[dict[str, Any]]] = defaultdict(list)
        self._holders: dict[PolicyKey, set[int]] = defaultdict(set)
        """Buckets of riders who have the policy's events."""

    def take(self, item: Item) -> None:
        name = self._name("arrived")
        self._arrived.append((name, unpack(item.payload, list[dict[str, Any]])))
        self.kept.put(name, item.payload)

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        new: dict[PolicyKey, list[dict[str, Any]]] = defaultdict(list)
        for name, events in self._arrived:
            self.kept.drop(name)
            self.kept.put_packed(self._name("events"), events)
            for event in events:
                new[event["product"], event["policy_id"]].append(event)
        self._arrived.clear()
        by_bucket: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for policy, events in new.items():
            for bucket, told in self._tell(policy, events):
                by_bucket[bucket].extend(told)
        for bucket, events in sorted(by_bucket.items()):
            yield Envelope("riders-evidence", bucket, "policies", upto_ms, pack(events))
        for resolution in self._settings.resolutions:
            homes = [
                (event["home_lat"], event["home_lon"])
                for (product, _), events in new.items()
                if self._settings.running[product].zone_resolution == resolution
                for event in events
            ]
            if homes:
                places = np.array(homes, dtype=np.float64).reshape(-1, 2)
                cells = np.unique(cells_of(places[:, 0].copy(), places[:, 1].copy(), resolution))
                yield from to_triggers(self._settings, resolution, cells.tolist(), upto_ms)

    def _tell(self, policy: PolicyKey, events: list[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """New events to those who know the policy, all of them to those who do not."""
        known = self._holders[policy]
        for bucket in sorted(known):
            yield bucket, events
        self._events[policy].extend(events)
        holders = {bucket_of(event["worker_id"], self._settings.buckets) for event in events} - known
        for bucket in sorted(holders):
            yield bucket, self._events[policy]
        known |= holders

    @property
    def due_ms(self) -> int | None:
        return self.done_ms if self._arrived else None

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, "arrived"):
            self._arrived.append((name, unpack(payload, list[dict[str, Any]])))
        for _, payload in entries_of(entries, "events"):
            for event in unpack(payload, list[dict[str, Any]]):
                policy = (event["product"], event["policy_id"])
                self._events[policy].append(event)
                self._holders[policy].add(bucket_of(event["worker_id"], self._settings.buckets))
