"""A product file broken in each way that its schema can be: the message names file, line, field and value.

The ways are made from the schema of the model, on a file that uses every field; lines are checked against PyYAML's own
marks.
"""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from monsoon.sources.file_formats import schema_of
from monsoon.sources.product_files import read_product
from monsoon.transforms.product import ProductError

SOURCE = (Path(__file__).parent / "everything.yaml").read_text(encoding="utf-8")
SCHEMA = schema_of("product")
ODD_NAME = "zz_zz"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TextLoader(yaml.SafeLoader):
    """PyYAML without dates and clock times, which a product file has as text."""


TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
TextLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
DOCUMENT = yaml.load(SOURCE, TextLoader)
assert DOCUMENT["in_force_from"] == "2026-04-01T00:00:00+05:30"


def resolved(schema):
    return {**schema, **SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]} if "$ref" in schema else schema


def spots(value, schema, path=(), field=()):
    """Each value of the document with its schema: (path, schema, the field's place in the schema)."""
    schema = resolved(schema)
    for each in schema.get("anyOf", ()):
        each = {"type": "string", **each}  # a choice of texts has no type of its own
        if isinstance(value, {"string": str, "number": (int, float), "array": list}[each["type"]]):
            schema = {**each, "alternatives": True}
            break
    yield path, schema, field
    if isinstance(value, dict):
        for name, each in value.items():
            own = schema.get("properties", {}).get(name)
            inner = own if own is not None else schema.get("additionalProperties", {})
            yield from spots(each, inner, (*path, name), (*field, name if own is not None else "*"))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from spots(each, schema["items"], (*path, index), (*field, "[]"))


SPOTS = list(spots(DOCUMENT, SCHEMA))


def ways():
    """(id, path of the value, what becomes of the document there, path whose line is told, words of the message)."""
    for path, schema, _ in SPOTS:
        name = ".".join(map(str, path)) or "whole"
        kind = schema.get("type", "enum")
        if kind == "object":
            for required in schema.get("required", ()):
                yield f"{name}: no {required}", (*path, required), None, path, [f'"{required}"', "missing"]
            if schema.get("additionalProperties") is False:
                words = [f'unknown field "{ODD_NAME}"']
                yield f"{name}: unknown", (*path, ODD_NAME), 1, (*path, ODD_NAME), words
                for known in schema["properties"]:
                    absent = known not in at(DOCUMENT, path)
                    if absent and len(known) > 3 and not any(k.startswith(known[:3]) for k in at(DOCUMENT, path)):
                        typo = f"{known[:2]}e{known[2:]}"
                        words = [f'unknown field "{typo}"; did you mean "{known}"?']
                        yield f"{name}: {typo}", (*path, typo), 1, (*path, typo), words
        if not path:
            continue
        wrong = "zz" if kind == "boolean" else True
        words = [json.dumps(wrong), "is none of" if kind == "enum" else "is wanted here"]
        if kind == "enum" and len(schema["enum"]) == 1:
            words[1] = "the only choice"
        yield f"{name}: wrong type", path, wrong, path, words
        yield f"{name}: empty", path, "NULL", path, ["null is" if kind == "enum" else "empty; "]
        if "enum" in schema:
            typo = f"{schema['enum'][-1]}x"
            yield f"{name}: misspelled", path, typo, path, [f'"{typo}"', f'did you mean "{schema["enum"][-1]}"?']
        if "minimum" in schema:
            yield f"{name}: below", path, schema["minimum"] - 1, path, [f"{schema['minimum'] - 1} is below"]
        if "exclusiveMinimum" in schema:
            yield f"{name}: not above", path, schema["exclusiveMinimum"], path, ["is not above"]
        if "maximum" in schema:
            yield f"{name}: above", path, schema["maximum"] + 1, path, [f"{schema['maximum'] + 1} is above"]
        if "pattern" in schema:
            yield f"{name}: no such text", path, "?", path, [f'"?" {schema["errorMessage"]["pattern"]}']
        if "maxLength" in schema:
            yield f"{name}: too long", path, "x" * (schema["maxLength"] + 1), path, ["characters long"]
        if "minLength" in schema:
            yield f"{name}: no text", path, "", path, ['"" is empty']
        if "minItems" in schema:
            yield f"{name}: no items", path, [], path, ["the list is empty"]
        if "minProperties" in schema:
            yield f"{name}: no entries", path, {}, path, ["the mapping is empty"]
        if schema.get("uniqueItems"):
            first = at(DOCUMENT, path)[0]
            many = len(at(DOCUMENT, path))
            yield f"{name}: twice", (*path, many), first, (*path, many), [json.dumps(first), "twice"]


def at(document, path):
    for key in path:
        document = document[key]
    return document


def changed(path, value):
    document = copy.deepcopy(DOCUMENT)
    holder = at(document, path[:-1])
    if value is None:
        del holder[path[-1]]
    elif isinstance(holder, list) and path[-1] == len(holder):
        holder.append(value)
    else:
        holder[path[-1]] = None if value == "NULL" else value
    return yaml.dump(document, Dumper=DUMPER, sort_keys=False, width=1000)


def line_of(text, path):
    """PyYAML's line (from 1) of the key, or of the list's item, at a path."""
    node, line = yaml.compose(text, LOADER), 1
    for key in path:
        if isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            line, node = next((k.start_mark.line + 1, v) for k, v in node.value if k.value == key)
    return line


WAYS = list(ways())
QUICK_EVERY = 8


def test_every_field_of_the_schema_is_used():
    def fields(schema, place=(), seen=()):
        if "$ref" in schema and schema["$ref"] in seen:
            return
        seen = (*seen, schema.get("$ref", ""))
        schema = resolved(schema)
        for name, each in schema.get("properties", {}).items():
            if each is not False:
                yield (*place, name)
                yield from fields(each, (*place, name), seen)
        for key, mark in (("items", "[]"), ("additionalProperties", "*")):
            if isinstance(schema.get(key), dict):
                yield from fields(schema[key], (*place, mark), seen)
        for each in schema.get("anyOf", ()):
            yield from fields(each, place, seen)

    used = {field for _, _, field in SPOTS}
    missing = {field for field in fields(SCHEMA) if field not in used}
    holds = {("decision", "holds", "*", "rules", "[]", name) for name in ("when", "certain")}
    third = {("decision", "scores", "*", "formula")}  # two scores, and three ways to make one
    assert missing - holds == third


def test_the_file_itself_is_right():
    assert read_product(SOURCE.encode(), "everything.yaml").name == "everything"


def test_there_are_many_ways():
    assert len(WAYS) > 400
    assert len({name for name, *_ in WAYS}) == len(WAYS)


@pytest.mark.parametrize(
    ("path", "value", "told", "words"),
    [
        pytest.param(*way, id=name, marks=[pytest.mark.slow] if number % QUICK_EVERY else [])
        for number, (name, *way) in enumerate(WAYS)
    ],
)
def test_each_way_is_told_with_file_line_field_and_value(path, value, told, words):
    text = changed(path, value)
    with pytest.raises(ProductError) as refused:
        read_product(text.encode(), "products/x.yaml")
    line = line_of(text, told)
    field = next((str(key) for key in reversed(told) if isinstance(key, str)), "")
    here = [fault for fault in refused.value.faults if fault.startswith(f"products/x.yaml:{line}: ")]
    assert any(all(word in fault for word in words) and field in fault for fault in here), refused.value.faults
    assert all("\n" not in fault and len(fault) < 1000 for fault in refused.value.faults)


def test_the_example_of_the_specification():
    text = SOURCE.replace("    sustained: 30 min", "    suestained: 30 min")
    line = text.splitlines().index("    suestained: 30 min") + 1
    with pytest.raises(ProductError) as refused:
        read_product(text.encode(), "products/x.yaml")
    assert refused.value.faults == (
        f'products/x.yaml:{line}: triggers[0] (rain): unknown field "suestained"; did you mean "sustained"?',
    )
