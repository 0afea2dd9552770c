"""Links between claims, keyed by trigger and cell: who shares resources of enough weight with others nearby."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import h3.api.basic_int as h3
import numpy as np
from msgspec import Struct

from monsoon.pipelines.operators.find_rings import links_message, update_messages
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import Message, bucket_of, pack, unpack
from monsoon.transforms.adjudication.claims import LinkUpdate
from monsoon.transforms.rings.limits import CONTEXT_MS, KINDS
from monsoon.transforms.rings.links import Links
from monsoon.transforms.rings.opened_claims import linked_cells
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.resources import Stays
from monsoon.transforms.rings.sightings import names_of
from monsoon.transforms.rings.surroundings import parents_of
from monsoon.transforms.telemetry_table import TelemetryTable

_KIND, _ACTIVE = "openings", "active"

ActiveRows = list[tuple[str, int, int, int]]
"""Trigger, moment (ms), cell, and how many riders of a bucket are active there."""


class OpenedClaim(Struct, array_like=True):
    """An opening, and the stays of its rider: kind, name, first and last (ms), serving cells."""

    opening: Opening
    stays: list[tuple[int, str, int, int, int]]


def opened_claims(openings: Sequence[Opening], telemetry: TelemetryTable, stays: Stays) -> list[OpenedClaim]:
    """Openings with what their riders saw; `stays` has their places as riders, and the table's codes."""
    names = names_of(telemetry)
    seen: list[list[tuple[int, str, int, int, int]]] = [[] for _ in openings]
    columns = (stays.rider, stays.kind, stays.resource, stays.first_ms, stays.last_ms, stays.cells)
    for rider, kind, resource, *rest in zip(*(column.tolist() for column in columns), strict=True):
        seen[rider].append((kind, names[kind][resource], *rest))
    return [OpenedClaim(opening, mine) for opening, mine in zip(openings, seen, strict=True)]


def opening_messages(product: str, opened: Sequence[OpenedClaim], buckets: int, due_ms: int) -> Iterator[Message]:
    """Each opening to wherever claims of its cell, or of one beside it, are linked."""
    if not opened:
        return
    zones = np.array([h3.str_to_int(each.opening.zone) for each in opened], dtype=np.uint64)
    targets: dict[tuple[str, int], set[int]] = {}
    by_key: dict[int, list[OpenedClaim]] = defaultdict(list)
    for each, cell in zip(opened, parents_of(zones).tolist(), strict=True):
        where = each.opening.trigger, cell
        if where not in targets:
            targets[where] = {key_of(product, where[0], near, buckets) for near in h3.grid_disk(cell, 1)}
        for key in targets[where]:
            by_key[key].append(each)
    for key, mine in sorted(by_key.items()):
        yield Message("link-claims", key, f"{_KIND}/{product}", due_ms, pack(mine))


def active_messages(
    product: str,
    places: Iterable[tuple[str, int, int]],
    active: Mapping[int, Mapping[int, int]],
    buckets: int,
    due_ms: int,
) -> Iterator[Message]:
    """How many riders are active in each cell (`active`, by moment) in which claims may be opened, or beside which, to
    where these claims are linked; `places` are trigger, cell and moment (ms)."""
    by_key: dict[int, set[tuple[str, int, int, int]]] = defaultdict(set)
    for trigger, cell, at_ms in places:
        mine = by_key[key_of(product, trigger, cell, buckets)]
        for near in h3.grid_disk(cell, 1):
            riders = active[at_ms].get(near, 0)
            if riders:
                mine.add((trigger, at_ms, near, riders))
    for key, rows in sorted(by_key.items()):
        if rows:
            yield Message("link-claims", key, f"{_ACTIVE}/{product}", due_ms, pack(sorted(rows)))


def key_of(product: str, trigger: str, cell: int, buckets: int) -> int:
    """Where the claims of a cell are linked."""
    return bucket_of(f"{product}/{trigger}/{cell:x}", buckets)


class LinkClaims(KeyedOperator):
    """The claims of some triggers and cells, and of the cells beside these."""

    uid: ClassVar = "link-claims"
    label: ClassVar = "claims by cell"
    to: ClassVar = ("find-rings", "adjudicate-claims")

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._known: dict[str, dict[str, list[OpenedClaim]]] = {name: {} for name in sorted(config.running)}
        """By product, the openings of each state entry."""

    def process(self, message: Message) -> None:
        self._defer(message.kind, message, _content(message.kind, message.payload))

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        arrived = set()
        active: dict[str, Counter[tuple[str, int, int]]] = defaultdict(Counter)
        for entry, content in self._take_due(upto_ms).items():
            kind, product, *_ = entry.split("/")
            if kind == _ACTIVE:
                self.state.drop(entry)
                for trigger, at_ms, cell, riders in content:
                    active[product][trigger, at_ms, cell] += riders
            else:  # the entry is kept
                self._known[product][entry] = content
                arrived.add(product)
        for product in sorted(arrived):
            yield from self._link(product, active[product], upto_ms)

    def _link(self, product: str, active: Mapping[tuple[str, int, int], int], upto_ms: int) -> Iterator[Message]:
        opened = [each for mine in self._known[product].values() for each in mine]
        stays, names = _stays_of(opened)
        links: list[tuple[str, Links]] = []
        shared: list[tuple[str, LinkUpdate]] = []

        def owns(trigger: str, cell: int) -> bool:
            return key_of(product, trigger, cell, self._config.buckets) == self.key

        def active_riders(trigger: str, at_ms: int, cells: Sequence[int]) -> int:
            return sum(active.get((trigger, at_ms, cell), 0) for cell in cells)

        openings = [each.opening for each in opened]
        for found in linked_cells(openings, stays, names, self.done_ms, upto_ms, owns, active_riders):
            shared += found.shared
            if found.links is not None:
                links.append((found.trigger, found.links))
        yield from links_message(product, links, self._config.buckets, upto_ms)
        yield from update_messages(product, shared, self._config.buckets, upto_ms)

    @property
    def holds_expiring_state(self) -> bool:
        return any(self._known.values())

    def expire(self, upto_ms: int) -> None:
        for known in self._known.values():
            for entry, opened in list(known.items()):
                if max(each.opening.at_ms for each in opened) <= upto_ms - CONTEXT_MS:
                    self.state.drop(entry)
                    del known[entry]

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for name, payload in entries_of(entries, _KIND):
            opened = _content(_KIND, payload)
            if not self._restore_deferred(name, opened):
                self._known[name.split("/")[1]][name] = opened
        for name, payload in entries_of(entries, _ACTIVE):
            self._restore_deferred(name, _content(_ACTIVE, payload))


def _content(kind: str, payload: bytes) -> Any:
    return unpack(payload, ActiveRows if kind.startswith(_ACTIVE) else list[OpenedClaim])


def _stays_of(opened: Sequence[OpenedClaim]) -> tuple[Stays, list[Sequence[str]]]:
    """The stays of openings, whose riders are their places, and the names of resources by kind and code."""
    rows = [(place, *stay) for place, each in enumerate(opened) for stay in each.stays]
    by_kind: list[dict[str, int]] = [{} for _ in KINDS]
    for _, kind, name, *_ in rows:
        by_kind[kind].setdefault(name, len(by_kind[kind]))

    def column(values: Iterable[int], dtype: Any = np.int64) -> Any:
        return np.array(list(values), dtype=dtype)

    stays = Stays(
        column(row[0] for row in rows),
        column((row[1] for row in rows), np.int8),
        column(by_kind[row[1]][row[2]] for row in rows),
        column(row[3] for row in rows),
        column(row[4] for row in rows),
        column(row[5] for row in rows),
    )
    return stays, [list(names) for names in by_kind]
