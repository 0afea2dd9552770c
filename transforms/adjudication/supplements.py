"""Supplements: further instalments of claims, of which a rule may allow one per period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.payment_history import PaymentHistory, tie_break
from monsoon.transforms.adjudication.rules import period_of


def add_supplements(approved: Sequence[Claim], payment_history: PaymentHistory) -> None:
    """Adds to each claim's gross amount the supplements that are due to it.

    Where one is allowed once a period, the claims that were paid already come first, then those confirmed first, larger
    ones before smaller, then by zone and claim_id; held claims use none up. Of claims of one moment whose disruptions
    overlap each has it: what one of them pays the overlap rule takes off the others (so the worked examples).
    """
    if not any(claim.supplements for claim in approved):
        return
    taken: dict[tuple[Any, ...], list[Claim]] = defaultdict(list)
    for claim in sorted(approved, key=_order):
        if not claim.supplements:
            continue
        terms = payment_history.rules.of(claim).supplements
        added: dict[str, int] = {}
        for name, paise in claim.supplements.items():
            per = terms[name].once_per
            key = None if per is None else (name, period_of(per, claim))
            if not paise or (key is not None and payment_history.is_taken(key, claim, *taken[key])):
                continue
            if key is not None:
                if not all(payment_history.overlap(claim, other) for other in taken[key]):
                    continue
                taken[key].append(claim)
            added[name] = paise
        payment_history.remove(claim)
        claim.supplemented = tuple(added)
        claim.gross_paise = claim.base_paise + sum(added.values())
        payment_history.add(claim)


def _order(claim: Claim) -> tuple[Any, ...]:
    return not claim.paid_paise, claim.update.confirmed_at_ms, -claim.base_paise, *tie_break(claim)
