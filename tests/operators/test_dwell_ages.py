"""How long riders have stayed does not depend on which panes were closed together."""

from types import SimpleNamespace

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from monsoon.pipelines.operators.evidence_requests import PANES_LOOK_BACK_MS
from monsoon.transforms.evidence.batch import dwell_ages
from monsoon.transforms.panes import PANE_MS

GAPS = st.lists(st.tuples(st.sampled_from([1, 2, 9, 10, 17, 18, 19]), st.sampled_from([0, 0, 0, 1])), min_size=1)


def ages(numbers, zones):
    """The ages of one rider's panes."""

    class Columns(SimpleNamespace):
        def __len__(self):
            return len(numbers)

    panes = Columns(worker=np.zeros(len(numbers), dtype=np.int64), pane_start_ms=numbers * PANE_MS)
    return dwell_ages(panes, SimpleNamespace(zone=zones))


@given(GAPS, st.integers(0, 1_000))
@example([(1, 0), (17, 0), (17, 0)], 2)  # it has stayed for 34 panes, of which 17 are within ACTIVITY_MS
def test_panes_of_the_time_before_are_enough(gaps, place):
    """Panes from one on, with those that an operator looks back to, have the ages that they have among all."""
    numbers, zones = np.cumsum([gap for gap, _ in gaps]), np.array([zone for _, zone in gaps])
    first = place % len(numbers)
    known = np.flatnonzero(numbers >= numbers[first] - PANES_LOOK_BACK_MS // PANE_MS)
    expected, found = ages(numbers, zones), ages(numbers[known], zones[known])
    assert found[known >= first].tolist() == expected[first:].tolist()
