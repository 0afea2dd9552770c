"""Announces cells with riders or homes to the triggers; a trigger that is new in a resumed job gets all known cells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.geo.near import cells_around

_ENTRY = "told"


class ZoneAnnouncements:
    """For one key of an operator: which triggers, by key, have been sent all of its cells."""

    def __init__(self, state: StateWriter, config: JobConfig) -> None:
        self._state, self._config = state, config
        self._announced: set[int] | None = None
        """None: nothing was announced yet."""

    @property
    def new_triggers(self) -> set[int]:
        """Triggers that were added since the last announcement."""
        return set() if self._announced is None else self._config.trigger_of_key.keys() - self._announced

    def catch_up(self, cells: Mapping[int, Sequence[int]], due_ms: int) -> Iterator[Message]:
        """Sends all known cells, by resolution, to triggers that are new."""
        new_triggers = self.new_triggers
        if new_triggers:
            self._save_announced()
            for resolution, cells_of_resolution in sorted(cells.items()):
                yield from self._cell_messages(new_triggers, resolution, cells_of_resolution, due_ms)

    def announce(self, resolution: int, cells: Sequence[int], due_ms: int) -> Iterator[Message]:
        """Sends new cells of a resolution to all triggers; call `catch_up` first."""
        if self._announced is None:
            self._save_announced()
        yield from self._cell_messages(self._config.trigger_of_key, resolution, cells, due_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries. State of earlier releases does not say what was announced; then all cells are
        announced again, which triggers ignore."""
        self._announced = set(unpack(entries[_ENTRY], list[int])) if _ENTRY in entries else set()

    def _save_announced(self) -> None:
        self._announced = set(self._config.trigger_of_key)
        self._state.put_packed(_ENTRY, sorted(self._announced))

    def _cell_messages(
        self, keys: Collection[int], resolution: int, cells: Sequence[int], due_ms: int
    ) -> Iterator[Message]:
        payloads: dict[float, bytes] = {}
        for key, name in self._config.trigger_of_key.items():
            product = self._config.triggers[name][0]
            if key in keys and product.zone_resolution == resolution and cells:
                margin_m = product.presence_margin_m
                if margin_m not in payloads:
                    # With a presence margin a rider in a cell also counts in the cells around it.
                    payloads[margin_m] = pack(cells_around(cells, margin_m).tolist() if margin_m > 0 else list(cells))
                yield Message(self._config.first_operator(key), key, "cells", due_ms, payloads[margin_m])
