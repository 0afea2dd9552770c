"""What is kept of each payment, in PostgreSQL, with the ledger's entries: each change is one transaction."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from monsoon.sinks.dispatcher.provider import ProviderPayout, request_body
from monsoon.sinks.dispatcher.results import notification_record, result_record
from monsoon.sinks.dispatcher.settings import DispatchSettings
from monsoon.sinks.ledger import book
from monsoon.sinks.ledger.connection import Connection
from monsoon.sinks.ledger.sql_files import query as query_in
from monsoon.transforms.payments import (
    Act,
    Attempt,
    Payment,
    State,
    Step,
    attempts_that_paid,
    key_of_attempt,
    next_step,
    state_of,
)

Source = Literal["call", "webhook", "statement"]
Noted = Literal["noted", "known", "unknown_key", "other_amount", "other_payout"]
_HOUR_MS = 3_600_000
_NO_LIMIT = 2**62
_log = logging.getLogger("monsoon.dispatcher")
query = partial(query_in, folder=Path(__file__).parent / "sql")

_STATES_WITH_RESULTS = frozenset(State) - {State.INSTRUCTED, State.CALLING}


@dataclass(frozen=True, slots=True)
class Work:
    """A call to be made. `body`: of an attempt, as it was written down."""

    reference_id: str
    act: Act
    key: str
    body: bytes
    provider_id: str | None


class Store:
    """One instance's view of the payments; not thread-safe, as its connection is one.

    `clock_ms` is the tests'; without it the time is the database's, which all instances share.
    """

    def __init__(
        self, connection: Connection, settings: DispatchSettings, clock_ms: Callable[[], int] | None = None
    ) -> None:
        self.connection, self._settings, self._clock_ms = connection, settings, clock_ms

    def now_ms(self) -> int:
        """The time by which everything is decided."""
        if self._clock_ms is not None:
            return self._clock_ms()
        row = self.connection.execute(query("now")).fetchone()
        assert row is not None
        return int(row["now_ms"])

    def take_in(self, instructions: Sequence[book.Instruction]) -> int:
        """Takes in payout instructions; how many were new. One that contradicts what stands is noted, and not paid."""
        now_ms, count = self.now_ms(), 0
        with self.connection.transaction():
            for each in instructions:
                standing = book.record_instruction(self.connection, each)
                if standing is None:
                    self.connection.execute(query("insert_job"), {"reference_id": each.reference_id, "now_ms": now_ms})
                    count += 1
                elif standing != each:
                    self._note_anomaly("edited_instruction", each.reference_id, repr(each), now_ms)
        return count

    def claim(self, owner: str) -> list[Work]:
        """Takes payments that are due for this instance, and writes down what it intends, before it calls. Without any
        to call for, none is due."""
        while True:
            work, count = self._claim_some(owner)
            if work or not count:
                return work

    def _claim_some(self, owner: str) -> tuple[list[Work], int]:
        """Calls to be made, and how many payments were looked at: some are held, or go on later."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            is_open = self.breaker() is not None
            count = self._settings.batch if self._settings.requests_per_s is None else 1
            asked = {"owner": owner, "now_ms": now_ms, "lease_ms": self._settings.lease_ms}
            rows = self.connection.execute(query("claim_due"), {**asked, "count": count}).fetchall()
            attempts = self._attempts([row["reference_id"] for row in rows])
            work = []
            # In one order in all instances: they lock riders' days one after another.
            for row in sorted(rows, key=lambda row: (row["worker_id"], row["reference_id"])):
                payment = _payment(row, attempts.get(row["reference_id"], []))
                step = next_step(payment, now_ms, self._settings.patience)
                if is_open and step.act in (Act.INTEND, Act.CREATE):
                    step = replace(step, at_ms=now_ms + self._settings.breaker_look_ms)
                if step.at_ms > now_ms or step.act not in (Act.INTEND, Act.CREATE, Act.FETCH):
                    self._write(row, payment, now_ms, step)
                    continue
                if step.act is Act.INTEND:
                    intended, is_open = self._intend(row, payment, now_ms)
                    work += intended
                    continue
                last, body = payment.attempts[-1], attempts[row["reference_id"]][-1]["body"]
                work.append(Work(row["reference_id"], step.act, last.key, body.encode(), last.provider_id))
        return work, len(rows)

    def observe(self, payout: ProviderPayout, source: Source) -> Noted:
        """Notes what the provider says of a payout, with what follows of it for the book."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            asked = {"key": payout.key, "provider_id": payout.provider_id}
            row = self.connection.execute(query("lock_job_of_key"), asked).fetchone()
            if row is None:
                self._note_anomaly("unknown_key", None, repr(payout.masked()), now_ms)
                return "unknown_key"
            wrong = _contradiction(payout, row)
            if wrong is not None:
                self._note_anomaly(wrong, row["reference_id"], repr(payout.masked()), now_ms)
                if source == "call":
                    self._conclude(row, now_ms, hold=wrong)
                return wrong
            observation = {"key": payout.key, "status": payout.status, "provider_id": payout.provider_id}
            inserted = self.connection.execute(
                query("insert_observation"), {**observation, "source": source, "now_ms": now_ms}
            ).rowcount
            if inserted:
                self._conclude(row, now_ms, calls=0)
                return "noted"
            if source == "call":
                self._conclude(row, now_ms, calls=row["calls"] + 1)
            return "known"

    def called(self, reference_id: str, retry_after_ms: int = 0) -> None:
        """A call taught nothing: it is made again, later."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            row = self._lock(reference_id)
            self._conclude(row, now_ms, calls=row["calls"] + 1, not_before_ms=now_ms + retry_after_ms)

    def hold(self, reference_id: str, reason: str) -> None:
        """Leaves a payment to a person."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            self._conclude(self._lock(reference_id), now_ms, hold=reason)

    def release(self, reference_id: str) -> bool:
        """A person lets a held payment go on, whatever the limits; False where it is not held."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            row = self.connection.execute(query("lock_job"), {"reference_id": reference_id}).fetchone()
            if row is None or row["held_for"] is None:
                return False
            self.connection.execute(query("release_job"), {"reference_id": reference_id})
            self._conclude({**row, "held_for": None}, now_ms, calls=0)
        return True

    def breaker(self) -> str | None:
        """Why payments are stopped; None: they are not."""
        row = self.connection.execute(query("breaker")).fetchone()
        return row["reason"] if row is not None and row["is_open"] else None

    def set_breaker(self, is_open: bool, reason: str) -> None:
        """Stops payments of all instances, or lets them go on; then the limit of the hour begins anew. Of a stop the
        first reason stands."""
        now_ms = self.now_ms()
        with self.connection.transaction():
            if is_open and self.breaker() is not None:
                return
            self.connection.execute(query("set_breaker"), {"is_open": is_open, "reason": reason, "now_ms": now_ms})
            if not is_open:
                self.connection.execute(query("reset_hour"), {"hour_ms": _hour_of(now_ms)})

    def wait_us(self) -> int:
        """Takes a token of the bucket of all instances: how long to wait before the call, in microseconds."""
        rate = self._settings.requests_per_s
        if rate is None:
            return 0
        asked = {"now_us": 1_000 * self.now_ms(), "interval_us": round(1e6 / rate), "burst": self._settings.burst}
        row = self.connection.execute(query("take_slot"), asked).fetchone()
        assert row is not None
        return int(row["wait_us"])

    def publish(self, send: Callable[[Sequence[tuple[str, str, str]]], None], count: int = 500) -> int:
        """Hands records over, as stream, key and value, and marks them; a crash between the two repeats them.

        One instance at a time, so that of a key the last record is the last revision."""
        with self.connection.transaction():
            lock = self.connection.execute(query("publisher_lock")).fetchone()
            if lock is None or not lock["is_mine"]:
                return 0
            rows = self.connection.execute(query("unpublished"), {"count": count}).fetchall()
            if rows:
                send([(row["stream"], row["key"], row["record"]) for row in rows])
                self.connection.execute(query("mark_published"), {"ids": [row["outbox_id"] for row in rows]})
        return len(rows)

    def facts(self) -> tuple[dict[str, Any], dict[str, int], dict[str, int]]:
        """For metrics: the state of all payments; how many wait for a person, by state; what did not fit, by kind."""
        state = self.connection.execute(query("facts"), {"now_ms": self.now_ms()}).fetchone()
        assert state is not None
        persons = {row["state"]: row["payments"] for row in self.connection.execute(query("for_a_person"))}
        anomalies = {row["kind"]: row["n"] for row in self.connection.execute(query("anomaly_kinds"))}
        return state, persons, anomalies

    def note_anomaly(self, kind: str, reference_id: str | None, detail: str) -> None:
        """Remembers what does not fit, once."""
        self._note_anomaly(kind, reference_id, detail, self.now_ms())

    def _intend(self, row: dict[str, Any], payment: Payment, now_ms: int) -> tuple[list[Work], bool]:
        """Writes an attempt down, within the limits; and whether the breaker is open."""
        settings, amount = self._settings, row["amount_paise"]
        number = len(payment.attempts)
        if number == 0:
            refused = self._limit_that_refuses(row, now_ms)
            if refused == "hour_limit":
                reason = f"more than {settings.hour_limit_paise} paise in an hour"
                self.connection.execute(query("set_breaker"), {"is_open": True, "reason": reason, "now_ms": now_ms})
                _log.error("the breaker is open, and nothing is paid: %s", reason)
                self._write(row, payment, now_ms, Step(Act.INTEND, now_ms + settings.breaker_look_ms))
                return [], True
            if refused is not None:
                self._write(row, payment, now_ms, Step(Act.HOLD, reason=refused))
                return [], False
        key = key_of_attempt(row["reference_id"], number)
        body = request_body(key, row["fund_account_id"], amount, settings.account_number)
        attempt = {"reference_id": row["reference_id"], "attempt": number, "key": key, "body": body}
        self.connection.execute(query("insert_attempt"), {**attempt, "now_ms": now_ms, "version": settings.version})
        intended = replace(
            payment, attempts=(*payment.attempts, Attempt(number, key, now_ms)), calls=0, last_call_ms=now_ms
        )
        # Due at once for whoever comes after the lease.
        self._write(row, intended, now_ms, Step(Act.CREATE, now_ms), keeps_lease=True)
        return [Work(row["reference_id"], Act.CREATE, key, body.encode(), None)], False

    def _limit_that_refuses(self, row: dict[str, Any], now_ms: int) -> str | None:
        """What a person has released counts, and is not refused."""
        settings, amount = self._settings, {"paise": row["amount_paise"]}
        day_limit, hour_limit = settings.rider_day_limit_paise, settings.hour_limit_paise
        refused = None
        with self.connection.transaction():
            if day_limit is not None:
                asked = {**amount, "worker_id": row["worker_id"], "local_day": row["local_day"]}
                asked["limit"] = _NO_LIMIT if row["released"] else day_limit
                if self.connection.execute(query("add_to_rider_day"), asked).fetchone() is None:
                    refused = "rider_day_limit"
            if refused is None and hour_limit is not None:
                asked = {**amount, "hour_ms": _hour_of(now_ms), "limit": _NO_LIMIT if row["released"] else hour_limit}
                if self.connection.execute(query("add_to_hour"), asked).fetchone() is None:
                    # One that no hour has room for would stop all others, time and again.
                    refused = "hour_limit" if row["amount_paise"] <= hour_limit else "over_hour_limit"
            if refused is not None:
                raise psycopg.Rollback
        return refused

    def _lock(self, reference_id: str) -> dict[str, Any]:
        row = self.connection.execute(query("lock_job"), {"reference_id": reference_id}).fetchone()
        assert row is not None, reference_id
        return row

    def _attempts(self, references: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        if references:
            for row in self.connection.execute(query("attempts"), {"references": list(references)}):
                found.setdefault(row["reference_id"], []).append(row)
        return found

    def _conclude(
        self,
        row: dict[str, Any],
        now_ms: int,
        *,
        calls: int | None = None,
        hold: str | None = None,
        not_before_ms: int = 0,
    ) -> None:
        """Writes what follows of all that is known of a payment whose job is locked."""
        row = {**row, "held_for": hold or row["held_for"], "last_call_ms": now_ms}
        row["calls"] = row["calls"] if calls is None else calls
        payment = _payment(row, self._attempts([row["reference_id"]]).get(row["reference_id"], []))
        for attempt in attempts_that_paid(payment):
            reference, amount = row["reference_id"], row["amount_paise"]
            book.record_paid(self.connection, reference, amount, now_ms, attempt.key)
            if "reversed" in attempt.statuses:
                book.record_reversed(self.connection, reference, amount, now_ms, attempt.key)
        step = next_step(payment, now_ms, self._settings.patience)
        self._write(row, payment, now_ms, replace(step, at_ms=max(step.at_ms, not_before_ms)))

    def _write(self, row: dict[str, Any], payment: Payment, now_ms: int, step: Step, keeps_lease: bool = False) -> None:
        if step.act is Act.HOLD:
            payment = replace(payment, held_for=step.reason)
        state = state_of(payment, self._settings.patience)
        revision = row["revision"]
        if state != row["state"] and state in _STATES_WITH_RESULTS:
            revision += 1
            self._tell({**row, "held_for": payment.held_for}, payment, state, revision, now_ms)
        values = {
            "reference_id": row["reference_id"],
            "state": state.value,
            "held_for": payment.held_for,
            "next_at_ms": None if step.act in (Act.REST, Act.HOLD) else step.at_ms,
            "calls": payment.calls,
            "last_call_ms": payment.last_call_ms,
            "revision": revision,
            "keeps_lease": keeps_lease,
        }
        self.connection.execute(query("update_job"), values)

    def _tell(self, row: dict[str, Any], payment: Payment, state: State, revision: int, now_ms: int) -> None:
        """Leaves the records of a new state to be published."""
        provider_id = payment.attempts[-1].provider_id if payment.attempts else None
        result = result_record(row, state, revision, len(payment.attempts), provider_id, now_ms)
        self._leave("payout_results", row["reference_id"], result)
        known = self.connection.execute(query("product_of_policy"), {"policy_id": row["policy_id"]}).fetchone()
        notification = notification_record(row, state, known["product"] if known else "unknown", now_ms)
        if notification is not None:
            self._leave("notifications", notification["notification_id"], notification)

    def _leave(self, stream: str, key: str, record: dict[str, Any]) -> None:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        self.connection.execute(query("insert_outbox"), {"stream": stream, "key": key, "record": text})

    def _note_anomaly(self, kind: str, reference_id: str | None, detail: str, now_ms: int) -> None:
        digest = hashlib.blake2b(f"{kind}/{detail}".encode(), digest_size=16).hexdigest()
        values = {"digest": digest, "kind": kind, "reference_id": reference_id, "detail": detail, "now_ms": now_ms}
        self.connection.execute(query("insert_anomaly"), values)


def _hour_of(at_ms: int) -> int:
    return at_ms // _HOUR_MS * _HOUR_MS


def _contradiction(payout: ProviderPayout, job: dict[str, Any]) -> Literal["other_amount", "other_payout"] | None:
    if payout.amount_paise != job["amount_paise"] or payout.currency != "INR":
        return "other_amount"
    return "other_payout" if job["is_payout_of_another"] else None


def _payment(row: dict[str, Any], attempts: Sequence[dict[str, Any]]) -> Payment:
    return Payment(
        row["reference_id"],
        row["fund_account_id"] is not None,
        tuple(
            Attempt(
                each["attempt"], each["key"], each["intended_at_ms"], frozenset(each["statuses"]), each["provider_id"]
            )
            for each in attempts
        ),
        row["calls"],
        row["last_call_ms"],
        row["held_for"],
    )
