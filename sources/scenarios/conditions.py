"""What sets riders apart: the honest oddities and the attack variants, each a value of the labels' `condition`.

Ways in are numbered as in the list of the specification (`fraud.md`, "Ways in that were tried and paid").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

HONEST = "honest"
KINDS = (HONEST, "mock_app", "replayed_trace", "radio_spoof", "adaptive", "ring", "way_in")
"""Values of the labels' `kind`; code 0 is who does not attack."""

ALL_SENSORS = ("accelerometer", "barometer", "battery", "cell", "clock", "signal", "wifi")
"""Groups of columns that a phone can lack, lose or withhold; `clock` is gnss_time and network_time."""

Track = Literal["none", "ride", "static", "line", "wander"]
Reports = Literal["shift", "sometimes", "then_silent", "quorum", "none"]
Purchase = Literal["weeks", "mixed", "ring_hour", "ring_minute", "lapsed", "none"]


@dataclass(frozen=True)
class Condition:
    """A kind of rider. Groups of `size` riders are drawn whole; the rest says what is not as in an ordinary rider.

    `track`: what the reported fixes show; `none`: where the phone is. `accelerometer`: of the phone itself (`own`), of
    one that is shaken (`shaken`), or as on the reported track (`ridden`). `reports`: all the time; one report every
    70 min; until some time after the alert; for an hour before the false outage; never. `gives_up`: half stop lying
    some time after the alert, as who is asked to open the app may do. `answers`: whether they answer when they are
    asked. `evidence`: of each kind of thing that the group shares, the share of members who do share it. `product`: the
    only one that the riders hold a policy of; empty: of each.
    """

    name: str
    kind: str = HONEST
    weight: float = 1.0
    size: int = 1
    at_home: bool = False
    track: Track = "none"
    mock_location: bool = False
    mock_setting: bool = False
    radio: bool = False
    replayed: bool = False
    accelerometer: Literal["own", "shaken", "ridden"] = "own"
    withheld: tuple[str, ...] = ()
    reports: Reports = "shift"
    purchase: Purchase = "weeks"
    one_phone_for: int = 1
    one_account_for: int = 1
    one_place: bool = False
    one_network: bool = False
    gives_up: bool = False
    answers: bool = True
    evidence: float = 1.0
    product: str = ""

    @property
    def withheld_mask(self) -> int:
        """What is withheld, a bit for each of ALL_SENSORS."""
        return sum(1 << ALL_SENSORS.index(sensor) for sensor in self.withheld)


HONEST_CONDITIONS = (
    Condition("ordinary"),
    Condition("developer_option", mock_setting=True),
    Condition("two_phones"),
    Condition("squad", size=5, one_place=True),
    Condition("family_account", size=2, one_account_for=2, one_place=True),
    Condition("dead_zone"),
    Condition("zone_border"),
    Condition("clock_off"),
    Condition("gnss_week_rollover"),
    Condition("late_renewal"),
    Condition("raised_wage"),
    Condition("one_sensor_missing"),
    Condition("sensor_loss_30"),
    Condition("sensor_loss_60"),
    Condition("silent_at_home", at_home=True, reports="none"),
    Condition("late_upload"),
)
ORDINARY_SHARE = 2 / 3
"""Share of the honest who are odd in no way."""


def _mock(name: str, track: Track, flag: bool) -> Condition:
    return Condition(
        f"mock_app_{name}",
        "mock_app",
        0.5,
        at_home=True,
        track=track,
        mock_location=flag,
        mock_setting=flag,
        purchase="mixed",
        gives_up=True,
    )


def _ring(name: str, weight: float, evidence: float) -> Condition:
    return Condition(
        name,
        "ring",
        weight,
        size=12,
        at_home=True,
        track="wander",
        withheld=("cell",),
        purchase="ring_minute",
        one_phone_for=2,
        one_account_for=4,
        one_place=True,
        one_network=True,
        evidence=evidence,
    )


ATTACKS = (
    _mock("flagged_static", "static", True),
    _mock("flagged_line", "line", True),
    _mock("flagged_wander", "wander", True),
    _mock("static", "static", False),
    _mock("line", "line", False),
    _mock("wander", "wander", False),
    Condition("replayed_trace", "replayed_trace", 3, at_home=True, track="ride", replayed=True, purchase="mixed",
              gives_up=True),
    Condition("radio_spoof", "radio_spoof", 3, at_home=True, track="ride", radio=True, purchase="mixed", gives_up=True),
    Condition(
        "adaptive_alone", "adaptive", 3, at_home=True, track="ride", accelerometer="ridden", withheld=("cell", "wifi")
    ),
    Condition(
        "adaptive_ring",
        "adaptive",
        3,
        size=10,
        at_home=True,
        track="ride",
        accelerometer="ridden",
        withheld=("cell", "wifi"),
        purchase="ring_hour",
        one_network=True,
    ),
    _ring("ring_full_evidence", 3, 1.0),
    _ring("ring_part_evidence", 1, 0.6),
    Condition("way_1_one_flagged_report", "way_in", 1, at_home=True, track="static", mock_location=True,
              withheld=ALL_SENSORS, reports="sometimes"),
    Condition("way_2_flag_and_shaken", "way_in", 1, at_home=True, track="wander", mock_location=True,
              accelerometer="shaken", withheld=tuple(s for s in ALL_SENSORS if s != "accelerometer")),
    Condition("way_3_all_contradicts", "way_in", 1, at_home=True, track="line", mock_location=True, mock_setting=True,
              radio=True, replayed=True),
    Condition("way_4_hold_runs_out", "way_in", 1, at_home=True, track="static", mock_location=True,
              withheld=("cell", "wifi", "clock"), reports="then_silent", answers=False),
    Condition("way_5_renewed_after_alert", "way_in", 1, purchase="lapsed"),
    Condition("way_6_plan_upgraded", "way_in", 0.4),
    Condition("way_6_wage_restated", "way_in", 0.4),
    Condition("way_6_home_restated", "way_in", 0.4, at_home=True, reports="none"),
    Condition("way_7_quorum", "way_in", 2, size=48, at_home=True, withheld=ALL_SENSORS, reports="quorum"),
    Condition("way_8_silent_accounts", "way_in", 2, size=25, at_home=True, reports="none", one_phone_for=25,
              one_account_for=25),
    Condition("way_9_tiny_deviation", "way_in", 1, size=7, at_home=True, track="static", withheld=ALL_SENSORS,
              one_place=True, product="gic"),
    Condition("way_10_invented_providers", "way_in", 1, size=4, at_home=True),
    Condition("way_11_history_in_one_evening", "way_in", 1, at_home=True, track="wander", mock_location=True),
    Condition("way_12_foreign_event_ids", "way_in", 1, at_home=True),
)  # fmt: skip

CONDITIONS = HONEST_CONDITIONS + ATTACKS
CODES: Mapping[str, int] = {condition.name: code for code, condition in enumerate(CONDITIONS)}
QUORUM_WITHOUT_POLICY = 45
"""Of each group of way 7; the rest hold policies, to be paid."""


def planned_counts(riders: int, attackers: float) -> dict[str, int]:
    """How many of `riders` are of each condition; the share `attackers` of them attack, in whole groups.

    Groups that the numbers are too small for are left out; with riders for all of them twice, none is.
    """
    if riders < 1:
        raise ValueError(f"{riders} riders; at least 1")
    if not 0 <= attackers <= 1:
        raise ValueError(f"a share of {attackers} attackers; 0 to 1")
    bad = round(attackers * riders)
    odd = round((1 - ORDINARY_SHARE) * (riders - bad))
    return {"ordinary": riders - bad - odd} | _in_groups(HONEST_CONDITIONS[1:], odd) | _in_groups(ATTACKS, bad)


def _in_groups(conditions: tuple[Condition, ...], riders: int) -> dict[str, int]:
    """All `riders` by the conditions' weights, each condition a whole number of groups."""
    one_of_each = sum(condition.size for condition in conditions)
    least = 1 if riders >= 2 * one_of_each else 0
    shared = (riders - least * one_of_each) / sum(condition.weight for condition in conditions)
    groups = {each.name: least + int(shared * each.weight / each.size) for each in conditions}
    counts = {each.name: groups[each.name] * each.size for each in conditions}
    alone = [each.name for each in conditions if each.size == 1]
    for number in range(riders - sum(counts.values())):
        counts[alone[number % len(alone)]] += 1
    return counts
