"""Versions of a product: from files to one line, and the version in force at a disruption's start."""

import pickle
import re
from datetime import datetime

import pytest

from monsoon.sources.product_files import load_products
from monsoon.transforms.product import ALWAYS_MS, NEVER_MS, ProductError

APRIL = "2026-04-01T00:00:00+05:30"
APRIL_MS = round(datetime.fromisoformat(APRIL).timestamp() * 1000)
MAY = "2026-05-01T00:00:00+05:30"
MAY_MS = round(datetime.fromisoformat(MAY).timestamp() * 1000)


@pytest.fixture
def nexora(root):
    return (root / "products" / "nexora.yaml").read_text(encoding="utf-8")


def version(folder, nexora, name, from_, pays=400):
    text = nexora.replace("pays: 400 * INR", f"pays: {pays} * INR")
    if from_ is not None:
        text = text.replace("zone_resolution:", f"in_force_from: {from_}\nzone_resolution:")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_product_of_one_version_is_always_in_force():
    for product in load_products().values():
        assert (product.from_ms, product.until_ms, product.earlier) == (ALWAYS_MS, NEVER_MS, ())


def test_versions_form_a_line_whatever_their_files_are_called(tmp_path, nexora):
    files = [
        version(tmp_path, nexora, "b.yaml", APRIL, 410),
        version(tmp_path, nexora, "a.yml", MAY, 420),
    ]
    for order in (files, files[::-1], [tmp_path]):
        newest = load_products(["nexora"], order)["nexora"]
        assert [(each.from_ms, each.until_ms) for each in newest.versions] == [
            (ALWAYS_MS, APRIL_MS),
            (APRIL_MS, MAY_MS),
            (MAY_MS, NEVER_MS),
        ]
        assert [each.triggers[0].levels[0].pays.value({}) for each in newest.versions] == [400, 410, 420]
        assert len({each.version for each in newest.versions}) == 3
        assert [each.earlier for each in newest.earlier] == [(), ()]


def test_a_disruption_is_judged_by_the_version_in_force_at_its_start(tmp_path, nexora):
    newest = load_products(["nexora"], [version(tmp_path, nexora, "b.yaml", APRIL, 410)])["nexora"]
    oldest = newest.earlier[0]
    assert [newest.at(ms) for ms in (0, APRIL_MS - 1, APRIL_MS, MAY_MS)] == [oldest, oldest, newest, newest]


def test_a_plan_of_any_version_is_known(tmp_path, nexora):
    later = nexora.replace("  standard: {}", "  standard: {}\n  gold: {}")
    newest = load_products(["nexora"], [version(tmp_path, later, "b.yaml", APRIL)])["nexora"]
    assert newest.accepts_plan("gold")
    assert not newest.accepts_plan("silver")
    assert newest.earlier[0].plan_of("gold") is None


@pytest.mark.parametrize("from_", [None, APRIL])
def test_two_versions_of_one_moment_are_refused(tmp_path, nexora, from_):
    files = [version(tmp_path, nexora, name, from_, pays) for name, pays in (("a.yaml", 410), ("b.yaml", 420))]
    told = re.escape(str(files[1])) if from_ else r"products/nexora\.yaml|.*[ab]\.yaml"
    with pytest.raises(ProductError, match=rf"({told}): .*'nexora' is in force .*give the newer version in_force_from"):
        load_products(extra=files)


def test_other_products_are_not_touched(tmp_path, nexora):
    found = load_products(extra=[version(tmp_path, nexora, "b.yaml", APRIL)])
    assert sorted(found) == sorted(load_products())
    assert {name: each for name, each in found.items() if name != "nexora"} == {
        name: each for name, each in load_products().items() if name != "nexora"
    }


def test_a_product_with_versions_travels_to_workers(tmp_path, nexora):
    newest = load_products(["nexora"], [version(tmp_path, nexora, "b.yaml", APRIL)])["nexora"]
    assert pickle.loads(pickle.dumps(newest)) == newest


def test_a_folder_without_products_is_told(tmp_path):
    with pytest.raises(ProductError, match=r"no \*\.yaml in this folder"):
        load_products(extra=[tmp_path])


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_products(extra=[tmp_path / "none.yaml"])
