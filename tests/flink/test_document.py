"""docs/flink.md shows the graph as it is."""

import re

from monsoon.pipelines import metrics
from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.topology import OPERATORS


def test_the_diagram_has_the_steps_and_what_each_sends_to(root):
    text = (root / "docs" / "flink.md").read_text()
    (diagram,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    drawn = set(re.findall(r"^ +([a-z-]+?)(?:\[[a-z-]+\])? --> ([a-z-]+)", diagram, re.MULTILINE))
    sent = {(Validate.uid, to) for to in Validate.to} | {(each.uid, to) for each in OPERATORS for to in each.to}
    assert drawn == sent | {("plan", "plan-parts"), ("plan-parts", Validate.uid)}
    assert all(name == label for name, label in re.findall(r"([a-z-]+)\[([a-z-]+)\]", diagram))


def test_the_metrics_named_are_reported_while_a_job_runs(root):
    text = (root / "docs" / "flink.md").read_text()
    section = text[text.index("## Logs and metrics") + 2 :].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", section))
    known = {metric.name for metric in metrics.METRICS}
    assert named <= known
    assert {metric.name for metric in metrics.METRICS if metric.while_running} <= named
