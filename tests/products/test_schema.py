"""contracts/product.schema.json: a schema as the standard has it, and the same verdict as what applies it here."""

import copy
from importlib import resources

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import ProductError, document, parse_product
from monsoon.transforms.product.plain import plain_terms
from monsoon.transforms.product.schema import KEYWORDS, product_schema, settled, shape_faults
from monsoon.transforms.product.wording import explain

NAMES = ("gic", "jugaad", "kawaach", "nexora", "offshift")


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(product_schema())


def shipped():
    folder = resources.files("monsoon.products")
    return [yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in NAMES]


DOCUMENTS = shipped()


def places(value, path=()):
    """Every path of a document, the document's own included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


PLACES = [list(places(document)) for document in DOCUMENTS]
ODD = [
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
KEYS = ["zz", "name", "levels", "breach", "model", "formula", "quality", "in_force_from", "when", "share", "A b"]


@st.composite
def mutated(draw):
    """A shipped document with one to three values replaced, removed or added."""
    which = draw(st.integers(0, len(DOCUMENTS) - 1))
    found = copy.deepcopy(DOCUMENTS[which])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES[which]))
        value, action = copy.deepcopy(draw(st.sampled_from(ODD))), draw(st.sampled_from(["put", "remove", "add"]))
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
                holder[path[-1]][draw(st.sampled_from(KEYS))] = value
            elif isinstance(holder[path[-1]], list):
                holder[path[-1]].append(value)
        except (KeyError, IndexError, TypeError):
            continue
    return found


def leaves(documents):
    """By the last name on the path: every value that a shipped product gives such a field."""
    found = {}
    for whole, paths in zip(documents, PLACES, strict=True):
        for path in paths[1:]:
            value = whole
            for key in path:
                value = value[key]
            name = next((key for key in reversed(path) if isinstance(key, str)), "")
            found.setdefault((name, isinstance(path[-1], int)), []).append(value)
    return found


LEAVES = leaves(DOCUMENTS)


@st.composite
def swapped(draw):
    """A shipped document in which one to four fields have what the same field has elsewhere."""
    which = draw(st.integers(0, len(DOCUMENTS) - 1))
    found = copy.deepcopy(DOCUMENTS[which])
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PLACES[which][1:]))
        name = next((key for key in reversed(path) if isinstance(key, str)), "")
        try:
            holder = found
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]]
            holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(LEAVES[name, isinstance(path[-1], int)])))
        except (KeyError, IndexError, TypeError):
            continue
    return found


def test_it_is_a_schema_of_the_standard():
    Draft202012Validator.check_schema(product_schema())


def test_its_keywords_are_those_that_are_applied():
    def keywords(schema):
        if not isinstance(schema, dict):
            return
        yield from schema
        for holder in ("properties", "$defs"):
            for each in schema.get(holder, {}).values():
                yield from keywords(each)
        for each in (schema.get("items"), schema.get("additionalProperties"), schema.get("propertyNames")):
            yield from keywords(each)
        for each in schema.get("oneOf", ()):
            yield from keywords(each)

    assert set(keywords(product_schema())) <= KEYWORDS


def test_every_pattern_has_words():
    def patterns(value):
        if isinstance(value, dict):
            if "type" in value and isinstance(value.get("pattern"), str):
                yield value
            for each in value.values():
                yield from patterns(each)
        elif isinstance(value, list):
            for each in value:
                yield from patterns(each)

    assert [
        each["pattern"] for each in patterns(product_schema()) if "pattern" not in each.get("errorMessage", {})
    ] == []


@pytest.mark.parametrize("value", DOCUMENTS, ids=NAMES)
def test_the_products_are_of_its_shape(validator, value):
    assert list(validator.iter_errors(value)) == []
    assert shape_faults(value) == []


@given(mutated())
def test_the_verdict_is_that_of_a_full_implementation(value):
    refused = next(Draft202012Validator(product_schema()).iter_errors(value), None) is not None
    assert bool(shape_faults(value)) == refused


@given(mutated() | swapped())
def test_what_has_the_shape_can_be_read_and_what_has_not_is_refused(value):
    """The sections take whatever the schema takes; nothing that it refuses becomes a product, and nothing crashes."""
    refused = bool(shape_faults(value))
    if not refused:
        assert isinstance(document.convert(settled(value)), document.ProductSection)
    try:
        product = parse_product(value, version="v", where="x.yaml")
    except ProductError as error:
        faults = error.faults
    else:
        assert not refused
        assert all(section.points for section in explain(product))
        assert plain_terms(product)["name"] == product.name
        return
    assert faults
    assert all(fault.startswith("x.yaml: ") for fault in faults)


def sections():
    """The schema that msgspec makes of the sections."""
    return msgspec.json.schema(document.ProductSection)


def own_fields():
    """By the fields that the schema names: (fields, required)."""

    def found(schema):
        if not isinstance(schema, dict):
            return
        if isinstance(schema.get("properties"), dict) and schema.get("additionalProperties") is False:
            yield frozenset(schema["properties"]), frozenset(schema["required"])
        for key, each in schema.items():
            if key in ("properties", "$defs"):
                for one in each.values():
                    yield from found(one)
            elif isinstance(each, dict):
                yield from found(each)

    return set(found(product_schema()))


def test_the_sections_have_the_fields_of_the_schema():
    made = {
        (frozenset(section["properties"]), frozenset(section["required"])) for section in sections()["$defs"].values()
    }
    scores = (frozenset({"anomaly", "trust"}), frozenset())  # a mapping by name to the sections
    assert own_fields() - {scores} == made


def test_the_metrics_are_those_there_are():
    assert product_schema()["$defs"]["metric"]["enum"] == sorted(METRICS)


def test_what_the_sections_refuse_the_schema_refuses(validator):
    """Wrong types and enums, everywhere: msgspec's own verdict is never stricter than the schema's."""
    checked = 0
    for whole, paths in zip(DOCUMENTS, PLACES, strict=True):
        for path in paths[1::7]:
            for value in (None, "zz", -3, [], {}):
                changed = copy.deepcopy(whole)
                holder = changed
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = value
                try:
                    document.convert(settled(changed))
                except msgspec.ValidationError:
                    assert shape_faults(changed), (path, value)
                    checked += 1
    assert checked > 100
