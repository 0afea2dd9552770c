"""Documents with a value that does not belong there: the values, and the places where one may be put."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

ODD_VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    1.0,
    1.5,
    10**12,
    -(10**12),
    1e300,
    "",
    " ",
    "a",
    "A",
    "aqi",
    "own",
    "all",
    "x" * 3000,
    "3 h",
    "3 hours",
    ">= 75",
    "60 %",
    "101 %",
    "7 INR",
    "approve",
    "2026-04-01T00:00:00+05:30",
    "2024-06-28 08:30",
    "2024-06-28",
    "rain_total",
    "11:00-15:00",
    "٣ h",
    [],
    ["all"],
    ["rain", "rain"],
    [1, True, 1.0],
    {},
    {"a": 1},
    {"name": "a"},
    {"A": {}},
    [[]],
    [{}],
]
"""What people put, by mistake or by malice, where a field of a document expects something else."""


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every path of a document, its own included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from paths_of(each, (*path, key))


def changed(draw: Callable[[st.SearchStrategy[Any]], Any], document: Any, keys: Sequence[str]) -> Any:
    """A copy of a document with one to three values replaced, removed or added, the last under one of these keys."""
    found, paths = copy.deepcopy(document), list(paths_of(document))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths))
        value = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
        action = draw(st.sampled_from(["put", "remove", "add"]))
        if not path:
            found = value if action == "put" and draw(st.booleans()) else found
            continue
        holder = found
        try:
            for key in path[:-1]:
                holder = holder[key]
            if action == "put":
                holder[path[-1]] = value
            elif action == "remove":
                del holder[path[-1]]
            elif isinstance(holder[path[-1]], dict):
                holder[path[-1]][draw(st.sampled_from(keys))] = value
            elif isinstance(holder[path[-1]], list):
                holder[path[-1]].append(value)
        except (KeyError, IndexError, TypeError):
            continue
    return found
