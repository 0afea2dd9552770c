"""The example of docs/client.md: stopped anywhere, and begun anew, it has each payout once."""

import re
import sqlite3

import pytest
from kit.output_records import payout

from monsoon.client import Consumer


@pytest.fixture
def store_payouts(root):
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (root / "docs/client.md").read_text(encoding="utf-8"), re.M | re.S
    )
    names = {}
    exec(compile(example, "docs/client.md", "exec"), names)
    return names["store_payouts"]


def test_the_ledger_of_the_document(broker, store_payouts, monkeypatch):
    broker.create("payouts", partitions=2)
    for number in range(8):
        broker.put("payouts", payout(number % 6), partition=number % 6 % 2)
    read_to_end = Consumer.read_to_end

    def interrupted(consumer):
        """After three records the service dies, between the third and its effects."""
        for number, received in enumerate(read_to_end(consumer)):
            if number == 2:
                raise KeyboardInterrupt
            yield received

    ledger = sqlite3.connect(":memory:")
    monkeypatch.setattr(Consumer, "read_to_end", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            store_payouts(ledger, "localhost:9092")
    # r-0, r-2, r-4, and r-0 again, which the restarted consumer cannot know of.
    assert ledger.execute("SELECT COUNT(*) FROM payouts").fetchone() == (3,)
    monkeypatch.setattr(Consumer, "read_to_end", read_to_end)
    for _ in range(2):
        store_payouts(ledger, "localhost:9092")
        assert sorted(ledger.execute("SELECT * FROM payouts")) == [(f"r-{n}", 100 * (n + 1)) for n in range(6)]
    assert all(connection.closed for connection in broker.connections)
