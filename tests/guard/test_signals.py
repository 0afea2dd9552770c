"""Signals and verdicts of the guard, from measured features by hand."""

import itertools
import math

import numpy as np
import pytest

from monsoon.transforms.evidence.features import FEATURE_NAMES
from monsoon.transforms.evidence.measure import Evidence
from monsoon.transforms.guard.signals import CLEAR, NULL, RIDERS_ON_PAYOUT_ACCOUNT, RING, SIGNALS, STRONG, signals_of
from monsoon.transforms.guard.verdicts import PASS, REVIEW, VERIFY, verdicts_of

MANY = 10_000
STRONGEST = {
    "mock": {"mock_location_share": (0.01, 1)},
    "radio": {"gnss_cn0_agc_anomaly": (0.5, 5)},
    "cell": {"cell_tower_zone_match": (0.0, 3)},
    "wifi": {"bssid_fix_match": (0.0, 3)},
    "motion": {"still_while_moving": (0.8, 9)},
    "ring": {RING: (1.0, 0)},
    "device": {"riders_on_device_28d": (3.0, 1)},
}


def measured(*claims):
    """The signals of claims, each {feature: (value, reports)}; all else is not measured."""
    values = {name: np.full(len(claims), np.nan) for name in (*FEATURE_NAMES, RING, RIDERS_ON_PAYOUT_ACCOUNT)}
    reports = {name: np.zeros(len(claims), dtype=np.int32) for name in FEATURE_NAMES}
    for number, claim in enumerate(claims):
        for name, (value, count) in claim.items():
            values[name][number] = value
            if name in reports:
                reports[name][number] = count
    ring, account = values.pop(RING), values.pop(RIDERS_ON_PAYOUT_ACCOUNT)
    return signals_of(Evidence(values, reports), ring, account)


def status(name, **claim):
    return int(measured(claim)[name].status[0])


@pytest.mark.parametrize(
    ("signal", "claim", "expected"),
    [
        ("mock", {"mock_location_share": (1 / 120, 120)}, STRONG),
        ("mock", {"mock_location_share": (0.0, 120)}, CLEAR),
        ("mock", {"mock_setting_share": (1.0, 120)}, NULL),  # developers leave it on
        ("radio", {"gnss_cn0_agc_anomaly": (0.5, 5)}, STRONG),
        ("radio", {"gnss_cn0_agc_anomaly": (0.5, 4)}, NULL),
        ("radio", {"gnss_cn0_agc_anomaly": (0.49, 1)}, CLEAR),
        ("radio", {"gnss_network_time_delta_s": (5.001, 3)}, STRONG),
        ("radio", {"gnss_network_time_delta_s": (5.0, 3)}, CLEAR),
        ("radio", {"gnss_network_time_delta_s": (9.0, 2)}, NULL),
        ("radio", {"gnss_network_time_delta_s": (9.0, 2), "gnss_cn0_agc_anomaly": (0.0, 9)}, CLEAR),
        ("cell", {"cell_tower_zone_match": (0.0, 3)}, STRONG),
        ("cell", {"cell_tower_zone_match": (0.0, 2)}, NULL),
        ("cell", {"cell_tower_zone_match": (1e-9, MANY)}, CLEAR),
        ("wifi", {"bssid_fix_match": (0.0, 3)}, STRONG),
        ("wifi", {"bssid_fix_match": (0.0, 2)}, NULL),
        ("wifi", {"bssid_fix_match": (0.2, 1)}, CLEAR),
        ("wifi", {"bssid_zone_match": (0.0, MANY)}, NULL),  # zones are small and riders move
        ("motion", {"still_while_moving": (0.8, 9)}, STRONG),
        ("motion", {"still_while_moving": (0.79, 9)}, CLEAR),
        ("motion", {"route_linearity": (0.996, 20), "speed_cv": (0.049, 20)}, STRONG),
        ("motion", {"route_linearity": (0.996, 19), "speed_cv": (0.049, 20)}, NULL),
        ("motion", {"route_linearity": (0.996, 20), "speed_cv": (0.05, 20)}, CLEAR),
        ("motion", {"route_linearity": (0.995, 20), "speed_cv": (0.0, 20)}, CLEAR),
        ("motion", {"route_linearity": (0.996, 20)}, NULL),
        ("motion", {"fast_excursions": (2.0, 9)}, STRONG),
        ("motion", {"fast_excursions": (1.0, 9)}, CLEAR),
        ("motion", {"max_implied_speed_mps": (900.0, 9), "second_implied_speed_mps": (900.0, 9)}, NULL),
        ("ring", {RING: (1.0, 0)}, STRONG),
        ("ring", {RING: (0.0, 0)}, CLEAR),
        ("device", {"riders_on_device_28d": (3.0, 1)}, STRONG),
        ("device", {"riders_on_device_28d": (2.0, 1)}, CLEAR),
        ("device", {RIDERS_ON_PAYOUT_ACCOUNT: (3.0, 0)}, STRONG),
        ("device", {RIDERS_ON_PAYOUT_ACCOUNT: (2.0, 0)}, CLEAR),
    ],
)
def test_a_signal_is_strong_clear_or_null(signal, claim, expected):
    assert status(signal, **claim) == expected
    others = [name for name in SIGNALS if name != signal]
    assert {int(measured(claim)[name].status[0]) for name in others} == {NULL}


def test_a_signal_says_what_it_rests_on():
    claim = {"gnss_cn0_agc_anomaly": (0.1, 7), "gnss_network_time_delta_s": (6.5, 4)}
    signals = measured(claim, {}, {"gnss_network_time_delta_s": (6.5, 2)})
    radio = signals["radio"]
    assert radio.status.tolist() == [STRONG, NULL, NULL]
    assert radio.condition.tolist() == [1, -1, 1]
    assert radio.value[[0, 2]].tolist() == [6.5, 6.5]
    assert radio.threshold[[0, 2]].tolist() == [5.0, 5.0]
    assert radio.reports.tolist() == [4, 0, 2]
    assert math.isnan(radio.value[1])
    assert math.isnan(radio.threshold[1])


def test_every_condition_is_over_a_feature_that_is_measured():
    named = [
        each.feature
        for conditions in SIGNALS.values()
        for condition in conditions
        for each in (condition, condition.also)
        if each
    ]
    assert set(named) - {RING, RIDERS_ON_PAYOUT_ACCOUNT} <= set(FEATURE_NAMES)
    assert len(named) == len(set(named))


@pytest.mark.parametrize("strong", [*itertools.combinations(SIGNALS, 0), *itertools.combinations(SIGNALS, 1)])
def test_one_strong_signal_is_verified_unless_it_is_a_ring(strong):
    verdicts = verdicts_of(measured(dict(pair for name in strong for pair in STRONGEST[name].items())))
    if not strong:
        expected = (PASS, ())
    elif strong == ("ring",):
        expected = (REVIEW, ("ring",))
    else:
        expected = (VERIFY, (f"verify:{strong[0]}",))
    assert (int(verdicts.action[0]), verdicts.reasons[0]) == expected


def test_more_are_reviewed_with_the_signals_as_reasons_in_one_order():
    cases = [each for count in range(2, len(SIGNALS) + 1) for each in itertools.combinations(SIGNALS, count)]
    verdicts = verdicts_of(
        measured(*(dict(pair for name in reversed(case) for pair in STRONGEST[name].items()) for case in cases))
    )
    assert set(verdicts.action.tolist()) == {REVIEW}
    assert verdicts.reasons == cases


def test_no_claims_have_no_verdicts():
    verdicts = verdicts_of(measured())
    assert (verdicts.action.tolist(), verdicts.reasons) == ([], [])
