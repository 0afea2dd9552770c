"""No plain identifier of a person comes into the ledger's tables, whichever record and field held it."""

import json

import pytest
from payments_service.test_intake import PAYOUT, RESERVE
from validation.lines import GOOD

from monsoon.pipelines.payments.intake import Intake
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger.connection import connect
from monsoon.sources.product_files import load_products

RAW = ("a4:5e:60:c2:11:22", "rider.name@okhdfcbank", "203.0.113.77", "+919876543210", "9876543210")
SERIALS = {"event_id"}
"""Names of things, in which ten digits are a number like any other."""
RECORDS = {"payouts": PAYOUT, "subscriptions": GOOD["subscriptions"], "reserves": RESERVE}


@pytest.fixture
def intake(address):
    with connect(address, "monsoon_dispatcher") as connection:
        yield Intake(Store(connection, DispatchSettings("account")), load_products())


@pytest.mark.parametrize("stream", RECORDS)
def test_in_no_table_and_no_log(intake, capfd, caplog, stream):
    good = RECORDS[stream]
    fields = [(name, raw) for name in [*good, "unknown"] for raw in RAW if name not in SERIALS or not raw.isdecimal()]
    lines = [json.dumps(good | {name: raw}).encode() for name, raw in fields]
    intake.take_in(stream, lines)
    assert intake.refused
    connection = intake._store.connection
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'ledger'"
    names = [next(iter(row.values() if isinstance(row, dict) else row)) for row in connection.execute(query)]
    assert len(names) > 3
    tables = "".join(str(list(connection.execute(f'SELECT * FROM ledger."{name}"'))) for name in names)
    assert tables
    for raw in RAW:
        assert raw not in tables
        assert raw not in caplog.text
        assert raw not in "".join(capfd.readouterr())
