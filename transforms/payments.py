"""What to do next for one payment: a function of what was intended, what the provider said and the time, nothing else.

The provider's word comes by calls, webhooks and statements: repeated, unordered, late. Of an attempt the furthest
status stands, so that no order matters; what says that money moved is further than what says that it did not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_FURTHER = {
    "pending": 1,
    "queued": 2,
    "scheduled": 3,
    "processing": 4,
    "cancelled": 5,
    "rejected": 6,
    "failed": 7,
    "processed": 8,
    "reversed": 9,
}
"""The provider's statuses, each further than those before it."""
_MAX_KEY = 36
STATUSES = frozenset(_FURTHER)
UNDER_WAY = frozenset(("pending", "queued", "scheduled", "processing"))
MONEY_MOVED = frozenset(("processed", "reversed"))


class State(StrEnum):
    """Of a payment."""

    INSTRUCTED = "instructed"
    CALLING = "calling"
    """Intended, and not known to have reached the provider."""
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    """After the last attempt."""
    REVERSED = "reversed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    HELD = "held"
    """For a person to look at."""


class Act(StrEnum):
    """What a dispatcher does."""

    INTEND = "intend"
    """Write down a new attempt; then call."""
    CREATE = "create"
    """Call the provider with an attempt's key and body."""
    FETCH = "fetch"
    """Ask the provider what has become of an attempt."""
    HOLD = "hold"
    REST = "rest"
    """Nothing more is to be done, unless the provider says something."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One key, and what the provider said of it."""

    number: int
    key: str
    intended_at_ms: int
    statuses: frozenset[str] = frozenset()
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """An instalment to be paid. `calls`: of its last attempt, that taught nothing final."""

    reference_id: str
    has_account: bool = True
    attempts: tuple[Attempt, ...] = ()
    calls: int = 0
    last_call_ms: int = 0
    held_for: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and not before when."""

    act: Act
    at_ms: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a dispatcher waits, and how often it tries."""

    first_retry_ms: int = 1_000
    max_retry_ms: int = 300_000
    first_fetch_ms: int = 30_000
    max_fetch_ms: int = 3_600_000
    max_attempts: int = 3
    key_valid_ms: int = 6 * 24 * 3_600_000
    """The provider remembers a key for seven days; whoever used it later would pay twice."""
    seed: str = ""
    """Of the jitter, so that instances differ and tests do not."""


def furthest(statuses: Iterable[str]) -> str | None:
    """The status that stands of those seen; None: none were."""
    return max(statuses, key=_FURTHER.__getitem__, default=None)


def key_of_attempt(reference_id: str, number: int) -> str:
    """The provider's idempotency key: the reference, of later attempts with their number; up to 36 characters. Of a
    reference that leaves no room for a number, its digest stands for it."""
    if number == 0:
        return reference_id
    if len(reference_id) > _MAX_KEY - len("-99"):
        reference_id = hashlib.blake2b(reference_id.encode(), digest_size=16).hexdigest()
    return f"{reference_id}-{number}"


def attempts_that_paid(payment: Payment) -> tuple[Attempt, ...]:
    """Those for which money moved. More than one is the provider's error, and stands in the book as a difference."""
    return tuple(each for each in payment.attempts if each.statuses & MONEY_MOVED)


def state_of(payment: Payment, patience: Patience) -> State:
    """What a payment has come to."""
    paid = attempts_that_paid(payment)
    if paid:
        # By the provider's error more than one may have paid: what came back of one leaves the other.
        return State.REVERSED if all("reversed" in each.statuses for each in paid) else State.PAID
    if payment.held_for is not None:
        return State.HELD
    if not payment.attempts:
        return State.INSTRUCTED
    last = payment.attempts[-1]
    status = furthest(last.statuses)
    if status is None:
        return State.CALLING
    if status in UNDER_WAY:
        return State.PENDING
    if status == "failed":
        return State.FAILED if len(payment.attempts) >= patience.max_attempts else State.INSTRUCTED
    return State(status)


def next_step(payment: Payment, now_ms: int, patience: Patience) -> Step:
    """What to do for a payment; with a moment after `now_ms`, only then.

    A new key comes only after `failed`. A call that taught nothing is repeated with the same key; when the provider may
    have forgotten the key, it is only asked.
    """
    state = state_of(payment, patience)
    if state is State.INSTRUCTED:
        if not payment.has_account:
            return Step(Act.HOLD, reason="no_fund_account")
        again_ms = payment.last_call_ms + patience.first_retry_ms if payment.attempts else 0
        return Step(Act.INTEND, again_ms)
    if state is State.CALLING:
        last = payment.attempts[-1]
        at_ms = _after(payment, last, patience.first_retry_ms, patience.max_retry_ms, patience.seed)
        if max(now_ms, at_ms) < last.intended_at_ms + patience.key_valid_ms:
            return Step(Act.CREATE, at_ms)
        return Step(Act.FETCH, at_ms)
    if state is State.PENDING:
        last = payment.attempts[-1]
        return Step(Act.FETCH, _after(payment, last, patience.first_fetch_ms, patience.max_fetch_ms, patience.seed))
    return Step(Act.REST)


def _after(payment: Payment, attempt: Attempt, first_ms: int, max_ms: int, seed: str) -> int:
    """Twice as long after each call, from half of it to the whole: instances that failed together do not come back
    together."""
    if payment.calls == 0:
        return payment.last_call_ms + first_ms if attempt.statuses else 0
    delay_ms = min(max_ms, first_ms << min(payment.calls - 1, 30))
    digest = hashlib.blake2b(f"{seed}/{attempt.key}/{payment.calls}".encode(), digest_size=4).digest()
    return payment.last_call_ms + delay_ms // 2 + delay_ms * int.from_bytes(digest) // 2**33
