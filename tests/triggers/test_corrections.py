"""Corrections: history is judged again from the moment a revision takes effect."""

from dataclasses import replace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, at, evaluate, kawaach, reading

from monsoon.transforms.triggers import history as history_module
from monsoon.transforms.triggers.conditions import SeriesRules
from monsoon.transforms.triggers.event_detector import EventDetector
from monsoon.transforms.triggers.history import END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.machine import TriggerMachine

KAWAACH = kawaach()
RAIN = KAWAACH.trigger("rain")


def pair(value, minutes, **fields):
    return [
        reading("rain_mm_24h", value, minutes, reading_id=f"{provider}-{minutes}", provider=provider, **fields)
        for provider in ("imd", "skymet")
    ]


def corrected(value, minutes, issued, revision=1, provider="imd", **fields):
    return reading(
        "rain_mm_24h", value, minutes, reading_id=f"{provider}-{minutes}", provider=provider,
        revision=revision, issued_time=at(issued), **fields,
    )  # fmt: skip


def states(revisions):
    return [((r.event.start_ms - at(0)) // 60_000, r.state, (r.at_ms - at(0)) // 60_000) for r in revisions]


def test_a_correction_withdraws_what_would_never_have_been_confirmed():
    assert states(evaluate(KAWAACH, "rain", [*pair(80, 0), corrected(20, 0, issued=40)])) == [
        (0, "confirmed", 0), (0, "withdrawn", 40),
    ]  # fmt: skip


def test_a_correction_days_later_withdraws_an_ended_disruption():
    days3 = 3 * 24 * 60
    assert states(evaluate(KAWAACH, "rain", [*pair(80, 0), corrected(20, 0, issued=days3)]))[-1] == (
        0,
        "withdrawn",
        days3,
    )


def test_a_changed_start_withdraws_the_old_id_and_opens_a_new_one():
    readings = [*pair(80, 0), *pair(90, 30), corrected(20, 0, issued=40)]
    assert states(evaluate(KAWAACH, "rain", readings))[:3] == [
        (0, "confirmed", 0), (0, "withdrawn", 40), (30, "confirmed", 40),
    ]  # fmt: skip


def test_a_correction_can_confirm_in_hindsight():
    (confirmed, _) = evaluate(
        KAWAACH, "rain", [*pair(70, 0), corrected(80, 0, 20), corrected(80, 0, 20, provider="skymet")]
    )
    assert (confirmed.event.confirmed_at_ms, confirmed.at_ms) == (at(0), at(20))


def test_a_correction_can_raise_and_lower_the_level():
    raised = [*pair(80, 0), corrected(120, 0, 20), corrected(120, 0, 20, provider="skymet")]
    assert [r.event.level for r in evaluate(KAWAACH, "rain", raised)][:2] == ["partial", "full"]
    lowered = [*pair(120, 0), corrected(80, 0, 20)]
    assert [r.event.level for r in evaluate(KAWAACH, "rain", lowered)][:2] == ["full", "partial"]


def test_a_correction_of_a_correction_confirms_again_and_ends_where_never_withdrawing_would():
    readings = [*pair(80, 0), corrected(20, 0, 20), corrected(80, 0, 30, revision=2)]
    revisions = evaluate(KAWAACH, "rain", readings)
    assert states(revisions) == [
        (0, "confirmed", 0), (0, "withdrawn", 20), (0, "confirmed", 30), (0, "ended", 150),
    ]  # fmt: skip
    assert revisions[-1].event == evaluate(KAWAACH, "rain", pair(80, 0))[-1].event


def test_a_correction_that_comes_before_its_reading_wins_over_it():
    assert evaluate(KAWAACH, "rain", [*pair(80, 0), corrected(20, 0, issued=-30)]) == []


def test_a_correction_may_be_issued_before_1970():
    early = reading("rain_mm_24h", 20, 0, reading_id="imd-0", revision=1, issued_time=-5)
    assert evaluate(KAWAACH, "rain", [*pair(80, 0), early]) == []


def test_an_older_revision_that_takes_effect_late_changes_nothing():
    readings = [*pair(80, 0), corrected(85, 0, 10, revision=2), corrected(20, 0, 20, revision=1)]
    assert [r.state for r in evaluate(KAWAACH, "rain", readings)] == ["confirmed", "ended"]


def test_a_correction_may_move_the_reading_out_of_the_zone():
    readings = [*pair(80, 0), corrected(80, 0, 20, lat=LAT + 5)]
    assert states(evaluate(KAWAACH, "rain", readings))[-1] == (0, "withdrawn", 20)


def test_a_reading_that_leaves_and_comes_back_in_one_moment():
    readings = [
        reading("curfew", 1, 0, reading_id="r"),
        reading("curfew", 1, 0, reading_id="r", revision=1, lat=LAT + 5),
        reading("curfew", 1, 0, reading_id="r", revision=2),
    ]
    assert states(evaluate(KAWAACH, "curfew", readings))[0] == (0, "confirmed", 0)


def test_a_correction_without_issued_time_takes_effect_at_its_event_time():
    late = reading("rain_mm_24h", 20, 0, reading_id="imd-0", revision=1)
    assert evaluate(KAWAACH, "rain", [*pair(80, 0), late]) == []


def test_moments_must_come_in_order():
    machine = TriggerMachine(RAIN)
    machine.take_effect(at(10), [])
    with pytest.raises(ValueError, match="effect order"):
        machine.take_effect(at(10), [])


histories = st.lists(
    st.tuples(
        st.integers(0, 12), st.sampled_from([20, 75, 80, 99.9, 100, 140]), st.sampled_from(["imd", "skymet", "grid"]),
        st.integers(0, 2), st.integers(0, 30), st.integers(0, 1),
    ),
    max_size=25,
)  # fmt: skip


def built(history):
    """Readings from drawn tuples: (slot, value, provider, revision, delay, nearness)."""
    found = {}
    for slot, value, provider, revision, delay, distance_rank in history:
        name = f"{provider}-{slot}"
        found.setdefault(
            (name, revision),
            Observation(
                reading(
                    "rain_mm_24h", value, 20 * slot, reading_id=name, revision=revision, provider=provider,
                    quality="fallback" if provider == "grid" else "official",
                    issued_time=at(20 * (slot + delay)), lat=LAT + 0.01 * distance_rank,
                ),
                distance_rank,
            ),
        )  # fmt: skip
    return list(found.values())


def play(machine, observed):
    moments = {}
    for item in observed:
        moments.setdefault(item.reading.effective_ms, []).append(item)
    published = []
    for at_ms in sorted(moments):
        published += machine.take_effect(at_ms, moments[at_ms])
    return published


@given(histories)
def test_where_a_fold_starts_again_makes_no_difference(history):
    observed = built(history)
    expected = None
    for readings in (1, 2, 5, 1000):
        with patch.object(history_module, "_SNAPSHOT_READINGS", readings):
            machine = TriggerMachine(RAIN)
            published = play(machine, observed) + machine.run_until(END_OF_TIME_MS)
        expected = expected or published
        assert published == expected


@given(histories)
def test_the_machine_ends_where_judging_the_last_revisions_afresh_does(history):
    observed = built(history)
    with patch.object(history_module, "_SNAPSHOT_READINGS", 3):
        machine = TriggerMachine(RAIN)
        published = play(machine, observed) + machine.run_until(END_OF_TIME_MS)
    last = {}
    for item in sorted(observed, key=lambda item: item.reading.revision):
        last[item.reading.reading_id] = item
    fresh = EventDetector(SeriesRules.of(RAIN))
    for item in last.values():
        fresh.observe(item.distance_rank, item.reading)
    list(fresh.run(2**62))
    open_status = {r.event.start_ms: replace(r.event, modes=()) for r in published}  # they are a revision's own
    open_status = {start: e for start, e in open_status.items() if _final_state(published, start) != "withdrawn"}
    assert open_status == {event.start_ms: replace(event, modes=()) for event in fresh.events}


def _final_state(published, start_ms):
    return [r.state for r in published if r.event.start_ms == start_ms][-1]


@given(histories)
def test_revisions_count_up_and_moments_never_go_back(history):
    machine = TriggerMachine(RAIN)
    published = play(machine, built(history)) + machine.run_until(END_OF_TIME_MS)
    assert [r.at_ms for r in published] == sorted(r.at_ms for r in published)
    counts = {}
    for revision in published:
        assert revision.revision == counts.get(revision.event.start_ms, -1) + 1
        counts[revision.event.start_ms] = revision.revision


def test_a_correction_does_not_run_the_whole_history_again():
    """A fold over 60 days of readings, each corrected half an hour later, passes each moment a few dozen times."""
    passed = 0
    judge_moment = EventDetector._evaluate

    def counted(detector, now_ms):
        nonlocal passed
        passed += 1
        return judge_moment(detector, now_ms)

    days = range(60 * 24)
    observed = [Observation(reading("rain_mm_24h", 80, 60 * n, reading_id=f"r{n}"), 0) for n in days]
    observed += [
        Observation(reading("rain_mm_24h", 81, 60 * n, reading_id=f"r{n}", revision=1, issued_time=at(60 * n + 30)), 0)
        for n in days
    ]
    with patch.object(EventDetector, "_evaluate", counted):
        play(TriggerMachine(RAIN), observed)
    assert passed < 100 * len(days)
