"""Alerts and panels ask for metrics that exist, say what promtool understands, and each alert has its page."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from kit.needs import need

from monsoon.pipelines.metrics import METRICS
from monsoon.pipelines.payments import metrics as payments

NAME = re.compile(r"\b(?:flink|monsoon_dispatcher)_[A-Za-z0-9_]+")

OF_FLINK = {
    "flink_jobmanager_numRunningJobs",
    "flink_jobmanager_job_numRestarts",
    "flink_jobmanager_job_uptime",
    "flink_jobmanager_job_lastCheckpointDuration",
    "flink_jobmanager_job_lastCheckpointFullSize",
    "flink_jobmanager_job_lastCheckpointSize",
    "flink_jobmanager_job_numberOfCompletedCheckpoints",
    "flink_jobmanager_job_numberOfFailedCheckpoints",
    "flink_jobmanager_job_totalNumberOfCheckpoints",
    "flink_taskmanager_Status_Flink_Memory_Managed_Total",
    "flink_taskmanager_Status_Flink_Memory_Managed_Used",
    "flink_taskmanager_Status_JVM_Memory_Heap_Max",
    "flink_taskmanager_Status_JVM_Memory_Heap_Used",
    "flink_taskmanager_job_task_backPressuredTimeMsPerSecond",
    "flink_taskmanager_job_task_busyTimeMsPerSecond",
    "flink_taskmanager_job_task_operator_currentInputWatermark",
    "flink_taskmanager_job_task_operator_pendingRecords",
}
"""Read off the Prometheus reporter of clusters of Flink 2.3.0 that ran the job on files and the live job on Kafka."""
OF_MONSOON = {
    "_".join(("flink_taskmanager_job_task_operator", *metric.labels, metric.name)): metric for metric in METRICS
}
"""As the same cluster's reporter named them: the groups `label.value` add the label's name, and a label."""


OF_PAYMENTS = {
    payments.PREFIX + metric.name + ("_total" if metric.kind == "counter" else ""): metric
    for metric in payments.METRICS
}
LABELS = {label for metric in (*OF_MONSOON.values(), *OF_PAYMENTS.values()) for label in metric.labels}


@pytest.fixture(scope="module")
def alerts(root):
    """By name."""
    rules = yaml.safe_load((root / "infra/prometheus/rules.yaml").read_text(encoding="utf-8"))
    found = [rule for group in rules["groups"] for rule in group["rules"]]
    by_name = {rule["alert"]: rule for rule in found}
    assert len(by_name) == len(found)
    return by_name


@pytest.fixture(scope="module")
def panels(root):
    board = json.loads((root / "infra/grafana/dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def queries(alerts, panels):
    """PromQL by where it stands."""
    found = {f"alert {name}": rule["expr"] for name, rule in alerts.items()}
    for panel in panels:
        found |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


@pytest.fixture(scope="module")
def promtool():
    need(shutil.which("promtool") is not None, "no promtool here: it comes with Debian's package prometheus")
    return "promtool"


def test_every_query_asks_for_metrics_that_exist(queries):
    # Some of METRICS are counted by a streaming job only as others, or in a replay's summary alone.
    reported = {name for name, metric in OF_MONSOON.items() if metric.while_running or metric.labels == ("stream",)}
    reported.add("flink_taskmanager_job_task_operator_product_claims_unscored")
    # `monsoon features consume` prints its own.
    reported -= {name for name, metric in OF_MONSOON.items() if metric.labels == ("store",)}
    known = OF_FLINK | reported | set(OF_PAYMENTS)
    wrong = [
        f"{where}: {name}" for where, query in queries.items() for name in NAME.findall(query) if name not in known
    ]
    assert wrong == []
    assert all(NAME.search(query) for query in queries.values())
    asked = {name for query in queries.values() for name in NAME.findall(query)}
    assert sorted(known - asked - {"flink_taskmanager_job_task_operator_stream_records_used"}) == []


def test_every_metric_of_payments_is_shown(panels):
    shown = {name for panel in panels for target in panel["targets"] for name in NAME.findall(target["expr"])}
    assert sorted(set(OF_PAYMENTS) - shown) == []


def test_alerts_of_the_dispatcher_are_of_a_job_that_is_scraped(root, alerts):
    configuration = yaml.safe_load((root / "infra/prometheus/prometheus.yaml").read_text(encoding="utf-8"))
    asked = {job for rule in alerts.values() for job in re.findall(r'\bjob="(\w+)"', rule["expr"])}
    assert asked == {"dispatcher"}
    assert asked <= {job["job_name"] for job in configuration["scrape_configs"]}


def test_labels_in_queries_are_those_of_the_metric(queries):
    for where, query in queries.items():
        for name, selector in re.findall(r"\b((?:flink|monsoon)_\w+)\{([^}]*)\}", query):
            labels = re.findall(r"(\w+)!?=~?", selector)
            assert set(labels) <= set((OF_MONSOON | OF_PAYMENTS)[name].labels), where
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            labels = {label.strip() for label in grouped.split(",")} & LABELS
            own = [each for name in NAME.findall(query) if (each := (OF_MONSOON | OF_PAYMENTS).get(name))]
            assert all(labels <= set(metric.labels) for metric in own), where


def test_panels_have_a_unit_a_legend_and_a_place_of_their_own(panels):
    places = {tuple(panel["gridPos"].values()) for panel in panels}
    assert len(places) == len(panels)
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_every_alert_has_a_section_of_the_runbook_and_every_section_an_alert(root, alerts):
    text = (root / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in re.split(r"^## ", text, flags=re.M)[1:]}
    assert list(sections) == list(alerts)
    for name, rule in alerts.items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert re.findall(r"^\*\*(\w+)\.\*\*", sections[name], re.M) == ["Meaning", "Look", "Do"], name
    linked = set(re.findall(r"\]\(#([a-z]+)\)", text))
    assert linked <= {name.lower() for name in alerts}


def test_rules_and_configuration_are_promtools(root, promtool):
    for words in (
        ("check", "rules", "infra/prometheus/rules.yaml"),
        ("check", "config", "--syntax-only", "infra/prometheus/prometheus.yaml"),
    ):
        done = subprocess.run([promtool, *words], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_are_raised_when_they_should_be(root, promtool, alerts):
    """tests/infra/rules_test.yaml has a case for each."""
    done = subprocess.run([promtool, "test", "rules", "rules_test.yaml"], cwd=root / "tests/infra", capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    cases = yaml.safe_load((root / "tests/infra/rules_test.yaml").read_text(encoding="utf-8"))["tests"]
    raised = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test["exp_alerts"]}
    assert raised == set(alerts)


def test_every_panels_query_is_promql(root, promtool, panels, tmp_path):
    """promtool checks queries as the expressions of recording rules."""
    rules = [
        {"record": f"panel:{number}:{target['refId']}", "expr": target["expr"]}
        for number, panel in enumerate(panels)
        for target in panel["targets"]
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
