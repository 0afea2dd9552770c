"""Watermarks of partitions: bounded out-of-orderness, idleness, clocks that are wrong, heartbeats."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.sources.kafka.watermarks import (
    END_OF_STREAM_MS,
    ENDED_MS,
    RESUME_S,
    PartitionWatermarks,
    WatermarkBounds,
)

LATENESS_MS = 60_000
NOON_MS = 1_719_556_200_000
HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
A, B, READINGS = ("telemetry", 0), ("telemetry", 1), ("oracle_readings", 0)


def watermarks(*partitions, idle_after_s=60.0, now_s=0.0):
    lateness_ms = {"telemetry": LATENESS_MS, "oracle_readings": 10 * LATENESS_MS}
    return PartitionWatermarks(partitions, WatermarkBounds(lateness_ms, idle_after_s), now_s)


def test_it_is_as_far_behind_the_newest_record_as_records_may_be_late():
    partitions = watermarks(A)
    assert partitions.at(0.0) is None
    partitions.observe(*A, {"w1": NOON_MS, "w2": NOON_MS + 5}, 0.0)
    assert partitions.at(0.0) == NOON_MS - LATENESS_MS - 1


def test_the_partition_that_is_behind_counts_and_each_stream_has_a_lateness_of_its_own():
    partitions = watermarks(A, B, READINGS)
    partitions.observe(*A, {"w1": NOON_MS}, 0.0)
    partitions.observe(*B, {"w2": NOON_MS - HOUR_MS}, 0.0)
    assert partitions.at(0.0) is None  # nothing has come from the third
    partitions.observe(*READINGS, {"imd": NOON_MS}, 0.0)
    assert partitions.at(0.0) == NOON_MS - HOUR_MS - LATENESS_MS - 1
    partitions.observe(*B, {"w2": NOON_MS + HOUR_MS}, 0.0)
    assert partitions.at(0.0) == NOON_MS - 10 * LATENESS_MS - 1


def test_a_silent_partition_stops_nothing_for_long_and_one_that_comes_back_counts_again():
    partitions = watermarks(A, B)
    partitions.observe(*A, {"w1": NOON_MS}, 50.0)
    assert partitions.at(50.0) is None
    assert partitions.at(61.0) == NOON_MS - LATENESS_MS - 1
    partitions.observe(*A, {"w1": NOON_MS + HOUR_MS}, 62.0)
    partitions.observe(*B, {"w2": NOON_MS + 5_000}, 62.0)
    assert partitions.at(62.0) == NOON_MS + 5_000 - LATENESS_MS - 1


def test_where_all_are_silent_event_time_stands():
    partitions = watermarks(A)
    partitions.observe(*A, {"w1": NOON_MS}, 0.0)
    assert partitions.at(0.0) == partitions.at(10_000.0) == NOON_MS - LATENESS_MS - 1


def test_after_an_outage_of_all_no_partition_is_late_for_being_read_a_little_later():
    """A broker is down for 20 minutes; then a partition with a backlog is read before another."""
    partitions = watermarks(A, B)
    for key in (A, B):
        partitions.observe(*key, {"w1": NOON_MS}, 0.0)
    standing_ms = partitions.at(0.0)
    partitions.observe(*A, {"w1": NOON_MS + 10 * 60_000}, 1_200.0)
    assert partitions.at(1_200.0) == standing_ms
    partitions.observe(*A, {"w1": NOON_MS + 20 * 60_000}, 1_210.0)
    assert partitions.at(1_210.0) == standing_ms  # the other has not come back yet, and has a minute for it
    partitions.observe(*B, {"w2": NOON_MS + 60_000}, 1_230.0)
    partitions.observe(*B, {"w2": NOON_MS + 120_000}, 1_231.0)
    assert partitions.at(1_231.0) == NOON_MS + 120_000 - LATENESS_MS - 1


def test_after_an_outage_other_tasks_are_waited_for():
    partitions = watermarks(A)
    partitions.observe(*A, {"w1": NOON_MS}, 0.0)
    partitions.observe(*A, {"w1": NOON_MS + HOUR_MS}, 1_200.0)
    assert partitions.at(1_200.0) is None or partitions.at(1_200.0) < NOON_MS
    partitions.observe(*A, {"w1": NOON_MS + HOUR_MS}, 1_200.0 + RESUME_S)
    assert partitions.at(1_200.0 + RESUME_S) == NOON_MS + HOUR_MS - LATENESS_MS - 1


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, 10 * YEAR_MS])
def test_one_clock_ahead_moves_nothing(ahead_ms):
    partitions = watermarks(A)
    for second in range(0, 600, 10):
        spoken = {"w1": NOON_MS + 1_000 * second, "w2": NOON_MS + 1_000 * second, "wrong": NOON_MS + ahead_ms + second}
        partitions.observe(*A, spoken, float(second))
        assert partitions.at(float(second)) == NOON_MS + 1_000 * second - LATENESS_MS - 1


@pytest.mark.parametrize("behind_ms", [HOUR_MS, 14 * YEAR_MS, 23 * YEAR_MS])
def test_one_clock_behind_moves_nothing(behind_ms):
    partitions = watermarks(A)
    partitions.observe(*A, {"wrong": NOON_MS - behind_ms, "w1": NOON_MS, "w2": NOON_MS}, 0.0)
    partitions.observe(*A, {"wrong": NOON_MS - behind_ms + 15_000}, 15.0)
    assert partitions.at(15.0) == NOON_MS - LATENESS_MS - 1


def test_a_rider_alone_moves_event_time_by_himself_once_the_others_have_gone():
    partitions = watermarks(A)
    partitions.observe(*A, {"w1": NOON_MS, "w2": NOON_MS}, 0.0)
    for second in range(10, 200, 10):
        partitions.observe(*A, {"w1": NOON_MS + 1_000 * second}, float(second))
    assert partitions.at(200.0) == NOON_MS + 190_000 - LATENESS_MS - 1


def test_a_heartbeat_says_that_nothing_earlier_follows():
    partitions = watermarks(A, B)
    partitions.observe(*A, {"w1": NOON_MS}, 0.0)
    partitions.beat(*B, NOON_MS - 5_000, 0.0)
    assert partitions.at(0.0) == NOON_MS - LATENESS_MS - 1
    partitions.beat(*A, NOON_MS + HOUR_MS, 0.0)
    assert partitions.at(0.0) == NOON_MS - 5_001


def test_when_all_have_ended_event_time_has():
    partitions = watermarks(A, B, idle_after_s=None)
    partitions.observe(*A, {"w1": NOON_MS}, 0.0)
    partitions.beat(*A, END_OF_STREAM_MS, 0.0)
    assert partitions.at(1e9) is None
    partitions.beat(*B, END_OF_STREAM_MS, 0.0)
    assert partitions.at(1e9) == ENDED_MS


def test_an_ended_partition_does_not_count_as_silent():
    partitions = watermarks(A, B, idle_after_s=60.0)
    partitions.beat(*A, END_OF_STREAM_MS, 0.0)
    partitions.observe(*B, {"w1": NOON_MS}, 100.0)
    assert partitions.at(100.0 + RESUME_S) == NOON_MS - LATENESS_MS - 1


def test_a_partition_that_was_added_takes_part():
    partitions = watermarks(A)
    partitions.observe(*B, {"w1": NOON_MS}, 0.0)
    assert partitions.at(0.0) is None
    partitions.observe(*A, {"w1": NOON_MS + HOUR_MS}, 0.0)
    assert partitions.at(0.0) == NOON_MS - LATENESS_MS - 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, READINGS]),
            st.dictionaries(st.sampled_from("uvwx"), st.integers(0, 10 * HOUR_MS), max_size=3),
            st.integers(0, 100_000),
        )
    )
)
def test_it_never_goes_back(observed):
    partitions = watermarks(A, B, READINGS)
    seen, now_s = [], 0.0
    for key, spoken, passed_ms in observed:
        now_s += passed_ms / 1000
        partitions.observe(*key, spoken, now_s)
        seen.append(partitions.at(now_s))
    known = [at_ms for at_ms in seen if at_ms is not None]
    assert all(before <= after for before, after in itertools.pairwise(known))
    assert None not in seen[len(seen) - len(known) :]
