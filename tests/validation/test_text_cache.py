"""The cache for functions of long texts keeps within its bytes."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.text_cache import cached_within_bytes


@given(st.lists(st.text(max_size=40)), st.integers(0, 400))
def test_results_are_right_and_the_texts_held_within_the_budget(texts, budget):
    held = []

    def length(text):
        held.append(text)
        return len(text)

    cached = cached_within_bytes(budget)(length)
    assert [cached(text) for text in texts] == [len(text) for text in texts]
    cells = dict(zip(cached.__code__.co_freevars, cached.__closure__, strict=True))
    results = cells["results"].cell_contents
    assert sum(map(sys.getsizeof, results)) == cells["held_bytes"].cell_contents <= budget


def test_a_cached_text_is_not_computed_again():
    calls = []
    cached = cached_within_bytes(3 * sys.getsizeof("a"))(calls.append)
    for text in ("a", "b", "c", "a", "b", "d", "d", "a"):
        cached(text)
    assert calls == ["a", "b", "c", "d", "a"]
