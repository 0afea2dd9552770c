"""Collects the faults of a product file, so that all are reported at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from monsoon.transforms.documents import Fault, Path, did_you_mean, quoted


class FaultCollector:
    """The faults of one file, in the order in which they are found."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, path: Path, problem: str) -> None:
        self.faults.append(Fault(path, problem))

    def attempt(self, path: Path, make: Callable[[Any], Any], value: object) -> Any:
        """What `make` makes of a value; None where it raises ValueError, which becomes a fault at `path`."""
        try:
            return make(value)
        except ValueError as error:
            self.add(path, str(error))
            return None

    def known(self, path: Path, name: str, names: Iterable[str], what: str) -> bool:
        """Whether the file may name `name` here; else a fault lists the names there are."""
        names = list(names)
        if name in names:
            return True
        there = f"there are: {', '.join(names)}" if names else "there is none"
        self.add(path, f"no {what} {quoted(name)}{did_you_mean(name, names)}; {there}")
        return False
