"""Coverage from subscription events: periods, plans, cancellations, and which policy speaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import LAT, LON, at, kawaach, subscription_record

from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.cells import cell_of

KAWAACH = kawaach()
RAIN = kawaach().trigger("rain")
DOWNTIME = kawaach().trigger("platform_downtime")


def applicable_policy(events, minutes, trigger=RAIN, platform=None):
    return Coverage(KAWAACH, events).applicable_policy("w1", trigger, platform, at(minutes))


def test_coverage_is_closed_at_its_start_and_open_at_its_end():
    events = [subscription_record("activated", -10, 0, 100)]
    assert applicable_policy(events, -1) is None
    assert applicable_policy(events, 0) is not None
    assert applicable_policy(events, 99.9) is not None
    assert applicable_policy(events, 100) is None


def test_nothing_is_known_before_the_event():
    assert applicable_policy([subscription_record("activated", 50, 0, 100)], 40) is None
    assert applicable_policy([subscription_record("activated", 50, 0, 100)], 50) is not None


def test_renewals_extend_and_cancellations_end():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("renewed", 90, 100, 200),
        subscription_record("cancelled", 150, 100, 200),
    ]
    assert applicable_policy(events, 120).period_start_ms == at(100)
    assert applicable_policy(events, 149.9) is not None
    assert applicable_policy(events, 150) is None


def test_a_renewal_after_a_cancellation_covers_again():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("cancelled", 20, 0, 100),
        subscription_record("renewed", 30, 30, 60),
    ]
    assert applicable_policy(events, 25) is None
    assert applicable_policy(events, 30).period_start_ms == at(30)
    assert applicable_policy(events, 70) is None


def test_an_upgrade_changes_the_terms_but_not_the_period():
    events = [
        subscription_record("activated", -10, 0, 100, daily_wage_inr=400),
        subscription_record("upgraded", 50, 0, 500, daily_wage_inr=300),
    ]
    assert applicable_policy(events, 40).record["daily_wage_inr"] == 400
    assert applicable_policy(events, 60).record["daily_wage_inr"] == 300
    assert applicable_policy(events, 100) is None


def test_an_upgrade_with_a_new_start_brings_a_period():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("upgraded", 50, 60, 500),
    ]
    assert applicable_policy(events, 300).period_start_ms == at(60)


def test_an_upgrade_does_not_revive_a_cancelled_period():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("cancelled", 20, 0, 100),
        subscription_record("upgraded", 30, 0, 100),
    ]
    assert applicable_policy(events, 40) is None


def test_of_overlapping_periods_the_latest_begun_is_in_force():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("renewed", -5, 50, 150),
    ]
    assert applicable_policy(events, 60).period_start_ms == at(50)


def test_of_events_at_one_time_the_greater_id_is_last():
    events = [
        subscription_record("activated", -10, 0, 100, event_id="b", trust_tier=5),
        subscription_record("activated", -10, 0, 100, event_id="a", trust_tier=1),
    ]
    assert applicable_policy(events, 10).record["trust_tier"] == 5


def test_of_two_policies_the_one_in_force_longest_speaks_then_the_lesser_id():
    older = subscription_record("activated", -10, -5, 100, policy_id="z")
    newer = subscription_record("activated", -10, 0, 100, policy_id="a")
    same = subscription_record("activated", -10, -5, 100, policy_id="b")
    assert applicable_policy([older, newer], 10).policy_id == "z"
    assert applicable_policy([older, newer, same], 10).policy_id == "b"


def test_a_trigger_for_one_platform_concerns_policies_of_that_platform():
    zepto = subscription_record("activated", -10, -5, 100, policy_id="z", platform="zepto")
    blinkit = subscription_record("activated", -10, 0, 100, policy_id="a", platform="blinkit")
    none = subscription_record("activated", -10, 0, 100, policy_id="n", platform=None)
    assert applicable_policy([zepto, blinkit], 10, DOWNTIME, "blinkit").policy_id == "a"
    assert applicable_policy([none], 10, DOWNTIME, "blinkit") is None
    assert applicable_policy([none], 10).policy_id == "n"


def test_the_last_activation_up_to_the_moment_counts():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("activated", 40, 50, 200),
        subscription_record("renewed", 60, 100, 300),
    ]
    assert applicable_policy(events, 30).activated_at_ms == at(-10)
    assert applicable_policy(events, 70).activated_at_ms == at(40)


@pytest.mark.parametrize("kind", ["renewed", "upgraded"])
@pytest.mark.parametrize(("late_ms", "anew"), [(-60_000, False), (0, False), (1, True)])
def test_cover_that_comes_after_all_before_it_had_ended_is_an_activation(kind, late_ms, anew):
    late = subscription_record(kind, 100, 100, 200)
    late["event_time"] += late_ms
    events = [subscription_record("activated", -10, 0, 100), late]
    state = applicable_policy(events, 101)
    assert state.activated_at_ms == (late["event_time"] if anew else at(-10))
    assert state.in_force_since_ms == (at(100) + 1 if anew else at(0))


def test_after_a_cancellation_cover_has_ended():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("cancelled", 20, 0, 100),
        subscription_record("renewed", 30, 30, 60),
    ]
    assert applicable_policy(events, 40).activated_at_ms == at(30)


def test_cover_that_was_bought_ahead_has_not_ended():
    """Renewed while it ran, for a time after a gap: no activation, though in force since the gap only."""
    events = [subscription_record("activated", -10, 0, 100), subscription_record("renewed", 50, 150, 300)]
    state = applicable_policy([*events, subscription_record("renewed", 120, 300, 400)], 200)
    assert state.activated_at_ms == at(-10)
    assert state.in_force_since_ms == at(150)


def test_a_policy_that_is_known_from_a_renewal_on_is_activated_then():
    assert applicable_policy([subscription_record("renewed", -10, 0, 100)], 10).activated_at_ms == at(-10)


def test_in_force_without_a_gap_over_overlapping_and_adjoining_periods():
    events = [
        subscription_record("activated", -10, 0, 100),
        subscription_record("renewed", 50, 90, 150),
        subscription_record("renewed", 150, 150, 200),
    ]
    assert applicable_policy(events, 160).in_force_since_ms == at(0)
    assert applicable_policy([subscription_record("activated", 5, 0, 100)], 10).in_force_since_ms == at(5)


kinds = st.sampled_from(["activated", "renewed", "upgraded", "cancelled"])


@given(st.lists(st.tuples(kinds, st.integers(0, 50), st.integers(0, 50), st.integers(1, 60)), max_size=8), st.randoms())
def test_arrival_order_is_nothing(drawn, random):
    events = [
        subscription_record(kind, minutes, start, start + length, daily_wage_inr=n)
        for n, (kind, minutes, start, length) in enumerate(drawn)
    ]
    shuffled = list(events)
    random.shuffle(shuffled)
    for minutes in range(0, 60, 7):
        assert applicable_policy(events, minutes) == applicable_policy(shuffled, minutes)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), kinds, st.integers(0, 50), st.integers(1, 60), st.integers(0, 2)), max_size=10
    ),
    st.lists(st.integers(0, 10), max_size=3),
)
def test_what_is_restated_policy_by_policy_is_what_is_made_at_once(drawn, cuts):
    """Policies that change riders and homes, told in any pieces, asked in between, and forgotten again."""
    events = [
        subscription_record(
            kind, minutes, minutes, minutes + length, policy_id=f"p{number}", worker_id=f"w{place}",
            home_lat=LAT + place / 10, orders_per_hour=2.0,
        )
        for number, kind, minutes, length, place in drawn
    ]  # fmt: skip
    grown, resolution = Coverage(KAWAACH), 9
    for stop in [*sorted(cuts), len(events)]:
        known = events[:stop]
        for policy in sorted({each["policy_id"] for each in known}):
            grown.replace_events(policy, [each for each in known if each["policy_id"] == policy])
        assert said(grown, resolution) == said(Coverage(KAWAACH, known), resolution)
    for policy in sorted({each["policy_id"] for each in events}):
        grown.replace_events(policy, ())
    assert said(grown, resolution) == said(Coverage(KAWAACH), resolution)


def said(coverage, resolution):
    moments = range(-1, 120, 10)
    cells = [cell_of(LAT + place / 10, LON, resolution) for place in range(3)]
    return (
        coverage.workers,
        [[coverage.applicable_policy(f"w{n}", RAIN, None, at(minutes)) for minutes in moments] for n in range(3)],
        [coverage.policies_with_order_mean(f"w{n}") for n in range(3)],
        [[coverage.is_home(cell, resolution, at(minutes)) for minutes in moments] for cell in cells],
    )
