"""The shape of a product file: contracts/product.schema.json, applied with faults that people can mend.

Only the keywords that the schema uses are known here; a test holds the verdict equal to that of a full implementation
of JSON Schema. The library itself would cost every start of a replay more than all five products.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from monsoon.transforms.documents import Fault, Path, did_you_mean, quoted

KEYWORDS = frozenset(
    (
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "default",
        "description",
        "enum",
        "errorMessage",
        "examples",
        "exclusiveMinimum",
        "items",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "oneOf",
        "pattern",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
        "uniqueItems",
    )
)
"""What the schema may use; `errorMessage` says in words what a pattern or a choice asks for."""

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


@cache
def product_schema() -> Mapping[str, Any]:
    """The JSON Schema (draft 2020-12) of product files."""
    text = resources.files("monsoon.contracts").joinpath("product.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def shape_faults(document: object) -> list[Fault]:
    """Every way in which a document is not of the schema's shape."""
    return list(_faults(document, product_schema(), ()))


def settled(value: Any) -> Any:
    """The document with whole numbers as integers: to a schema 3.0 is one too."""
    if isinstance(value, dict):
        return {name: settled(each) for name, each in value.items()}
    if isinstance(value, list):
        return [settled(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    known = {float: "number", str: "string", list: "array", dict: "object"}
    return known.get(type(value), "null")


def _faults(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if "$ref" in schema:
        schema = product_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    kind, words = _kind(value), schema.get("errorMessage", {})
    wanted = schema.get("type", kind)
    if wanted != kind and (wanted, kind) != ("number", "integer"):
        given = "empty" if value is None else f"{quoted(value)} is {_KINDS[kind]}"
        yield Fault(path, f"{given}; {_KINDS[wanted]} is wanted here")
        return
    if "enum" in schema and value not in schema["enum"]:
        known = ", ".join(quoted(each) for each in schema["enum"])
        none_of = f"is none of {known}" if len(schema["enum"]) > 1 else f"is not {known}, the only choice"
        yield Fault(path, f"{quoted(value)} {none_of}{did_you_mean(value, schema['enum'])}")
    if kind == "string":
        yield from _text_faults(value, schema, path, words)
    elif kind in ("integer", "number"):
        yield from _number_faults(value, schema, path)
    elif kind == "array":
        yield from _list_faults(value, schema, path)
    elif kind == "object":
        yield from _mapping_faults(value, schema, path)
    if "oneOf" in schema:
        yield from _choice_faults(value, schema, path, words)


def _text_faults(value: str, schema: Mapping[str, Any], path: Path, words: Mapping[str, str]) -> Iterator[Fault]:
    if len(value) < schema.get("minLength", 0):
        yield Fault(path, f"{quoted(value)} is empty")
    if len(value) > schema.get("maxLength", len(value)):
        yield Fault(path, f"{quoted(value)} is {len(value)} characters long; {schema['maxLength']} are the most")
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield Fault(path, f"{quoted(value)} {words['pattern']}")


def _number_faults(value: float, schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    least, most, above = schema.get("minimum"), schema.get("maximum"), schema.get("exclusiveMinimum")
    if least is not None and value < least:
        yield Fault(path, f"{quoted(value)} is below {least}, the least that it can be")
    if above is not None and value <= above:
        yield Fault(path, f"{quoted(value)} is not above {above}")
    if most is not None and value > most:
        yield Fault(path, f"{quoted(value)} is above {most}, the most that it can be")


def _list_faults(value: list[Any], schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    if len(value) < schema.get("minItems", 0):
        yield Fault(path, "the list is empty; leave the field out, or give it an entry")
    if schema.get("uniqueItems"):
        for index, each in enumerate(value):
            if each in value[:index]:
                yield Fault((*path, index), f"{quoted(each)} is there twice")
    for index, each in enumerate(value):
        yield from _faults(each, schema.get("items", {}), (*path, index))


def _mapping_faults(value: dict[str, Any], schema: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    fields = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    meant = set()
    if len(value) < schema.get("minProperties", 0):
        yield Fault(path, "the mapping is empty; at least one entry is wanted here")
    for name, each in value.items():
        for fault in _faults(name, schema.get("propertyNames", {}), path):
            yield Fault(path, fault.problem, (*path, name))
        if name in fields and fields[name] is not False:
            yield from _faults(each, fields[name], (*path, name))
        elif others is False and name not in fields:
            absent = [field for field in fields if field not in value]
            hint = did_you_mean(name, absent)
            meant |= {field for field in absent if f'"{field}"' in hint}
            shown = hint or f"; there are: {', '.join(fields)}"
            yield Fault(path, f"unknown field {quoted(name)}{shown}", (*path, name))
        elif isinstance(others, dict):
            yield from _faults(each, others, (*path, name))
    for name in schema.get("required", ()):
        if name not in value and name not in meant:  # a misspelled one was told
            yield Fault(path, f'the field "{name}" is missing')


def _choice_faults(value: Any, schema: Mapping[str, Any], path: Path, words: Mapping[str, str]) -> Iterator[Fault]:
    """`oneOf`: alternatives by type, whose own faults are told, or by the fields present, which have words."""
    kind = _kind(value)
    if "oneOf" in words:
        if sum(_has_fields(value, each) for each in schema["oneOf"]) != 1:
            yield Fault(path, words["oneOf"])
        return
    for each in schema["oneOf"]:
        if each["type"] == kind or (each["type"], kind) == ("number", "integer"):
            yield from _faults(value, each, path)
            return
    wanted = " or ".join(_KINDS[each["type"]] for each in schema["oneOf"])
    given = "empty" if value is None else f"{quoted(value)} is {_KINDS[kind]}"
    yield Fault(path, f"{given}; {wanted} is wanted here")


def _has_fields(value: Any, alternative: Mapping[str, Any]) -> bool:
    refused = [name for name, schema in alternative.get("properties", {}).items() if schema is False]
    return all(name in value for name in alternative["required"]) and not any(name in value for name in refused)
