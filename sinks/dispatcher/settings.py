"""What an installation sets of the dispatcher."""

from __future__ import annotations

from dataclasses import dataclass, field

from monsoon.transforms.payments import Patience


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Limits in paise; None: no limit."""

    account_number: str
    """Of the insurer, at the provider."""
    patience: Patience = field(default_factory=Patience)
    lease_ms: int = 60_000
    """For how long a claimed payment is one instance's: more than all calls of a batch may take."""
    batch: int = 4
    """How many payments a thread claims at once where the rate is not limited; else one, which waits for its token."""
    requests_per_s: float | None = 10.0
    """Of all instances together; the provider asks for 5 to 10."""
    burst: int = 10
    rider_day_limit_paise: int | None = None
    """For a rider and the local day of the instruction, over all products. What exceeds it is held for a person."""
    hour_limit_paise: int | None = None
    """For all instances and an hour. What would exceed it opens the breaker: nothing is paid until it is closed."""
    breaker_look_ms: int = 5_000
    version: str = "1"
