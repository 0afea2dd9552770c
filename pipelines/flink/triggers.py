"""From readings to the disruptions of every zone: each trigger's series judged once, then sent to all riders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monsoon.pipelines.flink.envelopes import RESULTS, Envelope, Item, pack, result, unpack, unpack_all
from monsoon.pipelines.flink.settings import Settings
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.readings import reading_from_record
from monsoon.transforms.triggers.series import Series, judge_trigger


@dataclass(frozen=True)
class SeriesRecord:
    """A series on its way; the trigger by its place in `Settings.triggers`."""

    trigger: int
    platform: str | None
    zones: list[int]
    revisions: list[Revision]

    def series(self, settings: Settings) -> Series:
        """As the transforms have it."""
        trigger = settings.triggers[self.trigger][1]
        return Series(trigger, self.platform, np.array(self.zones, dtype=np.uint64), tuple(self.revisions))


class JudgeTriggers:
    """All readings and all cells that matter, for one trigger of one product."""

    to = ("riders-evidence",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        product, trigger = self._settings.triggers[key]
        readings = [reading_from_record(record) for record in unpack_all(items, "readings", list[dict[str, Any]])]
        cells = np.array(unpack_all(items, "cells", list[int]), dtype=np.uint64)
        found = [
            SeriesRecord(key, series.platform, series.zones.tolist(), list(series.revisions))
            for series in judge_trigger(trigger, readings, Zones.of(cells, product.zone_resolution))
        ]
        if found:
            payload = pack(found)
            for bucket in range(self._settings.buckets):
                yield Envelope("riders-evidence", bucket, "series", payload)


class UniteDisruptions:
    """A disruption is found by every bucket of riders whom it concerns; its record is written once."""

    to = (RESULTS,)

    def __init__(self, settings: Settings) -> None:
        pass

    def __call__(self, key: int, items: Sequence[Item]) -> Iterator[Envelope]:
        found = {}
        for item in items:
            for record in unpack(item.payload, list[dict[str, Any]]):
                found[record["disruption_id"], record["revision"]] = record
        yield result("disruptions", list(found.values()))
