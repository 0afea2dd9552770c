"""Two versions of a product at once: a claim is judged by the one in force when its disruption began."""

import pytest
from kit import at, update
from kit.rider import Always, Rider
from msgspec.structs import replace

from monsoon.sources.product_files import load_products
from monsoon.transforms.adjudication.scoring_schedule import rescore_delays_ms


@pytest.fixture
def nexora(root, tmp_path):
    """From 12:30 on rain pays Rs 450, a fresh score of 0.3 is a hold of an hour, and a day pays Rs 500 at most."""
    text = (root / "products" / "nexora.yaml").read_text()
    text = text.replace("400 * INR", "450 * INR")
    text = text.replace("  rules:\n", "  rules:\n    - {when: anomaly > 0.2, then: later}\n", 1)
    text += """  holds:
    later: {status: soft_hold, wait: 1 h, rules: [{when: anomaly > 0.2, then: manual_review}, {then: approve}]}
in_force_from: "2024-06-28T12:30:00+05:30"
caps:
  - {per: local_day, limit: 500 * INR}
"""
    (tmp_path / "later.yaml").write_text(text)
    return load_products(["nexora"], [tmp_path / "later.yaml"])["nexora"]


def rain(name, minutes, **fields):
    return update(name, minutes, "rain", level=None, **({"end_ms": at(minutes + 1)} | fields))


def test_each_pays_by_its_own_formula_and_says_which(nexora):
    rider = Rider(Always(), nexora).at(rain("old", 29)).at(rain("new", 30, peril="other"))
    assert rider.last("old")["payout_inr"] == 400
    assert rider.last("new")["payout_inr"] == 100, "what the older version paid counts under the newer one's cap"
    old, new = nexora.versions
    assert rider.last("old")["product_version"] == old.version != new.version == rider.last("new")["product_version"]


def test_each_decides_by_its_own_rules(nexora):
    rider = (
        Rider(Always(risk=0.3), nexora).at(rain("old", 29, at_ms=at(40))).at(rain("new", 45, peril="other")).finish()
    )
    assert rider.story("old") == ["approved"]
    assert rider.story("new") == ["soft_hold", "manual_review"]
    assert rescore_delays_ms(nexora) == {3_600_000}


def test_once_a_day_holds_across_versions(nexora):
    rider = Rider(Always(), nexora).at(rain("old", 29)).at(rain("new", 60))
    assert rider.end("new") == ("ineligible", ["duplicate"])


def test_a_correction_of_the_start_takes_the_other_version(nexora):
    opened = rain("new", 31, end_ms=None)
    rider = Rider(Always(risk=0.3), nexora).at(opened)
    earlier = rain("old", 29, at_ms=at(40))
    rider.at(replace(opened, at_ms=at(40), withdrawn=True), earlier)
    assert (rider.story("new"), rider.last("old")["payout_inr"]) == (["soft_hold", "withdrawn"], 400)
