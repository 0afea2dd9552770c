"""The timers of a rider's claims: when holds and step-ups run out."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from monsoon.transforms.adjudication.claims import Claim


class ClaimTimers:
    """A heap of the moments in `Claim.due_ms`; an entry that differs from its claim's is void."""

    def __init__(self, claims: Mapping[str, Claim]) -> None:
        """`claims` by claim_id, those to come included."""
        self._claims = claims
        self._heap: list[tuple[int, str]] = []
        """(moment, claim_id)."""

    @property
    def next_ms(self) -> int | None:
        """When the earliest hold or step-up runs out; None if no claim waits."""
        while self._heap and self._claims[self._heap[0][1]].due_ms != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def set(self, claim: Claim, due_ms: int | None) -> None:
        """The claim waits until a moment (None: it does not wait)."""
        claim.due_ms = due_ms
        if due_ms is not None:
            heapq.heappush(self._heap, (due_ms, claim.claim_id))

    def take_due(self, at_ms: int) -> list[Claim]:
        """Removes the timers that run out by a moment; gives their claims in the order of the timers."""
        found: dict[str, Claim] = {}
        while (due_ms := self.next_ms) is not None and due_ms <= at_ms:
            name = heapq.heappop(self._heap)[1]
            found[name] = self._claims[name]
        return list(found.values())
