"""Histories of riders, and a Redis for tests."""

import random

import pytest
from evidence.conftest import CENTER, reports, telemetry_table_of
from kit.needs import need

from monsoon.pipelines.stack.ports import free_ports
from monsoon.pipelines.stack.redis_server import RedisServer

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
DELAYS_MS = (None, None, None, 0, 2_000, 12 * MINUTE_MS, 40 * MINUTE_MS, 5 * HOUR_MS, 7 * HOUR_MS)


def history(seed: int, end_ms: int, riders: int = 6, days: int = 9) -> list[dict]:
    """Reports of riders on shared phones over some days, the last four hours close together; many are received late."""
    generator = random.Random(seed)
    rows = []
    for rider in range(riders):
        mine = [
            row
            for day in range(1, days)
            for row in reports(
                "", 20, end_ms=end_ms - day * DAY_MS - generator.randint(0, 3) * HOUR_MS, step_ms=150_000
            )
        ]
        mine += reports("", 60, end_ms=end_ms, step_ms=4 * MINUTE_MS)
        for number, row in enumerate(mine):
            delay_ms = generator.choice(DELAYS_MS)
            row |= {
                "worker": f"w{rider}",
                "event_id": f"{rider}-{number}",
                "device": f"d{generator.choice((rider, rider, rider, rider % 3))}",
                "lat": CENTER[0] + generator.gauss(0, 2e-3),
                "lon": CENTER[1] + generator.gauss(0, 2e-3),
                "pressure_hpa": generator.uniform(990, 991),
                "cn0_dbhz": generator.uniform(25, 40),
                "agc_db": generator.choice((None, generator.uniform(38, 46))),
                "battery_pct": generator.uniform(20, 80),
                "charging": generator.choice((0, 0, 0, 1)),
                "app_state": generator.choice(("online", "on_trip", "offline")),
                "orders_completed": generator.choice((0, 1, None)),
                "received_time_ms": None if delay_ms is None else row["event_time_ms"] + delay_ms,
            }
        rows += mine
    return rows


def received_by(rows: list[dict], at_ms: int):
    """The telemetry table as it was at a moment: of what had happened, and been received, by then."""
    return telemetry_table_of([row for row in rows if max(row["event_time_ms"], row["received_time_ms"] or 0) <= at_ms])


@pytest.fixture
def redis_server(tmp_path):
    """A Redis of this test's own, empty."""
    need(RedisServer.is_installed(), "no redis-server here: apt-get install redis-server")
    server = RedisServer(tmp_path / "redis", free_ports(1)[0])
    server.start()
    yield server
    server.stop(0)
