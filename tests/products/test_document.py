"""docs/products.md: its example is the tested one, and it names every field and input."""

import re

import pytest

from monsoon.sources.file_formats import schema_of
from monsoon.transforms.product.inputs import CLAIM, POLICY, WEEK


@pytest.fixture(scope="module")
def page(request):
    return (request.config.rootpath / "docs" / "products.md").read_text(encoding="utf-8")


def test_the_example_is_the_file_that_is_replayed(page, root):
    example = re.search(r"^```yaml\n(.*?)^```$", page, re.S | re.M)
    assert example[1] == (root / "tests" / "products" / "cyclone.yaml").read_text(encoding="utf-8")


def field_names(schema):
    if isinstance(schema, dict):
        fields = schema.get("properties", {})
        yield from (name for name, each in fields.items() if each is not False)
        for key, each in schema.items():
            for inner in each.values() if key in ("properties", "$defs") else (each,):
                yield from field_names(inner)


def test_every_field_and_input_is_named(page):
    names = {*field_names(schema_of("product")), *POLICY, *WEEK, *CLAIM}
    assert len(names) > 90
    assert sorted(name for name in names if f"`{name}`" not in page and f"`{name}:" not in page) == []
