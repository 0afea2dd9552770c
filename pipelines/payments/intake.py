"""What the ledger takes in of the topics: payout instructions, premiums, reserves."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from monsoon.client.records import Payout
from monsoon.sinks.dispatcher.store import Store
from monsoon.sinks.ledger import book
from monsoon.transforms.geo.cells import cell_name, cell_of
from monsoon.transforms.product import Product
from monsoon.transforms.validation.catalogue import Catalogue
from monsoon.transforms.validation.raw_identifiers import is_raw_identifier
from monsoon.transforms.validation.record_validator import RecordValidator, ValidRecord

BOOK_RESOLUTION = 5
"""Of the cells that the book is kept by, as of reserves: the ledger has no finer place."""
_REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    UnicodeEncodeError,
    OverflowError,
    psycopg.errors.ProgramLimitExceeded,
)
"""What the database says of values that it cannot hold, such as U+0000, or that break its rules; the last, which is an
OperationalError, of ids that are too long for an index."""
_log = logging.getLogger("monsoon.dispatcher.intake")


class Intake:
    """Takes in values of records, of any of the three streams; what was taken in before changes nothing.

    What is no record of its stream is passed over and counted, in `refused`: the job makes its dead letters.
    """

    STREAMS = ("payouts", "subscriptions", "reserves")

    def __init__(self, store: Store, products: Mapping[str, Product]) -> None:
        catalogue = Catalogue({name: product.accepts_plan for name, product in products.items()})
        self._store = store
        self._payouts = msgspec.json.Decoder(Payout)
        self._subscriptions = RecordValidator("subscriptions", catalogue)
        self._reserves = RecordValidator("reserves", catalogue)
        self.refused = 0

    def take_in(self, stream: str, values: Sequence[bytes]) -> int:
        """Takes in the values of some records; how many payouts were new. What the database refuses is refused by
        itself. Raises psycopg.OperationalError, and has then taken in nothing."""
        before = self.refused
        try:
            return self._take_in(stream, values)
        except _REFUSALS as error:
            self.refused = before
            if len(values) == 1:
                self._refuse(stream, values[0], error)
                return 0
        return sum(self.take_in(stream, [value]) for value in values)

    def _take_in(self, stream: str, values: Sequence[bytes]) -> int:
        connection = self._store.connection
        with connection.transaction():
            if stream == "payouts":
                instructions = [each for value in values if (each := self._instruction(value)) is not None]
                return self._store.take_in(instructions)
            for value in values:
                for line in value.splitlines():
                    if stream == "subscriptions":
                        self._take_in_subscription(line)
                    else:
                        self._take_in_reserve(line)
        return 0

    def _refuse(self, stream: str, value: bytes, error: Exception) -> None:
        self.refused += 1
        # Not the value: nobody has looked yet at what it holds.
        digest = hashlib.blake2b(value, digest_size=16).hexdigest()
        self._store.note_anomaly(f"refused_{stream}", None, f"{type(error).__name__}, {len(value)} bytes, {digest}")
        _log.error("a record of %s that the ledger cannot take: %s", stream, type(error).__name__)

    def _instruction(self, value: bytes) -> book.Instruction | None:
        try:
            payout = self._payouts.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._refuse("payouts", value, error)
            return None
        named = (payout.reference_id, payout.claim_id, payout.policy_id, payout.worker_id, payout.fund_account_id or "")
        if any(map(is_raw_identifier, named)):
            self._refuse("payouts", value, ValueError())
            return None
        return book.Instruction(
            payout.reference_id,
            payout.claim_id,
            payout.instalment or 0,
            payout.policy_id,
            payout.worker_id,
            payout.fund_account_id,
            payout.amount_paise,
            payout.created_at,
        )

    def _take_in_subscription(self, line: bytes) -> None:
        verdict = self._subscriptions(line)
        if not isinstance(verdict, ValidRecord):
            self.refused += verdict is not None
            return
        event = verdict.record
        terms = book.Terms(
            event["policy_id"],
            event["event_id"],
            event["event_time"],
            event["coverage_start"],
            event["product"],
            cell_name(cell_of(event["home_lat"], event["home_lon"], BOOK_RESOLUTION)),
            _premium_paise(event),
        )
        book.record_terms(self._store.connection, terms)

    def _take_in_reserve(self, line: bytes) -> None:
        verdict = self._reserves(line)
        if isinstance(verdict, ValidRecord):
            book.record_reserve(self._store.connection, verdict.record)
        else:
            self.refused += verdict is not None


def _premium_paise(event: Mapping[str, Any]) -> int | None:
    """What an event states as the premium of its period; a cancellation repeats terms, and returns nothing."""
    if event["premium_inr"] is None or event["type"] == "cancelled":
        return None
    return round(100 * event["premium_inr"])
