"""What waits for a reserve, and when it is paid: worked cases, and properties of every story."""

import json
from importlib import resources

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import NOON_MS, at

from monsoon.pipelines.runtime.messages import pack, unpack
from monsoon.transforms.calendar import day_end_ms, is_day, local_day
from monsoon.transforms.exposure import (
    AwardStatus,
    BucketState,
    Instruction,
    Reserve,
    ReserveBook,
    ReserveBucket,
    reserve_bucket_of,
    within_reserves,
)

POOL = ReserveBucket("kawaach", "2024-06-28", "853da117fffffff")
BEFORE = -1


def payout(claim, minutes, amount_inr, instalment=0):
    record = {
        "reference_id": f"ref-{claim}-{instalment}",
        "claim_id": claim,
        "policy_id": "p1",
        "worker_id": "w1",
        "amount_paise": amount_inr * 100,
        "created_at": at(minutes),
        "instalment": instalment,
    }
    return Instruction(POOL, record)


def reserve(minutes, amount_inr, name="r1"):
    return Reserve(POOL, at(minutes), name, amount_inr * 100)


def withdrawn(claim, minutes, stands=False):
    return AwardStatus(POOL, at(minutes), claim, stands)


def decisions(*events):
    """(minute, kind, claim, instalment) of every move, and (minute, state, queued Rs, queued claims) of every alert."""
    decided = within_reserves(events)
    transitions = [
        (
            minute_of(transition.at_ms),
            transition.kind,
            transition.instruction.payout["claim_id"],
            transition.instruction.payout["instalment"],
        )
        for transition in decided.transitions
    ]
    alerts = [
        (minute_of(a["event_time"]), a["state"], a["queued_paise"] // 100, a["queued_claims"]) for a in decided.alerts
    ]
    return transitions, alerts


def minute_of(at_ms):
    return (at_ms - NOON_MS) // 60_000


def test_without_a_reserve_there_is_no_limit():
    transitions, alerts = decisions(payout("a", 0, 10**9), payout("b", 1, 10**9))
    assert transitions == [(0, "paid", "a", 0), (1, "paid", "b", 0)]
    assert alerts == []


def test_what_fits_to_the_paisa_passes_as_it_is():
    decided = within_reserves([reserve(-5, 300), payout("a", 0, 100), payout("b", 1, 200)])
    assert decided.payouts == [payout("a", 0, 100).payout, payout("b", 1, 200).payout]
    assert decided.alerts == []


def test_one_that_would_exceed_waits_whole_and_smaller_ones_behind_it():
    transitions, alerts = decisions(reserve(-5, 300), payout("a", 0, 250), payout("b", 1, 100), payout("c", 2, 50))
    assert transitions == [(0, "paid", "a", 0), (1, "queued", "b", 0), (2, "queued", "c", 0)]
    assert alerts == [(1, "exhausted", 100, 1), (2, "exhausted", 150, 2)]


def test_of_one_moment_the_larger_comes_first_then_the_claim_then_the_instalment():
    at_once = [payout("b", 0, 100), payout("a", 0, 100), payout("c", 0, 200), payout("a", 0, 100, instalment=1)]
    transitions, _ = decisions(reserve(-5, 400), *at_once)
    assert transitions == [(0, "paid", "c", 0), (0, "paid", "a", 0), (0, "paid", "a", 1), (0, "queued", "b", 0)]


def test_a_raised_reserve_releases_from_the_head_on_when_it_is_raised():
    events = [reserve(-5, 100), *(payout(claim, n, 100) for n, claim in enumerate("abcd"))]
    decided = within_reserves([*events, reserve(30, 350, "r2")])
    assert [(p["claim_id"], minute_of(p["created_at"])) for p in decided.payouts] == [("a", 0), ("b", 30), ("c", 30)]
    last = decided.alerts[-1]
    assert (last["state"], last["claim_ids"], last["reserve_paise"]) == ("released", ["b", "c"], 35_000)
    assert (last["paid_paise"], last["queued_paise"], last["queued_claims"]) == (30_000, 10_000, 1)


def test_a_raise_too_small_for_the_head_releases_nothing():
    transitions, alerts = decisions(reserve(-5, 0), payout("a", 0, 500), payout("b", 1, 10), reserve(5, 499, "r2"))
    assert [kind for _, kind, *_ in transitions] == ["queued", "queued"]
    assert len(alerts) == 2


def test_a_reserve_stated_later_counts_what_was_paid_before():
    transitions, _ = decisions(payout("a", 0, 100), reserve(5, 150), payout("b", 10, 100))
    assert transitions == [(0, "paid", "a", 0), (10, "queued", "b", 0)]


def test_a_lower_reserve_takes_nothing_back():
    transitions, _ = decisions(
        reserve(-5, 500), payout("a", 0, 400), reserve(5, 100, "r2"), payout("b", 10, 1), reserve(20, 401)
    )
    assert transitions == [(0, "paid", "a", 0), (10, "queued", "b", 0), (20, "paid", "b", 0)]


def test_the_newest_stands_whenever_it_came_and_the_greater_id_of_one_moment():
    transitions, _ = decisions(reserve(-5, 0, "z"), reserve(-9, 900, "zz"), payout("a", 0, 1))
    assert [kind for _, kind, *_ in transitions] == ["queued"]
    transitions, _ = decisions(reserve(-5, 0, "a"), reserve(-5, 900, "b"), payout("a", 0, 1))
    assert [kind for _, kind, *_ in transitions] == ["paid"]


def test_a_reserve_of_the_moment_itself_stands_already():
    transitions, _ = decisions(payout("a", 0, 100), reserve(0, 50))
    assert [kind for _, kind, *_ in transitions] == ["queued"]


def test_a_withdrawn_claim_leaves_the_queue_and_those_behind_move_up():
    events = [reserve(-5, 100), payout("a", 0, 500), payout("b", 1, 100), withdrawn("a", 10)]
    transitions, alerts = decisions(*events)
    assert transitions[2:] == [(10, "withdrawn", "a", 0), (10, "paid", "b", 0)]
    assert alerts[-1] == (10, "released", 0, 0)


def test_a_claim_confirmed_again_takes_its_place_again():
    events = [reserve(-5, 0), payout("a", 0, 500), payout("b", 1, 100), withdrawn("a", 10), withdrawn("a", 20, True)]
    transitions, alerts = decisions(*events, reserve(30, 550, "r2"))
    assert transitions[2:] == [(10, "withdrawn", "a", 0), (20, "queued", "a", 0), (30, "paid", "a", 0)]
    assert [state for _, state, *_ in alerts] == ["exhausted", "exhausted", "released", "exhausted", "released"]


def test_what_was_paid_is_not_withdrawn():
    transitions, alerts = decisions(reserve(-5, 100), payout("a", 0, 100), withdrawn("a", 5), withdrawn("a", 6, True))
    assert transitions == [(0, "paid", "a", 0)]
    assert alerts == []


def test_late_events_take_effect_after_what_is_done():
    book = ReserveBook(BucketState(POOL))
    book.run([reserve(-5, 100), payout("a", 0, 200)], BEFORE)
    decided = book.run([reserve(5, 200, "late")], at(30))
    assert [(transition.kind, transition.at_ms) for transition in decided.transitions] == [("paid", at(30) + 1)]
    assert not book.run([reserve(-9, 10**6, "older")], at(40)).transitions


def test_amounts_beyond_64_bits_stop_at_what_a_record_holds():
    most = (2**63 - 1) // 100
    decided = within_reserves([reserve(-5, 10), *(payout(claim, 0, most) for claim in "abc")])
    assert decided.alerts[0]["queued_paise"] == 2**63 - 1
    book = ReserveBook(BucketState(POOL))
    book.run([payout(claim, 0, most) for claim in "abc"], BEFORE)
    assert unpack(pack(book.account), BucketState) == book.account


@pytest.mark.parametrize("resolution", [3, 4, 5, 6, 7, 8, 9, 15])
def test_the_pool_of_a_zone(resolution):
    import h3.api.basic_str as h3

    zone = h3.latlng_to_cell(28.5845, 77.2056, resolution)
    cell = reserve_bucket_of("kawaach", zone, at(0)).cell
    assert h3.get_resolution(cell) == 5
    if resolution >= 5:
        assert h3.cell_to_parent(zone, 5) == cell
    else:
        assert h3.latlng_to_cell(*h3.cell_to_latlng(zone), 5) == cell


def test_the_pool_of_a_moment_is_its_local_day():
    midnight = at(12 * 60)
    assert reserve_bucket_of("kawaach", "893da1162c7ffff", midnight - 1).day == "2024-06-28"
    assert reserve_bucket_of("kawaach", "893da1162c7ffff", midnight).day == "2024-06-29"
    assert day_end_ms("2024-06-28") == midnight


def test_days_of_the_calendar():
    assert all(map(is_day, ["1970-01-01", "2024-02-29", "2100-01-01"]))
    assert not any(map(is_day, ["2023-02-29", "2024-13-01", "2100-01-02", "24-06-28", " 2024-06-28"]))
    assert is_day(local_day(at(0)))


def test_alerts_keep_to_their_contract():
    schema = json.loads((resources.files("monsoon.contracts") / "reserve_alert.schema.json").read_text())
    alerts = within_reserves([reserve(-5, 0), payout("a", 0, 1), reserve(9, 5, "r2")]).alerts
    for alert in alerts:
        jsonschema.validate(alert, schema)
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts) == 2


MINUTES = st.integers(0, 12)
EVENTS = st.lists(
    st.one_of(
        st.builds(reserve, MINUTES, st.integers(0, 30), st.sampled_from("xyz")),
        st.tuples(MINUTES, st.integers(1, 9), st.sampled_from("abcdef")),
        st.builds(withdrawn, st.sampled_from("abcdef"), MINUTES, st.booleans()),
    ),
    max_size=30,
)


def as_told(drawn):
    """Events as machines tell them: instalments count up with time, one word on a claim at a moment, one reserve of an
    id and moment."""
    payouts = sorted(each for each in drawn if isinstance(each, tuple))
    events, counts = [], {}
    for minutes, amount, claim in payouts:
        counts[claim] = counts.get(claim, -1) + 1
        events.append(payout(claim, minutes, amount, counts[claim]))
    words = {(e.claim_id, e.at_ms): e for e in drawn if isinstance(e, AwardStatus)}
    reserves = {(e.event_time_ms, e.reserve_id): e for e in drawn if isinstance(e, Reserve)}
    return [*events, *words.values(), *reserves.values()]


def as_data(decided):
    return [(m.kind, m.at_ms, m.waited, m.payout) for m in decided.transitions], decided.alerts


@given(EVENTS, st.randoms(use_true_random=False), st.lists(MINUTES, max_size=4))
def test_order_repetition_and_interruption_are_nothing(drawn, chance, marks):
    events = as_told(drawn)
    expected = as_data(within_reserves(events))
    again = events + [event for event in events if isinstance(event, Reserve | AwardStatus)]
    chance.shuffle(again)
    assert as_data(within_reserves(again)) == expected

    transitions, alerts, account, held, done_ms = [], [], BucketState(POOL), ([], []), BEFORE
    for mark in [*sorted(set(marks)), 99]:
        book = ReserveBook(unpack(pack(account), BucketState))
        book.resume(*unpack(pack(held), tuple[list[Instruction], list[Instruction]]))
        some = [e for e in events if done_ms < time_of(e) <= at(mark)]
        told = as_data(book.run(some, done_ms))
        transitions += told[0]
        alerts += told[1]
        account, held, done_ms = book.account, (book._queue, book._aside), at(mark)
    assert (transitions, alerts) == expected


def time_of(event):
    if isinstance(event, Instruction):
        return event.payout["created_at"]
    return event.event_time_ms if isinstance(event, Reserve) else event.at_ms


@given(EVENTS)
def test_nothing_is_paid_beyond_the_reserve_and_nothing_is_lost(drawn):
    events = as_told(drawn)
    book = ReserveBook(BucketState(POOL))
    decided = book.run(events, BEFORE)
    paid = 0
    for transition in (transition for transition in decided.transitions if transition.kind == "paid"):
        paid += transition.instruction.amount_paise
        stated = [e for e in events if isinstance(e, Reserve) and e.event_time_ms <= transition.at_ms]
        if stated:
            assert paid <= max(stated, key=lambda e: (e.event_time_ms, e.reserve_id)).amount_paise
        assert transition.at_ms >= transition.instruction.payout["created_at"]
    assert paid == book.account.paid_paise
    asked = sorted(e.payout["reference_id"] for e in events if isinstance(e, Instruction))
    given_out = [p["reference_id"] for p in decided.payouts]
    assert sorted(given_out + [each.payout["reference_id"] for each in book.held]) == asked
    if book.waits:
        last = decided.alerts[-1]
        assert last["queued_paise"] == sum(each.amount_paise for each in book._queue)
        newest = max((e for e in events if isinstance(e, Reserve)), key=lambda e: (e.event_time_ms, e.reserve_id))
        assert paid + book._queue[0].amount_paise > newest.amount_paise, "the head could be paid"
    elif decided.alerts:
        assert decided.alerts[-1]["queued_claims"] == decided.alerts[-1]["queued_paise"] == 0


@given(EVENTS)
def test_first_come_first_served(drawn):
    events = [event for event in as_told(drawn) if not isinstance(event, AwardStatus)]
    paid = [
        transition.instruction.place for transition in within_reserves(events).transitions if transition.kind == "paid"
    ]
    assert paid == sorted(paid)


@given(EVENTS)
def test_withdrawing_and_confirming_again_ends_where_never_withdrawing_would(drawn):
    """Once there is enough for everybody: all is paid but what stays withdrawn."""
    events = [*as_told(drawn), reserve(50, 10**6, "zz")]
    words = sorted((e for e in events if isinstance(e, AwardStatus)), key=lambda e: e.at_ms)
    last = {word.claim_id: word.stands for word in words}
    book = ReserveBook(BucketState(POOL))
    book.run(events, BEFORE)
    assert not book.waits
    assert all(not last[each.payout["claim_id"]] for each in book.held)
