"""The testing kit: small builders of contract records and machines' inputs, with times in minutes.

Belongs here: what several tests build. Does not: a copy of a rule; expectations stand in the tests.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Literal

import h3.api.basic_int as h3
import numpy as np

from monsoon.sources.product_files import load_products
from monsoon.testing.records import oracle_reading, policy_event
from monsoon.transforms.adjudication.claims import (
    Claim,
    ClaimScore,
    DisruptionUpdate,
    GuardSignal,
    PolicyTerms,
    Reread,
)
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.guard.signals import SIGNALS
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.evaluate import evaluate_trigger
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.readings import Reading, reading_from_record

MINUTE_MS = 60_000
NOON_MS = 1_719_556_200_000
"""28 June 2024, 12:00 in Kolkata: minute 0 of every test."""

LAT, LON = 28.5845, 77.2056
"""Safdarjung."""


def at(minutes: float) -> int:
    """Milliseconds since the epoch, `minutes` after noon."""
    return NOON_MS + round(minutes * MINUTE_MS)


def kawaach() -> Product:
    """The product as its file says."""
    return load_products(["kawaach"])["kawaach"]


_ids = count()


def reading_record(metric: str, value: float, minutes: float, **fields: Any) -> dict[str, Any]:
    """A reading of the contract from provider imd at Safdarjung, unless `fields` say otherwise."""
    made = oracle_reading(f"r{next(_ids)}", "imd", metric, value, at(minutes), LAT, LON)
    return dict.fromkeys(("issued_time", "platform", "radius_km", "h3", "wkt")) | made | fields


def reading(metric: str, value: float, minutes: float, **fields: Any) -> Reading:
    return reading_from_record(reading_record(metric, value, minutes, **fields))


def zones_at(*places: tuple[float, float], resolution: int = 9) -> Zones:
    """The zones of these (latitude, longitude)."""
    cells = [h3.latlng_to_cell(lat, lon, resolution) for lat, lon in places or [(LAT, LON)]]
    return Zones.from_cells(np.array(cells, dtype=np.uint64), resolution)


def product_of(name: str) -> Product:
    """A product as its file says."""
    return load_products([name])[name]


def evaluate(
    product: Product, trigger: str, readings: list[Reading], *places: tuple[float, float], telemetry_values: Any = None
) -> list[Revision]:
    """All that the product's trigger publishes in one zone (Safdarjung's), in order.

    `telemetry_values`: what telemetry measured, by minute.
    """
    zones = zones_at(*places, resolution=product.zone_resolution)
    terms = product.trigger(trigger)
    platform = readings[0].platform if terms.platform_only else None
    told = {
        (platform, zone, at(minute)): value
        for zone in zones.cells.tolist()
        for minute, value in (telemetry_values or {}).items()
    }
    series = evaluate_trigger(terms, readings, zones, alert=alert_condition(product), telemetry_values=told)
    assert len(series) <= 1
    return list(series[0].revisions) if series else []


def subscription_record(kind: str, minutes: float, start: float, end: float, **fields: Any) -> dict[str, Any]:
    """A subscription event of the contract: `kind` at `minutes`, covering [start, end) in minutes."""
    base = {
        "type": kind,
        "policy_id": "p1",
        "coverage_start": at(start),
        "coverage_end": at(end),
        "fund_account_id": "fa_1",
        "account_created_at": at(-100_000),
    }
    made = policy_event(f"s{next(_ids)}", "w1", "kawaach", "standard", at(minutes), LAT, LON, **base)
    return dict.fromkeys(("trust_tier", "orders_per_hour")) | made | fields


def terms(**fields: Any) -> PolicyTerms:
    """A policy of Rs 500 a day."""
    base: dict[str, Any] = {
        "policy_id": "p1",
        "worker_id": "w1",
        "plan": "standard",
        "daily_wage_inr": 500,
        "fund_account_id": "fa_1",
        "trust_tier": None,
        "account_created_at_ms": at(-100_000),
        "activated_at_ms": at(-10_000),
        "orders_per_hour": None,
    }
    return PolicyTerms(**(base | fields))


def update(disruption: str, minutes: float, trigger: str = "curfew", **fields: Any) -> DisruptionUpdate:
    """A disruption confirmed at `minutes`, still open, on which the rider of `terms` is a candidate."""
    base: dict[str, Any] = {
        "at_ms": at(minutes),
        "disruption_id": disruption,
        "trigger": trigger,
        "peril": trigger,
        "zone": "893da1162c7ffff",
        "withdrawn": False,
        "start_ms": at(minutes),
        "confirmed_at_ms": at(minutes),
        "end_ms": None,
        "level": "partial" if trigger == "rain" else None,
        "first_alert_ms": at(minutes),
        "terms": terms(),
    }
    return DisruptionUpdate(**(base | fields))


LOST = -1.0
"""In the place of a risk: no score comes."""


def signal(name: str, status: Literal["strong", "clear"] | None = "strong") -> GuardSignal:
    """A signal of the guard, which rests on its first feature."""
    condition = SIGNALS[name][0]
    return GuardSignal(name, status, condition.feature, float(status == "strong"), condition.threshold, 9)


class Rereads:
    """Re-reads with one outcome after another, then with the last: `released`, `waits`, `untied`, `lost`, or the name
    of a signal that is strong. Notes when riders had been asked, the moment, and the answer."""

    def __init__(self, *script: str) -> None:
        self._script = list(script) or ["released"]
        self.asked: list[tuple[int, int, str]] = []

    def __call__(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        self.asked.append((asked_at_ms, at_ms, answer_id))
        found = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if found == "lost":
            return None
        if found in SIGNALS:
            return Reread(asked_at_ms, at_ms, "reviewed", (signal(found),))
        outcome: Any = "reviewed" if found == "untied" else found
        return Reread(asked_at_ms, at_ms, outcome, () if found == "waits" else (signal("cell", "clear"),))


class ScriptedScores:
    """Answers with the scripted risks by disruption, one after another, then with the last; counts the questions. Every
    re-read releases."""

    def __init__(self, default: float | None = 0.0, signals: int = 9, **risks: list[float | None]) -> None:
        self.reread = Rereads()
        self._default, self._signals = default, signals
        self._risks = {name: list(script) for name, script in risks.items()}
        self.asked: list[tuple[str, int]] = []

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        name = claim.update.disruption_id
        self.asked.append((name, at_ms))
        script = self._risks.get(name, [self._default])
        risk = script.pop(0) if len(script) > 1 else script[0]
        return None if risk == LOST else ClaimScore(risk, self._signals, weightiest=("accelerometer_variance",))
