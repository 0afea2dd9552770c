"""What topics hold goes into the ledger: each payout once, premiums, reserves. What is none of them stops nothing."""

import hashlib
import json

import pytest
from kit.book import CELL, JUNE_28_MS, balances
from validation.lines import GOOD

from monsoon.pipelines.payments.intake import Intake
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sources.product_files import load_products

PAYOUT = {
    "reference_id": "p" + 32 * "1",
    "claim_id": "c1",
    "policy_id": "policy-1",
    "worker_id": "rider-1",
    "fund_account_id": "fa_1",
    "amount_paise": 40_000,
    "currency": "INR",
    "mode": "UPI",
    "purpose": "payout",
    "created_at": JUNE_28_MS,
    "instalment": 0,
}
LONG = hashlib.shake_256(b"seed").hexdigest(10_000)
"""Longer than what an index holds, and not to be compressed."""
RESERVE = {"reserve_id": "r1", "event_time": JUNE_28_MS, "product": "kawaach", "day": "2024-06-28", "cell": CELL}


@pytest.fixture
def intake(address):
    with connect(address, "monsoon_dispatcher") as connection:
        yield Intake(Store(connection, DispatchSettings("account")), load_products())


def encoded(record, **changed):
    return json.dumps(record | changed).encode()


def test_payouts(intake):
    assert intake.take_in("payouts", [encoded(PAYOUT), encoded(PAYOUT)]) == 1
    assert intake.take_in("payouts", [encoded(PAYOUT)]) == 0
    assert balances(intake._store.connection) == {"claims_incurred": 40_000, "claims_payable": -40_000}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{",
        b"\xff",
        encoded(PAYOUT, amount_paise=99),
        encoded(PAYOUT, amount_paise="40000"),
        encoded(PAYOUT, amount_paise=2**70),
        encoded(PAYOUT, currency="USD"),
        encoded(PAYOUT, reference_id="a/b"),
        encoded(PAYOUT, reference_id=37 * "p"),
        encoded(PAYOUT, worker_id="\0"),
        encoded(PAYOUT, worker_id="\ud800"),
        encoded(PAYOUT, instalment=-1),
        encoded(PAYOUT, created_at=10**19),
        encoded(PAYOUT, created_at=10**15),
        encoded(PAYOUT, created_at=-1),
        encoded(PAYOUT, created_at=None),
        encoded(PAYOUT, amount_paise=0),
        encoded(PAYOUT, amount_paise=-40_000),
        encoded(PAYOUT, amount_paise=400.5),
        encoded(PAYOUT, amount_paise=None),
        encoded(PAYOUT, amount_paise=10**12),
        encoded(PAYOUT, claim_id=LONG),
        encoded(PAYOUT, worker_id=LONG),
        encoded(PAYOUT, policy_id=LONG),
        encoded(PAYOUT, fund_account_id=LONG),
        encoded(PAYOUT, instalment=2**31),
    ],
    ids=range(27),
)
def test_what_is_no_payout_stops_nothing(intake, value):
    other = encoded(PAYOUT, reference_id="p" + 32 * "2", claim_id="c2")
    assert intake.take_in("payouts", [encoded(PAYOUT), value, other]) == 2
    assert intake.refused == 1
    kinds = [row["kind"] for row in intake._store.connection.execute("SELECT kind FROM dispatch.anomalies")]
    assert kinds == ["refused_payouts"]
    assert balances(intake._store.connection)["claims_payable"] == -80_000


def test_premiums_several_in_a_record(intake):
    first = encoded(GOOD["subscriptions"], premium_inr=35.5)
    renewed = GOOD["subscriptions"]["coverage_end"]
    second = encoded(
        GOOD["subscriptions"], event_id="e-2", coverage_start=renewed, coverage_end=renewed + 1, premium_inr=35.5
    )
    values = [first + b"\n" + second + b"\nrubbish\n\n", first]
    assert intake.take_in("subscriptions", values) == 0
    assert balances(intake._store.connection) == {"cash": 7_100, "premium_income": -7_100}
    assert intake.refused == 1
    rows = intake._store.connection.execute("SELECT product, loss_ratio FROM ledger.loss_ratio").fetchall()
    assert {(row["product"], row["loss_ratio"]) for row in rows} == {(GOOD["subscriptions"]["product"], 0)}


def test_a_cancellation_repeats_the_premium_and_moves_nothing(intake):
    bought = encoded(GOOD["subscriptions"], premium_inr=35.5)
    cancelled = encoded(GOOD["subscriptions"], event_id="e-2", type="cancelled", premium_inr=0)
    intake.take_in("subscriptions", [bought, cancelled])
    assert balances(intake._store.connection) == {"cash": 3_550, "premium_income": -3_550}


def test_fields_that_are_not_known(intake):
    assert intake.take_in("payouts", [encoded(PAYOUT, further={"a": [1]}, instalment=None)]) == 1
    assert balances(intake._store.connection)["claims_payable"] == -40_000


def test_further_instalments_are_paid_beside_the_first(intake):
    """A rise of a disruption, or of a corrected claim: a record of its own; the first is not edited."""
    further = {"reference_id": "p" + 32 * "2", "instalment": 1, "amount_paise": 25_000}
    assert intake.take_in("payouts", [encoded(PAYOUT), encoded(PAYOUT, **further)]) == 2
    assert intake.take_in("payouts", [encoded(PAYOUT, **further), encoded(PAYOUT, **further | {"instalment": 0})]) == 0
    assert balances(intake._store.connection) == {"claims_incurred": 65_000, "claims_payable": -65_000}


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"premium_inr": -1}, 0),
        ({"premium_inr": "49"}, 0),
        ({"premium_inr": 1e300}, 1),
        ({"premium_inr": 10**14}, 1),
        ({"policy_id": LONG}, 1),
        ({"event_id": LONG}, 1),
    ],
    ids=range(6),
)
def test_what_is_no_premium_stops_nothing(intake, changed, refused):
    """A refund is none: premiums come in; what a policy pays back would be an entry of its own kind."""
    good = encoded(GOOD["subscriptions"], premium_inr=49)
    intake.take_in("subscriptions", [encoded(GOOD["subscriptions"], **{"event_id": "e-2"} | changed), good])
    assert intake.refused == refused
    assert balances(intake._store.connection) == {"cash": 4_900, "premium_income": -4_900}


@pytest.mark.parametrize("premium", [None, 0, 0.001])
def test_an_event_without_a_premium(intake, premium):
    event = {key: value for key, value in GOOD["subscriptions"].items() if key != "premium_inr"}
    intake.take_in("subscriptions", [encoded(event | ({} if premium is None else {"premium_inr": premium}))])
    assert intake.refused == 0
    assert balances(intake._store.connection) == {}


def test_reserves(intake):
    intake.take_in("reserves", [encoded(RESERVE, amount_paise=500), encoded(RESERVE, amount_paise=-1)])
    assert balances(intake._store.connection) == {"capital_committed": 500, "reserves": -500}
    assert intake.refused == 1
