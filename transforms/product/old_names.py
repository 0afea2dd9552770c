"""Names of holds that product files had before: read for one release, each with a word of warning.

Goes with the release after the one that brought the present names, and so does what looks at `HOLDS` elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monsoon.transforms.documents import Fault, Path

HOLDS: Mapping[str, str] = {"asked": "step_up_verification", "looked_at_again": "rescore_hold"}
"""Old name -> present name. A file that has both has two holds, and keeps their names."""
_AT: Path = ("decision", "holds")


def with_present_names(document: Any) -> tuple[Any, dict[str, str]]:
    """The document with the present names of its holds, and those that it has under an old one: old -> present."""
    decision = document.get("decision") if isinstance(document, dict) else None
    holds = decision.get("holds") if isinstance(decision, dict) else None
    if not isinstance(decision, dict) or not isinstance(holds, dict):
        return document, {}
    new = {old: name for old, name in HOLDS.items() if old in holds and name not in holds}
    renamed = {new.get(name, name): _with_rules(hold, new) for name, hold in holds.items()}
    return {**document, "decision": {**_with_rules(decision, new), "holds": renamed}}, new


def warnings_of(new: Mapping[str, str]) -> list[Fault]:
    """What there is to say of the old names of a file."""
    words = "is the old name of this hold, which the next release does not read; call it"
    return [Fault((*_AT, old), f'"{old}" {words} "{name}"') for old, name in new.items()]


def as_written(fault: Fault, new: Mapping[str, str]) -> Fault:
    """A fault of the document with present names, at its place in the file."""
    old = {name: before for before, name in new.items()}

    def path(present: Path) -> Path:
        return (*_AT, old.get(str(present[2]), present[2]), *present[3:]) if present[:2] == _AT != present else present

    return replace(fault, path=path(fault.path), line_path=None if fault.line_path is None else path(fault.line_path))


def _with_rules(section: Any, new: Mapping[str, str]) -> Any:
    """A section whose rules lead to the present names."""
    if not isinstance(section, dict) or not isinstance(section.get("rules"), list):
        return section

    def rule(each: Any) -> Any:
        old = each.get("then") if isinstance(each, dict) else None
        return {**each, "then": new[old]} if isinstance(old, str) and old in new else each

    return {**section, "rules": [rule(each) for each in section["rules"]]}
