"""Updates of disruptions reach claims as they were made, from messages of this and of earlier versions."""

from hypothesis import given
from hypothesis import strategies as st
from kit import at, terms, update
from msgspec.structs import replace

from monsoon.pipelines.operators.disruption_updates import unpack_updates, updates_after
from monsoon.pipelines.runtime.messages import pack
from monsoon.transforms.adjudication.candidates import Disruption

TERMS = [None, terms(), replace(terms(), daily_wage_inr=650.0)]
DISRUPTION = st.lists(st.integers(0, 5), min_size=1, max_size=4).flatmap(
    lambda minutes: st.tuples(
        st.just(sorted(minutes)),
        st.dictionaries(
            st.sampled_from(["w1", "w2", "w3"]),
            st.lists(st.sampled_from(TERMS), min_size=len(minutes), max_size=len(minutes)),
        ),
    )
)


def disruption(minutes, terms_of):
    revisions = [replace(update("d", 0), at_ms=at(minute), providers=number) for number, minute in enumerate(minutes)]
    updates = {
        worker: [replace(revision, terms=own) for revision, own in zip(revisions, of_rider, strict=True)]
        for worker, of_rider in terms_of.items()
    }
    return Disruption("d", "zone", None, (), updates)


@given(st.lists(DISRUPTION, max_size=3), st.integers(-1, 5))
def test_every_rider_has_the_later_updates_with_the_terms_of_each(made, after):
    disruptions = [disruption(*each) for each in made]
    later = [
        (worker, new)
        for each in disruptions
        for worker, updates in each.updates.items()
        if (new := [one for one in updates if one.at_ms > at(after)])
    ]
    assert list(unpack_updates(pack(updates_after(disruptions, at(after))))) == later
    assert list(unpack_updates(pack(later))) == later  # as earlier versions sent them
