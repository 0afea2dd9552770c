"""`monsoon bench money`: payments through the dispatcher, from a topic to the call, and the ledger when it is large."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from monsoon.bench import CountTo
from monsoon.bench.processes import BenchError, python

if TYPE_CHECKING:
    from monsoon.pipelines.payments.service import DispatcherService, ServiceOptions
    from monsoon.sinks.dispatcher.provider import Reply
    from monsoon.sinks.ledger.book import Instruction
    from monsoon.sinks.ledger.connection import Connection

PARTS = ("rate", "memory", "latency", "ledger")
PROVIDER_MS = 50
TRICKLE_PER_S = 20
INSERTS = 2_000
TARGETS = {"rate": 200.0, "latency_ms": 250.0, "insert_ms": 20.0}
_CHUNK = 20_000
_QUEUE = 2_000
_WARM_UP = 5
"""Records, before any is timed: connections are made, and the group has its partitions."""
_PATIENCE_S = 1_800
_AMOUNT_PAISE = 40_000

_EXAMPLE = """\
example:
  monsoon bench money
  monsoon bench money --only rate --payouts 20000 --workers 32
  monsoon bench money --only memory --memory-payouts 1000000

Starts a PostgreSQL server of its own, and for `latency` a broker. Measures how many payouts a second one instance makes
without a rate limit, with the simulated provider, which takes 50 ms for an answer; its memory over so many payouts,
with a provider that answers at once; how long after a payout's record is readable in its topic the provider is called;
and how long it takes to write an entry, with its commit, in a ledger of so many. In turn with entries and calls it
times a bare row: what the machine gives at that time.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser], count_to: CountTo) -> None:
    """Adds `money` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "money",
        help="payments through the dispatcher, and a large ledger",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, action="append", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--payouts", type=count_to(10_000_000), default=5_000, metavar="N", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--memory-payouts",
        type=count_to(10_000_000),
        default=10_000,
        metavar="N",
        help="over which memory is looked at (default: %(default)s)",
    )
    parser.add_argument("--workers", type=count_to(256), default=32, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--entries",
        type=count_to(100_000_000),
        default=1_000_000,
        metavar="N",
        help="of the ledger (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a figure, with its target."""
    for part in args.only or PARTS:
        with ledger() as address:
            if part == "ledger":
                measure_inserts(address, args.entries)
                continue
            if part == "memory":
                with instant_provider() as url:
                    measure_memory(address, url, args.memory_payouts, args.workers)
                continue
            with provider() as url:
                if part == "rate":
                    measure_rate(address, url, args.payouts, args.workers)
                else:
                    measure_latency(address, url, args.workers)
    return 0


@contextmanager
def ledger() -> Iterator[str]:
    """The address of a new ledger in a server of its own, with the defaults of PostgreSQL: each commit is on disk."""
    from monsoon.pipelines.stack.postgres import PostgresServer
    from monsoon.sinks.ledger.migrate import migrate

    with tempfile.TemporaryDirectory(prefix="monsoon-bench-") as folder:
        server = PostgresServer(Path(folder), ("max_connections=300",))
        server.start()
        try:
            migrate(server.address)
            yield server.address
        finally:
            server.stop()


@contextmanager
def provider() -> Iterator[str]:
    """The address of a simulated provider, in a process of its own, that pays at once."""
    import subprocess

    from monsoon.pipelines.stack.ports import answers, free_ports

    port = free_ports(1)[0]
    words = ("provider-simulator", "--port", str(port), "--latency-ms", str(PROVIDER_MS), "--settle-ms", "0")
    process = subprocess.Popen(python("-m", "monsoon.cli.main", *words), stdout=subprocess.DEVNULL)
    try:
        end_s = time.monotonic() + 30
        while not answers(port):
            if process.poll() is not None or time.monotonic() > end_s:
                raise BenchError("the simulated provider did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def instant_provider() -> Iterator[str]:
    """The address of a provider of 0 ms, in a process of its own."""
    import subprocess

    command = python("-m", "monsoon.bench.instant_provider")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise BenchError("the provider did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def measure_memory(address: str, url: str, payouts: int, workers: int) -> None:
    """Instructions come as they are paid, so that no queue grows; memory is looked at after each tenth."""
    from monsoon.sinks.ledger.connection import connect

    service = _service(_options(address, url, workers))
    service.start()
    resident_mb: list[float] = []
    began_s = time.monotonic()
    with connect(address, "monsoon_reader") as reader:
        for tenth in range(10):
            first, end = payouts * tenth // 10, payouts * (tenth + 1) // 10
            for begin in range(first, end, _QUEUE):
                count = min(_QUEUE, end - begin)
                _instruct(address, begin, count)
                service.wake()
                _wait_until_paid(reader, began_s)
            resident_mb.append(_resident_mb())
    took_s = time.monotonic() - began_s
    service.stop()
    shown = ", ".join(f"{each:.1f}" for each in resident_mb)
    print(f"memory over {payouts:,} payouts, {payouts / took_s:,.0f}/s, after each tenth: {shown} MB; target: flat")


def _wait_until_paid(reader: Connection, began_s: float) -> None:
    while True:
        (row,) = reader.execute(b"SELECT EXISTS (SELECT FROM dispatch.jobs WHERE next_at_ms IS NOT NULL) AS is_waiting")
        if not row["is_waiting"]:
            return
        if time.monotonic() - began_s > 24 * 3_600:
            raise BenchError("not paid in a day")
        time.sleep(0.05)


def measure_rate(address: str, url: str, payouts: int, workers: int) -> None:
    """Instructions are all there when it begins."""
    from monsoon.sinks.ledger.connection import connect

    _instruct(address, 0, payouts)
    service = _service(_options(address, url, workers))
    with connect(address, "monsoon_reader") as reader:

        def paid() -> int:
            (row,) = reader.execute(b"SELECT count(*) AS n FROM ledger.entries WHERE kind = 'paid'")
            return int(row["n"])

        began_s, began_cpu_s = time.monotonic(), time.process_time()
        service.start()
        early_mb = 0.0
        while (done := paid()) < payouts:
            if not early_mb and done >= payouts / 10:
                early_mb = _resident_mb()
            if time.monotonic() - began_s > _PATIENCE_S:
                raise BenchError(f"only {done} of {payouts} were paid in {_PATIENCE_S} s")
            time.sleep(0.1)
        took_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        late_mb = _resident_mb()
        service.stop()
    rate = payouts / took_s
    cpu_ms = 1_000 * cpu_s / payouts
    how = f"{workers} workers, provider of {PROVIDER_MS} ms"
    print(f"{payouts:,} payouts, {how}: {rate:,.0f}/s, {cpu_ms:.2f} ms of CPU each")
    print(f"  target: {TARGETS['rate']:,.0f}/s; memory after a tenth {early_mb:,.0f} MB, at the end {late_mb:,.0f} MB")


def measure_latency(address: str, url: str, workers: int, seconds: int = 20) -> None:
    """Records come one by one, evenly, through a broker; each is timed from when the broker has acknowledged it, and it
    is readable, to the call. In between, a bare row is written by another connection."""
    from monsoon.contracts.topics import TOPICS
    from monsoon.pipelines.payments.intake import Intake
    from monsoon.pipelines.stack.kafka_broker import KafkaBroker
    from monsoon.sources.kafka.producer import history_producer

    called_s: dict[str, float] = {}
    readable_s: dict[str, float] = {}
    bare_ms: list[float] = []
    pause = threading.Event()
    with tempfile.TemporaryDirectory(prefix="monsoon-bench-") as folder:
        broker = KafkaBroker(Path(folder) / "broker")
        broker.start()
        try:
            broker.create_topics([TOPICS[stream] for stream in (*Intake.STREAMS, "payout_results", "notifications")])
            service = _service(replace(_options(address, url, workers), brokers=broker.address))
            create = service.provider.create

            def timed(key: str, body: bytes) -> Reply:
                called_s.setdefault(key, time.monotonic())
                return create(key, body)

            service.provider.create = timed  # type: ignore[method-assign]
            service.start()
            producer = history_producer(broker.address)
            with _bare_table(address) as bare:
                for number in range(-_WARM_UP, seconds * TRICKLE_PER_S):
                    key, record = _payout_record(number % 10**6)
                    producer.send("payouts", key=key.encode(), value=record).get(timeout=60)
                    if number >= 0:
                        readable_s[key] = time.monotonic()
                        bare_ms.append(bare(number))
                    pause.wait(1 / TRICKLE_PER_S if number >= 0 else 0.5)
            end_s = time.monotonic() + 60
            while not readable_s.keys() <= called_s.keys() and time.monotonic() < end_s:
                time.sleep(0.1)
            service.stop()
            producer.close()
        finally:
            broker.kill()
    if not readable_s.keys() <= called_s.keys():
        raise BenchError("some payouts were not called for in time")
    # A call may come before the producer has learnt that its record is readable.
    waits_ms = [max(0.0, 1_000 * (called_s[key] - readable_s[key])) for key in readable_s]
    print(
        f"readable record to call, {TRICKLE_PER_S}/s: {_quantiles(waits_ms)}; target: p99 {TARGETS['latency_ms']:g} ms"
    )
    ratio = statistics.median(waits_ms) / statistics.median(bare_ms)
    print(f"  a bare row with its commit, in turn with them: {_quantiles(bare_ms)}; median ratio {ratio:.2f}")


def _payout_record(number: int) -> tuple[str, bytes]:
    """Its key, and its value as the job writes it."""
    instruction = _instruction(number)
    record = {
        "reference_id": instruction.reference_id,
        "claim_id": instruction.claim_id,
        "policy_id": instruction.policy_id,
        "worker_id": instruction.worker_id,
        "fund_account_id": instruction.fund_account_id,
        "amount_paise": instruction.amount_paise,
        "currency": "INR",
        "mode": "UPI",
        "purpose": "payout",
        "created_at": instruction.created_at_ms,
        "instalment": instruction.instalment,
    }
    return instruction.reference_id, json.dumps(record, separators=(",", ":")).encode()


@contextmanager
def _bare_table(address: str) -> Iterator[Callable[[int], float]]:
    """Writes a row in a table without rules, and says how long that took with its commit, in ms."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE plain (n bigint PRIMARY KEY)")

        def write(number: int) -> float:
            began_s = time.perf_counter()
            connection.execute(b"INSERT INTO plain VALUES (%s)", (number,))
            return 1_000 * (time.perf_counter() - began_s)

        yield write


def measure_inserts(address: str, entries: int) -> None:
    """One transaction each: an entry with its postings and its commit, by a client that waits for it."""
    from importlib.resources import files

    import psycopg

    from monsoon.sinks.ledger import book
    from monsoon.sinks.ledger.connection import connect

    fill = (files("monsoon.bench") / "fill_ledger.sql").read_bytes()
    with psycopg.connect(address, autocommit=True) as owner:
        for first in range(0, entries // 2, _CHUNK):
            owner.execute(fill, {"first": first, "count": min(_CHUNK, entries // 2 - first)})
        owner.execute(b"VACUUM ANALYZE")
    entry_ms, plain_ms = [], []
    with connect(address, "monsoon_dispatcher") as connection, _bare_table(address) as bare:
        for number in range(INSERTS):
            began_s = time.perf_counter()
            book.record_difference(connection, f"bench/{number}", -4_900, 1_719_513_000_000, "debit")
            entry_ms.append(1_000 * (time.perf_counter() - began_s))
            plain_ms.append(bare(number))
    print(f"an entry in a ledger of {entries:,}: {_quantiles(entry_ms)}; target: p99 {TARGETS['insert_ms']:g} ms")
    ratio = statistics.median(entry_ms) / statistics.median(plain_ms)
    print(f"  a row in a table without rules, in turn with them: {_quantiles(plain_ms)}; median ratio {ratio:.2f}")


def _instruct(address: str, first: int, count: int) -> None:
    from monsoon.sinks.dispatcher.settings import DispatchSettings
    from monsoon.sinks.dispatcher.store import Store
    from monsoon.sinks.ledger.connection import connect

    with connect(address, "monsoon_dispatcher") as connection:
        store = Store(connection, DispatchSettings("account"))
        for begin in range(first, first + count, 500):
            store.take_in([_instruction(number) for number in range(begin, min(begin + 500, first + count))])


def _instruction(number: int) -> Instruction:
    from monsoon.sinks.ledger.book import Instruction

    reference, policy, rider = f"p{number:032x}", f"policy-{number % 1000}", f"rider-{number % 1000}"
    return Instruction(reference, f"c{number}", 0, policy, rider, "fa_1", _AMOUNT_PAISE, 1_719_513_000_000)


def _options(address: str, url: str, workers: int) -> ServiceOptions:
    from monsoon.pipelines.payments.service import ServiceOptions
    from monsoon.sinks.dispatcher.settings import DispatchSettings
    from monsoon.sinks.provider_simulator.book import ACCOUNT

    settings = DispatchSettings(ACCOUNT, requests_per_s=None)
    return ServiceOptions("bench", address, url, "rzp_test_key", "secret", settings, workers=workers)


def _service(options: ServiceOptions) -> DispatcherService:
    from monsoon.pipelines.payments.service import DispatcherService

    return DispatcherService(options)


def _quantiles(values_ms: Sequence[float]) -> str:
    cuts = statistics.quantiles(values_ms, n=1_000, method="inclusive")
    return f"median {cuts[499]:.1f} ms, p99 {cuts[989]:.1f} ms, p99.9 {cuts[998]:.1f} ms of {len(values_ms):,}"


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
