"""The testing kit for authors of products: what is scripted is what is decided."""

import doctest
import re
from pathlib import Path

import pytest

from monsoon.sources.product_files import load_products
from monsoon.testing import Clock, Scenario, clock
from monsoon.transforms.product import ProductError

CYCLONE = Path(__file__).parent.parent / "products" / "cyclone.yaml"


def test_the_clock_says_what_its_docstring_says():
    assert doctest.testmod(clock).failed == 0


@pytest.mark.parametrize("wrong", ["soon", "1 h 30", "2 hours"])
def test_a_clock_goes_on_by_durations_alone(wrong):
    with pytest.raises(ValueError, match="is not a whole number and a unit"):
        Clock().advance(wrong)


def curfew(minutes=60, **options):
    """Kawaach: a curfew of an hour, and a rider who works through it."""
    storm = Scenario(load_products(["kawaach"])["kawaach"], **options)
    storm.policy("asha", plan="standard", daily_wage_inr=800)
    for _ in storm.clock.every("5 min", times=minutes // 5):
        storm.reading("imd", "curfew", 1)
        storm.report("asha")
    storm.reading("imd", "curfew", 0)
    return storm


def test_a_claim_is_what_the_product_says():
    result = curfew().play()
    assert result.refused == []
    assert (result.claim("asha")["status"], result.paid_inr("asha")) == ("approved", 600)
    assert result.statuses("asha") == ["approved"]
    assert [each["trigger"] for each in result.disruptions if each["revision"] == 0] == ["curfew"]


@pytest.mark.parametrize(
    ("scores", "story", "paid"),
    [
        ((0.1,), ["approved"], 600),
        ((0.5, 0.1), ["soft_hold", "approved"], 600),
        ((0.5, 0.5), ["soft_hold", "step_up", "manual_review"], 0),
        ((0.9,), ["step_up", "manual_review"], 0),
        ((None,), ["approved"], 600),
    ],
)
def test_scripted_scores_lead_where_the_rules_say(scores, story, paid):
    storm = curfew()
    storm.score("asha", *scores)
    result = storm.play()
    assert (result.statuses("asha", "curfew"), result.paid_inr("asha")) == (story, paid)


def test_a_record_that_is_none_is_refused_with_its_reason():
    storm = curfew()
    storm.report("asha", lat=91.0)
    storm.policy("ravi", plan="gold")
    assert sorted(each["reason"] for each in storm.play().refused) == ["out_of_range:lat", "unknown_plan"]


def test_who_has_no_claim_or_several_is_told_of_those_there_are():
    result = curfew().play()
    with pytest.raises(LookupError, match="0 claims of ravi; claims there are: asha approved"):
        result.claim("ravi")
    with pytest.raises(LookupError, match="0 claims of asha by rain"):
        result.claim("asha", "rain")


def test_a_scenario_takes_the_path_of_a_file(tmp_path):
    assert Scenario(CYCLONE).play().claims == []
    (tmp_path / "x.yaml").write_text("name: x\n")
    with pytest.raises(ProductError, match="missing"):
        Scenario(tmp_path / "x.yaml")


def test_the_same_scenario_twice_comes_to_the_same():
    assert curfew().play() == curfew().play()


def test_the_page_shows_a_test_that_passes(root, tmp_path, monkeypatch):
    """docs/products.md, "Testing a product": its example is run as it stands, on the product of the same page."""
    page = (root / "docs" / "products.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cyclone.yaml").write_bytes(CYCLONE.read_bytes())
    found = {}
    exec(compile(example, "docs/products.md", "exec"), found)
    tests = [each for name, each in found.items() if name.startswith("test_")]
    assert len(tests) >= 2
    for each in tests:
        each()
