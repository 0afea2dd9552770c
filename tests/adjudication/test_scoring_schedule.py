"""The moments told ahead cover every moment at which a machine really asks for a score."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from kit import ScriptedScores, at, kawaach, update
from msgspec.structs import replace

from monsoon.transforms.adjudication.driver import run_rider
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.adjudication.scoring_schedule import ScoringTime, reread_times, scoring_times

KAWAACH = kawaach()
LEVELS = [level.name for level in KAWAACH.trigger("rain").levels]

histories = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 10, 30, 45, 60, 90, 120, 240]),
            st.sampled_from(["stands", "stands", "withdrawn", "not here"]),
            st.sampled_from(LEVELS),
            st.sampled_from([0, 30]),
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


class NotingScores(ScriptedScores):
    """Notes which claim was asked about, under which confirmation."""

    def __call__(self, claim, at_ms):
        rescored = claim.score is not None
        score = super().__call__(claim, at_ms)
        self.asked[-1] = (claim.update.disruption_id, ScoringTime(claim.update.confirmed_at_ms, at_ms, rescored))
        return score


def history(number, drawn):
    start, now, found = 15 * number, 15 * number, []
    for later, fate, level, confirmed in drawn:
        now += later
        opened = update(f"d{number}", start, "rain", at_ms=at(now), level=level)
        opened = replace(opened, confirmed_at_ms=at(min(now, start + confirmed)))
        found.append(replace(opened, withdrawn=fate == "withdrawn", terms=None if fate == "not here" else opened.terms))
    return found


@given(histories, st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.1, 0.6]))
def test_whatever_happens_no_machine_asks_at_another_moment(drawn, first, second):
    by_disruption = {f"d{number}": history(number, each) for number, each in enumerate(drawn)}
    scores = NotingScores(**{name: [first, second] for name in by_disruption})
    run_rider(RiderMachine(KAWAACH, "m1", scores), [h for mine in by_disruption.values() for h in mine])
    told = defaultdict(set, {name: scoring_times(KAWAACH, mine) for name, mine in by_disruption.items()})
    assert [(name, moment) for name, moment in scores.asked if moment not in told[name]] == []


def test_a_disruption_that_opens_and_ends_asks_at_its_opening_and_again_when_a_hold_would_run_out():
    opened = update("d", 0)
    ended = replace(opened, at_ms=at(200), end_ms=at(200))
    hold_ms = KAWAACH.decision.holds["rescore_hold"].wait_ms
    assert scoring_times(KAWAACH, [opened, ended]) == {
        ScoringTime(at(0), at(0)),
        ScoringTime(at(0), at(0) + hold_ms, rescored=True),
    }


HOURS = 60
GUARD = {(at(0), at(4 * HOURS)), (at(120), at(6 * HOURS))}
"""Of kawaach: when a rider may be asked, and until when the answer counts."""


def rereads(*minutes, first=None):
    answers = [(at(each), f"a{each}") for each in minutes]
    first_ms = min(answers)[0] if first is None else at(first)
    found = reread_times(KAWAACH, [update("d", 0)], (), first_ms, answers)
    assert {each.confirmed_at_ms for each in found} <= {at(0)}
    return {(each.asked_at_ms, each.at_ms, each.answer_id) for each in found}


def test_an_answer_is_one_to_every_question_that_may_be_open_and_every_wait_ends():
    ends = {(asked_ms, until_ms, "") for asked_ms, until_ms in GUARD}
    assert rereads(130) == ends | {(at(0), at(130), "a130"), (at(120), at(130), "a130")}
    assert rereads(10) == ends | {(at(0), at(10), "a10")}
    assert rereads(300) == {(at(120), at(300), "a300"), (at(120), at(6 * HOURS), "")}
    assert rereads(6 * HOURS + 1) == set()
    assert rereads(-5) == rereads(0) == ends, "too early for any: then none is looked at but by its end"


def test_of_many_answers_the_first_to_a_question_counts():
    many = rereads(*range(1, 240))
    assert len(many) == 4
    assert {each for each in many if each[2]} == {(at(0), at(1), "a1"), (at(120), at(121), "a121")}
    assert {each for each in rereads(130, first=10) if each[2]} == {(at(120), at(130), "a130")}
