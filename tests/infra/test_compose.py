"""compose.yaml: images that Dockerfiles give, files that are there, ports that somebody listens on."""

import json
import re

import pytest
import yaml
from kit.command_words import parse

from monsoon.pipelines.flink import live_job
from monsoon.sources.dispatch_settings import DISPATCH_FILES
from monsoon.sources.kafka import create_topics
from monsoon.sources.kafka.settings import parse_settings

FOREIGN = {"apache/kafka", "grafana/grafana", "postgres", "prom/prometheus", "redis"}
SERVICE_KEYS = {
    *("image", "build", "command", "entrypoint", "environment", "ports", "volumes", "depends_on", "healthcheck"),
    *("network_mode", "networks", "profiles"),
}


DISPATCHERS = ("dispatcher-1", "dispatcher-2")


def option(words, name):
    return words[words.index(name) + 1]


@pytest.fixture(scope="module")
def compose(yaml_of):
    (document,) = yaml_of("compose.yaml")
    return document


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def exposed(dockerfiles, image):
    return {int(port) for step in dockerfiles[image] if step.name == "EXPOSE" for port in step.words.split()}


def test_keys_are_known(compose, services):
    assert set(compose) == {"name", "services", "volumes"}
    for name, service in services.items():
        assert set(service) <= SERVICE_KEYS, name
    assert set(services) == {
        *("broker", "topics", "jobmanager", "taskmanager", "job", "prometheus", "grafana"),
        *("ledger", "ledger-schema", "provider", "dispatcher-1", "dispatcher-2", "redis", "features"),
    }


def test_images_are_ours_of_this_release_or_pinned(root, services, dockerfiles):
    version = re.search(r'version="([^"]+)"', (root / "setup.py").read_text(encoding="utf-8"))[1]
    for name, service in services.items():
        image, tag = service["image"].split(":")
        if image in FOREIGN:
            assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag), name
            assert "build" not in service
            continue
        assert image in dockerfiles, name
        assert tag == version
        file = service["build"]["dockerfile"]
        assert f"monsoon-{file.rpartition('.')[2]}" == image
        text = (root / file).read_text(encoding="utf-8")
        assert f"docker build --file {file} --tag {image}:{version} ." in text
        assert (root / "infra" / service["build"]["context"]).resolve() == root


def test_the_broker_is_the_one_that_tests_run(root, services):
    pom = (root / "infra" / "jars" / "pom.xml").read_text(encoding="utf-8")
    version = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)<", pom)[1]
    assert services["broker"]["image"] == f"apache/kafka:{version}"


def test_volumes_are_named_or_files_of_the_checkout(root, compose, services):
    used = set()
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source, target = volume.split(":")[:2]
            assert target.startswith("/"), name
            if source.startswith("./"):
                assert (root / "infra" / source).is_file(), source
                assert volume.endswith(":ro")
            else:
                used.add(source)
    assert used == set(compose["volumes"])


def test_ports_are_of_this_machine_and_of_what_the_images_expose(services, dockerfiles):
    published = []
    for name, service in services.items():
        for port in service.get("ports", ()):
            host, outside, inside = port.split(":")
            assert host == "127.0.0.1", f"{name} would be open to the network"
            published.append(outside)
            if service["image"].split(":")[0] in dockerfiles:
                assert int(inside) in exposed(dockerfiles, service["image"].split(":")[0])
    assert len(set(published)) == len(published)
    # The one for clients outside is a listener of its own, which advertises this machine.
    environment = services["broker"]["environment"]
    assert "OUTSIDE://localhost:19092" in environment["KAFKA_ADVERTISED_LISTENERS"]
    assert "OUTSIDE://:19092" in environment["KAFKA_LISTENERS"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_services_wait_for_services_that_tell(services):
    for name, service in services.items():
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services), name
        for other, how in needed.items() if isinstance(needed, dict) else ():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other], f"{name} needs {other}"


def test_addresses_inside_are_services(root, services, dockerfiles, yaml_of):
    (flink,) = yaml_of("docker/config.yaml")
    assert flink["jobmanager.rpc.address"] == flink["rest.address"] == "jobmanager"
    assert "jobmanager" in services
    metrics_port = int(flink["metrics.reporter.prom.port"])
    assert metrics_port in exposed(dockerfiles, "monsoon-job")
    assert int(flink["blob.server.port"]) in exposed(dockerfiles, "monsoon-job")
    (prometheus,) = yaml_of("prometheus/prometheus.yaml")
    jobs = {job["job_name"]: job for job in prometheus["scrape_configs"]}
    targets = [target for each in jobs["flink"]["static_configs"] for target in each["targets"]]
    assert sorted(targets) == [f"jobmanager:{metrics_port}", f"taskmanager:{metrics_port}"]
    ports = [int(option(services[name]["command"], "--metrics-port")) for name in DISPATCHERS]
    (targets,) = jobs["dispatcher"]["static_configs"]
    assert targets["targets"] == [f"dispatcher:{port}" for port in ports]
    assert services["provider"]["networks"]["default"]["aliases"] == ["dispatcher"]
    assert set(ports) <= exposed(dockerfiles, "monsoon-tools")
    (sources,) = yaml_of("grafana/datasources.yaml")
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    mounted = {volume.split(":")[0]: volume.split(":")[1] for volume in services["prometheus"]["volumes"]}
    assert prometheus["rule_files"] == [mounted["./prometheus/rules.yaml"]]
    (providers,) = yaml_of("grafana/dashboards.yaml")
    boards = [
        volume.split(":")[1]
        for volume in services["grafana"]["volumes"]
        if volume.startswith("./grafana/dashboard.json")
    ]
    assert boards[0].startswith(providers["providers"][0]["options"]["path"])
    json.loads((root / "infra/grafana/dashboard.json").read_text(encoding="utf-8"))


def test_the_job_is_submitted_with_settings_that_can_be_used(root, services):
    content = (root / "infra" / "compose.settings.yaml").read_bytes()
    settings = parse_settings(content, where="compose.settings.yaml")
    listener = re.search(r"INSIDE://([^,]+)", services["broker"]["environment"]["KAFKA_ADVERTISED_LISTENERS"])[1]
    assert settings.kafka.brokers == listener
    assert services["topics"]["command"] == ["--brokers", listener]
    assert services["topics"]["entrypoint"][-1] == create_topics.__name__
    command = services["job"]["command"]
    assert command[:2] == ["flink", "run"]
    assert command[command.index("-pym") + 1] == live_job.__name__
    where = command[command.index("--settings") + 1]
    for service in ("job", "taskmanager"):
        assert f"./compose.settings.yaml:{where}:ro" in services[service]["volumes"]
        assert f"reference:{settings.insurance.reference}:ro" in services[service]["volumes"]
    limit_ms = services["broker"]["environment"]["KAFKA_TRANSACTION_MAX_TIMEOUT_MS"]
    assert settings.kafka.transaction_timeout_s * 1_000 <= limit_ms


def test_commands_of_monsoon_are_those_it_has(services):
    for name, service in services.items():
        if service["image"].startswith("monsoon-tools") and "entrypoint" not in service:
            assert parse(service["command"]).command == service["command"][0], name


def test_dispatchers_pay_through_the_simulator_as_if_on_its_machine(root, services):
    """Settings refuse a provider elsewhere without TLS, and secrets that all know."""
    provider = parse(services["provider"]["command"])
    content = (root / "infra" / "compose.dispatch.yaml").read_bytes()
    settings = DISPATCH_FILES.parse(content, where="compose.dispatch.yaml")
    assert settings.provider.url == f"http://127.0.0.1:{provider.port}"
    assert settings.kafka.brokers == services["topics"]["command"][1]
    listening = []
    for name in DISPATCHERS:
        service, args = services[name], parse(services[name]["command"])
        assert service["network_mode"] == "service:provider"
        assert service["volumes"] == [f"./compose.dispatch.yaml:{args.settings}:ro"]
        listening += [port for port in (args.webhook_port, args.metrics_port) if port]
    assert provider.webhooks == f"http://127.0.0.1:{listening[0]}/webhooks"
    assert len({provider.port, *listening}) == 4, "they share the ports of one network"


def test_passwords_are_of_the_environment(services):
    variables = {}
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            assert "SECRET" not in key, name
            if "PASSWORD" in key:
                variables[name, key] = re.fullmatch(r"\$\{(\w+):\?[^}]+\}", value)[1]
            else:
                assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{name} has a password in {key}"
    owner, dispatcher = "MONSOON_LEDGER_PASSWORD", "MONSOON_DISPATCHER_PASSWORD"
    assert variables == {
        ("ledger", "POSTGRES_PASSWORD"): owner,
        ("ledger", "DISPATCHER_PASSWORD"): dispatcher,
        ("ledger-schema", "PGPASSWORD"): owner,
        ("dispatcher-1", "PGPASSWORD"): dispatcher,
        ("dispatcher-2", "PGPASSWORD"): dispatcher,
    }
    made = services["ledger"]["environment"]
    for name, user in (("ledger-schema", made["POSTGRES_USER"]), *((each, "dispatcher") for each in DISPATCHERS)):
        address = f"postgresql://{user}@ledger/{made['POSTGRES_DB']}"
        assert services[name]["environment"]["MONSOON_LEDGER"] == address


def test_features_go_from_the_topic_to_redis_if_asked_for(services):
    args = parse(services["features"]["command"])
    assert (args.verb, args.follow, args.redis) == ("consume", True, "redis://redis:6379/0")
    assert args.brokers == services["topics"]["command"][1]
    assert {name for name, service in services.items() if "profiles" in service} == {"redis", "features"}
    assert services["redis"]["profiles"] == services["features"]["profiles"] == ["features"]


def test_state_is_where_every_part_of_flink_sees_it(services, yaml_of):
    (flink,) = yaml_of("docker/config.yaml")
    for name in ("jobmanager", "taskmanager"):
        assert "state:/opt/monsoon/state" in services[name]["volumes"]
    assert flink["execution.checkpointing.dir"].startswith("file:///opt/monsoon/state/")
    assert yaml.safe_load(services["taskmanager"]["command"][1].partition("=")[2]) == "taskmanager"
