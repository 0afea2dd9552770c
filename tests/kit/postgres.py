"""A PostgreSQL server of the tests' own, and databases in it with the ledger's schema."""

import itertools
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from kit.needs import need
from monsoon.pipelines.stack.postgres import PostgresServer, postgres_programs
from monsoon.sinks.ledger.migrate import migrate

_names = itertools.count(1)
_templates = {}


@contextmanager
def postgres_server(settings=("fsync=off", "max_connections=60", "shared_buffers=32MB")):
    """A server that runs; ended and removed afterwards. pytest's own folders have too long paths for its socket."""
    need(postgres_programs() is not None, "no PostgreSQL here; on Debian and Ubuntu: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="monsoon-postgres-"))
    server = PostgresServer(folder, settings)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def new_database(server, template="template1"):
    """The address of a new database."""
    name = f"monsoon_{next(_names)}"
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.address_of(name)


def copy_of(server, address):
    """The address of a copy of a database that nobody is connected to."""
    return new_database(server, address.partition("?")[0].rpartition("/")[2])


def new_ledger(server):
    """The address of a new ledger: a copy of one that is made once."""
    if server not in _templates:
        address = new_database(server)
        migrate(address)
        _templates[server] = address.partition("?")[0].rpartition("/")[2]
    return new_database(server, _templates[server])


@pytest.fixture(scope="session")
def server():
    """For all tests of a folder whose conftest imports it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def address(server):
    """Of a new ledger."""
    return new_ledger(server)
