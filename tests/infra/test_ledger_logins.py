"""infra/postgres/logins.sql on a real server: the dispatcher's login has the rights of its role, and no more."""

import os
import subprocess

import psycopg
from kit.postgres import new_database, postgres_server

from monsoon.pipelines.stack.postgres import postgres_programs
from monsoon.sinks.dispatcher.ledger_state import ledger_state
from monsoon.sinks.ledger.migrate import migrate


def test_the_dispatchers_login(root):
    with postgres_server() as server:
        address = new_database(server)
        words = [postgres_programs() / "psql", "--set=ON_ERROR_STOP=1", "--file", root / "infra/postgres/logins.sql"]
        environment = {**os.environ, "DISPATCHER_PASSWORD": "it's :'secret'"}
        subprocess.run([*words, address], env=environment, check=True, capture_output=True)
        migrate(address)
        state = ledger_state(address.replace("monsoon@", "dispatcher@"))
        assert (state.user_name, state.may_dispatch, state.lacking) == ("dispatcher", True, ())
        with psycopg.connect(address) as superuser:
            asked = "SELECT rolsuper OR rolcreaterole OR rolcreatedb, rolpassword FROM pg_authid WHERE rolname = %s"
            mighty, password = superuser.execute(asked, ["dispatcher"]).fetchone()
            assert not mighty
            assert password.startswith("SCRAM-SHA-256$")
            member_of = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'dispatcher'::regrole"
            assert superuser.execute(member_of).fetchall() == [("monsoon_dispatcher",)]
