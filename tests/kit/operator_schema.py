"""The schema of a FlinkDeployment, which is Flink's operator's and has Kubernetes's of a pod in it."""

from functools import cache

import yaml
from jsonschema import Draft7Validator

from kit.needs import need


def _strict(schema):
    """A schema of a custom resource as JSON Schema that refuses unknown fields, which Kubernetes would drop."""
    if not isinstance(schema, dict):
        return schema
    own = {name: _strict(each) for name, each in schema.items() if name not in ("properties", "items")}
    if schema.get("x-kubernetes-int-or-string"):
        own = {"type": ["integer", "string"]}
    if "items" in schema:
        own["items"] = _strict(schema["items"])
    if "properties" in schema:
        own["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            own.setdefault("additionalProperties", False)
    return own


@cache
def operator_schema(shared):
    """Of a whole FlinkDeployment, and its version."""
    file = shared / "schemas" / "flinkdeployment.crd.yaml"
    need(file.is_file(), f"no {file.name} here, the operator's schema of a FlinkDeployment")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    crd = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert crd["spec"]["names"]["kind"] == "FlinkDeployment"
    envelope = {name: {} for name in ("apiVersion", "kind", "metadata")}
    return _strict({**schema, "properties": {**schema["properties"], **envelope}}), version["name"]


def pod_template_schema(shared):
    """A validator of the template of a pod."""
    schema, _ = operator_schema(shared)
    return Draft7Validator(schema["properties"]["spec"]["properties"]["podTemplate"])
