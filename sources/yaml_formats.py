"""Formats of YAML files, of which some come with Monsoon and a user may bring more: found, read, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Generic, Self, TypeVar

import msgspec

from monsoon.sources.files import InputError
from monsoon.sources.plain_yaml import PlainYamlError, read_file, read_plain_yaml
from monsoon.transforms.documents import Fault, Section, fault_lines, faults_of, with_integers
from monsoon.transforms.spelling import closest_name

Model = TypeVar("Model", bound=Section)
_MOST_TOLD = 10


class FormatError(InputError):
    """A file that is not of its format: the first of its faults with file, line and field, and the others after it.

    `faults` has all of them, a line each.
    """

    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, faults: list[str], where: str, mend: str) -> Self:
        """The error of one file's faults, each of which begins with `where`."""
        line, _, what = faults[0].removeprefix(where).partition(": ")
        others = [fault.removeprefix(f"{where}:") for fault in faults[1:]]
        more = f" And {len(others)} more: line {'; line '.join(others[:_MOST_TOLD])}" if others else ""
        error = cls(what, where + line, mend + more)
        error.faults = tuple(faults)
        return error


@dataclass(frozen=True)
class YamlFormat(Generic[Model]):
    """One format. `further` yields what a file of the right shape has wrong still; `name_of` is what a file is called
    by, in `folder` of the checkout, which is `package` when installed."""

    kind: str
    folder: str
    package: str
    model: type[Model]
    error: type[FormatError]
    page: str
    further: Callable[[Model], Iterable[Fault]]
    name_of: Callable[[Model], str]

    def available(self) -> list[str]:
        """Names of the files that come with Monsoon, sorted."""
        names = (entry.name for entry in files(self.package).iterdir())
        return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))

    def load(self, name: str) -> Model:
        """The file of that name, or of that path where `name` ends in .yaml.

        Raises the format's error where there is none or it cannot be used, OSError where it cannot be read.
        """
        known = self.available()
        if name.endswith(".yaml"):
            path = Path(name)
            if not path.is_file():
                raise self.error(f"no such {self.kind} file", name, f"Give a file, or one of: {', '.join(known)}")
            return self.parse(read_file(path), where=name)
        if name not in known:
            near = closest_name(name, known)
            mean = "" if near is None else f"Did you mean {near}? "
            raise self.error(f"no such {self.kind}", name, f"{mean}There are: {', '.join(known)}")
        where = f"{self.folder}/{name}.yaml"
        found = self.parse((files(self.package) / f"{name}.yaml").read_bytes(), where=where)
        if self.name_of(found) != name:
            raise self.error(
                f"its name is {self.name_of(found)!r}", where, f"A {self.kind}'s file is called by its name."
            )
        return found

    def parse(self, content: bytes, *, where: str) -> Model:
        """A file's content, checked; `where` names it in messages. Raises the format's error, which lists all faults
        of its shape, or, if there is none, all others."""
        try:
            root = read_plain_yaml(content)
        except PlainYamlError as error:
            at = "" if error.line is None else f":{error.line}"
            raise self.error(error.problem, where + at, "Mend that line.") from error
        faults = faults_of(root.value, self.model)
        if not faults:
            found = msgspec.convert(with_integers(root.value), self.model)
            faults = list(self.further(found))
            if not faults:
                return found
        raise self.error.of(
            fault_lines(faults, root.value, where, root.line_of), where, f"{self.page} has the grammar."
        )
