"""The outputs of claim decisions: results, notifications of riders, payout instructions to the reserves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monsoon.pipelines.operators.control_exposure import published, to_reserve_buckets
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.messages import Message, result
from monsoon.transforms.adjudication.machine import ClaimOutputs, RiderMachine
from monsoon.transforms.exposure import instructions_of, unlimited
from monsoon.transforms.notifications import claim_notifications
from monsoon.transforms.product import Product


@dataclass
class DecisionOutputs:
    """The decisions of one product's rider machines in one call of `on_watermark`."""

    product: Product
    claims: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    starts_ms: dict[str, int] = field(default_factory=dict)
    """When the disruptions began, by disruption_id."""

    def add(self, machine: RiderMachine, before: dict[str, str], decided: ClaimOutputs) -> None:
        """Adds what a rider's machine decided; `before` is its `published` from before these decisions."""
        claims, payouts = decided
        if not claims:
            return
        self.claims.extend(claims)
        self.payouts.extend(payouts)
        self.notifications.extend(claim_notifications(claims, before))
        self.starts_ms.update(machine.starts_ms)

    def messages(self, config: JobConfig, upto_ms: int) -> Iterator[Message]:
        """The messages to results and reserves."""
        if not self.claims:
            return
        yield result("claims", self.claims)
        if self.notifications:
            yield result("notifications", self.notifications)
        instructions, standings = instructions_of(self.claims, self.payouts, self.starts_ms)
        if config.reserves:
            yield from to_reserve_buckets(instructions, standings, config.buckets, upto_ms)
        else:
            yield from published(unlimited(instructions))
