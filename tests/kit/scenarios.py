"""A small scenario with every condition, replayed twice: as riders were asked, and with their answers."""

import json

from monsoon.pipelines.local.replay import replay
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.scenarios import answer_step_ups
from monsoon.sources.scenarios.conditions import CONDITIONS
from monsoon.sources.simulator.write import write_simulation

SEED = 5
COUNTS = {each.name: max(each.size, 3) for each in CONDITIONS if each.kind in ("honest", "way_in")} | {
    "ordinary": 12,
    "family_account": 2,
}
"""Riders of each condition: three, so that each tier is among them, or one group."""


class Replayed:
    """What two replays said: `unanswered` without answers and without what way 6 restates, `answered` with both."""

    def __init__(self, scenario, folder):
        self.folder, self.products, self.scorer = folder, load_products(), load_scorer()
        self.conditions = dict(scenario.labels.select("worker_id", "condition").iter_rows())
        write_simulation(lambda: scenario, folder / "in")
        policies = folder / "in/subscriptions/part-00000.jsonl"
        stated = policies.read_text()
        policies.write_text("".join(f"{line}\n" for line in stated.splitlines() if '"type":"upgraded"' not in line))
        _, self.unanswered = self.replay("unanswered")
        policies.write_text(stated)
        self.answers = answer_step_ups(folder / "in", self.unanswered)
        self.summary, self.answered = self.replay("answered")

    def replay(self, name, running=None, products=None):
        """The summary and all revisions of the claims, of the products that are running (none: all)."""
        products = products or self.products
        names = sorted(running or products)
        summary = replay(self.folder / "in", self.folder / name, products, names, self.scorer)
        lines = (self.folder / name / "claims/part-00000.jsonl").read_text().splitlines()
        return summary, [json.loads(line) for line in lines]

    def claims_of(self, condition, product, claims=None):
        """The last revisions of the claims of a condition's riders, of the answered replay unless others are given."""
        last = {}
        for claim in sorted(self.answered if claims is None else claims, key=lambda each: each["revision"]):
            if claim["product"] == product and self.conditions[claim["worker_id"]] == condition:
                last[claim["claim_id"]] = claim
        return list(last.values())
