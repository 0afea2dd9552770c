"""Generates the JSON Schema of a format from its model."""

from __future__ import annotations

from typing import Any

import msgspec

from monsoon.transforms.documents.check import exactly_one_message
from monsoon.transforms.documents.section import Section

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(model: type[Section], title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of documents of the model.

    `errorMessage`, which ajv-errors and editors know, explains a pattern or a choice of fields.
    """
    _, definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    for section in _sections_below(model):
        if section.exactly_one_of:
            definitions[section.__name__] |= _exactly_one_of(section.exactly_one_of)
    root = definitions.pop(model.__name__)
    return {"$schema": DIALECT, **root, "title": title, "$defs": definitions}


def _sections_below(model: type[Section]) -> list[type[Section]]:
    """The sections that a document of the model may have, each once."""
    found: list[type[Section]] = []

    def look(kind: msgspec.inspect.Type) -> None:
        if isinstance(kind, msgspec.inspect.StructType) and issubclass(kind.cls, Section):
            if kind.cls in found:
                return
            found.append(kind.cls)
            parts = [field.type for field in kind.fields]
        else:
            parts = [
                getattr(kind, name) for name in ("type", "item_type", "key_type", "value_type") if hasattr(kind, name)
            ]
            parts += [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
        for part in parts:
            look(part)

    look(msgspec.inspect.type_info(model))
    return found


def _exactly_one_of(groups: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    alternatives = []
    for group in groups:
        others = {name: False for other in groups if other is not group for name in other}
        alternatives.append({"required": list(group), "properties": others})
    return {"oneOf": alternatives, "errorMessage": {"oneOf": exactly_one_message(groups)}}
