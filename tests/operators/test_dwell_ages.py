"""How long riders have stayed does not depend on which panes were closed together."""

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monsoon.pipelines.operators.evidence_requests import PANES_LOOK_BACK_MS
from monsoon.transforms.evidence.batch import dwell_ages
from monsoon.transforms.panes import PANE_MS

GAPS = st.lists(st.tuples(st.sampled_from([1, 2, 9, 10, 17, 18, 19]), st.sampled_from([0, 0, 0, 1])), min_size=1)


def ages(rows):
    """By rider and pane, the age; rows are (rider, number of the pane, zone)."""
    panes = sorted({(rider, number): zone for rider, number, zone in rows}.items())
    worker, start = np.array([key for key, _ in panes]).T

    class Columns(SimpleNamespace):
        def __len__(self):
            return len(panes)

    columns = Columns(worker=worker, pane_start_ms=start * PANE_MS)
    found = dwell_ages(columns, SimpleNamespace(zone=np.array([zone for _, zone in panes])))
    return dict(zip([key for key, _ in panes], found.tolist(), strict=True))


@given(GAPS, st.data())
def test_panes_of_the_time_before_are_enough(gaps, data):
    """Panes from one on, with those that an operator looks back to, have the ages that they have among all."""
    numbers = np.cumsum([gap for gap, _ in gaps]).tolist()
    rows = [(0, number, zone) for number, (_, zone) in zip(numbers, gaps, strict=True)]
    first = data.draw(st.sampled_from(numbers))
    back = PANES_LOOK_BACK_MS // PANE_MS
    known = [row for row in rows if row[1] >= first - back]
    expected, found = ({key: age for key, age in ages(some).items() if key[1] >= first} for some in (rows, known))
    assert found == expected
