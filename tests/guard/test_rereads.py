"""What releases a verification: measured, not contradicted, and tied to the claim."""

import numpy as np
import pytest
from evidence.conftest import CENTER, NOW_MS, ZONE, north, reports, telemetry_table_of
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.guard.rereads import RELEASED, REVIEWED, WAITS, rereads_of, ties_of
from monsoon.transforms.guard.signals import CLEAR, NULL, SIGNALS, STRONG, signals_of

MINUTE_MS = 60_000
ASKED_MS = NOW_MS + 5 * MINUTE_MS


def outcome(tied=True, ring=0.0, **measured):
    values = {name: np.full(1, np.nan) for name in FEATURE_NAMES}
    counts = {name: np.full(1, 50, dtype=np.int32) for name in FEATURE_NAMES}
    values |= {name: np.array([value]) for name, value in measured.items()}
    evidence = Evidence(values, counts)
    signals = signals_of(evidence, np.array([ring]), np.full(1, np.nan))
    return int(rereads_of(evidence, signals, np.array([tied]))[0])


@pytest.mark.parametrize("measured", ["cell_tower_zone_match", "bssid_fix_match", "still_while_moving"])
def test_any_of_cell_wifi_and_motion_with_an_accelerometer_releases(measured):
    value = {"still_while_moving": 0.1}.get(measured, 1.0)
    assert outcome(**{measured: value}) == RELEASED
    assert outcome(tied=False, **{measured: value}) == REVIEWED
    assert outcome(**{measured: 1.0 - value if measured != "still_while_moving" else 0.9}) == REVIEWED


def test_an_answer_alone_releases_nothing():
    assert outcome() == outcome(tied=False) == WAITS
    for name, value in {"accelerometer_variance": 2.0, "mock_location_share": 0.0, "fast_excursions": 0.0}.items():
        assert outcome(**{name: value}) == WAITS


@pytest.mark.parametrize(
    "strong",
    [{"mock_location_share": 0.1}, {"gnss_network_time_delta_s": 60.0}, {"riders_on_device_28d": 3.0}, {"ring": 1.0}],
)
def test_another_contradiction_is_reviewed_measured_or_not(strong):
    assert outcome(**strong) == REVIEWED
    assert outcome(cell_tower_zone_match=1.0, **strong) == REVIEWED


@given(
    st.fixed_dictionaries(dict.fromkeys(SIGNALS, st.sampled_from([NULL, CLEAR, STRONG]))), st.booleans(), st.booleans()
)
def test_nothing_is_released_that_is_contradicted_unmeasured_or_untied(statuses, tied, accelerometer):
    signals = signals_of(
        Evidence({n: np.full(1, np.nan) for n in FEATURE_NAMES}, {n: np.zeros(1, np.int32) for n in FEATURE_NAMES}),
        np.full(1, np.nan),
        np.full(1, np.nan),
    )
    for name, status in statuses.items():
        signals[name].status[0] = status
    still = np.array([0.5 if accelerometer else np.nan])
    found = rereads_of(Evidence({"still_while_moving": still}, {}), signals, np.array([tied]))[0]
    strong = STRONG in statuses.values()
    measured = statuses["cell"] != NULL or statuses["wifi"] != NULL or (statuses["motion"] != NULL and accelerometer)
    assert (found == RELEASED) == (not strong and measured and tied)
    assert (found == WAITS) == (not strong and not measured)


def tied(rows, answered_ms=NOW_MS + 60 * MINUTE_MS, asked_ms=ASKED_MS):
    telemetry = telemetry_table_of(rows)
    queries = Queries.of(9, [0], [ZONE], [NOW_MS], decided_at_ms=[answered_ms], asked_at_ms=[asked_ms])
    return bool(ties_of(telemetry, queries)[0])


FAR = north(2500)


def test_a_reread_within_two_kilometers_of_the_zone_is_tied():
    claim = reports("w", 1)
    edge_m = 200  # from the center of the zone to its border, at most
    for meters, expected in ((0, True), (1900, True), (2000 + edge_m + 50, False)):
        rows = claim + reports("w", 2, end_ms=NOW_MS + 50 * MINUTE_MS, lat=north(meters))
        assert tied(rows) is expected, meters
    # one report elsewhere, and the rest is not near either
    rows = claim + reports("w", 3, end_ms=NOW_MS + 50 * MINUTE_MS, lat=[CENTER[0], FAR, CENTER[0]])
    assert not tied(rows)


def _trail(minutes=5.0, meters=1500.0, until=40.0):
    """A ride northwards from the claim's anchor to the re-read, far from the zone."""
    steps = round(until / minutes)
    return [
        row
        for step in range(steps + 1)
        for row in reports(
            "w", 1, end_ms=NOW_MS + round(step * minutes * MINUTE_MS), lat=north(meters * step), accuracy_m=10.0
        )
    ]


def test_an_unbroken_trail_ties_wherever_it_leads():
    assert tied(_trail())
    assert tied(_trail(minutes=10))
    assert not tied(_trail(minutes=10.01))  # a gap over 10 min
    assert tied(_trail(minutes=1, meters=33 * 60))
    assert not tied(_trail(minutes=1, meters=34 * 60 + 20))  # faster than 33 m/s beyond the accuracies


def test_who_switches_the_mock_off_at_home_jumps():
    rows = _trail(minutes=1, meters=10, until=5)
    rows += reports("w", 10, end_ms=NOW_MS + 8 * MINUTE_MS, lat=north(9000), accuracy_m=10.0)
    assert not tied(rows)
    rows[-10]["accuracy_m"] = 20_000.0  # nor does it help to be vague
    assert not tied(rows)


def test_without_a_report_since_the_asking_or_an_anchor_nothing_is_tied():
    assert not tied(reports("w", 3))
    later = reports("w", 3, end_ms=NOW_MS + 40 * MINUTE_MS)
    assert tied(later)  # in the zone
    away = [row | {"lat": FAR} for row in later]
    assert not tied(away)
    assert not tied(later, answered_ms=NOW_MS + 20 * MINUTE_MS)
    assert not tied([row | {"received_time_ms": NOW_MS + 61 * MINUTE_MS} for row in later])


@pytest.mark.parametrize(("minutes", "expected"), [(0, True), (8, True), (10, False)])
def test_the_trail_begins_at_the_anchor(minutes, expected):
    """Silence of 10 min up to the first report after the confirmation is a gap in it."""
    rows = reports("w", 1, end_ms=NOW_MS - 60 * MINUTE_MS)  # before the anchor: no part of it
    rows += reports("w", 1, end_ms=NOW_MS - minutes * MINUTE_MS)
    rows += reports("w", 12, end_ms=NOW_MS + 13 * MINUTE_MS, step_ms=MINUTE_MS, lat=FAR, accuracy_m=10.0)
    assert tied(rows, asked_ms=NOW_MS + 1) is expected
