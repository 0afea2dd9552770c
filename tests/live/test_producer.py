"""What the producer of a history does when the brokers do not take a record."""

import json

import pytest
from kafka.errors import OutOfOrderSequenceNumberError
from kafka.future import Future

from monsoon.sources.files import InputError
from monsoon.sources.kafka import producer as producer_module
from monsoon.sources.kafka.history import History, TimedLine
from monsoon.sources.kafka.producer import HistoryProducer
from monsoon.sources.kafka.watermarks import END_OF_STREAM_MS

NOON_MS = 1_719_556_200_000


class Brokers:
    """Takes every record but those of some values; answers when it is flushed."""

    def __init__(self, *refused):
        self.refused, self.waiting, self.taken = refused, [], []

    def send(self, topic, value, key, partition, timestamp_ms):
        self.waiting.append((Future(), value, timestamp_ms))
        return self.waiting[-1][0]

    def flush(self):
        for future, value, timestamp_ms in self.waiting:
            if value in self.refused:
                future.failure(OutOfOrderSequenceNumberError())
            else:
                self.taken.append((value, timestamp_ms))
                future.success(None)
        self.waiting = []


class Lines(list):
    first_ms = NOON_MS


def sent(brokers, *values):
    producer = HistoryProducer(brokers, {"telemetry": "its-topic"}, {"telemetry": 1})
    producer.send(Lines(TimedLine("telemetry", value, NOON_MS, NOON_MS) for value in values))
    producer.end()


def test_what_the_brokers_take_is_followed_by_the_end():
    brokers = Brokers()
    sent(brokers, b"a", b"b")
    beat = (b"", NOON_MS)
    assert brokers.taken == [beat, (b"a", NOON_MS), (b"b", NOON_MS), beat, (b"", END_OF_STREAM_MS)]


def test_a_record_that_the_brokers_do_not_take_is_told_and_no_end_follows():
    brokers = Brokers(b"b", b"c")
    with pytest.raises(InputError, match=r"its-topic.*not taken 2 records: OutOfOrderSequenceNumberError"):
        sent(brokers, b"a", b"b", b"c")
    assert all(stamp_ms != END_OF_STREAM_MS for _, stamp_ms in brokers.taken)


def test_the_end_is_said_again_after_some_seconds(monkeypatch):
    brokers, clock = Brokers(), Clock()
    monkeypatch.setattr(producer_module, "time", clock)
    producer = HistoryProducer(brokers, {"telemetry": "its-topic"}, {"telemetry": 1})
    producer.end()
    said = []
    for clock.now_s in range(30):
        producer.end_again()
        said.append(len(brokers.taken))
    assert said == [1] * 10 + [2] * 10 + [3] * 10


class Clock:
    """The module's time: it passes in sleep alone."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


HOUR_MS = 3_600_000


def test_policies_of_before_a_storm_are_sent_at_once_and_the_storm_at_its_speed(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(producer_module, "time", clock)
    records: dict[str, list[dict]] = {
        "subscriptions": [{"event_time": NOON_MS - hours * HOUR_MS} for hours in range(500, 0, -5)],
        # One clock is years behind; the storm takes an hour.
        "telemetry": [{"worker_id": "w", "event_time": at_ms} for at_ms in (10**12, NOON_MS, NOON_MS + HOUR_MS // 2)],
        "oracle_readings": [{"event_time": NOON_MS + HOUR_MS}],
    }
    for stream, some in records.items():
        (tmp_path / stream).mkdir()
        (tmp_path / stream / "a.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in some))
    brokers = Brokers()
    with History(tmp_path) as history:
        topics = dict.fromkeys(records, "t")
        producer = HistoryProducer(brokers, topics, dict.fromkeys(records, 1), speed=3_600.0)
        producer.send(history)
        assert producer.sent == 104
        assert producer.played_ms == history.span_ms == HOUR_MS
    assert clock.now_s == pytest.approx(1.0, abs=0.01)
