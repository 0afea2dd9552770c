"""The deployment for Flink's operator for Kubernetes: of its schema, complete, and with the settings of the job."""

import re

import pytest
import yaml
from jsonschema import Draft7Validator
from kit.flink_settings import assert_streaming
from kit.operator_schema import operator_schema

from monsoon.pipelines.flink import live_job
from monsoon.sources.kafka.settings import parse_settings


@pytest.fixture(scope="module")
def deployment(yaml_of):
    (document,) = yaml_of("kubernetes/flinkdeployment.yaml")
    return document


@pytest.fixture(scope="module")
def flink(deployment):
    return deployment["spec"]["flinkConfiguration"]


@pytest.fixture(scope="module")
def settings(yaml_of):
    (config_map,) = yaml_of("kubernetes/settings.yaml")
    return parse_settings(config_map["data"]["settings.yaml"].encode(), where="settings.yaml")


@pytest.fixture(scope="module")
def validator(shared):
    schema, version = operator_schema(shared)
    return Draft7Validator(schema), version


def test_it_is_of_the_operators_schema(deployment, validator):
    checked, version = validator
    assert deployment["apiVersion"] == f"flink.apache.org/{version}"
    assert [f"{list(error.absolute_path)}: {error.message}" for error in checked.iter_errors(deployment)] == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("spec", "job", "upgradeMode"), "hopeful"),
        (("spec", "job", "paralelism"), 8),
        (("spec", "flinkVersion"), "v0_1"),
        (("spec", "podTemplate", "spec", "containers", 0, "volumeMounts", 0, "mountPth"), "/x"),
        (("spec", "taskManager", "resource", "cpu"), "many"),
    ],
)
def test_a_mistake_would_be_found(deployment, validator, where, value):
    changed = yaml.safe_load(yaml.safe_dump(deployment))
    inner = changed
    for name in where[:-1]:
        inner = inner[name]
    inner[where[-1]] = value
    assert not validator[0].is_valid(changed)


def test_the_job_is_the_live_job_with_its_settings(root, deployment, settings):
    job = deployment["spec"]["job"]
    arguments = job["args"]
    assert arguments[arguments.index("-pym") + 1] == live_job.__name__
    assert job["entryClass"] == "org.apache.flink.client.python.PythonDriver"
    pinned = re.search(r"^apache-flink==([\d.]+)$", (root / "constraints.txt").read_text(encoding="utf-8"), re.M)[1]
    assert job["jarURI"] == f"local:///opt/flink/opt/flink-python-{pinned}.jar"
    assert deployment["spec"]["flinkVersion"] == "v" + "_".join(pinned.split(".")[:2])
    version = re.search(r'version="([^"]+)"', (root / "setup.py").read_text(encoding="utf-8"))[1]
    assert deployment["spec"]["image"] == f"monsoon-job:{version}"
    # Part of the state: constant, whatever the parallelism becomes.
    assert settings.state.buckets == 8 * job["parallelism"]


def test_what_is_mounted_is_declared(deployment, settings, yaml_of):
    pod = deployment["spec"]["podTemplate"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounts.keys() == volumes.keys()
    arguments = deployment["spec"]["job"]["args"]
    assert mounts["settings"] == arguments[arguments.index("--settings") + 1]
    assert mounts["reference"] == settings.insurance.reference
    (config_map,) = yaml_of("kubernetes/settings.yaml")
    assert volumes["settings"]["configMap"]["name"] == config_map["metadata"]["name"]
    assert list(config_map["data"]) == [container["volumeMounts"][0]["subPath"]]
    (storage,) = yaml_of("kubernetes/storage.yaml")
    claims = {claim["metadata"]["name"]: claim for claim in storage["items"]}
    asked = {volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "configMap" not in volume}
    assert asked == claims.keys()
    assert claims["monsoon-state"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_it_survives_its_job_manager_and_is_upgraded_with_a_savepoint(deployment, flink, settings):
    assert deployment["spec"]["job"]["upgradeMode"] == "savepoint"
    assert flink["high-availability.type"] == "kubernetes"
    state = next(
        mount["mountPath"]
        for mount in deployment["spec"]["podTemplate"]["spec"]["containers"][0]["volumeMounts"]
        if mount["name"] == "state"
    )
    for name in (
        *("high-availability.storageDir", "execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"),
    ):
        assert flink[name].startswith(f"file://{state}/"), name
    interval_ms = int(flink["execution.checkpointing.interval"].removesuffix(" ms"))
    assert settings.kafka.transaction_timeout_s * 1_000 > 2 * interval_ms


def test_flinks_settings_are_those_of_a_streaming_job(deployment, flink):
    slots = int(flink["taskmanager.numberOfTaskSlots"])
    assert_streaming(flink, parallelism=slots)
    assert deployment["spec"]["job"]["parallelism"] % slots == 0
    assert slots == deployment["spec"]["taskManager"]["resource"]["cpu"]
    ports = deployment["spec"]["podTemplate"]["spec"]["containers"][0]["ports"]
    assert [port["containerPort"] for port in ports] == [int(flink["metrics.reporter.prom.port"])]


def test_memory_is_what_the_comment_says(root, deployment, flink):
    """Flink 2.3 itself divides 13 GB so: 8.813 GB of managed memory."""
    text = (root / "infra/kubernetes/flinkdeployment.yaml").read_text(encoding="utf-8")
    gib = int(deployment["spec"]["taskManager"]["resource"]["memory"].removesuffix("g"))
    metaspace, overhead = 0.25, 1.0
    managed = (gib - metaspace - overhead) * float(flink["taskmanager.memory.managed.fraction"])
    assert f"({managed:.1f} GiB) seven tenths" in text
    weights = dict(pair.split(":") for pair in flink["taskmanager.memory.managed.consumer-weights"].split(","))
    python = managed * int(weights["PYTHON"]) / sum(map(int, weights.values()))
    riders, rider_kb, task_managers = 20_000, 577, 2
    assert python * 2**30 > riders * rider_kb * 1_000 / task_managers
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert f"| {rider_kb} KB (" in readme, "the comment's figure is no longer the README's"
