"""PostgreSQL as a process of a folder: its data survive a crash, and nobody else reaches it."""

import os
import shutil
import stat
from pathlib import Path

import psycopg
import pytest
from kit.needs import need
from kit.postgres import postgres_server

from monsoon.pipelines.stack.errors import StackError
from monsoon.pipelines.stack.postgres import PostgresServer, postgres_programs
from monsoon.pipelines.stack.processes import StackProcess, stop


def test_what_was_committed_survives_a_crash():
    with postgres_server(()) as server, psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        server.kill()
        server.start()
        with psycopg.connect(server.address) as again:
            assert again.execute("SELECT n FROM kept").fetchall() == [(1,)]


def test_another_command_ends_it_in_good_order_though_somebody_is_connected():
    with postgres_server(("fsync=off",)) as server, psycopg.connect(server.address):
        folder = server.process.folder
        stop([StackProcess(folder, "postgres")], 20)
        assert "database system is shut down" in server.process.log.read_text()
        server.start()


def test_its_socket_is_closed_to_others():
    with postgres_server(("fsync=off",)) as server:
        place = Path(server.address.partition("host=")[2])
        assert stat.S_IMODE((place / ".s.PGSQL.5432").stat().st_mode) == 0o700


def test_a_folder_that_is_closed_to_other_users(tmp_path_factory):
    need(postgres_programs() is not None, "no PostgreSQL here; on Debian and Ubuntu: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("p")
    os.chmod(folder, 0o700)
    server = PostgresServer(folder, ("fsync=off",))
    server.start()
    server.stop()


def test_a_path_that_is_too_long_for_a_socket(tmp_path):
    with pytest.raises(StackError, match="too long for PostgreSQL's socket"):
        PostgresServer(tmp_path / ("a" * 100)).launch()
    assert not (tmp_path / ("a" * 100)).exists()


def test_a_comma_in_the_path(tmp_path):
    with pytest.raises(StackError, match="a comma parts folders"):
        PostgresServer(tmp_path / "a,b").launch()
    assert not (tmp_path / "a,b").exists()


def test_the_children_of_one_that_crashed_are_found_behind_a_link(tmp_path):
    with postgres_server(("fsync=off",)) as server:
        (tmp_path / "link").symlink_to(server.process.folder)
        linked = PostgresServer(tmp_path / "link")
        assert linked._works_here(str(server.process.pid))


def test_a_making_of_its_data_that_was_killed_is_done_again():
    with postgres_server(("fsync=off",)) as server:
        server.stop()
        data = server.process.folder / "postgres" / "data"
        shutil.rmtree(data)
        half = data.with_name("data.partial")
        half.mkdir()
        (half / "PG_VERSION").write_text("15")
        server.start()
        assert not half.exists()
        with psycopg.connect(server.address) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
