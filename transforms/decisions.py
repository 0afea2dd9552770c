"""What riders' machines decided on one product, and what comes of it: records of the contracts by stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monsoon.transforms.adjudication.machine import ClaimOutputs, RiderMachine
from monsoon.transforms.exposure import AwardStatus, Instruction, ReserveDecisions, instructions_of
from monsoon.transforms.notifications import claim_notifications, payment_notifications

Records = Mapping[str, list[dict[str, Any]]]
"""Records of the contracts, by output stream."""


@dataclass
class Decisions:
    """The decisions of the machines of some riders on one product."""

    claims: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    starts_ms: dict[str, int] = field(default_factory=dict)
    """When the disruptions began, by disruption_id."""

    def add(self, machine: RiderMachine, before: dict[str, str], decided: ClaimOutputs) -> None:
        """Adds what a rider's machine decided; `before` is its `published_statuses` from before these decisions."""
        claims, payouts = decided
        if not claims:
            return
        self.claims.extend(claims)
        self.payouts.extend(payouts)
        self.notifications.extend(claim_notifications(claims, before))
        self.starts_ms.update(machine.starts_ms)

    @property
    def records(self) -> Records:
        """All but the payouts, which the reserves may limit (`instructions`)."""
        return {"claims": self.claims, "notifications": self.notifications}

    def instructions(self) -> tuple[list[Instruction], list[AwardStatus]]:
        """The payouts and claim revisions, as events of reserve buckets."""
        return instructions_of(self.claims, self.payouts, self.starts_ms)


def payment_records(decided: ReserveDecisions) -> Records:
    """The records of decisions on payouts."""
    return {
        "payouts": decided.payouts,
        "reserve_alerts": decided.alerts,
        "notifications": payment_notifications(decided.transitions),
    }
