"""Policies of the simulated: purchases, weekly renewals, cancellations and lapses, as subscription events."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from monsoon.sources.simulator.city import City
from monsoon.sources.simulator.identifiers import keyed_hashes
from monsoon.sources.simulator.population import HONEST, PLATFORMS, Population, rng_of
from monsoon.sources.simulator.storm import HOUR_MS, MINUTE_MS, Storm
from monsoon.sources.simulator.weather import first_alert_ms

PRODUCT, PLAN = "kawaach", "standard"
CONSENTS = ["location", "payout", "platform_activity"]
PERIOD_MS = 7 * 24 * HOUR_MS
PREMIUMS_INR = (29.0, 49.0, 79.0)
MOST_WEEKS = 10

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
}


def subscriptions(storm: Storm, city: City, population: Population, seed: int) -> pl.DataFrame:
    """Every rider's events, SUBSCRIPTION_SCHEMA, sorted by time and id. Covers begin at once and last a week."""
    rng = rng_of(seed, 2)
    p, n = population, len(population)
    start_ms = storm.time_ms(storm.modeled.riders.start)
    end_ms = storm.time_ms(storm.modeled.readings.end)
    bad = p.kind != HONEST

    bought_ms = start_ms - (rng.uniform(0.5, 63, n) * 24 * HOUR_MS).astype(np.int64)
    # Half of the attackers buy on the day, many of them when the alert is out, as 3% of the honest do; a ring buys
    # within the same minute.
    alert_ms = first_alert_ms(storm) or start_ms
    late = rng.random(n) < np.where(bad, 0.5, 0.03)
    bought_ms[late] = alert_ms + (rng.uniform(-8 * 60, 40, int(late.sum())) * MINUTE_MS).astype(np.int64)
    for ring in range(int(p.ring.max(initial=-1)) + 1):
        together = np.flatnonzero((p.ring == ring) & (rng.random(n) < 0.8))
        minute_ms = bought_ms[np.flatnonzero(p.ring == ring)[0]] // MINUTE_MS * MINUTE_MS
        bought_ms[together] = minute_ms + rng.integers(0, MINUTE_MS, len(together))

    # Renewed each week until the storm is over, but for those who let it lapse (5%) or cancel (3%) before it.
    weeks = np.clip(-(-(end_ms - bought_ms) // PERIOD_MS), 1, MOST_WEEKS)
    fate = rng.random(n)
    lapsed = ~bad & (fate < 0.05) & (weeks > 1)
    weeks[lapsed] -= 1
    cancelled = ~bad & (fate > 0.97)
    draws = rng.random((4, n))
    tier = rng.choice(5, n, p=(0.1, 0.2, 0.35, 0.25, 0.1))
    tier[bad] = rng.choice(5, int(bad.sum()), p=(0.4, 0.3, 0.2, 0.08, 0.02))
    age_days = np.where(bad & (draws[0] < 0.5), 1 + 30 * draws[1], 10 + 900 * draws[1] ** 1.5)
    home_lat, home_lon = city.to_degrees(p.home_x, p.home_y)
    # An attacker's address is in the struck zone, like everything that is only said.
    false_x = city.depot_x[p.depot] + 900 * (draws[2] - 0.5)
    false_y = city.depot_y[p.depot] + 900 * (draws[3] - 0.5)
    false_lat, false_lon = city.to_degrees(false_x, false_y)

    counts = weeks + cancelled
    rider = np.repeat(np.arange(n), counts)
    week = np.arange(len(rider)) - np.repeat(np.cumsum(counts) - counts, counts)
    ends = cancelled[rider] & (week == weeks[rider])
    begin_ms = bought_ms[rider] + np.minimum(week, weeks[rider] - 1) * PERIOD_MS
    # A renewal is bought within the day before its week begins.
    renewal_ms = begin_ms - (rng.random(len(rider)) * 24 * HOUR_MS).astype(np.int64)
    event_ms = np.where(week == 0, begin_ms, renewal_ms)
    latest_ms = np.maximum(begin_ms + 1, np.minimum(begin_ms + PERIOD_MS, start_ms))
    cancel_ms = begin_ms + (rng.random(len(rider)) * (latest_ms - begin_ms)).astype(np.int64)
    event_ms = np.where(ends, cancel_ms, event_ms)
    worker = p.worker_ids(seed)
    account = keyed_hashes("u", seed, p.account)
    return pl.DataFrame(
        {
            "event_id": keyed_hashes("s", seed, rider * 64 + week),
            "event_time": event_ms,
            "type": np.select([ends, week == 0], ["cancelled", "activated"], "renewed"),
            "policy_id": keyed_hashes("p", seed, p.rider)[rider],
            "worker_id": worker[rider],
            "product": [PRODUCT] * len(rider),
            "plan": [PLAN] * len(rider),
            "platform": np.array(PLATFORMS)[p.platform][rider],
            "home_lat": np.round(np.where(bad, false_lat, home_lat), 5)[rider],
            "home_lon": np.round(np.where(bad, false_lon, home_lon), 5)[rider],
            "coverage_start": begin_ms,
            "coverage_end": begin_ms + PERIOD_MS,
            "premium_inr": rng.choice(PREMIUMS_INR, n)[rider],
            "daily_wage_inr": (350 + 10 * rng.integers(0, 56, n)).astype(np.float64)[rider],
            "payout_account": account[rider],
            "fund_account_id": np.char.add("fa_", account)[rider],
            "device_id": keyed_hashes("d", seed, p.device)[rider],
            "account_created_at": (bought_ms - age_days * 24 * HOUR_MS).astype(np.int64)[rider],
            "trust_tier": (tier + 1)[rider],
            "consents": [CONSENTS[: 3 if shares else 2] for shares in p.shares_activity[rider].tolist()],
        },
        schema=SUBSCRIPTION_SCHEMA,
    ).sort("event_time", "event_id")
