"""Faults of a document, each with its path, and the lines of text that report them to the user."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from monsoon.transforms.spelling import closest_name

Path = tuple[str | int, ...]
"""From the top of a document to a value: names of fields and indexes of lists."""

LineOf = Callable[[Path], int | None]
"""The line of the file (from 1) where the value at a path, or the nearest one around it, stands."""

_NAMING = ("name", "part")
_LONGEST = 80


@dataclass(frozen=True)
class Fault:
    """`problem` concerns the value at `path`; its line is that of `line_path`, where another line shows it better."""

    path: Path
    problem: str
    line_path: Path | None = None


def quoted(value: object) -> str:
    """A value as the file has it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or nothing where no known name is near."""
    found = closest_name(name, known) if isinstance(name, str) else None
    return "" if found is None else f'; did you mean "{found}"?'


def fault_lines(faults: Sequence[Fault], document: object, where: str, line_of: LineOf | None) -> list[str]:
    """`file:line: field: problem` of each fault, in the order of the file's lines; the same words once."""
    lines: dict[str, int] = {}
    for fault in faults:
        line = None if line_of is None else line_of(fault.path if fault.line_path is None else fault.line_path)
        head = where if line is None else f"{where}:{line}"
        at = _place(document, fault.path)
        lines.setdefault(f"{head}: {at}: {fault.problem}" if at else f"{head}: {fault.problem}", line or 0)
    return sorted(lines, key=lambda text: lines[text])


def _place(document: object, path: Path) -> str:
    """A path for people: `triggers[1] (aqi).consensus[0].providers`; empty for the document itself."""
    text, value = "", document
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
        try:
            value = value[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            value = None
        if isinstance(step, int) and isinstance(value, dict):
            name = next((value[key] for key in _NAMING if isinstance(value.get(key), str)), None)
            text += "" if name is None else f" ({name[:_LONGEST]})"
    return text.removeprefix(".")
