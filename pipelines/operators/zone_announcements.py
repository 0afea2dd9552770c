"""Which triggers an operator has told of cells: one that is new to a job that goes on is told of all that are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.geo.near import cells_around

_ENTRY = "told"


class ZoneAnnouncements:
    """Of one key of an operator: the triggers, by key, that have been told of all its cells."""

    def __init__(self, state: StateWriter, config: JobConfig) -> None:
        self._state, self._config = state, config
        self._told: set[int] | None = None
        """None: nobody was told of anything."""

    @property
    def new(self) -> set[int]:
        """Triggers that were told of nothing, while others were of much."""
        return set() if self._told is None else self._config.trigger_of_key.keys() - self._told

    def catch_up(self, cells: Mapping[int, Sequence[int]], due_ms: int) -> Iterator[Message]:
        """All cells, by resolution, to triggers that are new."""
        new = self.new
        if new:
            self._note()
            for resolution, some in sorted(cells.items()):
                yield from self._to(new, resolution, some, due_ms)

    def tell(self, resolution: int, cells: Sequence[int], due_ms: int) -> Iterator[Message]:
        """Cells in which a product's disruptions may matter to somebody, for its triggers; `catch_up` comes first."""
        if self._told is None:
            self._note()
        yield from self._to(self._config.trigger_of_key, resolution, cells, due_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Takes over what was kept. Where it is not known who was told, all are told again: triggers take cells that
        they know for nothing new."""
        self._told = set(unpack(entries[_ENTRY], list[int])) if _ENTRY in entries else set()

    def _note(self) -> None:
        self._told = set(self._config.trigger_of_key)
        self._state.put_packed(_ENTRY, sorted(self._told))

    def _to(self, keys: Collection[int], resolution: int, cells: Sequence[int], due_ms: int) -> Iterator[Message]:
        payloads: dict[float, bytes] = {}
        for key, name in self._config.trigger_of_key.items():
            product = self._config.triggers[name][0]
            if key in keys and product.zone_resolution == resolution and cells:
                margin_m = product.presence_margin_m
                if margin_m not in payloads:
                    # Who reports from a cell may count as in those around it.
                    payloads[margin_m] = pack(cells_around(cells, margin_m).tolist() if margin_m > 0 else list(cells))
                yield Message(self._config.listening(key), key, "cells", due_ms, payloads[margin_m])
