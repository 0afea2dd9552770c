"""The page of an output: a map in time, the story in numbers, money, what was held and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from monsoon.workbench.output import Output
from monsoon.workbench.report.map_layers import maps_of
from monsoon.workbench.report.packing import packed
from monsoon.workbench.report.story import DELAYS_MIN, reserves_by_day, story_of


def report_page(
    output: Output,
    levels: Mapping[str, Sequence[str]],
    metrics: Mapping[str, str],
    readings: Iterable[Mapping[str, Any]] = (),
    reserves: Iterable[Mapping[str, Any]] = (),
    telemetry: pl.DataFrame | None = None,
) -> str:
    """The page of an output; equal records give an equal page.

    Args:
        levels: by product what a disruption may be, `trigger` or `trigger level`, the mildest first.
        metrics: by product the metric whose readings are shown first.
        readings: valid oracle readings of the input.
        reserves: valid reserves of the input.
        telemetry: valid reports of the input: worker_id, event_time (ms), lat, lon.

    Raises InputError where the output cannot be read, or the plotting library is not installed.
    """
    data = {
        "name": output.folder.name,
        "metrics": metrics,
        "delay_classes_min": DELAYS_MIN,
        "map": maps_of(output, levels, readings, telemetry),
        **story_of(output, reserves_by_day(reserves)),
    }
    return packed("Monsoon: report of an output", "page", data)
