"""The types of records are those of the contracts."""

import json
import subprocess
import sys
import types
import typing

import msgspec
import pytest
from kit.hostile import HOSTILE
from kit.reserves import RESERVES
from kit.streams import small_storm, write_lines, write_streams

from monsoon.cli.main import main
from monsoon.client import RECORD_TYPES, GuardSignal, Reread, RingEvidence, Signal
from monsoon.contracts.topics import RESULT_TOPICS

SCALARS = {"string": str, "integer": int, "number": float, "boolean": bool}


def expected_type(schema):
    """The type of a property, without null."""
    if "const" in schema:
        return typing.Literal[schema["const"]]
    if "enum" in schema:
        return typing.Literal[tuple(each for each in schema["enum"] if each is not None)]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = (each for each in kinds if each != "null")
    if kind == "array":
        items = schema["items"]
        return types.GenericAlias(list, (nested_type(items) if "properties" in items else expected_type(items),))
    if kind == "object" and "properties" in schema:
        return nested_type(schema)
    if kind == "object":
        values = schema.get("additionalProperties")
        return dict[str, _nullable(values) if values else typing.Any]
    return SCALARS[kind]


def nested_type(schema):
    """The type of an object with these properties."""
    if "outcome" in schema["properties"]:
        return Reread
    if "weight" in schema["properties"]:
        return RingEvidence
    return GuardSignal if "feature" in schema["properties"] else Signal


def _nullable(schema):
    expected = expected_type(schema)
    return expected | None if "null" in schema.get("type", ()) else expected


def agree(kind, schema):
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    assert list(fields) == list(schema["properties"])
    for name, prop in schema["properties"].items():
        required = name in schema["required"]
        assert fields[name].required == required, name
        expected = expected_type(prop)
        optional = not required or "null" in prop.get("type", ())
        assert hints[name] == (expected | None if optional else expected), name


@pytest.mark.parametrize("topic", RESULT_TOPICS, ids=lambda topic: topic.stream)
def test_fields_are_those_of_the_contract(root, topic):
    schema = json.loads((root / "contracts" / f"{topic.contract}.schema.json").read_text(encoding="utf-8"))
    agree(RECORD_TYPES[topic.stream], schema)
    for prop in schema["properties"].values():
        for nested in (prop, prop.get("items", {})):
            if "properties" in nested:
                agree(nested_type(nested), nested)


def test_every_stream_of_results_has_a_type():
    assert RECORD_TYPES.keys() == {topic.stream for topic in RESULT_TOPICS}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The output folder of a replay with a record of most kinds."""
    source, output = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    write_streams(source, small_storm())
    (source / "telemetry" / "hostile.jsonl").write_text("\n".join(HOSTILE["telemetry"]))
    write_lines(source, "reserves", [json.dumps(reserve) for reserve in RESERVES])
    assert main(["replay", "--input", str(source), "--output", str(output / "replay")]) == 0
    return output / "replay"


def test_records_of_a_replay_are_read_whole(outputs):
    """Each becomes its type, which written again has the same values."""
    met = {}
    for stream, kind in RECORD_TYPES.items():
        if not (outputs / stream).exists():  # of no replay
            continue
        for line in (outputs / stream / "part-00000.jsonl").read_bytes().splitlines():
            written = msgspec.to_builtins(msgspec.json.decode(line, type=kind))
            assert {name: written[name] for name in json.loads(line)} == json.loads(line)
            met[stream] = met.get(stream, 0) + 1
    assert met.keys() >= {"disruptions", "claims", "payouts", "notifications", "reserve_alerts", "dead_letters"}


def test_a_service_needs_nothing_of_the_engines():
    heavy = ("h3", "h3ronpy", "numpy", "onnxruntime", "polars", "pyflink", "shapely", "yaml")
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({heavy!r}))\n"
        "import monsoon.client\n"
        "print(sorted({name.split('.')[1] for name in sys.modules if name.startswith('monsoon.')}))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout == "['client', 'contracts']\n"


def test_without_kafka_python_it_says_what_to_install():
    program = "import sys; sys.modules['kafka'] = None; import monsoon.client"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 1
    assert "pip install 'monsoon[kafka]'" in loaded.stderr.splitlines()[-1]
