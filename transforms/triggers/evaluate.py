"""One trigger over a bounded set of readings and zones: an `IncrementalTrigger` that advances once, to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.product import Trigger
from monsoon.transforms.triggers.conditions import Condition
from monsoon.transforms.triggers.history import END_OF_TIME_MS
from monsoon.transforms.triggers.incremental import IncrementalTrigger, TelemetryQueryTrigger
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.triggers.series import Series, TelemetryQueries

TelemetryValues = Mapping[tuple[str | None, int, int], float]
"""What telemetry measured, by platform, zone (cell) and moment (ms): for a trigger with a telemetry condition."""

_T = TypeVar("_T", bound=IncrementalTrigger)


def evaluate_trigger(
    trigger: Trigger,
    readings: Sequence[Reading],
    zones: Zones,
    *,
    alert: Condition | None = None,
    telemetry_values: TelemetryValues | None = None,
) -> list[Series]:
    """Every series of one trigger with all that it publishes.

    `alert`: the public alert that the product uses (`alert_condition`). `telemetry_values`: the values for the
    `telemetry_queries` of a trigger with a telemetry condition; where one is absent, the condition does not hold
    then. Series that never confirm anything are left out.
    """
    if all(reading.metric != trigger.metric for reading in readings):
        return []
    whole = _fed(IncrementalTrigger(trigger, zones.resolution, alert), readings, zones)
    for (platform, zone, at_ms), value in (telemetry_values or {}).items():
        whole.set_telemetry_value(platform, zone, at_ms, value)
    return whole.advance(END_OF_TIME_MS)


def telemetry_queries(trigger: Trigger, readings: Sequence[Reading], zones: Zones) -> list[TelemetryQueries]:
    """For a trigger with a telemetry condition: every moment, under any revision of the readings, at which they breach
    (sustained or not), so that telemetry must be queried; by platform and zones, each pair in one entry at most."""
    return _fed(TelemetryQueryTrigger(trigger, zones.resolution), readings, zones).pending_queries(END_OF_TIME_MS)


def _fed(whole: _T, readings: Sequence[Reading], zones: Zones) -> _T:
    whole.add_cells(zones.cells.tolist())
    for reading in readings:
        whole.observe(reading, reading.effective_ms)
    return whole
