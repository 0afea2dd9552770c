"""A database comes to the schema of this version, or stays as it was."""

import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing

import psycopg
import pytest
from kit.book import balances, instruction
from kit.postgres import new_database
from yoyo import get_backend, read_migrations

from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.errors import LedgerError
from monsoon.sinks.ledger.migrate import MIGRATIONS, migrate


def test_each_is_applied_once(server):
    address = new_database(server)
    names = [path.name.removesuffix(".sql") for path in sorted(MIGRATIONS.glob("*.sql")) if "rollback" not in path.name]
    assert migrate(address) == names
    assert migrate(address) == []


def test_each_can_be_taken_back_and_applied_again(server):
    address = new_database(server)
    names = migrate(address)
    backend = get_backend(address.replace("postgresql://", "postgresql+psycopg://", 1))
    with closing(backend.connection):
        backend.rollback_migrations(backend.to_rollback(read_migrations(str(MIGRATIONS))))
    with psycopg.connect(address) as connection:
        left = "SELECT nspname FROM pg_namespace WHERE nspname IN ('ledger', 'dispatch')"
        assert connection.execute(left).fetchall() == []
    assert migrate(address) == names


def test_one_that_fails_half_way_leaves_nothing_of_itself(server, tmp_path):
    address = new_database(server)
    migrate(address)
    with connect(address, "monsoon_dispatcher") as ledger:
        book.record_instruction(ledger, instruction())
        before = balances(ledger)
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (folder / "0099.broken.sql").write_text(
        "CREATE TABLE ledger.half (a int);\nINSERT INTO ledger.half VALUES ('x');\n"
    )
    with pytest.raises(LedgerError, match="not migrated: invalid input syntax"):
        migrate(address, folder)
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT to_regclass('ledger.half')").fetchone() == (None,)
    (folder / "0099.broken.sql").write_text("CREATE TABLE ledger.half (a int);\n")
    assert migrate(address, folder) == ["0099.broken"]
    with connect(address, "monsoon_dispatcher") as ledger:
        assert balances(ledger) == before


def test_one_that_was_killed_half_way(server, tmp_path):
    """Of the process nothing stays, neither of the migration nor of a lock."""
    address = new_database(server)
    migrate(address)
    with connect(address, "monsoon_dispatcher") as ledger:
        book.record_instruction(ledger, instruction())
        before = balances(ledger)
    folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (folder / "0099.slow.sql").write_text("CREATE TABLE ledger.half (a int);\nSELECT pg_sleep(2);\n")
    program = "import sys, pathlib; from monsoon.sinks.ledger.migrate import migrate"
    program += "; migrate(sys.argv[1], pathlib.Path(sys.argv[2]))"
    process = subprocess.Popen([sys.executable, "-c", program, address, str(folder)])
    with psycopg.connect(address, autocommit=True) as superuser:
        for _ in range(300):
            asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid()"
            if superuser.execute(asked).fetchone() != (0,):
                break
            time.sleep(0.1)
        else:
            raise AssertionError("it did not begin")
    process.kill()
    process.wait()
    (folder / "0099.slow.sql").write_text("CREATE TABLE ledger.half (a int);\n")
    assert migrate(address, folder) == ["0099.slow"]
    with connect(address, "monsoon_dispatcher") as ledger:
        assert balances(ledger) == before


def test_two_at_once(server):
    address = new_database(server)
    applied = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(address))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, len(list(MIGRATIONS.glob("*.sql"))) // 2]


def test_what_is_no_address(server, tmp_path):
    with pytest.raises(LedgerError, match="it is a URL"):
        migrate("host=here")
    with pytest.raises(LedgerError, match="not migrated"):
        migrate(f"postgresql://monsoon@/none?host={tmp_path}")
    with pytest.raises(LedgerError, match="is PostgreSQL running at that address"):
        connect(f"host={tmp_path} user=monsoon", "monsoon_reader")
