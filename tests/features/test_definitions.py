"""The registry of features: names lead to one set and version, and a misspelled one is told."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.feature_store import ENTITIES, FEATURE_SETS, FeatureError, feature_set, pair_id, sets_of
from monsoon.transforms.evidence.features import FEATURES


def test_a_set_has_one_definition_for_each_version():
    assert max(Counter((each.name, each.version) for each in FEATURE_SETS).values()) == 1


def test_of_one_entity_a_feature_is_in_one_set():
    names = {(each.entity, name, each.name) for each in FEATURE_SETS for name in each.names}
    assert max(Counter((entity, name) for entity, name, _ in names).values()) == 1


def test_every_entity_has_features():
    assert {each.entity for each in FEATURE_SETS} == set(ENTITIES)


def test_a_feature_of_evidence_has_the_unit_that_evidence_gives_it():
    units = {feature.name: feature.unit for feature in FEATURES}
    shared = [feature for each in FEATURE_SETS for feature in each.features if feature.name in units]
    assert {feature.name for feature in shared} == {"shift_pattern", "riders_on_device_28d", "claims_7d", "ring_score"}
    assert [feature.name for feature in shared if feature.unit != units[feature.name]] == []


def test_a_set_counts_for_as_long_as_it_looks_back_or_longer():
    assert [each.name for each in FEATURE_SETS if each.ttl_ms < each.window_ms] == []


def test_references_lead_to_sets():
    shifts, claims = feature_set("rider_shifts"), feature_set("rider_claims", 1)
    assert sets_of("rider", ["shift_pattern", "shift_reports@1", "shift_pattern"]) == {
        shifts: ("shift_pattern", "shift_reports")
    }
    assert sets_of("rider_product", ["claims_7d"]) == {claims: ("claims_7d",)}


@pytest.mark.parametrize(
    ("entity", "feature", "message"),
    [
        ("riders", "shift_pattern", "no entity 'riders'; did you mean 'rider'?"),
        ("rider", "shift_patern", "no feature of rider 'shift_patern'; did you mean 'shift_pattern'?"),
        ("rider", "shift_pattern@7", "no feature of rider 'shift_pattern@7'"),
        ("rider", "shift_pattern@01", "no feature of rider 'shift_pattern@01'"),
        ("device", "shift_pattern", "no feature of device 'shift_pattern'; there is riders_on_device_28d"),
    ],
)
def test_what_is_not_there_is_told(entity, feature, message):
    with pytest.raises(FeatureError, match=message.replace("?", r"\?")):
        sets_of(entity, [feature])


def test_two_versions_of_a_feature_are_two_questions():
    with pytest.raises(FeatureError, match="shift_pattern is asked for twice"):
        sets_of("rider", ["shift_pattern", "shift_pattern@1"])


def test_a_set_that_is_not_there_is_told():
    with pytest.raises(FeatureError, match="no version 9; there is 1"):
        feature_set("rider_claims", 9)
    with pytest.raises(FeatureError, match="did you mean 'rider_claims'"):
        feature_set("rider_claim")


PARTS = st.text("a/%2F5", max_size=5)


@given(one=st.tuples(PARTS, PARTS), other=st.tuples(PARTS, PARTS))
def test_no_two_pairs_share_an_id_nor_does_one_begin_as_another_rider_does(one, other):
    assert (pair_id(*one) == pair_id(*other)) == (one == other)
    assert pair_id(*one).startswith(pair_id(other[0], "")) == (one[0] == other[0])
