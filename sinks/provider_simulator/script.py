"""What a simulated provider does wrong: a function of the seed and of its subject, so that runs can be repeated."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Fault = Literal["error_before", "error_after", "reset_before", "reset_after", "stall_before", "stall_after"]
"""An answer of 5xx, a closed connection, one that outlasts the client's patience: before or after the payout."""
FAULTS: tuple[Fault, ...] = (
    "error_before",
    "error_after",
    "reset_before",
    "reset_after",
    "stall_before",
    "stall_after",
)
WebhookFault = Literal["forged", "unknown_id", "other_amount", "duplicate", "late"]
WEBHOOK_FAULTS: tuple[WebhookFault, ...] = ("forged", "unknown_id", "other_amount", "duplicate", "late")

Course = tuple[tuple[int, str], ...]
"""The statuses of a payout, each so many ms after it was made; the first at 0."""


@dataclass(frozen=True, slots=True)
class Misbehavior:
    """How often a provider does what. Shares from 0 to 1."""

    seed: int = 0
    latency_ms: int = 0
    faults: float = 0.0
    """Of requests that make a payout: one of FAULTS."""
    webhook_faults: float = 0.0
    failed: float = 0.0
    reversed: float = 0.0
    rejected: float = 0.0
    cancelled: float = 0.0
    slow: float = 0.0
    """Of payouts: begins as queued or pending."""
    settle_ms: int = 0
    """From made to processed, about; 0: it is processed in the answer."""
    late_ms: int = 3_000
    clock_skew_s: int = 0
    """Of every time that it states."""

    def fault(self, key: str, request: int) -> Fault | None:
        """Of the request of this number for a key, from 0."""
        if self._share("fault", key, request) >= self.faults:
            return None
        return FAULTS[int(self._share("which", key, request) * len(FAULTS))]

    def webhook_fault(self, key: str, status: str) -> WebhookFault | None:
        """Of the webhook of a status."""
        if self._share("webhook", key, status) >= self.webhook_faults:
            return None
        return WEBHOOK_FAULTS[int(self._share("webhook which", key, status) * len(WEBHOOK_FAULTS))]

    def course(self, key: str) -> Course:
        """What becomes of a payout."""
        settle_ms = round(self.settle_ms * (0.5 + self._share("settle", key)))
        first = "processing"
        if self._share("slow", key) < self.slow:
            first = "queued" if self._share("slow which", key) < 0.5 else "pending"
        course = [(0, first)] if settle_ms else []
        if first != "processing" and settle_ms:
            course.append((settle_ms // 2, "processing"))
        drawn = self._share("end", key)
        for share, status in (
            (self.failed, "failed"),
            (self.rejected, "rejected"),
            (self.cancelled, "cancelled"),
        ):
            if drawn < share:
                return (*course, (settle_ms, status))
            drawn -= share
        course.append((settle_ms, "processed"))
        if self._share("reversed", key) < self.reversed:
            course.append((2 * settle_ms + 1, "reversed"))
        return tuple(course)

    def _share(self, *what: str | int) -> float:
        """From 0 to below 1, evenly."""
        text = "/".join(map(str, (self.seed, *what)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56
