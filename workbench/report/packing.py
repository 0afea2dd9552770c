"""Packs a page into one HTML file that needs no network: its data, the plotting library and its own code."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from monsoon.sources.files import InputError

_LIBRARY = Path("package_data", "plotly.min.js")


def packed(title: str, name: str, data: Mapping[str, Any]) -> str:
    """The page whose body and script are the files of this folder called so, with `data` as JSON; equal data give an
    equal page. Raises InputError where the plotting library is not installed."""
    parts = {
        "TITLE": title,
        "STYLE": _own("page.css"),
        "BODY": _own(f"{name}.html"),
        "DATA": msgspec.json.encode(data).decode().replace("<", "\\u003c"),
        "LIBRARY": _library(),
        "SCRIPT": _own("page_elements.js") + _own(f"{name}.js"),
    }
    # In the order of their places, so that what a part contains is never taken for a place.
    rest = _own("frame.html")
    pieces = []
    for name, part in parts.items():
        before, _, rest = rest.partition(f"/*{name}*/")
        pieces += [before, part]
    return "".join([*pieces, rest])


def _own(name: str) -> str:
    return resources.files("monsoon.workbench.report").joinpath(name).read_text(encoding="utf-8")


def _library() -> str:
    """Plotly's JavaScript, from its Python package, which is not imported."""
    spec = find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (script := Path(folder) / _LIBRARY).is_file():
            return script.read_text(encoding="utf-8")
    raise InputError("plotly is not installed", "monsoon", "Call ./monsoon, which installs it")
