"""Announces cells with riders or homes to the triggers; a trigger that is new in a resumed job gets all known cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from monsoon.pipelines.runtime.job_config import JobConfig, RegionTrigger, Target
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import Message, pack, unpack
from monsoon.transforms.geo.near import cells_around

AnnouncedCells = list[tuple[list[int], list[int]]]
"""The payload of a message: ids of triggers, and cells of one region in which they have zones from now on. In migrated
state there are no ids: the trigger is the key."""

_ENTRY = "told"


class ZoneAnnouncements:
    """For one key of an operator: which triggers, by id, have been sent all of its cells."""

    def __init__(self, state: StateWriter, config: JobConfig) -> None:
        self._state, self._config = state, config
        self._announced: set[int] | None = None
        """None: nothing was announced yet."""

    @property
    def new_triggers(self) -> set[int]:
        """Triggers that were added since the last announcement."""
        return set() if self._announced is None else self._config.trigger_of_id.keys() - self._announced

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
        yield from self._cell_messages(self._config.trigger_of_id, resolution, cells, due_ms)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries. State of earlier releases does not say what was announced; then all cells are
        announced again, which triggers ignore."""
        self._announced = set(unpack(entries[_ENTRY], list[int])) if _ENTRY in entries else set()

    def _save_announced(self) -> None:
        self._announced = set(self._config.trigger_of_id)
        self._state.put_packed(_ENTRY, sorted(self._announced))

    def _cell_messages(
        self, triggers: Collection[int], resolution: int, cells: Sequence[int], due_ms: int
    ) -> Iterator[Message]:
        by_margin: dict[float, list[int]] = defaultdict(list)
        for trigger, name in self._config.trigger_of_id.items():
            product = self._config.triggers[name][0]
            if trigger in triggers and product.zone_resolution == resolution:
                by_margin[product.presence_margin_m].append(trigger)
        announced: dict[Target, AnnouncedCells] = defaultdict(list)
        for margin_m, of_margin in by_margin.items():
            # With a presence margin a rider in a cell also counts in the cells around it.
            zones = cells_around(cells, margin_m).tolist() if margin_m > 0 else cells
            by_region: dict[int, list[int]] = defaultdict(list)
            for zone in zones:
                by_region[self._config.region_of(zone)].append(zone)
            for region, of_region in by_region.items():
                targets: dict[Target, list[int]] = defaultdict(list)
                for trigger in of_margin:
                    key = self._config.key_of(RegionTrigger(trigger, region))
                    targets[self._config.first_operator(trigger), key].append(trigger)
                for target, there in targets.items():
                    announced[target].append((there, of_region))
        for (to, key), payload in sorted(announced.items()):
            yield Message(to, key, "cells", due_ms, pack(payload))
