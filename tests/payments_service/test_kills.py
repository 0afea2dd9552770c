"""Instances and database killed at random while payouts come: nothing is lost, and nothing is paid twice.

`cd tests && python -m payments_service.test_kills KILLS SEED` does it as often as wanted, and prints what was seen.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kit.book import balances
from kit.broker import broker_in
from kit.postgres import new_ledger, postgres_server
from payments_service.test_intake import PAYOUT
from payments_service.test_service import now_ms

from monsoon.contracts.topics import TOPICS
from monsoon.pipelines.stack.errors import StackError
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.reconcile import reconcile
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.script import Misbehavior
from monsoon.sinks.provider_simulator.server import ProviderServer

STREAMS = ("payouts", "subscriptions", "reserves", "payout_results", "notifications")
PAYOUTS_A_KILL = 10
KEY = ("rzp_test_key", "secret")  # the simulator's, which the command takes where the environment has none
LEASE_S = 3
PATIENCE_S = 240
AMOUNT = 40_000


class Instances:
    """Two processes of `monsoon dispatch`."""

    def __init__(self, words, log):
        self.words, self.log = words, log
        self.running = {name: self.start() for name in ("first", "second")}

    def start(self):
        command = [sys.executable, "-m", "monsoon.cli.main", "dispatch", *self.words]
        return subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def kill(self, name):
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()
        self.running[name] = self.start()

    def end(self):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait(30)


def kill_at_random(kills, seed, folder):
    """What was killed, how often, and what became of the payouts; fails where ledger and provider differ."""
    rng = random.Random(seed)
    done = Counter()
    fate = Misbehavior(seed=seed, latency_ms=20, faults=0.2, failed=0.1)
    provider = ProviderServer(ProviderBook(fate, now_ms), 0, *KEY, stall_s=0.5)
    provider.start()
    count = kills * PAYOUTS_A_KILL
    with postgres_server(("max_connections=60",)) as server, broker_in(folder / "broker") as broker:
        broker.create_topics([TOPICS[stream] for stream in STREAMS])
        address = new_ledger(server)
        words = ["--ledger", address, "--provider", provider.url, "--brokers", broker.address, "--workers", "4"]
        words += ["--requests-per-s", "500", "--lease-s", str(LEASE_S)]
        producer = KafkaProducer(bootstrap_servers=broker.address)
        with open(folder / "dispatch.log", "wb") as log:
            instances = Instances(words, log)
            try:
                for number in range(count):
                    payout = PAYOUT | {"reference_id": f"p{number:032x}", "claim_id": f"c{number}"}
                    producer.send("payouts", json.dumps(payout).encode(), key=str(payout["reference_id"]).encode())
                    if number % PAYOUTS_A_KILL == PAYOUTS_A_KILL - 1:
                        producer.flush()
                        time.sleep(rng.uniform(0.5, 4))
                        part = rng.choice(("first", "second", "second", "first", "database"))
                        done[part] += 1
                        if part == "database":
                            server.kill()
                            server.start()
                        else:
                            instances.kill(part)
                states = settled_states(address, count)
            finally:
                instances.end()
                producer.close()
        with connect(address, "monsoon_dispatcher") as connection:
            store, client = Store(connection, DispatchSettings(ACCOUNT)), HttpProvider(provider.url, *KEY, ACCOUNT)
            at_s = now_ms() // 1000
            report = reconcile(store, client, at_s - 86_400, at_s + 60)
            assert report.differences == ()
            assert balances(connection).get("cash", 0) == report.provider_paise
    provider.stop()
    debits = {}
    for key, sums in provider.book.debits.items():
        debits.setdefault(key[:33], []).extend(sums)
    assert all(sums == [AMOUNT] for sums in debits.values()), "one was paid twice"
    assert len(debits) == states["paid"]
    assert states["paid"] + states["failed"] == count, "one was lost"
    return done, states


def settled_states(address, count):
    """By state, once all payouts are settled."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with connect(address, "monsoon_dispatcher") as connection:
                rows = connection.execute("SELECT state, count(*) AS n FROM dispatch.jobs GROUP BY state")
                states = Counter({row["state"]: row["n"] for row in rows})
        except (LedgerError, StackError):
            states = Counter()
        if states["paid"] + states["failed"] == count:
            return states
        assert time.monotonic() < end_s, f"not settled: {dict(states)}"
        time.sleep(0.5)


@pytest.mark.slow
def test_random_kills(tmp_path):
    done, states = kill_at_random(6, 1, tmp_path)
    assert done.total() == 6
    assert states["paid"] >= 50


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        killed, ended = kill_at_random(int(sys.argv[1]), int(sys.argv[2]), Path(made))
        print(f"killed: {dict(killed)}; payouts: {dict(ended)}; 0 lost, 0 paid twice, no difference to the statement")
