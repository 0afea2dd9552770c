"""What a rider was paid by a product, as the overlap rule, caps and rules "once per ..." need it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.rules import OnceKey, Period, ProductRules, period_of

_STILL_OPEN_MS = 2**63


class PaymentHistory:
    """The claims of one rider and product that were paid: what of each cap they use, and when they end.

    A disruption's start names it and never changes. Where its end or confirmation does, `remove` the claim before
    and `add` it after.
    """

    def __init__(self, rules: ProductRules) -> None:
        self.rules = rules
        self._used_paise: dict[Period, int] = {}
        self._paid: dict[str, Claim] = {}
        self._by_end: list[tuple[int, str]] = []
        """(end of the disruption in ms, claim_id) of what was paid, sorted."""
        self._once: dict[OnceKey, set[str]] = defaultdict(set)
        """By key of `once_keys`, the claims that were paid."""

    def add(self, claim: Claim) -> None:
        """Adds a claim with all its instalments; one without any is ignored."""
        if claim.paid_paise:
            self._change(claim, claim.total_paid_paise)
            self._paid[claim.claim_id] = claim
            insort(self._by_end, _end(claim))
            for key in self.once_keys(claim):
                self._once[key].add(claim.claim_id)

    def remove(self, claim: Claim) -> None:
        """Removes a claim as it was added."""
        if self._paid.pop(claim.claim_id, None) is not None:
            self._change(claim, -claim.total_paid_paise)
            self._by_end.pop(bisect_left(self._by_end, _end(claim)))
            for key in self.once_keys(claim):
                self._once[key].discard(claim.claim_id)

    def used_paise(self, period: Period) -> int:
        return self._used_paise.get(period, 0)

    def overlapping(self, claim: Claim) -> Iterator[Claim]:
        """The other claims that were paid and count as overlapping this one."""
        if not self._by_end:
            return
        first = bisect_left(self._by_end, (claim.update.start_ms + 1, ""))
        for _, name in self._by_end[first:]:
            other = self._paid[name]
            if other is not claim and self.overlap(claim, other):
                yield other

    def overlap(self, claim: Claim, other: Claim) -> bool:
        """Whether what `other` pays counts against `claim`: their disruptions overlap, and where the product says so
        are of one peril."""
        if self.rules.of(claim).product.overlap_same_peril_only and claim.update.peril != other.update.peril:
            return False
        return other.overlaps(claim)

    def once_keys(self, claim: Claim) -> tuple[OnceKey, ...]:
        """The keys of this claim of which only one claim may be paid: of rules "once per ..." and of supplements."""
        version = self.rules.of(claim)
        keys = version.once_keys(claim)
        if not claim.supplemented:
            return keys
        terms = [(name, version.supplements[name].once_per) for name in claim.supplemented]
        return keys + tuple((name, period_of(per, claim)) for name, per in terms if per is not None)

    def is_taken(self, key: OnceKey, *claims: Claim) -> bool:
        """Whether another claim than these that was paid has it."""
        return bool(self._once and self._once.get(key, set()).difference(each.claim_id for each in claims))

    def may_interact(self, claim: Claim, other: Claim) -> bool:
        """Whether what one of two claims is paid may change what is left for the other."""
        if claim.overlaps(other) or self._periods(claim) & self._periods(other):
            return True
        return bool(set(self.once_keys(claim)) & set(self.once_keys(other))) or any(
            period_of(each.once_per, claim) == period_of(each.once_per, other)
            for each in self.rules.of(claim).supplements.values()
            if each.once_per is not None
        )

    def _periods(self, claim: Claim) -> set[Period]:
        return {period_of(per, claim) for per in self.rules.pers}

    def _change(self, claim: Claim, paise: int) -> None:
        for per in self.rules.pers:
            period = period_of(per, claim)
            self._used_paise[period] = self._used_paise.get(period, 0) + paise


def tie_break(claim: Claim) -> tuple[str, str]:
    """The tie-breaker between claims: their zones, then their ids.

    An id is a digest, and a rider at a border is present in several zones that are confirmed together: by zone it is
    the same one that pays in every implementation, whatever its ids look like.
    """
    return claim.update.zone, claim.claim_id


def _end(claim: Claim) -> tuple[int, str]:
    end_ms = claim.update.end_ms
    return (_STILL_OPEN_MS if end_ms is None else end_ms), claim.claim_id
