"""Rupees and paise: exact decimals, one rounding rule.

A wage is the decimal number that the policy states (the shortest decimal that names the JSON number); products with a
share are exact; the result is rounded half to even to the paisa. Amounts are integers of paise ever after.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

MINIMUM_PAYOUT_PAISE = 100
"""A payout under Rs 1 is not paid."""


MAXIMUM_PAISE = 2**63 - 1
"""A contract allows any wage; amounts stop at what a 64-bit integer holds."""

_EXACT = Context(prec=800)
"""Room for the product of any two doubles, which have up to 309 digits before the point."""


@lru_cache(maxsize=4096)
def times_paise(amount_inr: float, factor: float) -> int:
    """`amount_inr` x `factor` in paise, half to even, at most MAXIMUM_PAISE."""
    paise = _EXACT.multiply(_EXACT.multiply(Decimal(repr(amount_inr)), Decimal(repr(factor))), Decimal(100))
    if paise >= MAXIMUM_PAISE:
        return MAXIMUM_PAISE
    return int(paise.to_integral_value(ROUND_HALF_EVEN))


def rupees(paise: int) -> float:
    """Paise as the JSON number of rupees that contracts carry."""
    return paise / 100
