"""Records of the contracts, complete and plausible; a test overrides the fields that matter to it."""

from __future__ import annotations

from typing import Any

DAY_MS = 24 * 3_600_000


def telemetry_report(
    event_id: str, worker: str, at_ms: int, lat: float, lon: float, /, **fields: Any
) -> dict[str, Any]:
    """A report of an honest phone on the move, on a trip of the platform zepto, with an order completed.

    `fields` replace any of the contract's (contracts/telemetry.schema.json); None leaves one out.
    """
    n = at_ms // 1000
    record = {
        "event_id": event_id,
        "worker_id": worker,
        "device_id": f"device-{worker}",
        "event_time": at_ms,
        "lat": round(lat + 0.0001 * (n % 7), 6),
        "lon": round(lon + 0.0001 * (n % 5), 6),
        "accuracy_m": 8.0,
        "speed_mps": float(n % 9),
        "mock_location": False,
        "mock_setting": False,
        "accel_var": 0.5 + n % 4,
        "pressure_hpa": 990.0 + n % 3,
        "cn0_dbhz": 30.0,
        "agc_db": 44.0,
        "gnss_time": at_ms,
        "network_time": at_ms + 40,
        "battery_pct": 80.0,
        "charging": False,
        "platform": "zepto",
        "app_state": "on_trip",
        "orders_completed": 1,
    }
    return _present(record | fields)


def oracle_reading(
    reading_id: str, provider: str, metric: str, value: float, at_ms: int, lat: float, lon: float, /, **fields: Any
) -> dict[str, Any]:
    """A first reading of official quality, for the disc that is its metric's by default.

    `fields` replace any of the contract's (contracts/oracle_reading.schema.json); None leaves one out.
    """
    record = {
        "reading_id": reading_id,
        "revision": 0,
        "provider": provider,
        "quality": "official",
        "metric": metric,
        "value": value,
        "event_time": at_ms,
        "lat": lat,
        "lon": lon,
    }
    return _present(record | fields)


def policy_event(
    event_id: str, worker: str, product: str, plan: str, at_ms: int, lat: float, lon: float, /, **fields: Any
) -> dict[str, Any]:
    """An activation that covers a year from then on, of a rider of Rs 500 a day with an account of half a year.

    `fields` replace any of the contract's (contracts/subscription.schema.json); None leaves one out.
    """
    record = {
        "event_id": event_id,
        "event_time": at_ms,
        "type": "activated",
        "policy_id": f"policy-{worker}",
        "worker_id": worker,
        "product": product,
        "plan": plan,
        "platform": "zepto",
        "home_lat": lat,
        "home_lon": lon,
        "coverage_start": at_ms,
        "coverage_end": at_ms + 365 * DAY_MS,
        "daily_wage_inr": 500,
        "payout_account": f"account-{worker}",
        "fund_account_id": f"fund-{worker}",
        "device_id": f"device-{worker}",
        "account_created_at": at_ms - 180 * DAY_MS,
    }
    return _present(record | fields)


def _present(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}
