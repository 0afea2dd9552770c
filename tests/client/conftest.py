"""A broker in memory, to which every consumer of a test connects."""

import pytest
from kit.fake_kafka import FakeBroker


@pytest.fixture
def broker(monkeypatch):
    broker = FakeBroker()
    monkeypatch.setattr("monsoon.client.consumer.connect", broker.connect)
    return broker
