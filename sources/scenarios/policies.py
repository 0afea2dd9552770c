"""Policies of a scenario's riders, as subscription events: purchases, renewals and what is restated.

Which products, plans and prices there are is the storm's; each rider holds one policy of each product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.scenarios.conditions import CONDITIONS
from monsoon.sources.scenarios.motion import usual_orders_per_hour
from monsoon.sources.scenarios.riders import (
    RANDOM_PATH,
    TIERS,
    Riders,
    alert_of,
    platforms_of,
    without_policy,
)
from monsoon.sources.scenarios.streets import Streets
from monsoon.sources.simulator.identifiers import keyed_hashes, unit_hash
from monsoon.sources.simulator.population import rng_of
from monsoon.sources.simulator.storm import DAY_MS, HOUR_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.subscriptions import CONSENTS, KAWAACH, SUBSCRIPTION_SCHEMA, WEEK_MS
from monsoon.sources.simulator.terms import Policies

SCHEMA: dict[str, Any] = {**SUBSCRIPTION_SCHEMA, "squad_id": pl.String}
PERIODS = (4, 11)
"""How many periods of cover a rider has bought until the storm."""
HELD_BY = 0.9
"""Share of honest riders who hold a policy of a product; attackers hold all."""
RAISED = 1.4
RESTATED_WAGE_INR = 6_000.0
TINY_MEAN, TINY_DEVIATION = 2.5, 0.01
QUORUM_PLAN_HOURS = 100


@dataclass(frozen=True)
class _Person:
    """What a rider states to every insurer."""

    rider: int
    condition: str
    worker_id: str
    platform: str
    home: tuple[float, float]
    wage_inr: float
    account: str
    device_id: str
    squad_id: str | None
    shares_activity: bool
    tier: int
    orders: tuple[float, float]
    created_ms: int
    bought_before_ms: int
    ring: int | None
    ring_bought_ms: int
    after_ring_ms: int


def subscriptions(
    storm: Storm, streets: Streets, riders: Riders, seed: int
) -> tuple[pl.DataFrame, NDArray[np.float64]]:
    """Every policy's events, without the columns that none states, sorted by time and id; and what each rider usually
    earns in a day (INR), a raised wage after the raise."""
    rng = rng_of(seed, RANDOM_PATH + 2)
    people = _people(rng, storm, streets, riders, seed)
    bad, without = riders.kind > 0, without_policy(riders)
    rows: list[dict[str, Any]] = []
    for number, policies in enumerate(storm.modeled.policies or (KAWAACH,)):
        held = (bad | (rng.random(len(riders)) < HELD_BY)) & ~without
        held &= np.isin(riders.has("product"), ("", policies.product))
        for person in people:
            if held[person.rider]:
                rows += _events(rng, storm, streets, riders, policies, number, person, seed)
    table = pl.DataFrame(rows, schema=SCHEMA).sort("event_time", "event_id")
    wage_inr = [_raised(each) if each.condition == "raised_wage" else each.wage_inr for each in people]
    return table.drop(name for name in SCHEMA if table[name].null_count() == table.height), np.array(wage_inr)


def _raised(person: _Person) -> float:
    return 25.0 * round(RAISED * person.wage_inr / 25)


def _people(rng: np.random.Generator, storm: Storm, streets: Streets, riders: Riders, seed: int) -> list[_Person]:
    n = len(riders)
    # Who reports nothing lies by the policy alone.
    pretends = (riders.kind > 0) & riders.has("at_home") & (riders.has("reports") == "none")
    pretends &= ~riders.of("way_6_home_restated")
    beside = 250 * rng.uniform(-1, 1, (2, n))
    lat, lon = streets.to_degrees(
        np.where(pretends, riders.base_u + beside[0], riders.home_u),
        np.where(pretends, riders.base_v + beside[1], riders.home_v),
    )
    mean, sd = usual_orders_per_hour(rng)
    factor = rng.uniform(0.85, 1.15, n)
    wage = 25 * np.round(rng.normal(640, 110, n).clip(350, 1_000) / 25)
    alert_ms = alert_of(storm)
    late_ms = (rng.uniform(1, 9, n) * HOUR_MS).astype(np.int64)
    on_the_day = (riders.has("purchase") == "mixed") & (rng.random(n) < 0.5)
    # A ring buys one plan weeks ago, within an hour or a minute: one place in the week that its number decides.
    spread_ms = np.where(riders.has("purchase") == "ring_minute", 50_000, HOUR_MS)
    in_ring = np.char.startswith(riders.has("purchase").astype(str), "ring")
    together = riders.bought_with * 7_919 % (5 * 24 * 60) * MINUTE_MS
    after_ms = (rng.random(n) * spread_ms).astype(np.int64)
    tiny = riders.of("way_9_tiny_deviation")
    squad = riders.of("squad")
    names, platforms = riders.worker_ids(seed), platforms_of(storm)
    accounts, devices = keyed_hashes("u", seed ^ 0xACC, riders.account), keyed_hashes("d", seed ^ 0x5CE, riders.device)
    squads = keyed_hashes("q", seed, np.maximum(riders.group, 0))
    age_ms = (rng.gamma(2.0, 120.0, n) * DAY_MS).astype(np.int64) + 15 * WEEK_MS
    return [
        _Person(
            rider=i,
            condition=CONDITIONS[riders.condition[i]].name,
            worker_id=str(names[i]),
            platform=platforms[riders.platform[i]],
            home=(round(float(lat[i]), 5), round(float(lon[i]), 5)),
            wage_inr=float(wage[i]),
            account=str(accounts[i]),
            device_id=str(devices[i]),
            squad_id=str(squads[i]) if squad[i] else None,
            shares_activity=bool(riders.shares_activity[i]),
            tier=int(riders.tier[i]),
            orders=(TINY_MEAN, TINY_DEVIATION) if tiny[i] else (round(mean * factor[i], 2), round(sd * factor[i], 2)),
            created_ms=alert_ms - int(age_ms[i]),
            bought_before_ms=int(late_ms[i]) if on_the_day[i] else 0,
            ring=int(riders.group[i]) if in_ring[i] else None,
            ring_bought_ms=int(together[i]),
            after_ring_ms=int(after_ms[i]),
        )
        for i in range(n)
    ]


@dataclass
class _Period:
    """One event of a policy."""

    type: str
    time_ms: int
    begin_ms: int
    end_ms: int
    plan: str
    wage_inr: float
    home: tuple[float, float]


def _events(
    rng: np.random.Generator,
    storm: Storm,
    streets: Streets,
    riders: Riders,
    policies: Policies,
    number: int,
    person: _Person,
    seed: int,
) -> list[dict[str, Any]]:
    """The events of one policy as rows of SCHEMA."""
    periods = _periods(rng, storm, streets, riders, policies, person, seed)
    mean, sd = person.orders
    states = policies.states
    planned = round(float(rng.uniform(28, 58)))
    policy_id = str(keyed_hashes("p", seed ^ 0x5CE, np.array([person.rider + (number << 40)]))[0])
    fixed = {
        "policy_id": policy_id,
        "worker_id": person.worker_id,
        "product": policies.product,
        "platform": person.platform,
        "payout_account": person.account,
        "fund_account_id": f"fa_{person.account}",
        "device_id": person.device_id,
        "account_created_at": person.created_ms,
        "trust_tier": int(1 + rng.binomial(4, 0.25 + 0.1 * person.tier / len(TIERS))),
        "consents": CONSENTS[: 3 if person.shares_activity else 2],
        "squad_id": person.squad_id,
        "orders_per_hour": mean if "orders" in states else None,
        "orders_per_hour_sd": sd if "orders" in states else None,
        "slab_orders": 5.0 * np.floor(mean * planned * 0.19) if "slab" in states else None,
        "planned_hours_week": float(planned) if "slab" in states else None,
    }
    baseline = round(float(rng.uniform(0.5, 0.75)), 2)
    rows = []
    for at, period in enumerate(periods):
        local_ms = period.time_ms + storm.utc_offset_min * MINUTE_MS
        hours = round(planned * ((local_ms + 3 * DAY_MS) % WEEK_MS) / WEEK_MS, 1)  # 1 January 1970 was a Thursday
        premium = policies.plans[period.plan].premium_inr
        # What is restated in mid-week says nothing of the week.
        counts_week = "slab" in states and period.type != "upgraded"
        rows.append(
            {
                **fixed,
                "event_id": f"s{policy_id[1:]}-{at}",
                "event_time": period.time_ms,
                "type": period.type,
                "plan": period.plan,
                "home_lat": period.home[0],
                "home_lon": period.home[1],
                "coverage_start": period.begin_ms,
                "coverage_end": period.end_ms,
                "premium_inr": 35.0 if premium is None else premium,
                "daily_wage_inr": period.wage_inr,
                "shift_baseline_inr": round(baseline * period.wage_inr) if "shift_baseline" in states else None,
                "week_orders_carried": float(int(hours * mean)) if counts_week else None,
                "week_hours_carried": hours if counts_week else None,
            }
        )
    return rows


def _periods(
    rng: np.random.Generator,
    storm: Storm,
    streets: Streets,
    riders: Riders,
    policies: Policies,
    person: _Person,
    seed: int,
) -> list[_Period]:
    """Activation and renewals up to the storm's end, with what the rider's condition changes in them."""
    alert_ms, storm_ends_ms = alert_of(storm), storm.time_ms(storm.modeled.readings.end) + 3 * HOUR_MS
    plans = list(policies.plans)
    weight = np.array([plan.weight for plan in policies.plans.values()])
    cheap = min(plans, key=lambda name: policies.plans[name].premium_inr or 0)
    share = rng.random() if person.ring is None else float(unit_hash(seed, np.array([person.ring]), 92)[0])
    plan = plans[int(np.searchsorted(np.cumsum(weight) / weight.sum(), share, side="right"))]
    if person.condition == "way_6_plan_upgraded":
        plan = cheap
    if person.condition == "way_7_quorum" and policies.plans[plan].hours < QUORUM_PLAN_HOURS:
        plan = max(plans, key=lambda name: policies.plans[name].hours)
    length_ms = round(policies.plans[plan].hours * HOUR_MS)
    bought_ms = alert_ms - int(rng.integers(*PERIODS) * length_ms + rng.uniform(0.05, 0.9) * length_ms)
    if person.ring is not None:
        bought_ms = alert_ms - 9 * length_ms + person.ring_bought_ms % (length_ms // 2) + person.after_ring_ms
    if person.bought_before_ms:
        bought_ms = alert_ms - person.bought_before_ms
    terms = (plan, person.wage_inr, person.home)
    found = [_Period("activated", bought_ms, bought_ms, bought_ms + length_ms, *terms)]
    if person.condition == "way_5_renewed_after_alert":
        found[0].time_ms = found[0].begin_ms = alert_ms - 12 * WEEK_MS
        found[0].end_ms = found[0].begin_ms + length_ms
        if all(feed.metric != "red_alert" for feed in storm.modeled.feeds):
            return found  # without a public alert there is nothing to renew after
        now_ms = alert_ms + MINUTE_MS
        return [found[0], _Period("renewed", now_ms, now_ms, now_ms + length_ms, *terms)]
    while found[-1].end_ms <= storm_ends_ms:
        begin_ms = found[-1].end_ms
        early_ms = int(rng.uniform(0, min(DAY_MS, length_ms // 2)))
        if person.condition == "late_renewal" and len(found) == 1:
            begin_ms, early_ms = begin_ms + DAY_MS, 0
        found.append(_Period("renewed", begin_ms - early_ms, begin_ms, begin_ms + length_ms, *terms))
    if person.condition == "raised_wage":
        for period in found[2:]:
            period.wage_inr = _raised(person)
    return found + _restated(streets, riders, policies, person, found, alert_ms)


def _restated(
    streets: Streets, riders: Riders, policies: Policies, person: _Person, periods: list[_Period], alert_ms: int
) -> list[_Period]:
    """Way 6: an event just before the alert that would pay more."""
    now_ms = alert_ms - MINUTE_MS
    current = next(each for each in reversed(periods) if each.begin_ms <= now_ms)
    plan, wage, home = current.plan, current.wage_inr, current.home
    if person.condition == "way_6_plan_upgraded":
        plan = max(policies.plans, key=lambda name: policies.plans[name].premium_inr or 0)
    elif person.condition == "way_6_wage_restated":
        wage = RESTATED_WAGE_INR
    elif person.condition == "way_6_home_restated":
        lat, lon = streets.to_degrees(riders.base_u[[person.rider]], riders.base_v[[person.rider]])
        home = (round(float(lat[0]), 5), round(float(lon[0]), 5))
    else:
        return []
    return [_Period("upgraded", now_ms, current.begin_ms, current.end_ms, plan, wage, home)]
