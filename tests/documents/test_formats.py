"""The formats of files that people write: a model each, of which the schema in contracts/ is made, and one verdict."""

import copy
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monsoon.cli.main import main
from monsoon.cli.schema import schema_text
from monsoon.sources.file_formats import MODELS, schema_of
from monsoon.sources.plain_yaml import read_plain_yaml
from monsoon.transforms.documents import faults_of, settled

SHIPPED = {"product": "products", "provider": "sources/providers", "storm": "storms"}


@pytest.fixture(scope="module")
def documents(root):
    """By format: the documents of every file that comes with Monsoon."""
    return {
        name: [read_plain_yaml(path.read_bytes()).value for path in sorted((root / folder).glob("*.yaml"))]
        for name, folder in SHIPPED.items()
    }


def validator(name):
    return Draft202012Validator(schema_of(name), format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("name", MODELS)
def test_the_file_in_contracts_is_made_of_the_model(root, name):
    kept = (root / "contracts" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert kept == schema_text(name), "run: ./monsoon schema --write contracts"
    Draft202012Validator.check_schema(json.loads(kept))


def test_the_command_writes_and_prints_them(root, tmp_path, capsys):
    assert main(["schema", "--write", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.schema.json" for name in MODELS}
    assert main(["schema", "storm"]) == 0
    assert capsys.readouterr().out == (tmp_path / "storm.schema.json").read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main(["schema"])


@pytest.mark.parametrize("name", MODELS)
def test_every_pattern_has_words(name):
    def patterns(value):
        if isinstance(value, dict):
            if isinstance(value.get("pattern"), str) and "errorMessage" in value:
                yield value["errorMessage"].get("pattern")
            elif isinstance(value.get("pattern"), str):
                yield None
            for key, each in value.items():
                if key != "errorMessage":
                    yield from patterns(each)
        elif isinstance(value, list):
            for each in value:
                yield from patterns(each)

    assert None not in list(patterns(schema_of(name)))


@pytest.mark.parametrize("name", MODELS)
def test_the_files_that_come_with_monsoon_are_of_their_format(documents, name):
    assert len(documents[name]) >= 5
    for document in documents[name]:
        assert list(validator(name).iter_errors(document)) == []
        assert faults_of(document, MODELS[name]) == []


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
    "2024-06-28 08:30",
    "2024-06-28",
    "rain_total",
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
KEYS = [
    "zz",
    "name",
    "levels",
    "kind",
    "points",
    "scale",
    "breach",
    "model",
    "formula",
    "quality",
    "in_force_from",
    "when",
    "share",
    "A b",
]


def places(value, path=()):
    """Every path of a document, its own included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def changed(data, document):
    """A document with one to three values replaced, removed or added."""
    found, paths = copy.deepcopy(document), list(places(document))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths))
        value, action = (
            copy.deepcopy(data.draw(st.sampled_from(ODD))),
            data.draw(st.sampled_from(["put", "remove", "add"])),
        )
        if not path:
            found = value if action == "put" and data.draw(st.booleans()) else found
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
                holder[path[-1]][data.draw(st.sampled_from(KEYS))] = value
            elif isinstance(holder[path[-1]], list):
                holder[path[-1]].append(value)
        except (KeyError, IndexError, TypeError):
            continue
    return found


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
def test_the_verdict_is_that_of_a_full_implementation_of_json_schema(documents, name, data):
    """And what has no fault is taken by msgspec: a model says the same to people, to editors and to the program."""
    document = changed(data, data.draw(st.sampled_from(documents[name])))
    faults = faults_of(document, MODELS[name])
    refused = next(validator(name).iter_errors(document), None) is not None
    assert bool(faults) == refused, faults
    if not faults:
        assert isinstance(msgspec.convert(settled(document), MODELS[name]), MODELS[name])
