"""Names that product files had before: read for one release, each with a warning.

Goes with the release after the one that brought the present names, and so do the uses of `HOLDS` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from monsoon.transforms.documents import Fault, Path

HOLDS: Mapping[str, str] = {"asked": "step_up_verification", "looked_at_again": "rescore_hold"}
"""Holds: old name -> present name. A file that has both has two holds, and keeps their names."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "silent_quorum": {"least_trust": "min_trust"},
    "order_drop": {"at_least": "min_drop", "least_weeks": "min_weeks"},
    "activity": {"fewest_peers": "min_peers"},
}
"""By the section of a trigger: old name of a field -> present name. A file that has both is refused."""

_HOLDS_PATH: Path = ("decision", "holds")


@dataclass(frozen=True)
class OldNames:
    """The old names of a file. `by_path`: the path of what has one, under the present names -> its old name."""

    by_path: Mapping[Path, str]
    faults: tuple[Fault, ...] = ()
    """Of fields that the file has under both names, at their places in the file."""

    def warnings(self) -> list[Fault]:
        """A warning for each old name, at its place in the file."""
        what = {True: "hold", False: "field"}
        return [
            Fault(
                (*path[:-1], old),
                f'"{old}" is the old name of this {what[path[:-1] == _HOLDS_PATH]}, which the next release does not '
                f'read; call it "{path[-1]}"',
            )
            for path, old in self.by_path.items()
        ]

    def as_written(self, fault: Fault) -> Fault:
        """A fault of the document with present names, at its place in the file."""
        line_path = None if fault.line_path is None else self._in_file(fault.line_path)
        return replace(fault, path=self._in_file(fault.path), line_path=line_path)

    def _in_file(self, path: Path) -> Path:
        return tuple(self.by_path.get(path[: depth + 1], name) for depth, name in enumerate(path))


def with_present_names(document: Any) -> tuple[Any, OldNames]:
    """The document with the present names of its holds and fields, and the old names that it has."""
    by_path: dict[Path, str] = {}
    faults: list[Fault] = []
    if isinstance(document, dict):
        document = dict(document)
        if isinstance(document.get("decision"), dict):
            document["decision"] = _decision(document["decision"], by_path)
        if isinstance(document.get("triggers"), list):
            document["triggers"] = [
                _trigger(trigger, ("triggers", index), by_path, faults)
                for index, trigger in enumerate(document["triggers"])
            ]
    return document, OldNames(by_path, tuple(faults))


def _decision(decision: dict[Any, Any], by_path: dict[Path, str]) -> dict[Any, Any]:
    holds = decision.get("holds")
    if not isinstance(holds, dict):
        return decision
    new = {old: name for old, name in HOLDS.items() if old in holds and name not in holds}
    by_path |= {(*_HOLDS_PATH, name): old for old, name in new.items()}
    renamed = {new.get(name, name): _with_rules(hold, new) for name, hold in holds.items()}
    return {**_with_rules(decision, new), "holds": renamed}


def _with_rules(section: Any, new: Mapping[str, str]) -> Any:
    """A section whose rules lead to the present names."""
    if not isinstance(section, dict) or not isinstance(section.get("rules"), list):
        return section

    def rule(each: Any) -> Any:
        old = each.get("then") if isinstance(each, dict) else None
        return {**each, "then": new[old]} if isinstance(old, str) and old in new else each

    return {**section, "rules": [rule(each) for each in section["rules"]]}


def _trigger(trigger: Any, path: Path, by_path: dict[Path, str], faults: list[Fault]) -> Any:
    """A trigger with the present names of its sections' fields."""
    if not isinstance(trigger, dict):
        return trigger
    renamed = dict(trigger)
    for section, names in FIELDS.items():
        fields = trigger.get(section)
        if not isinstance(fields, dict):
            continue
        at = (*path, section)
        old_ones = {old: name for old, name in names.items() if old in fields}
        new = {old: name for old, name in old_ones.items() if name not in fields}
        both = {old: name for old, name in old_ones.items() if name in fields}
        by_path |= {(*at, name): old for old, name in new.items()}
        faults += [
            Fault((*at, old), f'"{old}" is the old name of "{name}", which stands here too; leave it out')
            for old, name in both.items()
        ]
        renamed[section] = {new.get(name, name): value for name, value in fields.items() if name not in both}
    return renamed
