"""What of a stack's payments can be killed, and how their end is checked: the books agree to the paisa."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from monsoon.pipelines.flink.chaos import Part, crash
from monsoon.pipelines.flink.errors import ClusterError
from monsoon.pipelines.stack.payments import BOOK, PaymentServices
from monsoon.pipelines.stack.stack import Stack
from monsoon.sinks.dispatcher.provider import HttpProvider
from monsoon.sinks.dispatcher.reconcile import Report, reconcile
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store, query
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.provider_simulator.book import ACCOUNT, ProviderBook
from monsoon.sinks.provider_simulator.journal import Journal
from monsoon.sinks.provider_simulator.script import Misbehavior

KEY = ("rzp_test_key", "secret")
IDLE = "with nothing under way"
STEPS = (IDLE, "after an intent", "after the provider made the payout", "while outcomes are unpublished")
_AT_STEP_S = 8.0
"""How long a step is waited for; then the instance is killed at another one."""
_DOWN_S = 2.0
_LASTS_S = 30.0
_FULL_S = 4.0
_DISK_MB = 192
"""PostgreSQL's data are 40 MB at first, and its log is of 16 MB files."""
_STUCK_S = 120.0
"""Without any change of the payments' states."""
_LOOK_S = 0.5
_BALLAST = "ballast"
_MAX_AGE_S = 86_400


def payment_parts(disk: Path | None) -> Mapping[str, Part]:
    """What can be killed of payments; with the folder of a disk of PostgreSQL's own also that disk, by filling it."""
    parts = {
        "PostgreSQL": Part(_kill_postgres, 0, _LASTS_S),
        "provider": Part(_kill_provider, 0, _LASTS_S),
        "dispatcher": Part(_kill_dispatcher, 0, _LASTS_S),
    }
    if disk is not None:
        parts["disk"] = Part(lambda stack, chance: _fill_disk(stack, disk), 0, _LASTS_S)
    return parts


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own at a new folder, in memory, that can be filled without harm; None where none can be mounted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m,mode=0755", "monsoon-chaos", str(folder)]
    try:
        mounted = subprocess.run(mount, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def settled(stack: Stack, paise: Mapping[str, int]) -> Report:
    """Waits until each instruction is paid, and holds ledger, the provider's statement and its own book against each
    other and the instructions: paise by reference. Raises ClusterError where they differ, or do not settle."""
    services, end_s = _services(stack), time.monotonic() + _STUCK_S
    before: Mapping[str, int] = {}
    wanted = {"paid": len(paise)} if paise else {}
    while (states := _states(services)) != wanted:
        if states != before:
            before, end_s = states, time.monotonic() + _STUCK_S
        elif time.monotonic() > end_s:
            raise ClusterError(f"of {len(paise)} payouts: {states}, and no change; the logs: {stack.folder}/logs")
        time.sleep(_LOOK_S)
    at_s = time.time_ns() // 10**9
    with connect(services.ledger, "monsoon_dispatcher") as connection:
        provider = HttpProvider(services.provider_url, *KEY, ACCOUNT)
        report = reconcile(Store(connection, DispatchSettings(ACCOUNT)), provider, at_s - _MAX_AGE_S, at_s + 1)
        booked = {row["reference_id"]: row["paise"] for row in connection.execute(query("paid_by_reference"))}
    copy = shutil.copy(stack.folder / BOOK, stack.folder / f"{BOOK}.copy")  # the provider still writes it
    book = ProviderBook(Misbehavior(), lambda: 0, journal=Journal(Path(copy)))
    for whose, found in (("the ledger", booked), ("the provider's book", _by_instruction(book.debits))):
        if found != paise:
            odd = sorted(key for key in paise.keys() | found.keys() if paise.get(key) != found.get(key))
            raise ClusterError(f"{whose} differs from the payouts in {len(odd)} of them, {odd[0]} the first")
    if report.differences:
        raise ClusterError(f"the statement differs: {report.differences[0]}")
    return report


def _by_instruction(debits: Mapping[str, list[int]]) -> dict[str, int]:
    """All debits of each instruction, under whichever of its keys; a second one would show in the sum."""
    sums: dict[str, int] = {}
    for key, paise in debits.items():
        reference = key.partition("-")[0]
        sums[reference] = sums.get(reference, 0) + sum(paise)
    return sums


def _states(services: PaymentServices) -> dict[str, int]:
    with suppress(LedgerError), connect(services.ledger, "monsoon_reader") as connection:
        return {row["state"]: row["payments"] for row in connection.execute(query("payments_by_state"))}
    return {}


def _kill_postgres(stack: Stack, chance: random.Random) -> str:
    crash(_services(stack).postgres.process)
    stack.mend()
    return "PostgreSQL killed"


def _kill_provider(stack: Stack, chance: random.Random) -> str:
    crash(_services(stack).provider)
    time.sleep(_DOWN_S)
    stack.mend()
    return "provider killed"


def _kill_dispatcher(stack: Stack, chance: random.Random) -> str:
    services = _services(stack)
    process, wanted = chance.choice(services.dispatchers), chance.choice(STEPS)
    owner = f"{socket.gethostname()}/{process.pid}"
    provider = HttpProvider(services.provider_url, *KEY, ACCOUNT)
    end_s = time.monotonic() + _AT_STEP_S
    with connect(services.ledger, "monsoon_dispatcher") as connection:
        store = Store(connection, DispatchSettings(ACCOUNT))
        while wanted not in (steps := _steps_of(owner, store, provider)) and time.monotonic() < end_s:
            pass
    crash(process)
    stack.mend()
    return f"{process.name} killed {wanted if wanted in steps else steps[0]}"


def _steps_of(owner: str, store: Store, provider: HttpProvider) -> list[str]:
    """Where an instance is, as ledger and provider show it: several, since it has several threads."""
    asked = {"owner": owner, "now_ms": store.now_ms()}
    keys = [row["key"] for row in store.connection.execute(query("calls_under_way"), asked)]
    made = [key for key in keys if provider.fetch(key, None).kind == "payout"]
    steps = []
    if made:
        steps.append(STEPS[2])
    if len(made) < len(keys):
        steps.append(STEPS[1])
    if store.facts()[0]["unpublished_records"]:
        steps.append(STEPS[3])
    return steps or [IDLE]


def _fill_disk(stack: Stack, disk: Path) -> str:
    """Until there is no byte left, for some seconds; PostgreSQL is started again if it ended of it."""
    log = _services(stack).postgres.process.log
    before = _full_errors(log)
    with open(disk / _BALLAST, "wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1 << 16))
    time.sleep(_FULL_S)
    errors = _full_errors(log) - before
    os.unlink(disk / _BALLAST)
    stack.mend()
    return f"PostgreSQL's disk full for {_FULL_S:g} s, {errors} writes failed"


def _full_errors(log: Path) -> int:
    with suppress(FileNotFoundError):
        return log.read_text(errors="replace").count("No space left on device")
    return 0


def _services(stack: Stack) -> PaymentServices:
    services = stack.payments
    assert services is not None
    return services
