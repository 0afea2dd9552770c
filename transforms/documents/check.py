"""Checks a document against its model and reports every fault with its path.

msgspec reports the first fault only, so the model's types are walked instead. What the walk does not know is still
refused by msgspec itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from monsoon.transforms.documents.faults import Fault, Path, did_you_mean, quoted
from monsoon.transforms.documents.section import Section

_KINDS: tuple[tuple[tuple[type[inspect.Type], ...], str, str], ...] = (
    ((inspect.StructType, inspect.DictType), "object", "a mapping"),
    ((inspect.VarTupleType, inspect.TupleType), "array", "a list"),
    ((inspect.StrType, inspect.DateType), "string", "text"),
    ((inspect.IntType,), "integer", "a whole number"),
    ((inspect.FloatType,), "number", "a number"),
    ((inspect.BoolType,), "boolean", "true or false"),
    ((inspect.NoneType,), "null", "empty"),
)
"""Types of models; the kind of value that each takes, in JSON Schema's words and in people's."""
_WORDS = {kind: words for _, kind, words in _KINDS}

_type_of = cache(inspect.type_info)


def faults_of(document: object, model: type[Section]) -> list[Fault]:
    """Every fault of a document's shape; with none `msgspec.convert` takes it, after `with_integers`."""
    faults = list(_faults(document, _type_of(model), (), {}))
    if not faults:
        try:
            msgspec.convert(with_integers(document), model)
        except msgspec.ValidationError as error:
            faults.append(Fault((), str(error)))
    return faults


def with_integers(value: Any) -> Any:
    """The document with integral floats as integers: in JSON Schema 3.0 is an integer too."""
    if isinstance(value, dict):
        return {name: with_integers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [with_integers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _kind(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return "integer"
    known = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return known.get(type(value), "null")


def _kind_taken(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return "string"
    if isinstance(kind, inspect.Metadata):
        return _kind_taken(kind.type)
    return next(name for types, name, _ in _KINDS if isinstance(kind, types))


def _takes(kind: inspect.Type, value: object) -> bool:
    taken = _kind_taken(kind)
    return taken == _kind(value) or (taken, _kind(value)) == ("number", "integer")


def _faults(value: Any, kind: inspect.Type, path: Path, extra: Mapping[str, Any]) -> Iterator[Fault]:
    """`extra`: the model's `extra_json_schema`, beside the type."""
    if isinstance(kind, inspect.Metadata):
        yield from _faults(value, kind.type, path, kind.extra_json_schema or {})
    elif isinstance(kind, inspect.UnionType):
        yield from _union_faults(value, kind.types, path, extra)
    elif isinstance(kind, inspect.LiteralType):
        if value not in kind.values or isinstance(value, bool):
            yield _no_choice(value, [str(each) for each in kind.values], path)
    elif not _takes(kind, value):
        yield _wrong_kind(value, [kind], path)
    elif isinstance(kind, inspect.StructType):
        yield from _section_faults(value, kind, path)
    elif isinstance(kind, inspect.DictType):
        yield from _mapping_faults(value, kind, path)
    elif isinstance(kind, (inspect.VarTupleType, inspect.TupleType)):
        yield from _list_faults(value, kind, path, extra)
    elif isinstance(kind, inspect.StrType):
        yield from _text_faults(value, kind, path, extra)
    elif isinstance(kind, (inspect.IntType, inspect.FloatType)):
        yield from _number_faults(value, kind, path)
    elif isinstance(kind, inspect.DateType):
        try:
            date.fromisoformat(value)
        except ValueError:
            yield Fault(path, f'{quoted(value)} is no day like "2024-07-31"')


def _wrong_kind(value: object, kinds: Sequence[inspect.Type], path: Path) -> Fault:
    found = "empty" if value is None else f"{quoted(value)} is {_WORDS[_kind(value)]}"
    return Fault(path, f"{found}; {' or '.join(_WORDS[_kind_taken(kind)] for kind in kinds)} is wanted here")


def _no_choice(value: object, choices: Sequence[str], path: Path) -> Fault:
    known = ", ".join(map(quoted, choices))
    none_of = f"is none of {known}" if len(choices) > 1 else f"is not {known}, the only choice"
    return Fault(path, f"{quoted(value)} {none_of}{did_you_mean(value, choices)}")


def _union_faults(value: Any, kinds: tuple[inspect.Type, ...], path: Path, extra: Mapping[str, Any]) -> Iterator[Fault]:
    """The faults of the alternative that is meant, by the kind of the value, of sections by their tag."""
    meant = [kind for kind in kinds if _takes(kind, value)]
    sections = [kind for kind in meant if isinstance(kind, inspect.StructType) and kind.tag_field is not None]
    if not meant:
        yield _wrong_kind(value, kinds, path)
    elif len(sections) > 1:
        field = str(sections[0].tag_field)
        by_tag = {str(kind.tag): kind for kind in sections}
        if field not in value:
            yield Fault(path, f'the field "{field}" is missing: {", ".join(map(quoted, by_tag))}')
        elif value[field] not in list(by_tag):
            yield _no_choice(value[field], list(by_tag), (*path, field))
        else:
            yield from _faults(value, by_tag[value[field]], path, extra)
    else:
        yield from _faults(value, meant[0], path, extra)


def _text_faults(value: str, kind: inspect.StrType, path: Path, extra: Mapping[str, Any]) -> Iterator[Fault]:
    if kind.min_length is not None and len(value) < kind.min_length:
        yield Fault(path, f"{quoted(value)} is empty")
    if kind.max_length is not None and len(value) > kind.max_length:
        yield Fault(path, f"{quoted(value)} is {len(value)} characters long; {kind.max_length} are the most")
    if kind.pattern is not None and re.search(kind.pattern, value) is None:
        yield Fault(path, f"{quoted(value)} {extra['errorMessage']['pattern']}")


def _number_faults(value: float, kind: inspect.IntType | inspect.FloatType, path: Path) -> Iterator[Fault]:
    if kind.ge is not None and value < kind.ge:
        yield Fault(path, f"{quoted(value)} is below {kind.ge}, the least that it can be")
    if kind.gt is not None and value <= kind.gt:
        yield Fault(path, f"{quoted(value)} is not above {kind.gt}")
    if kind.le is not None and value > kind.le:
        yield Fault(path, f"{quoted(value)} is above {kind.le}, the most that it can be")
    if kind.multiple_of is not None and value % kind.multiple_of:
        yield Fault(path, f"{quoted(value)} is no multiple of {kind.multiple_of}")


def _list_faults(
    value: list[Any], kind: inspect.VarTupleType | inspect.TupleType, path: Path, extra: Mapping[str, Any]
) -> Iterator[Fault]:
    if isinstance(kind, inspect.TupleType):
        if len(value) != len(kind.item_types):
            yield Fault(path, f"{quoted(value)} has {len(value)} items; {len(kind.item_types)} are wanted here")
        items: Sequence[inspect.Type] = kind.item_types
    else:
        if len(value) < (kind.min_length or 0):
            yield Fault(path, "the list is empty; leave the field out, or give it an entry")
        items = [kind.item_type] * len(value)
    if extra.get("uniqueItems"):
        for index, each in enumerate(value):
            if each in value[:index]:
                yield Fault((*path, index), f"{quoted(each)} is there twice")
    for index, (each, item) in enumerate(zip(value, items, strict=False)):
        yield from _faults(each, item, (*path, index), {})


def _mapping_faults(value: dict[str, Any], kind: inspect.DictType, path: Path) -> Iterator[Fault]:
    if len(value) < (kind.min_length or 0):
        yield Fault(path, "the mapping is empty; at least one entry is wanted here")
    for name, each in value.items():
        for fault in _faults(name, kind.key_type, path, {}):
            yield Fault(path, fault.problem, (*path, name))
        yield from _faults(each, kind.value_type, (*path, name), {})


def _section_faults(value: dict[str, Any], kind: inspect.StructType, path: Path) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in kind.fields}
    meant = set()
    for name, each in value.items():
        if name in fields:
            yield from _faults(each, fields[name].type, (*path, name), {})
        elif name != kind.tag_field:
            absent = [field for field in fields if field not in value]
            hint = did_you_mean(name, absent)
            meant |= {field for field in absent if f'"{field}"' in hint}
            shown = hint or f"; there are: {', '.join(fields)}"
            yield Fault(path, f"unknown field {quoted(name)}{shown}", (*path, name))
    for name, field in fields.items():
        if field.required and name not in value and name not in meant:  # a misspelled one has a fault
            yield Fault(path, f'the field "{name}" is missing')
    groups = kind.cls.exactly_one_of if issubclass(kind.cls, Section) else ()
    there = [group for group in groups if any(name in value for name in group)]
    if groups and (len(there) != 1 or not all(name in value for name in there[0])):
        yield Fault(path, exactly_one_message(groups))


def exactly_one_message(groups: Sequence[Sequence[str]]) -> str:
    """The message for a section that has not exactly one of the groups of fields."""
    if all(len(group) == 1 for group in groups):
        return f"needs exactly one of {', '.join(group[0] for group in groups)}"
    return f"needs either {', or '.join(' and '.join(group) for group in groups)}"
