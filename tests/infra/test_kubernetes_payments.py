"""Ledger, dispatcher and features on Kubernetes: complete, with settings that can be used, and secrets that are none of
the files'."""

import re

import pytest
from kit.command_words import parse
from kit.operator_schema import pod_template_schema

from monsoon.sources.dispatch_settings import DISPATCH_FILES

FILES = ("kubernetes/ledger.yaml", "kubernetes/dispatcher.yaml", "kubernetes/features/features.yaml")


@pytest.fixture(scope="module")
def items(yaml_of):
    """By kind and name."""
    found = [item for file in FILES for document in yaml_of(file) for item in document["items"]]
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in found}
    assert len(by_name) == len(found)
    return by_name


@pytest.fixture(scope="module")
def pods(items):
    """The templates of pods, by name of what makes them."""
    return {name: item["spec"]["template"] for (_, name), item in items.items() if "template" in item.get("spec", {})}


@pytest.fixture(scope="module")
def containers(pods):
    return {name: container for name, pod in pods.items() for container in pod["spec"]["containers"]}


def environment(container):
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", ())}


def test_pods_are_of_the_schema(pods, shared):
    """That of a pod in the operator's FlinkDeployment, which refuses fields that Kubernetes would drop."""
    checked = pod_template_schema(shared)
    for name, pod in pods.items():
        assert [f"{list(error.absolute_path)}: {error.message}" for error in checked.iter_errors(pod)] == [], name
    changed = {**pods["monsoon-dispatcher"], "spec": {"containers": [], "terminationGraceSeconds": 1}}
    assert not checked.is_valid(changed)


def test_images_are_those_of_compose(root, containers, yaml_of):
    (compose,) = yaml_of("compose.yaml")
    known = {service["image"] for service in compose["services"].values()}
    assert {container["image"] for container in containers.values()} <= known


def test_what_selects_pods_finds_them(items, pods):
    for (kind, name), item in items.items():
        labels = item["spec"].get("selector", {}) if kind not in ("ConfigMap", "Job") else {}
        labels = labels.get("matchLabels", labels)
        if labels:
            found = [pod for pod in pods.values() if labels.items() <= pod["metadata"]["labels"].items()]
            assert len(found) == 1, name
            if kind == "Service":
                (container,) = found[0]["spec"]["containers"]
                ports = {each["containerPort"] for each in container["ports"]}
                assert {each["port"] for each in item["spec"]["ports"]} <= ports, name


def test_what_is_mounted_is_declared(items, pods):
    for name, pod in pods.items():
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        claims = items.get(("StatefulSet", name), {}).get("spec", {}).get("volumeClaimTemplates", ())
        volumes |= {claim["metadata"]["name"] for claim in claims}
        (container,) = pod["spec"]["containers"]
        assert {mount["name"] for mount in container.get("volumeMounts", ())} == volumes, name
        for volume in pod["spec"].get("volumes", ()):
            assert ("ConfigMap", volume["configMap"]["name"]) in items


def test_nothing_runs_as_root(pods):
    assert all(pod["spec"]["securityContext"]["runAsNonRoot"] for pod in pods.values())


def test_two_dispatchers_with_settings_that_can_be_used(items, containers):
    deployment, container = items["Deployment", "monsoon-dispatcher"], containers["monsoon-dispatcher"]
    assert deployment["spec"]["replicas"] == 2
    args = parse(container["args"])
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == str(args.settings)
    content = items["ConfigMap", "monsoon-dispatch"]["data"][mount["subPath"]]
    settings = DISPATCH_FILES.parse(content.encode(), where=mount["subPath"])
    assert settings.instance.webhook_host == "0.0.0.0", "the Service would not reach it"
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"webhooks": settings.instance.webhook_port, "metrics": settings.instance.metrics_port}
    assert settings.limits.hour_inr is not None


def test_commands_of_monsoon_are_those_it_has(containers):
    ours = {name: each["args"] for name, each in containers.items() if each["image"].startswith("monsoon-tools")}
    assert {parse(words).command for words in ours.values()} == {"ledger", "dispatch", "features"}


def test_secrets_are_references(containers, root):
    page = (root / "docs/deployment.md").read_text(encoding="utf-8")
    for name, container in containers.items():
        for variable, value in environment(container).items():
            if re.search("PASSWORD|SECRET|KEY", variable):
                reference = value["secretKeyRef"]
                assert re.search(rf"secret generic {reference['name']} .*--from-\S+={reference['key']}\b", page), name
            else:
                assert not re.search(r"://[^/@]*:[^/@]*@", value), f"{name} has a password in {variable}"


def test_who_makes_the_ledger_is_another_than_who_pays(containers):
    made = environment(containers["monsoon-ledger"])
    for name, user, key in (
        ("monsoon-ledger-schema", made["POSTGRES_USER"], "owner"),
        ("monsoon-dispatcher", "dispatcher", "dispatcher"),
    ):
        found = environment(containers[name])
        assert found["MONSOON_LEDGER"] == f"postgresql://{user}@monsoon-ledger/{made['POSTGRES_DB']}"
        assert found["PGPASSWORD"]["secretKeyRef"] == {"name": "monsoon-ledger", "key": key}


def test_logins_are_those_of_compose(items, root):
    """Tests of tests/infra/test_ledger_logins.py run that file."""
    text = (root / "infra/postgres/logins.sql").read_text(encoding="utf-8")
    assert items["ConfigMap", "monsoon-ledger-logins"]["data"] == {"logins.sql": text}
