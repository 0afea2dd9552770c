"""Policies of the simulated: purchases, weekly renewals, cancellations and lapses, as subscription events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monsoon.sources.simulator.city import City
from monsoon.sources.simulator.identifiers import keyed_hashes
from monsoon.sources.simulator.movement import usual_orders_per_hour
from monsoon.sources.simulator.population import HONEST, Population, rng_of
from monsoon.sources.simulator.storm import DAY_MS, HOUR_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.terms import Plan, Policies
from monsoon.sources.simulator.weather import first_alert_ms

KAWAACH = Policies(product="kawaach", plans={"standard": Plan()})
"""What riders hold where a storm names no policies."""
CONSENTS = ["location", "payout", "platform_activity"]
WEEK_MS = 7 * DAY_MS
STATED = 0.9
"""Share of policies that state an optional figure, where the product's do."""
SAMPLE = 256
"""Riders whose usual orders are counted, for what policies state."""
PREMIUMS_INR = (29.0, 49.0, 79.0)
MAX_WEEKS = 10
CHANGE = 63
"""The number of a policy's event that is a change in mid-storm; purchase and renewals count up from 0."""

SUBSCRIPTION_SCHEMA: dict[str, Any] = {
    "event_id": pl.String,
    "event_time": pl.Int64,
    "type": pl.String,
    "policy_id": pl.String,
    "worker_id": pl.String,
    "product": pl.String,
    "plan": pl.String,
    "platform": pl.String,
    "home_lat": pl.Float64,
    "home_lon": pl.Float64,
    "coverage_start": pl.Int64,
    "coverage_end": pl.Int64,
    "premium_inr": pl.Float64,
    "daily_wage_inr": pl.Float64,
    "payout_account": pl.String,
    "fund_account_id": pl.String,
    "device_id": pl.String,
    "account_created_at": pl.Int64,
    "trust_tier": pl.Int64,
    "consents": pl.List(pl.String),
    "shift_baseline_inr": pl.Float64,
    "orders_per_hour": pl.Float64,
    "orders_per_hour_sd": pl.Float64,
    "slab_orders": pl.Float64,
    "planned_hours_week": pl.Float64,
    "week_orders_carried": pl.Float64,
    "week_hours_carried": pl.Float64,
}
OPTIONAL = tuple(SUBSCRIPTION_SCHEMA)[-7:]
"""Columns that exist only where a policy of the storm states them."""

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _People:
    """What a rider states to every insurer, honestly or not; one element a rider."""

    home_lat: Floats
    home_lon: Floats
    daily_wage_inr: Floats
    trust_tier: Codes


@dataclass(frozen=True)
class _Contracts:
    """One product's policies, one element a rider: who holds one, which plan, from when, for how many periods."""

    held: Flags
    plan: Codes
    period_ms: Codes
    bought_ms: Codes
    periods: Codes
    cancelled: Flags


def subscriptions(storm: Storm, city: City, population: Population, seed: int) -> tuple[pl.DataFrame, Floats]:
    """Every policy's events, SUBSCRIPTION_SCHEMA without what none states, sorted by time and id; and what each rider,
    with a policy or without, usually earns in a day (INR).

    Covers begin at once, last their plan's hours and are renewed until the storm is over.
    """
    usual = None
    if any("orders" in policies.states or "slab" in policies.states for policies in storm.modeled.policies):
        usual = usual_orders_per_hour(population.part(slice(SAMPLE)), city, rng_of(seed, 6))
    people: _People | None = None
    tables = []
    for number, policies in enumerate(storm.modeled.policies or (KAWAACH,)):
        table, people = _of_product(storm, city, population, seed, number, policies, people, usual)
        tables.append(table)
    events = pl.concat(tables, how="diagonal").sort("event_time", "event_id")
    assert people is not None
    return events.select(name for name in SUBSCRIPTION_SCHEMA if name in events.columns), people.daily_wage_inr


def _of_product(
    storm: Storm,
    city: City,
    population: Population,
    seed: int,
    number: int,
    policies: Policies,
    people: _People | None,
    usual: tuple[float, float] | None,
) -> tuple[pl.DataFrame, _People]:
    """Events of the storm's policies `number`, and the people as the first of them drew them."""
    rng = rng_of(seed, 2, number) if number else rng_of(seed, 2)
    extra = rng_of(seed, 5, number)
    p, n = population, len(population)
    bad = p.kind != HONEST
    contracts = _contracts(storm, p, policies, rng, extra)
    draws = rng.random((4, n))
    tier = rng.choice(5, n, p=(0.1, 0.2, 0.35, 0.25, 0.1))
    tier[bad] = rng.choice(5, int(bad.sum()), p=(0.4, 0.3, 0.2, 0.08, 0.02))
    age_days = np.where(bad & (draws[0] < 0.5), 1 + 30 * draws[1], 10 + 900 * draws[1] ** 1.5)
    home_lat, home_lon = _stated_homes(city, p, draws[2:])

    rider, begin_ms, event_ms, kind, place = _events(storm, contracts, rng)
    plan = contracts.plan[rider]
    drawn_premium = rng.choice(PREMIUMS_INR, n)
    wage = (350 + 10 * rng.integers(0, 56, n)).astype(np.float64)
    of, changed_ms, upgraded = _changes(storm, policies, contracts, rider, begin_ms, bad, extra)
    names = list(policies.plans)
    better = names.index(policies.upgrade.to) if policies.upgrade else 0
    plan = np.concatenate([plan, np.where(upgraded, better, plan[of])])
    kind = np.concatenate([kind, np.where(upgraded, "upgraded", "cancelled")])
    place = np.concatenate([place, np.full(len(of), CHANGE)])
    event_ms = np.concatenate([event_ms, changed_ms])
    rider, begin_ms = np.concatenate([rider, rider[of]]), np.concatenate([begin_ms, begin_ms[of]])
    people = people or _People(home_lat, home_lon, wage, tier + 1)
    premium = np.array([np.nan if x.premium_inr is None else x.premium_inr for x in policies.plans.values()])[plan]
    account = keyed_hashes("u", seed, p.account)
    code = p.rider + (number << 40)
    worker = p.worker_ids(seed)
    table = pl.DataFrame(
        {
            "event_id": keyed_hashes("s", seed, (rider + (number << 40)) * 64 + place),
            "event_time": event_ms,
            "type": kind,
            "policy_id": keyed_hashes("p", seed, code)[rider],
            "worker_id": worker[rider],
            "product": [policies.product] * len(rider),
            "plan": np.array(names)[plan],
            "platform": np.array(storm.platforms)[p.platform][rider],
            "home_lat": np.round(people.home_lat, 5)[rider],
            "home_lon": np.round(people.home_lon, 5)[rider],
            "coverage_start": begin_ms,
            "coverage_end": begin_ms + contracts.period_ms[rider],
            "premium_inr": np.where(np.isnan(premium), drawn_premium[rider], premium),
            "daily_wage_inr": people.daily_wage_inr[rider],
            "payout_account": account[rider],
            "fund_account_id": np.char.add("fa_", account)[rider],
            "device_id": keyed_hashes("d", seed, p.device)[rider],
            "account_created_at": (contracts.bought_ms - age_days * DAY_MS).astype(np.int64)[rider],
            "trust_tier": people.trust_tier[rider],
            "consents": [CONSENTS[: 3 if shares else 2] for shares in p.shares_activity[rider].tolist()],
        },
        schema={name: SUBSCRIPTION_SCHEMA[name] for name in SUBSCRIPTION_SCHEMA if name not in OPTIONAL},
    )
    stated = _stated(storm, policies, people, usual, extra, rider, event_ms)
    table = table.with_columns(pl.Series(name, values, pl.Float64) for name, values in stated.items())
    table = table.with_columns(pl.col(name).fill_nan(None) for name in stated)
    return table.filter(pl.Series(contracts.held[rider])), people


def _contracts(
    storm: Storm, p: Population, policies: Policies, rng: np.random.Generator, extra: np.random.Generator
) -> _Contracts:
    n = len(p)
    start_ms = storm.time_ms(storm.modeled.riders.start)
    end_ms = storm.time_ms(storm.modeled.readings.end)
    bad = p.kind != HONEST
    plans = list(policies.plans.values())
    weight = np.array([plan.weight for plan in plans])
    plan = extra.choice(len(plans), n, p=weight / weight.sum())
    period_ms = np.array([round(plan.hours * HOUR_MS) for plan in plans])[plan]
    held = bad | (extra.random(n) < policies.share)

    # Bought half a day to nine periods ago.
    bought_ms = start_ms - (rng.uniform(0.5, 63, n) * DAY_MS * (period_ms / WEEK_MS)).astype(np.int64)
    # Half of the attackers buy on the day, many of them when the alert is out, as few of the honest do; a ring buys
    # within the same minute.
    alert_ms = first_alert_ms(storm) or start_ms
    late = rng.random(n) < np.where(bad, 0.5, policies.late_share)
    bought_ms[late] = alert_ms + (rng.uniform(-8 * 60, 40, int(late.sum())) * MINUTE_MS).astype(np.int64)
    for ring in range(int(p.ring.max(initial=-1)) + 1):
        together = np.flatnonzero((p.ring == ring) & (rng.random(n) < 0.8))
        minute_ms = bought_ms[np.flatnonzero(p.ring == ring)[0]] // MINUTE_MS * MINUTE_MS
        bought_ms[together] = minute_ms + rng.integers(0, MINUTE_MS, len(together))
    for code, syndicate in enumerate(storm.modeled.riders.syndicates):
        members = np.flatnonzero(p.syndicate == code)
        after_ms = extra.random(len(members)) * syndicate.buys_within_min * MINUTE_MS
        bought_ms[members] = alert_ms + after_ms.astype(np.int64)

    # Renewed until the storm is over, but for those who let it lapse (5%) or cancel (3%) before it.
    periods = np.clip(-(-(end_ms - bought_ms) // period_ms), 1, MAX_WEEKS)
    fate = rng.random(n)
    lapsed = ~bad & (fate < 0.05) & (periods > 1)
    periods[lapsed] -= 1
    return _Contracts(held, plan, period_ms, bought_ms, periods, ~bad & (fate > 0.97))


def _stated_homes(city: City, p: Population, draws: Floats) -> tuple[Floats, Floats]:
    """Latitudes and longitudes. An attacker's address is in the struck zone, like everything that is only stated."""
    home_lat, home_lon = city.to_degrees(p.home_x, p.home_y)
    false_lat, false_lon = city.to_degrees(
        city.depot_x[p.depot] + 900 * (draws[0] - 0.5), city.depot_y[p.depot] + 900 * (draws[1] - 0.5)
    )
    bad = p.kind != HONEST
    return np.where(bad, false_lat, home_lat), np.where(bad, false_lon, home_lon)


def _events(
    storm: Storm, c: _Contracts, rng: np.random.Generator
) -> tuple[Codes, Codes, Codes, NDArray[np.str_], Codes]:
    """Purchase, renewals and a cancellation of every rider: rider, period's begin, event time (ms), type, number."""
    start_ms = storm.time_ms(storm.modeled.riders.start)
    counts = c.periods + c.cancelled
    rider = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(rider)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = c.cancelled[rider] & (place == c.periods[rider])
    begin_ms = c.bought_ms[rider] + np.minimum(place, c.periods[rider] - 1) * c.period_ms[rider]
    # A renewal is bought within the day before its period begins.
    renewal_ms = begin_ms - (rng.random(len(rider)) * 24 * HOUR_MS).astype(np.int64)
    event_ms = np.where(place == 0, begin_ms, renewal_ms)
    latest_ms = np.maximum(begin_ms + 1, np.minimum(begin_ms + c.period_ms[rider], start_ms))
    cancel_ms = begin_ms + (rng.random(len(rider)) * (latest_ms - begin_ms)).astype(np.int64)
    event_ms = np.where(ends, cancel_ms, event_ms)
    return rider, begin_ms, event_ms, np.select([ends, place == 0], ["cancelled", "activated"], "renewed"), place


def _stated(
    storm: Storm,
    policies: Policies,
    people: _People,
    usual: tuple[float, float] | None,
    rng: np.random.Generator,
    rider: Codes,
    event_ms: Codes,
) -> dict[str, Floats]:
    """The optional figures that this product's policies state, one element an event; NaN where one does not.

    Orders are the simulator's own in hours without hindrance, as a platform that counts a few weeks would know them
    of a rider. Slabs lie around what the rider plans to deliver; what the week has carried grows from Monday on.
    """
    n = len(people.daily_wage_inr)
    found: dict[str, Floats] = {}
    if "shift_baseline" in policies.states:
        baseline = 5 * np.round(people.daily_wage_inr * rng.uniform(0.5, 0.8, n) / 5)
        found["shift_baseline_inr"] = _nine_in_ten(rng, baseline)[rider]
    if usual is None:
        return found
    mean, sd = (figure * (1 + 0.1 * rng.standard_normal(n)) for figure in usual)
    if "orders" in policies.states:
        stated = _nine_in_ten(rng, np.round(mean, 2))
        found["orders_per_hour"] = stated[rider]
        found["orders_per_hour_sd"] = np.where(np.isnan(stated), np.nan, np.round(np.maximum(sd, 0.3), 2))[rider]
    if "slab" in policies.states:
        planned = np.round(rng.uniform(25, 60, n))
        slab = 5 * np.floor(mean * planned * rng.uniform(0.85, 1.12, n) / 5)
        local_ms = event_ms + storm.utc_offset_min * MINUTE_MS
        gone = (local_ms + 3 * DAY_MS) % WEEK_MS / WEEK_MS  # 1 January 1970 was a Thursday
        hours = planned[rider] * gone * rng.uniform(0.9, 1.1, n)[rider]
        found["slab_orders"] = _nine_in_ten(rng, slab)[rider]
        found["planned_hours_week"] = planned[rider]
        found["week_orders_carried"] = np.floor(hours * mean[rider])
        found["week_hours_carried"] = np.round(hours, 1)
    return found


def _nine_in_ten(rng: np.random.Generator, figures: Floats) -> Floats:
    return np.where(rng.random(len(figures)) < STATED, figures, np.nan)


def _changes(
    storm: Storm, policies: Policies, c: _Contracts, rider: Codes, begin_ms: Codes, bad: Flags, rng: np.random.Generator
) -> tuple[Codes, Codes, Flags]:
    """Upgrades and cancellations while the storm is on: the event whose period each changes, when, which it is."""
    window = storm.modeled.riders
    at_ms = rng.integers(storm.time_ms(window.start), storm.time_ms(window.end), len(bad))
    dice = rng.random(len(bad))
    open_to = ~bad & ~c.cancelled
    upgraded = open_to & (dice < (policies.upgrade.share if policies.upgrade else 0.0))
    cancelled = open_to & (dice > 1 - policies.cancelled_share)
    now_ms = at_ms[rider]
    in_force = (begin_ms <= now_ms) & (now_ms < begin_ms + c.period_ms[rider])
    of = np.flatnonzero((upgraded | cancelled)[rider] & in_force)
    return of, now_ms[of], upgraded[rider[of]]
