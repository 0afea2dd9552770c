"""Rings, keyed by trigger: the graph of the claims that share enough with others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, bucket_of, pack, result, unpack
from monsoon.sources.model_files import load_model
from monsoon.transforms.adjudication.claims import LinkUpdate
from monsoon.transforms.rings.alerts import RingAlert, alert_records
from monsoon.transforms.rings.graph import RingGraph
from monsoon.transforms.rings.limits import LINKS_KEPT_MS
from monsoon.transforms.rings.links import Links

_KIND = "links"
_ARRAYS: Mapping[str, Any] = {
    "confirmed_at_ms": np.int64,
    "parent": np.uint64,
    **dict.fromkeys(
        ("first", "second", "edge", "resource", "weight_e6", "expires_at_ms", "member", "clique", "member_until_ms"),
        np.int64,
    ),
}
"""The columns of `Links` that are arrays."""


class _LinksRecord(Struct, array_like=True):
    trigger: str
    at_ms: int
    claim_id: tuple[str, ...]
    worker_id: tuple[str, ...]
    columns: dict[str, list[int]]
    cliques: tuple[tuple[int, int, int, int], ...]
    resources: tuple[tuple[str, str], ...]
    relinked: tuple[str, ...]

    @staticmethod
    def of(trigger: str, links: Links) -> _LinksRecord:
        columns = {name: getattr(links, name).tolist() for name in _ARRAYS}
        return _LinksRecord(
            trigger,
            links.at_ms,
            links.claim_id,
            links.worker_id,
            columns,
            links.cliques,
            links.resources,
            links.relinked,
        )

    def links(self) -> Links:
        columns = {name: np.array(self.columns[name], dtype=dtype) for name, dtype in _ARRAYS.items()}
        return Links(
            at_ms=self.at_ms,
            claim_id=self.claim_id,
            worker_id=self.worker_id,
            cliques=self.cliques,
            resources=self.resources,
            relinked=self.relinked,
            **columns,
        )


def links_message(product: str, links: Sequence[tuple[str, Links]], buckets: int, due_ms: int) -> Iterator[Message]:
    """Links of triggers to where the graphs of these are."""
    by_key: dict[int, list[_LinksRecord]] = defaultdict(list)
    for trigger, mine in links:
        by_key[bucket_of(f"{product}/{trigger}", buckets)].append(_LinksRecord.of(trigger, mine))
    for key, records in sorted(by_key.items()):
        yield Message("find-rings", key, f"{_KIND}/{product}", due_ms, pack(records))


class FindRings(KeyedOperator):
    """The ring graphs of some triggers. Their state is their links: a graph to which those of LINKS_KEPT_MS are added
    goes on as the one did that had them."""

    uid: ClassVar = "find-rings"
    label: ClassVar = "links by trigger"
    to: ClassVar = ("adjudicate-claims", RESULTS)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._graphs: dict[tuple[str, str], RingGraph] = {}
        self._kept: dict[str, int] = {}
        """State entries of links, and when these were found (ms)."""

    def process(self, message: Message) -> None:
        self._defer(message.kind, message, unpack(message.payload, list[_LinksRecord]))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        for entry, records in self._take_due(upto_ms).items():  # the entries are kept
            self._add(entry, records)
        alerts: list[RingAlert] = []
        updates: dict[str, list[tuple[str, LinkUpdate]]] = defaultdict(list)
        for (product, _), graph in sorted(self._graphs.items()):
            alerts += graph.advance(upto_ms)
            updates[product] += graph.take_changes()
        if alerts:
            yield result("ring_alerts", alert_records(alerts, load_model))
        for product, mine in sorted(updates.items()):
            yield from update_messages(product, mine, self._config.buckets, upto_ms)

    def _add(self, entry: str, records: Iterable[_LinksRecord]) -> None:
        product = entry.split("/")[1]
        for record in records:
            key = product, record.trigger
            if key not in self._graphs:
                self._graphs[key] = RingGraph(*key)
            self._graphs[key].add(record.links())
            self._kept[entry] = record.at_ms

    @property
    def next_work_ms(self) -> int | None:
        dues = [self._next_deferred_ms, *(graph.next_ms for graph in self._graphs.values())]
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._kept)

    def expire(self, upto_ms: int) -> None:
        for entry, at_ms in list(self._kept.items()):
            if at_ms <= upto_ms - LINKS_KEPT_MS:
                self.state.drop(entry)
                del self._kept[entry]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, _KIND):
            records = unpack(payload, list[_LinksRecord])
            if not self._restore_deferred(name, records):
                self._add(name, records)
        for graph in self._graphs.values():
            graph.advance(self.done_ms)
            graph.take_changes()


def update_messages(
    product: str, updates: Iterable[tuple[str, LinkUpdate]], buckets: int, due_ms: int
) -> Iterator[Message]:
    """What is known of claims' links, by worker_id, to their adjudication."""
    by_key: dict[int, dict[str, list[LinkUpdate]]] = defaultdict(lambda: defaultdict(list))
    for worker, update in updates:
        by_key[bucket_of(worker, buckets)][worker].append(update)
    for key, of_bucket in sorted(by_key.items()):
        payload = pack(sorted(of_bucket.items(), key=lambda each: each[0]))
        yield Message("adjudicate-claims", key, f"links/{product}", due_ms, payload)
