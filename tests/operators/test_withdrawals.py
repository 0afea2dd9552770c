"""From when to when a rider's consent is withdrawn, whatever the order of the events."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monsoon.transforms.consents import ConsentEvent, Withdrawals, consent_events


def event(at_ms, consents, policy="p", kind="renewed", product="kawaach"):
    return {
        "event_time": at_ms, "consents": consents, "worker_id": "w", "product": product, "policy_id": policy,
        "type": kind,
    }  # fmt: skip


def withdrawn_at(events, *moments_ms):
    found = Withdrawals(consent_events(events))
    return [found.is_withdrawn("w", at_ms) for at_ms in moments_ms]


def test_who_states_nothing_consents_by_contract():
    assert not Withdrawals(consent_events([event(10, None), {**event(20, None), "consents": None}]))


def test_from_the_event_on():
    assert withdrawn_at([event(10, ["location"]), event(20, [])], 10, 19, 20, 1_000) == [False, False, True, True]


def test_an_event_that_states_nothing_ends_no_withdrawal():
    assert withdrawn_at([event(10, []), event(20, None)], 25) == [True]


def test_a_renewal_of_another_policy_ends_none_but_a_new_contract_does():
    repeated = event(20, ["location"], "q")
    assert withdrawn_at([event(10, []), repeated], 25) == [True]
    assert withdrawn_at([event(10, []), repeated | {"type": "activated"}], 19, 25) == [True, False]


def test_two_products_may_use_one_policy_id():
    other = event(20, ["location"], product="gic")
    assert withdrawn_at([event(10, []), other], 25) == [True]


def test_of_one_moment_the_withdrawal_counts():
    assert withdrawn_at([event(10, ["location"], kind="activated"), event(10, [], "q")], 10) == [True]


EVENTS = st.builds(
    event,
    st.integers(0, 20),
    st.sampled_from([None, [], ["location"], ["payout"]]),
    st.sampled_from("pq"),
    st.sampled_from(["activated", "renewed"]),
)


@given(st.lists(EVENTS), st.randoms())
def test_neither_order_nor_repetition_counts(events, chance):
    again = [*events, *events[:2]]
    chance.shuffle(again)
    moments = range(-1, 22)
    assert withdrawn_at(events, *moments) == withdrawn_at(again, *moments)


@given(st.lists(EVENTS))
def test_columns_say_what_moments_say(events):
    found = Withdrawals(map(ConsentEvent._make, consent_events(events)))
    times = np.arange(-1, 22)
    withheld = found.withheld(["v", "w"], np.ones(len(times), dtype=np.int64), times)
    assert withheld.tolist() == [found.is_withdrawn("w", at_ms) for at_ms in times.tolist()]
    assert not found.withheld(["w", "v"], np.ones(len(times), dtype=np.int64), times).any()
