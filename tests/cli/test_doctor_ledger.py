"""`monsoon doctor --ledger`: what is wrong with a ledger, and how to mend it."""

import json
import sys

import psycopg
import pytest
from kit.postgres import address, new_database, server

from monsoon.cli import doctor_facts
from monsoon.cli.doctor_checks import FAULT, OK, WARNING
from monsoon.cli.doctor_ledger import check_ledger, ledger_findings
from monsoon.cli.main import main
from monsoon.sinks.dispatcher.ledger_state import LedgerState
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect

__all__ = ["address", "server"]
GOOD = {"version": "15.4", "version_num": 150_004, "user_name": "monsoon", "is_made": True, "may_dispatch": True}


def wrong_with(address):
    return [(each.what, each.state, each.mend) for each in ledger_findings(address) if each.state != OK]


def test_nothing_is_wrong():
    findings = check_ledger(LedgerState(**GOOD))
    assert [(finding.what, finding.state) for finding in findings] == [("ledger", OK), ("schema", OK), ("breaker", OK)]


@pytest.mark.parametrize(
    ("facts", "what", "state", "says", "mend"),
    [
        ({"version": "12.9", "version_num": 120_009}, "ledger", FAULT, "PostgreSQL 12.9", "PostgreSQL 13"),
        ({"is_made": False}, "ledger", FAULT, "no ledger", "monsoon ledger migrate"),
        ({"may_dispatch": False}, "ledger", WARNING, "no member", "GRANT monsoon_dispatcher TO monsoon"),
        ({"lacking": ("0002.b",)}, "schema", FAULT, "it lacks 0002.b", "monsoon ledger migrate"),
        ({"unknown": ("0009.z",)}, "schema", WARNING, "it has 0009.z", "update this checkout"),
        ({"open_breaker": "hour limit"}, "breaker", FAULT, "hour limit", "--close-breaker"),
    ],
)
def test_what_is_wrong_is_said_with_its_mend(facts, what, state, says, mend):
    (found,) = [finding for finding in check_ledger(LedgerState(**(GOOD | facts))) if finding.state != OK]
    assert (found.what, found.state) == (what, state)
    assert says in found.message
    assert mend in found.mend


def test_a_ledger_that_answers(address, capsys, monkeypatch):
    monkeypatch.setattr(doctor_facts, "index_error", lambda version: "")
    monkeypatch.setenv("MONSOON_LEDGER", address)
    main(["doctor", "--format", "json"])
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert [found[what]["state"] for what in ("ledger", "schema", "breaker")] == [OK, OK, OK]
    assert "answers to monsoon" in found["ledger"]["message"]
    with connect(address, "monsoon_dispatcher") as connection:
        Store(connection, DispatchSettings("1")).set_breaker(True, "too much in an hour")
    assert wrong_with(address) == [("breaker", FAULT, "look at why, then: monsoon dispatch --close-breaker REASON")]


def test_a_ledger_of_another_release(address):
    with psycopg.connect(address, autocommit=True) as superuser:
        superuser.execute("UPDATE _yoyo_migration SET migration_id = '0099.later' WHERE migration_id LIKE '0002.%'")
    (found,) = [each for each in ledger_findings(address) if each.state != OK]
    assert (found.what, found.mend) == ("schema", "monsoon ledger migrate")
    assert "0002.dispatch" in found.message


def test_who_may_not_dispatch(address):
    """A user of analysts, whom the schema keeps from the dispatcher's tables."""
    with psycopg.connect(address, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE analyst LOGIN IN ROLE monsoon_reader")
    try:
        (found,) = ledger_findings(address.replace("monsoon@", "analyst@"))
        assert found.mend.endswith("GRANT monsoon_dispatcher TO analyst")
    finally:
        with psycopg.connect(address, autocommit=True) as superuser:
            superuser.execute("DROP ROLE analyst")


def test_without_the_extra_it_is_not_asked(monkeypatch):
    monkeypatch.delitem(sys.modules, "monsoon.sinks.dispatcher.ledger_state")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (found,) = ledger_findings("postgresql://monsoon@/none")
    assert (found.what, found.state) == ("ledger", WARNING)
    assert "psycopg is not installed" in found.message


def test_no_ledger_there(server, tmp_path):
    assert wrong_with(new_database(server)) == [("ledger", FAULT, "monsoon ledger migrate")]
    (found,) = ledger_findings(f"postgresql://u:hidden@/none?host={tmp_path}")
    assert (found.state, "MONSOON_LEDGER" in found.mend) == (FAULT, True)
    assert "hidden" not in found.message + found.mend
    (found,) = ledger_findings("postgresql://u:hidden%DE@/none")
    assert found.state == FAULT
    assert "hidden" not in found.message + found.mend
