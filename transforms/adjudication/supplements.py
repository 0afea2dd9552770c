"""Further instalments of claims, and rules that allow one of them once a period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monsoon.transforms.adjudication.claims import Claim
from monsoon.transforms.adjudication.ledger import Ledger, tie
from monsoon.transforms.adjudication.rules import period_of


def add_supplements(asking: Sequence[Claim], ledger: Ledger) -> None:
    """Adds to each claim's gross amount the supplements that are due to it.

    Where one is allowed once a period, the claims that were paid already come first, then those confirmed first, then
    by zone and claim_id; held claims use none up.
    """
    if not any(claim.supplements for claim in asking):
        return
    taken: set[tuple[Any, ...]] = set()
    for claim in sorted(asking, key=lambda each: (not each.paid_paise, each.happening.confirmed_at_ms, *tie(each))):
        if not claim.supplements:
            continue
        terms = ledger.rules.of(claim).supplements
        added: dict[str, int] = {}
        for name, paise in claim.supplements.items():
            per = terms[name].once_per
            key = None if per is None else (name, period_of(per, claim))
            if not paise or (key is not None and (key in taken or ledger.is_taken(key, claim))):
                continue
            added[name] = paise
            if key is not None:
                taken.add(key)
        ledger.take_out(claim)
        claim.supplemented = tuple(added)
        claim.gross_paise = claim.base_paise + sum(added.values())
        ledger.enter(claim)
