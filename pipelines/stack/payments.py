"""The processes of a stack that pay: PostgreSQL with the ledger, the simulated provider, dispatchers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monsoon.pipelines.progress import Progress
from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.ports import HOST, answers, free_ports
from monsoon.pipelines.stack.postgres import POSTGRES, PostgresServer, postgres_programs
from monsoon.pipelines.stack.processes import StackProcess, monsoon_command

PROVIDER = "provider"
DISPATCHER = "dispatcher-"
BOOK = "provider/book.jsonl"
"""Of the simulated provider, in the stack's folder: it outlives the process, as a real provider's does."""
_DATABASE = "monsoon"
_PATIENCE_S = 60


@dataclass(frozen=True)
class PaymentOptions:
    """How a stack pays."""

    dispatchers: int = 1
    """How many instances, from 1."""
    settings: Path | None = None
    """The dispatcher's settings file; what the stack itself decides, addresses and ports, counts before it."""
    product_files: tuple[str, ...] = ()
    """Of products that do not come along."""
    provider_options: tuple[str, ...] = ()
    """Of `monsoon provider-simulator`."""
    postgres_home: Path | None = None
    """Where PostgreSQL has its data; None: in the stack's folder."""

    def record(self) -> dict[str, Any]:
        """What stack.json states of it, with an address of each server."""
        ports = iter(free_ports(1 + 2 * self.dispatchers))
        return {
            "provider": f"{HOST}:{next(ports)}",
            "webhooks": [f"{HOST}:{next(ports)}" for _ in range(self.dispatchers)],
            "metrics": [f"{HOST}:{next(ports)}" for _ in range(self.dispatchers)],
            "settings": None if self.settings is None else str(self.settings.absolute()),
            "product_files": [str(Path(file).absolute()) for file in self.product_files],
            "provider_options": list(self.provider_options),
            "postgres_home": None if self.postgres_home is None else str(self.postgres_home.absolute()),
        }


class PaymentServices:
    """Of the stack in a folder, as its record states them."""

    def __init__(self, folder: Path, record: Mapping[str, Any], brokers: str) -> None:
        home = record["postgres_home"]
        self.postgres = PostgresServer(folder, home=None if home is None else Path(home))
        self.provider = StackProcess(folder, PROVIDER)
        self.dispatchers = [StackProcess(folder, f"{DISPATCHER}{n + 1}") for n in range(len(record["metrics"]))]
        self.provider_url = f"http://{record['provider']}"
        self._folder, self._record, self._brokers = folder, record, brokers

    @property
    def ledger(self) -> str:
        """The ledger's address, of the owner of its database."""
        return self.postgres.address_of(_DATABASE)

    def launch(self) -> None:
        """Starts PostgreSQL and the provider, without waiting. Raises StackError."""
        self.postgres.launch()
        self.launch_provider()

    def finish(self, progress: Progress) -> None:
        """Makes the ledger, where it is not there, and starts the dispatchers, once the topics are there; returns when
        all are ready. Raises StackError and LedgerError."""
        self.postgres.wait_until_ready(progress)
        progress("making the ledger", None)
        self._make_ledger()
        for number in range(len(self.dispatchers)):
            self.launch_dispatcher(number)
        self.wait_until_ready(progress)

    def wait_until_ready(self, progress: Progress) -> None:
        """Returns when all are. Raises StackError."""
        self.postgres.wait_until_ready(progress)
        self.provider.wait_until(partial(answers, _port(self._record["provider"])), _PATIENCE_S, progress)
        for process, metrics in zip(self.dispatchers, self._record["metrics"], strict=True):
            process.wait_until(partial(answers, _port(metrics)), _PATIENCE_S, progress)

    def launchers(self) -> dict[str, Callable[[], None]]:
        """By the name of a process, what starts it again."""
        dispatchers = {process.name: partial(self.launch_dispatcher, n) for n, process in enumerate(self.dispatchers)}
        return {POSTGRES: self.postgres.launch, PROVIDER: self.launch_provider, **dispatchers}

    def places(self) -> dict[str, str]:
        """By the name of a process, where it is reached."""
        metrics = {
            process.name: f"http://{address}/metrics"
            for process, address in zip(self.dispatchers, self._record["metrics"], strict=True)
        }
        return {POSTGRES: self.ledger, PROVIDER: self.provider_url, **metrics}

    def launch_provider(self) -> None:
        """Starts the provider, with the book of a former start."""
        book = self._folder / BOOK
        book.parent.mkdir(parents=True, exist_ok=True)
        self.provider.start(
            monsoon_command(
                "provider-simulator",
                *("--port", str(_port(self._record["provider"]))),
                *("--book", str(book)),
                *("--webhooks", f"http://{self._record['webhooks'][0]}/webhooks"),
                *self._record["provider_options"],
            )
        )

    def launch_dispatcher(self, number: int) -> None:
        """Starts an instance, counted from 0."""
        settings = self._record["settings"]
        self.dispatchers[number].start(
            monsoon_command(
                "dispatch",
                *("--ledger", self.ledger),
                *("--provider", self.provider_url),
                *("--brokers", self._brokers),
                *("--webhook-port", str(_port(self._record["webhooks"][number]))),
                *("--metrics-port", str(_port(self._record["metrics"][number]))),
                *(() if settings is None else ("--settings", settings)),
                *(word for file in self._record["product_files"] for word in ("--product-file", file)),
            )
        )

    def _make_ledger(self) -> None:
        import psycopg

        from monsoon.sinks.ledger.migrate import migrate

        with psycopg.connect(self.postgres.address, autocommit=True) as connection:
            names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            if _DATABASE not in names:
                connection.execute(f"CREATE DATABASE {_DATABASE}")
        migrate(self.ledger)


def require_payments() -> None:
    """Raises StackError where something that pays is not installed."""
    if find_spec("psycopg") is None or find_spec("yoyo") is None:
        raise StackError("psycopg or yoyo is not installed; ./monsoon brings them, or: pip install 'monsoon[money]'")
    if postgres_programs() is None:
        raise StackError("no PostgreSQL on this machine; on Debian and Ubuntu install the package postgresql")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
