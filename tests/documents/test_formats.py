"""The formats of files that people write: a model each, of which the schema in contracts/ is made, and one verdict."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from kit.odd_documents import changed

from monsoon.cli.main import main
from monsoon.cli.schema import schema_text
from monsoon.sources.file_formats import MODELS, schema_of
from monsoon.sources.plain_yaml import read_plain_yaml
from monsoon.transforms.documents import faults_of, with_integers

SHIPPED = {
    "dispatch": "infra/*.dispatch.yaml",
    "product": "products/*.yaml",
    "provider": "sources/providers/*.yaml",
    "settings": "infra/*settings.yaml",
    "storm": "storms/*.yaml",
}


@pytest.fixture(scope="module")
def documents(root):
    """By format: the documents of every file that comes with Monsoon."""
    return {
        name: [read_plain_yaml(path.read_bytes()).value for path in sorted(root.glob(pattern))]
        for name, pattern in SHIPPED.items()
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
    assert len(documents[name]) >= 2
    for document in documents[name]:
        assert list(validator(name).iter_errors(document)) == []
        assert faults_of(document, MODELS[name]) == []


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


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
def test_the_verdict_is_that_of_a_full_implementation_of_json_schema(documents, name, data):
    """And what has no fault is taken by msgspec: a model says the same to people, to editors and to the program."""
    document = changed(data.draw, data.draw(st.sampled_from(documents[name])), KEYS)
    faults = faults_of(document, MODELS[name])
    refused = next(validator(name).iter_errors(document), None) is not None
    assert bool(faults) == refused, faults
    if not faults:
        assert isinstance(msgspec.convert(with_integers(document), MODELS[name]), MODELS[name])
