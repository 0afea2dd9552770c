"""Rupees and paise: exact decimals, one rounding rule.

A wage is the decimal number that the policy states (the shortest decimal that names the JSON number); products with a
share are exact; the result is rounded half to even to the paisa. Amounts are integers of paise ever after.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

MINIMUM_PAYOUT_PAISE = 100
"""A payout under Rs 1 is not paid."""


def times_paise(amount_inr: float, factor: float) -> int:
    """`amount_inr` x `factor` in paise, half to even."""
    paise = Decimal(repr(amount_inr)) * Decimal(repr(factor)) * 100
    return int(paise.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def rupees(paise: int) -> float:
    """Paise as the JSON number of rupees that contracts carry."""
    return paise / 100
