"""Which phones a rider used in the four weeks before a claim: exact at every moment, from panes in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.panes import NULL, PANE_MS
from monsoon.transforms.rings.limits import DEVICE, SIGHTINGS_MS, WINDOW_MS
from monsoon.transforms.rings.openings import Opening
from monsoon.transforms.rings.sightings import PhonePanes, stays_of_openings
from monsoon.transforms.telemetry_table import TelemetryTable

DAY_MS = 24 * 3_600_000
PANES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([NULL, 0, 1, 2]),
        st.integers(0, 12),
        st.sampled_from([PANE_MS, SIGHTINGS_MS, SIGHTINGS_MS + 1]),
    ),
    max_size=20,
)


def phones_of(drawn, workers=3):
    columns = (
        [np.array(column, dtype=np.int64) for column in zip(*drawn, strict=True)] if drawn else [np.empty(0, int)] * 4
    )
    worker, device, start, wait = columns
    return PhonePanes.of(worker, device, start * PANE_MS, start * PANE_MS + wait, workers)


@given(PANES, st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 13), st.integers(-1, 13)), max_size=4))
def test_the_last_use_of_each_phone(drawn, asked):
    worker, after, upto = (np.array([each[n] for each in asked], dtype=np.int64) for n in range(3))
    found = phones_of(drawn).last_uses(worker, after * PANE_MS, upto * PANE_MS)
    expected = {}
    for place, (rider, after_pane, upto_pane) in enumerate(asked):
        for of, device, start, wait in drawn:
            if of == rider and device != NULL and wait <= SIGHTINGS_MS and after_pane < start <= upto_pane:
                key = place, device
                expected[key] = max(expected.get(key, 0), start * PANE_MS)
    rows = list(zip(*(column.tolist() for column in found), strict=True))
    assert rows == sorted((*key, at_ms) for key, at_ms in expected.items())


def opened(at_ms, device=None, worker="w"):
    return Opening(at_ms, "c", worker, "rain", "893da1155a3ffff", at_ms, device=device)


def stays(panes, device=None, now="new"):
    """Stays on phones of a rider who reports with phone `now` just before the claim, 30 days after the epoch; `panes`
    has phones by age in ms."""
    at_ms = 30 * DAY_MS
    telemetry = TelemetryTable.from_columns(
        worker=["w"], event_time_ms=[at_ms - 60_000], lat=[28.6], lon=[77.2], device=[now]
    ).with_codes_for((), panes)
    code_of = {name: code for code, name in enumerate(telemetry.devices)}
    start = np.array([at_ms - age for age in panes.values()], dtype=np.int64)
    device_of = np.array([code_of[name] for name in panes], dtype=np.int64)
    phones = PhonePanes.of(np.zeros(len(panes), dtype=np.int64), device_of, start, start + PANE_MS, 1)
    found = stays_of_openings(telemetry, phones, {"w": 0}, [opened(at_ms, device)])
    mine = found.kind == DEVICE
    return {
        telemetry.devices[code]: (at_ms - first, at_ms - last)
        for code, first, last in zip(
            *(column[mine].tolist() for column in (found.resource, found.first_ms, found.last_ms)), strict=True
        )
    }


def test_phones_of_four_weeks_count_to_the_millisecond():
    window = WINDOW_MS[DEVICE]
    panes = {"out": window, "oldest": window - 1, "youngest": SIGHTINGS_MS, "by reports": SIGHTINGS_MS - 1}
    recent = {"new": (60_000, 60_000)}
    ages = {name: (panes[name], panes[name]) for name in ("oldest", "youngest")}
    assert stays(panes) == recent | ages


def test_a_phone_that_is_seen_or_stated_counts_as_that():
    """An earlier use would say that it was seen at another time than by others, and weigh less."""
    panes = {"new": 2 * DAY_MS, "policy": 3 * DAY_MS, "sold": 14 * DAY_MS}
    found = stays(panes, device="policy")
    assert found == {"new": (60_000, 60_000), "sold": (14 * DAY_MS, 14 * DAY_MS)}
