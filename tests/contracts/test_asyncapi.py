"""contracts/asyncapi.yaml has the form of AsyncAPI 3.0, leads somewhere, and says what contracts/topics.py says.

The file was also held to the specification's own JSON Schema, which no Python package brings (npm: @asyncapi/specs).
"""

import json
import re

import pytest
import yaml
from jsonschema import Draft7Validator

from monsoon.contracts.topics import TOPICS

STRING, NUMBER = {"type": "string", "minLength": 1}, {"type": "integer"}


def section(required, **properties):
    """An object of these properties and no others."""
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def reference(pattern):
    return section(["$ref"], **{"$ref": {"type": "string", "pattern": pattern}})


def by_name(value):
    return {"type": "object", "minProperties": 1, "additionalProperties": value}


BINDING_VERSION = {"const": "0.5.0"}
CHANNEL_BINDING = section(
    ["partitions", "topicConfiguration", "bindingVersion"],
    partitions=NUMBER | {"minimum": 1},
    topicConfiguration=section(
        ["cleanup.policy", "retention.ms"],
        **{
            "cleanup.policy": {"type": "array", "items": {"enum": ["delete", "compact"]}, "minItems": 1},
            "retention.ms": NUMBER | {"minimum": -1},
        },
    ),
    bindingVersion=BINDING_VERSION,
)
MESSAGE_BINDING = section(
    ["key", "bindingVersion"],
    key=section(["type", "description"], type={"const": "string"}, description=STRING),
    bindingVersion=BINDING_VERSION,
)
FORM = section(
    ["asyncapi", "info", "defaultContentType", "servers", "channels", "operations", "components"],
    asyncapi={"const": "3.0.0"},
    info=section(
        ["title", "version"],
        title=STRING,
        version=STRING,
        description=STRING,
        license=section(["name"], name=STRING),
    ),
    defaultContentType={"const": "application/json"},
    servers=by_name(
        section(
            ["host", "protocol"],
            host=STRING,
            protocol={"const": "kafka"},
            description=STRING,
            variables=by_name(section(["default"], default=STRING)),
        )
    ),
    channels=by_name(
        section(
            ["address", "description", "servers", "messages", "bindings"],
            address=STRING,
            description=STRING,
            servers={"type": "array", "items": reference("^#/servers/"), "minItems": 1},
            messages=by_name(reference("^#/components/messages/")),
            bindings=section(["kafka"], kafka=CHANNEL_BINDING),
        )
    ),
    operations=by_name(
        section(["action", "channel"], action={"enum": ["send", "receive"]}, channel=reference("^#/channels/"))
    ),
    components=section(
        ["messages"],
        messages=by_name(
            section(
                ["name", "contentType", "payload", "bindings"],
                name=STRING,
                contentType={"const": "application/json"},
                description=STRING,
                payload={
                    "oneOf": [
                        reference(r"^\./[a-z_]+\.schema\.json$"),
                        section(["type"], type={"const": "object"}),
                    ]
                },
                bindings=section(["kafka"], kafka=MESSAGE_BINDING),
            )
        ),
    ),
)
"""The objects of AsyncAPI 3.0 that the file uses, with the fields that it may use of them."""


@pytest.fixture(scope="module")
def document(root):
    return yaml.safe_load((root / "contracts" / "asyncapi.yaml").read_text(encoding="utf-8"))


def resolved(document, ref):
    assert ref.startswith("#/")
    for name in ref[2:].split("/"):
        document = document[name]
    return document


def references(value):
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "$ref":
                yield each
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_it_has_the_form_of_the_specification(document):
    Draft7Validator.check_schema(FORM)
    assert [error.message for error in Draft7Validator(FORM).iter_errors(document)] == []
    for server in document["servers"].values():
        assert set(re.findall(r"\{(\w+)\}", server["host"])) == set(server["variables"])


def test_every_reference_leads_somewhere(root, document):
    for ref in references(document):
        if ref.startswith("./"):
            # The default schema format of AsyncAPI is draft 7, which the contracts keep to.
            Draft7Validator.check_schema(json.loads((root / "contracts" / ref).read_text(encoding="utf-8")))
        else:
            resolved(document, ref)


def test_channels_are_the_topics(document):
    assert list(document["channels"]) == list(TOPICS)
    for stream, channel in document["channels"].items():
        topic, kafka = TOPICS[stream], channel["bindings"]["kafka"]
        assert channel["address"] == stream
        assert channel["description"].lower() == f"{topic.content.lower()}."
        assert kafka["partitions"] == topic.partitions
        told = kafka["topicConfiguration"]
        assert told["cleanup.policy"] == topic.configuration["cleanup.policy"].split(",")
        assert told["retention.ms"] == topic.retention_ms
        (ref,) = references(channel["messages"])
        message = resolved(document, ref)
        assert message["bindings"]["kafka"]["key"]["description"] == topic.key
        contract = topic.contract and f"./{topic.contract}.schema.json"
        assert message["payload"].get("$ref") == contract
        assert message["name"] == (topic.contract or {"accounts": "account"}[stream])
    assert len(document["components"]["messages"]) == len(TOPICS)


def test_the_job_sends_results_and_receives_the_rest(document):
    told = {
        operation["channel"]["$ref"].removeprefix("#/channels/"): operation["action"]
        for operation in document["operations"].values()
    }
    assert told == {
        stream: "send" if topic.direction in ("out", "accounts", "features") else "receive"
        for stream, topic in TOPICS.items()
        if topic.direction != "payments"
    }
    assert len(document["operations"]) == len(told)


def test_it_is_of_this_release(root, document):
    version = re.search(r'version="([^"]+)"', (root / "setup.py").read_text(encoding="utf-8"))
    assert document["info"]["version"] == version[1]
