"""What to do next for a payment, as a function: in no order of what the provider says, and with no new key too soon."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.examples import examples

from monsoon.transforms.payments import (
    MONEY_MOVED,
    STATUSES,
    UNDER_WAY,
    Act,
    Attempt,
    Patience,
    Payment,
    State,
    furthest,
    key_of_attempt,
    next_step,
    state_of,
)

PATIENCE = Patience(seed="test")
DAY_MS = 86_400_000
STATUS_SETS = st.frozensets(st.sampled_from(sorted(STATUSES)))


@st.composite
def payments(draw):
    sets = draw(st.lists(STATUS_SETS, max_size=4))
    attempts = tuple(Attempt(n, key_of_attempt("p1", n), 1_000 * n, each) for n, each in enumerate(sets))
    return Payment(
        "p1",
        draw(st.booleans()),
        attempts,
        draw(st.integers(0, 50)),
        draw(st.integers(0, 10**7)),
        draw(st.sampled_from([None, None, "rider_day_limit"])),
    )


@examples(400)
@given(payment=payments(), now_ms=st.integers(0, 20 * DAY_MS))
def test_a_new_key_only_after_failed(payment, now_ms):
    if next_step(payment, now_ms, PATIENCE).act is Act.INTEND and payment.attempts:
        assert furthest(payment.attempts[-1].statuses) == "failed"
        assert not any(attempt.statuses & MONEY_MOVED for attempt in payment.attempts)
        assert len(payment.attempts) < PATIENCE.max_attempts


@examples(400)
@given(payment=payments(), now_ms=st.integers(0, 20 * DAY_MS))
def test_a_call_to_pay_only_where_nothing_is_known_and_the_key_is_fresh(payment, now_ms):
    step = next_step(payment, now_ms, PATIENCE)
    if step.act is Act.CREATE:
        last = payment.attempts[-1]
        assert not last.statuses
        assert max(now_ms, step.at_ms) < last.intended_at_ms + PATIENCE.key_valid_ms < last.intended_at_ms + 7 * DAY_MS


@examples(200)
@given(payment=payments())
def test_money_that_moved_is_never_a_failure(payment):
    moved = [attempt for attempt in payment.attempts if attempt.statuses & MONEY_MOVED]
    assert (state_of(payment, PATIENCE) in (State.PAID, State.REVERSED)) == bool(moved)


@examples(200)
@given(payment=payments())
def test_one_that_rests_is_in_a_state_to_rest_in(payment):
    """Nothing is forgotten: of every other state something is still to be done."""
    step = next_step(payment, 0, PATIENCE)
    resting = set(State) - {State.INSTRUCTED, State.CALLING, State.PENDING}
    assert (step.act is Act.REST) == (state_of(payment, PATIENCE) in resting)


@examples(100)
@given(statuses=st.lists(st.sampled_from(sorted(STATUSES)), max_size=5))
def test_the_order_of_statuses_does_not_matter(statuses):
    stands = furthest(statuses)
    assert all(furthest(order) == stands for order in itertools.islice(itertools.permutations(statuses), 24))
    assert furthest([*statuses, *statuses]) == stands


@pytest.mark.parametrize("status", sorted(UNDER_WAY))
def test_what_is_under_way_is_asked_for_and_waited_out(status):
    payment = Payment("p1", attempts=(Attempt(0, "p1", 0, frozenset([status])),), last_call_ms=0)
    for calls in range(40):
        step = next_step(replace(payment, calls=calls), 0, PATIENCE)
        assert step.act is Act.FETCH
        assert step.at_ms >= PATIENCE.first_fetch_ms // 2


def test_waits_grow_to_a_bound_and_differ_by_instance():
    payment = Payment("p1", attempts=(Attempt(0, "p1", 0),))
    waits = [next_step(replace(payment, calls=calls), 0, PATIENCE).at_ms for calls in range(1, 30)]
    assert all(PATIENCE.max_retry_ms // 2 <= wait <= PATIENCE.max_retry_ms for wait in waits[10:])
    bounds = [min(PATIENCE.max_retry_ms, PATIENCE.first_retry_ms << calls) for calls in range(29)]
    assert all(bound // 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    others = [next_step(replace(payment, calls=3), 0, Patience(seed=seed)).at_ms for seed in "abcdefgh"]
    assert len(set(others)) == len(others)


@given(number=st.integers(0, 99))
def test_keys_are_what_the_provider_takes(number):
    assert 4 <= len(key_of_attempt("p" + 32 * "0", number)) <= 36
