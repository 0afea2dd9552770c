"""Product files: what they say, and what is said of a broken one."""

import copy

import pytest
import yaml

from monsoon.sources.product_files import available_products, load_products
from monsoon.transforms.product import Comparison, ProductError, content_version, duration_ms, parse_product


@pytest.fixture
def document(root):
    return yaml.safe_load((root / "products" / "kawaach.yaml").read_text())


def parse(document):
    return parse_product(document, version="v", where="products/x.yaml")


def test_every_file_loads_under_its_name():
    products = load_products()
    assert sorted(products) == available_products()
    assert "kawaach" in products


def test_the_version_is_a_hash_of_the_content(root):
    content = (root / "products" / "kawaach.yaml").read_bytes()
    assert load_products(["kawaach"])["kawaach"].version == content_version(content)
    assert content_version(content) != content_version(content + b"\n")


def test_an_unknown_product_names_those_there_are():
    with pytest.raises(ProductError, match=r"no product 'kavach'; there are: .*kawaach"):
        load_products(["kavach"])


def test_thresholds_are_meant_literally():
    assert Comparison(">=", 75).holds(75)
    assert not Comparison(">", 300).holds(300)
    assert Comparison("<", 100).holds(99.9)
    assert not Comparison("<", 100).larger_is_worse


@pytest.mark.parametrize(("text", "ms"), [("3 h", 10_800_000), ("30 min", 1_800_000), ("0 s", 0), ("7 d", 604_800_000)])
def test_durations(text, ms):
    assert duration_ms(text, "here") == ms


BROKEN = {
    "an unknown key": (["triggers", 1, "suestained"], "3 h", "suestained"),
    "a missing key": (["title"], None, "title"),
    "a wrong type": (["zone_resolution"], "nine", "zone_resolution"),
    "no such resolution": (["zone_resolution"], 16, "zone_resolution 16"),
    "a duration without unit": (["triggers", 1, "sustained"], "180", "'aqi'.*sustained.*'180'"),
    "an unknown metric": (["triggers", 1, "metric"], "aqj", "'aqi'.*unknown metric 'aqj'"),
    "a comparison that is none": (["triggers", 1, "breach"], "over 300", "'aqi'.*'over 300'"),
    "levels out of order": (["triggers", 0, "levels", 0, "breach"], ">= 120", "'rain'.*mildest first"),
    "levels and a breach": (["triggers", 0, "breach"], ">= 75", "'rain'.*either"),
    "a trigger twice": (["triggers", 1, "name"], "wind", "two triggers.*'wind'"),
    "consensus of nobody": (["triggers", 1, "consensus", 0, "providers"], 0, "'aqi'.*at least one provider"),
    "no plans": (["plans"], {}, "at least one plan"),
    "tiers upside down": (["decision", "approve_below"], 0.9, "approve_below <= hold_up_to"),
    "an unknown quality": (["triggers", 3, "consensus", 0, "quality"], ["offical"], "quality"),
    "an unknown period": (["caps", 0, "per"], "fortnight", "caps"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_with_file_and_field(document, name):
    path, value, words = BROKEN[name]
    broken = copy.deepcopy(document)
    holder = broken
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    with pytest.raises(ProductError, match=f"products/x.yaml: .*{words}"):
        parse(broken)


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_a_file_that_is_no_mapping(document):
    with pytest.raises(ProductError, match=r"products/x\.yaml"):
        parse(document)
