"""Whatever has the shape of a product file is read or refused in words, and never crashes."""

import copy
from importlib import resources

import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit.odd_documents import changed, paths_of

from monsoon.transforms.documents import faults_of
from monsoon.transforms.product import ProductError, parse_product
from monsoon.transforms.product.document import ProductSection
from monsoon.transforms.product.plain import plain_terms
from monsoon.transforms.product.wording import policy_wording

NAMES = ("gic", "jugaad", "kawaach", "nexora", "offshift")


def shipped():
    folder = resources.files("monsoon.products")
    return [yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in NAMES]


DOCUMENTS = shipped()


PATHS = [list(paths_of(document)) for document in DOCUMENTS]
KEYS = ["zz", "name", "levels", "breach", "model", "formula", "quality", "in_force_from", "when", "share", "A b"]


@st.composite
def mutated(draw):
    """A shipped document with one to three values replaced, removed or added."""
    return changed(draw, draw(st.sampled_from(DOCUMENTS)), KEYS)


def leaves(documents):
    """By the last name on the path: every value that a shipped product gives such a field."""
    found = {}
    for whole, paths in zip(documents, PATHS, strict=True):
        for path in paths[1:]:
            value = whole
            for key in path:
                value = value[key]
            name = next((key for key in reversed(path) if isinstance(key, str)), "")
            found.setdefault((name, isinstance(path[-1], int)), []).append(value)
    return found


LEAVES = leaves(DOCUMENTS)


@st.composite
def swapped(draw):
    """A shipped document in which one to four fields have what the same field has elsewhere."""
    which = draw(st.integers(0, len(DOCUMENTS) - 1))
    found = copy.deepcopy(DOCUMENTS[which])
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PATHS[which][1:]))
        name = next((key for key in reversed(path) if isinstance(key, str)), "")
        try:
            holder = found
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]]
            holder[path[-1]] = copy.deepcopy(draw(st.sampled_from(LEAVES[name, isinstance(path[-1], int)])))
        except (KeyError, IndexError, TypeError):
            continue
    return found


@given(mutated() | swapped())
def test_what_has_the_shape_can_be_read_and_what_has_not_is_refused(value):
    """Nothing of another shape becomes a product."""
    refused = bool(faults_of(value, ProductSection))
    try:
        product = parse_product(value, version="v", where="x.yaml")
    except ProductError as error:
        faults = error.faults
    else:
        assert not refused
        assert all(section.points for section in policy_wording(product))
        assert plain_terms(product)["name"] == product.name
        return
    assert faults
    assert all(fault.startswith("x.yaml: ") for fault in faults)
