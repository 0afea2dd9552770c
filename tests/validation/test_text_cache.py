"""What is remembered about texts keeps within its bytes."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.text_cache import remembered_within


@given(st.lists(st.text(max_size=40)), st.integers(0, 400))
def test_answers_are_right_and_the_texts_held_within_the_budget(texts, budget):
    held = []

    def length(text):
        held.append(text)
        return len(text)

    remembering = remembered_within(budget)(length)
    assert [remembering(text) for text in texts] == [len(text) for text in texts]
    cells = dict(zip(remembering.__code__.co_freevars, remembering.__closure__, strict=True))
    answers = cells["answers"].cell_contents
    assert sum(map(sys.getsizeof, answers)) == cells["held_bytes"].cell_contents <= budget


def test_what_was_asked_for_lately_is_not_worked_out_again():
    asked = []
    remembering = remembered_within(3 * sys.getsizeof("a"))(asked.append)
    for text in ("a", "b", "c", "a", "b", "d", "d", "a"):
        remembering(text)
    assert asked == ["a", "b", "c", "d", "a"]
