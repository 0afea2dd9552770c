"""What the schema makes impossible, whoever writes: a second payment, an unbalanced entry, an edit of the past."""

from dataclasses import asdict
from itertools import product

import psycopg
import pytest
from kit.book import JUNE_28_MS, balances, instruction, terms

from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.connection import connect
from monsoon.sinks.ledger.sql_files import query

REFERENCE = instruction().reference_id
TABLES = ("accounts", "kinds", "policy_terms", "instructions", "entries", "postings")
EVIDENCE = ("attempts", "observations", "breaker", "anomalies")
PAST = [f"ledger.{table}" for table in TABLES] + [f"dispatch.{table}" for table in EVIDENCE]


@pytest.fixture
def ledger(address):
    with connect(address, "monsoon_dispatcher") as connection:
        book.record_instruction(connection, instruction())
        yield connection


@pytest.fixture
def superuser(address, ledger):
    """Whom no grant stops."""
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def entry(**changed):
    fields = {
        "entry_key": "test/1",
        "kind": "difference",
        "reference_id": None,
        "policy_id": None,
        "event_id": None,
        "event_time_ms": 1,
        "note": None,
        "accounts": ["cash", "provider_differences"],
        "amounts": [5, -5],
    }
    return fields | changed


@pytest.mark.parametrize(
    ("accounts", "amounts"),
    [
        (["cash", "provider_differences"], [5, -4]),
        (["cash"], [5]),
        ([], []),
        (["cash", "cash", "reserves"], [10**15, 10**15, 5]),
    ],
    ids=["unequal", "one side", "none", "large"],
)
def test_an_unbalanced_entry(superuser, accounts, amounts):
    with pytest.raises(psycopg.errors.CheckViolation, match="is not balanced"):
        superuser.execute(query("post_entry"), entry(accounts=accounts, amounts=amounts))
    assert superuser.execute("SELECT count(*) FROM ledger.entries WHERE entry_key = 'test/1'").fetchone() == (0,)


@pytest.mark.parametrize(
    ("kind", "accounts", "amounts"),
    [
        ("paid", ["premium_income", "cash"], [40_000, -40_000]),
        ("paid", ["cash", "claims_payable"], [40_000, -40_000]),
        ("reversed", ["cash", "provider_differences"], [40_000, -40_000]),
        ("instructed", ["claims_incurred", "cash"], [40_000, -40_000]),
        ("instructed", ["claims_incurred", "claims_payable"], [39_999, -39_999]),
        ("difference", ["cash", "premium_income"], [5, -5]),
        ("difference", ["claims_payable", "claims_incurred"], [5, -5]),
        ("difference", ["cash", "cash"], [5, -5]),
        ("reserve", ["cash", "reserves"], [5, -5]),
    ],
)
def test_an_entry_of_other_accounts_than_its_kinds(superuser, kind, accounts, amounts):
    reference = None if kind in ("difference", "reserve") else REFERENCE
    made = entry(entry_key=f"test/{kind}", kind=kind, reference_id=reference, accounts=accounts, amounts=amounts)
    with pytest.raises((psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation)):
        superuser.execute(query("post_entry"), made)
    assert superuser.execute("SELECT count(*) FROM ledger.entries").fetchone() == (1,)


def test_a_premium_of_another_amount_than_the_terms(superuser):
    superuser.execute(query("insert_terms"), asdict(terms(premium_paise=0)))
    made = entry(kind="premium", policy_id="policy-1", event_id="e1", accounts=["cash", "premium_income"])
    with pytest.raises(psycopg.errors.CheckViolation, match="5 paise are booked, and 0 are stated"):
        superuser.execute(query("post_entry"), made)


def test_an_instruction_or_a_premium_without_its_entry(superuser):
    with pytest.raises(psycopg.errors.CheckViolation, match="it has no entry"):
        superuser.execute(
            "INSERT INTO ledger.instructions SELECT 'p-other', 'c-other', instalment, policy_id, worker_id,"
            " fund_account_id, amount_paise, created_at_ms, local_day FROM ledger.instructions"
        )
    with pytest.raises(psycopg.errors.CheckViolation, match="0 paise are booked, and 4900 are stated"):
        superuser.execute(
            "INSERT INTO ledger.policy_terms VALUES ('policy-1', 'e1', 1, 1, 'kawaach', '85608013fffffff', 4900)"
        )


@pytest.mark.parametrize("amount", [-1, 0, 99, 10**9 + 1])
def test_an_instruction_of_an_amount_that_is_none(ledger, amount):
    with pytest.raises(psycopg.errors.CheckViolation):
        book.record_instruction(ledger, instruction(2, amount_paise=amount))


def test_a_session_that_passes_over_triggers(superuser):
    """`session_replication_role = replica` is what restoring tools set."""
    superuser.execute("SET session_replication_role = replica")
    for statement in ("UPDATE ledger.postings SET amount_paise = 1", "DELETE FROM dispatch.observations"):
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is never edited"):
            superuser.execute(statement)
    with pytest.raises(psycopg.errors.CheckViolation, match="is not balanced"):
        superuser.execute(query("post_entry"), entry(amounts=[5, -4]))


def test_a_function_of_the_writers_own_is_not_called(address, ledger):
    """The rules look up `sum` and `count` where nobody else can add any, whatever path a session sets."""
    with psycopg.connect(address, autocommit=True) as superuser:
        superuser.execute("CREATE SCHEMA mine")
        superuser.execute("CREATE FUNCTION mine.coalesce_nothing(bigint, bigint) RETURNS bigint RETURN 0")
        superuser.execute("CREATE AGGREGATE mine.sum(bigint) (SFUNC = mine.coalesce_nothing, STYPE = bigint)")
        superuser.execute("GRANT USAGE ON SCHEMA mine TO monsoon_dispatcher")
    ledger.execute("SET search_path = mine, pg_catalog")
    with pytest.raises(psycopg.errors.CheckViolation, match="is not balanced"):
        ledger.execute(query("post_entry"), entry(amounts=[5, -4]))


def test_a_posting_of_nothing_and_of_no_account(superuser):
    with pytest.raises(psycopg.errors.CheckViolation):
        superuser.execute(query("post_entry"), entry(amounts=[0, 0]))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        superuser.execute(query("post_entry"), entry(accounts=["cash", "pocket"]))


def test_a_posting_that_is_added_later(superuser):
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="of an earlier transaction"):
        superuser.execute(
            "INSERT INTO ledger.postings (entry_id, line, account, amount_paise)"
            " SELECT entry_id, 2 + n, 'cash', CASE n WHEN 1 THEN 7 ELSE -7 END"
            " FROM ledger.entries, generate_series(1, 2) AS n"
        )


def test_a_second_payment_of_an_instalment_by_any_key(superuser, ledger):
    book.record_paid(ledger, REFERENCE, 40_000, JUNE_28_MS)
    again = entry(kind="paid", reference_id=REFERENCE, accounts=["claims_payable", "cash"], amounts=[40_000, -40_000])
    with pytest.raises(psycopg.errors.UniqueViolation):
        superuser.execute(query("post_entry"), again)
    assert balances(ledger)["cash"] == -40_000


def test_two_payments_at_once(address, ledger):
    """The second waits for the first to commit, and is refused."""
    with connect(address, "monsoon_dispatcher") as other:
        with ledger.transaction():
            assert book.record_paid(ledger, REFERENCE, 40_000, JUNE_28_MS)
            other.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                book.record_paid(other, REFERENCE, 40_000, JUNE_28_MS)
        assert not book.record_paid(other, REFERENCE, 40_000, JUNE_28_MS)
    assert balances(ledger)["cash"] == -40_000


@pytest.mark.parametrize("amount", [39_999, 40_001, 80_000])
def test_a_payment_of_another_amount(ledger, amount):
    with pytest.raises(psycopg.errors.CheckViolation, match="is of 40000"):
        book.record_paid(ledger, REFERENCE, amount, JUNE_28_MS)


def test_a_payment_of_what_was_not_instructed(ledger):
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        book.record_paid(ledger, "p-unknown", 40_000, JUNE_28_MS)


def test_a_reversal_of_what_was_not_paid(ledger):
    with pytest.raises(psycopg.errors.CheckViolation, match="what was not paid is not reversed"):
        book.record_reversed(ledger, REFERENCE, 40_000, JUNE_28_MS)


def test_two_instructions_of_an_instalment(superuser):
    with pytest.raises(psycopg.errors.UniqueViolation):
        superuser.execute(
            "INSERT INTO ledger.instructions SELECT 'p-other', claim_id, instalment, policy_id, worker_id,"
            " fund_account_id, amount_paise, created_at_ms, local_day FROM ledger.instructions"
        )


def test_an_edit_of_the_past(superuser):
    """By whom no grant stops."""
    for table in PAST:
        with superuser.execute(f"SELECT * FROM {table}") as rows:
            column = rows.description[1].name
        for edit in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is never edited"):
                superuser.execute(edit)


def test_neither_role_may_touch_the_past(superuser):
    for role, table, privilege in product(
        ("monsoon_dispatcher", "monsoon_reader"), PAST, ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
    ):
        asked = f"SELECT has_any_column_privilege('{role}', '{table}', 'UPDATE')"
        if privilege != "UPDATE":
            asked = f"SELECT has_table_privilege('{role}', '{table}', '{privilege}')"
        assert superuser.execute(asked).fetchone() == (False,), (role, table, privilege)


def test_the_dispatcher_cannot_say_when_it_wrote(ledger):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ledger.execute(
            "INSERT INTO ledger.entries (entry_key, kind, event_time_ms, written_in)"
            " SELECT 'test/1', 'difference', 1, written_in FROM ledger.entries"
        )


def test_the_dispatcher_may_not(address, ledger):
    """As a user who is a member of that role alone: the tests' own is a superuser."""
    with psycopg.connect(address, autocommit=True) as superuser:
        superuser.execute("DROP ROLE IF EXISTS teller")
        superuser.execute("CREATE ROLE teller LOGIN IN ROLE monsoon_dispatcher")
    with connect(address.replace("monsoon@", "teller@"), "monsoon_dispatcher") as teller:
        for statement in (
            "INSERT INTO ledger.accounts VALUES ('pocket', 'asset', 'mine')",
            "DROP TABLE ledger.postings",
            "ALTER TABLE ledger.entries DISABLE TRIGGER ALL",
            "DELETE FROM dispatch.jobs",
            "DELETE FROM dispatch.outbox",
            "UPDATE dispatch.outbox SET record = ''",
            "SET ROLE monsoon_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                teller.execute(statement)
        assert book.record_paid(teller, REFERENCE, 40_000, JUNE_28_MS)


def test_the_reader_sees_the_book_and_no_rider(address, ledger):
    book.record_terms(ledger, terms())
    with connect(address, "monsoon_reader") as reader:
        assert reader.execute("SELECT count(*) AS n FROM ledger.loss_ratio").fetchone() == {"n": 1}
        assert reader.execute("SELECT amount_paise FROM ledger.instructions").fetchone() == {"amount_paise": 40_000}
        for hidden in ("worker_id", "fund_account_id"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"SELECT {hidden} FROM ledger.instructions")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            book.record_terms(reader, terms("e2"))
