"""Packs a report into one HTML file that needs no network: the data, the plotting library and the page's own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sources.files import InputError
from monsoon.workbench.output import Output
from monsoon.workbench.report.map_layers import maps_of
from monsoon.workbench.report.story import DELAYS_MIN, reserves_by_day, story_of

_LIBRARY = Path("package_data", "plotly.min.js")


def report_page(
    output: Output,
    levels: Mapping[str, Sequence[str]],
    metrics: Mapping[str, str],
    readings: Iterable[Mapping[str, Any]] = (),
    reserves: Iterable[Mapping[str, Any]] = (),
) -> str:
    """The page of an output; equal records give an equal page.

    Args:
        levels: by product what a disruption may be, `trigger` or `trigger level`, the mildest first.
        metrics: by product the metric whose readings are shown first.
        readings: valid oracle readings of the input.
        reserves: valid reserves of the input.

    Raises InputError where the output cannot be read, or the plotting library is not installed.
    """
    data = {
        "name": output.folder.name,
        "metrics": metrics,
        "delay_classes_min": DELAYS_MIN,
        "map": maps_of(output, levels, readings),
        **story_of(output, reserves_by_day(reserves)),
    }
    return _packed(
        "page.html",
        {
            "STYLE": _own("page.css"),
            "DATA": msgspec.json.encode(data).decode().replace("<", "\\u003c"),
            "LIBRARY": _library(),
            "SCRIPT": _own("page.js"),
        },
    )


def _packed(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts in their places; what a part contains is never taken for a place."""
    rest = _own(page)
    packed = []
    for name, part in parts.items():
        before, _, rest = rest.partition(f"/*{name}*/")
        packed += [before, part]
    return "".join([*packed, rest])


def _own(name: str) -> str:
    return resources.files("monsoon.workbench.report").joinpath(name).read_text(encoding="utf-8")


def _library() -> str:
    """Plotly's JavaScript, from its Python package, which is not imported."""
    spec = find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (script := Path(folder) / _LIBRARY).is_file():
            return script.read_text(encoding="utf-8")
    raise InputError("plotly is not installed", "monsoon report", "Call ./monsoon report, which installs it")
