"""A made-up city whose zones come under curfew one after another: the input of `monsoon bench live`'s latency and
recovery.

A rider stands in each zone and reports every two minutes. In each step, a live interval of event time, some zones have
one official reading each, which confirms a disruption there and pays its rider.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import h3.api.basic_str as h3

from monsoon.contracts.topics import INPUT_TOPICS, topic_name
from monsoon.pipelines.runtime.intervals import LIVE_INTERVAL_MS
from monsoon.sources.kafka.admin import partition_counts
from monsoon.sources.kafka.history import TimedLine
from monsoon.sources.kafka.producer import HistoryProducer, history_producer
from monsoon.testing.records import DAY_MS, oracle_reading, policy_event, telemetry_report

START_MS = 1_719_532_800_000
"""28 June 2024, 05:30 in Delhi: when the first reports are sent."""
HISTORY_STEPS = 180
"""Half an hour of reports before the first reading."""
_REPORT_STEPS = 12
_LAT, _LON, _SPACING_DEG = 28.2, 76.8, 0.02
_RESOLUTION = 9
"""Of H3, of kawaach's zones."""


@dataclass(frozen=True)
class City:
    """So many zones with a rider each, of which `zones_a_step` come under curfew in each step."""

    zones: int
    zones_a_step: int

    @property
    def steps(self) -> int:
        """After so many steps all zones have had their reading."""
        return HISTORY_STEPS + -(-self.zones // self.zones_a_step)

    def policies(self) -> Iterator[TimedLine]:
        """An event for each rider."""
        at_ms = START_MS - DAY_MS
        for rider, (_, lat, lon) in enumerate(self._places):
            own = {"payout_account": f"account-{rider:08d}", "device_id": f"device-{_name(rider)}"}
            event = policy_event(
                f"s{rider}", _name(rider), "kawaach", "standard", at_ms, lat, lon, home_lat=lat, home_lon=lon, **own
            )
            yield _line("subscriptions", event, START_MS)

    def lines(self, step: int) -> Iterator[TimedLine]:
        """The reports and readings of a step, in the order of their time."""
        at_ms = START_MS + step * LIVE_INTERVAL_MS
        for rider in range(step % _REPORT_STEPS, self.zones, _REPORT_STEPS):
            _, lat, lon = self._places[rider]
            report_ms = at_ms + rider * 7_919 % (LIVE_INTERVAL_MS // 2)
            yield _line("telemetry", telemetry_report(f"e{rider}-{step}", _name(rider), report_ms, lat, lon), report_ms)
        first = (step - HISTORY_STEPS) * self.zones_a_step
        for zone in range(max(0, first), max(0, min(self.zones, first + self.zones_a_step))):
            cell, lat, lon = self._places[zone]
            reading_ms = at_ms + LIVE_INTERVAL_MS // 2
            reading = oracle_reading(f"r{zone}", "imd", "curfew", 1, reading_ms, lat, lon, h3=cell, lat=None, lon=None)
            yield _line("oracle_readings", reading, reading_ms)

    @cached_property
    def _places(self) -> list[tuple[str, float, float]]:
        """Of each zone its cell and the middle of it."""
        side = 50
        places = []
        for zone in range(self.zones):
            row, column = divmod(zone, side)
            cell = h3.latlng_to_cell(_LAT + _SPACING_DEG * row, _LON + _SPACING_DEG * column, _RESOLUTION)
            places.append((cell, *h3.cell_to_latlng(cell)))
        return places


def end_ms(step: int) -> int:
    """When a step is over (ms): a heartbeat of this time lets the watermark pass it."""
    return START_MS + (step + 1) * LIVE_INTERVAL_MS


def step_that_decides(moment_ms: int) -> int:
    """The step whose end decides what happens at a moment."""
    return (moment_ms - START_MS) // LIVE_INTERVAL_MS


def _name(rider: int) -> str:
    return f"w{rider * 2_654_435_761 % 2**32:08x}"


def _line(stream: str, record: Mapping[str, Any], at_ms: int) -> TimedLine:
    return TimedLine(stream, json.dumps(record).encode(), at_ms, at_ms)


class Lines:
    """Lines in the order of their times, as a `HistoryProducer` takes them."""

    def __init__(self, lines: Sequence[TimedLine]) -> None:
        self.lines, self.first_ms = lines, lines[0].time_ms

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[TimedLine]:
        return iter(self.lines)


class CityProducer:
    """Sends a city's steps to the input topics."""

    def __init__(self, city: City, brokers: str) -> None:
        self._city, self._producer = city, input_producer(brokers)
        self.passed_s: dict[int, float] = {}
        """By step: when the last heartbeat that lets the watermark pass its end was acknowledged (time.time())."""

    @property
    def sent(self) -> int:
        """How many lines were sent."""
        return self._producer.sent

    def send_history(self) -> None:
        """Policies, and all steps before the first reading."""
        self._send(list(self._city.policies()))
        for step in range(HISTORY_STEPS):
            self._send(list(self._city.lines(step)))
        self.beat(HISTORY_STEPS - 1)

    def send(self, step: int) -> None:
        """A step; returns when it is acknowledged, and what says that it is over as well."""
        self._send(list(self._city.lines(step)))
        self.beat(step)

    def beat(self, step: int) -> None:
        """Says in every partition that nothing of a step follows."""
        self.passed_s[step] = beat(self._producer, end_ms(step))

    def _send(self, lines: Sequence[TimedLine]) -> None:
        if lines:
            self._producer.send(Lines(lines))


def input_producer(brokers: str) -> HistoryProducer:
    """A producer for the input topics."""
    topics = {topic.stream: topic_name(topic.stream) for topic in INPUT_TOPICS}
    return HistoryProducer(history_producer(brokers), topics, partition_counts(brokers, topics))


def beat(producer: HistoryProducer, stamp_ms: int) -> float:
    """Says in every partition that nothing earlier follows; returns when the last was acknowledged (time.time())."""
    acknowledged_s: list[float] = []
    for stream, count in producer.partitions.items():
        for partition in range(count):
            topic = producer.topics[stream]
            sent = producer.producer.send(topic, value=b"", partition=partition, timestamp_ms=stamp_ms)
            sent.add_callback(lambda _: acknowledged_s.append(time.time()))
    producer.producer.flush()
    return max(acknowledged_s)
