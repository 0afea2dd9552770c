"""Rupees and paise: exact numbers, one rounding rule.

Amounts that a policy or a product file states are the decimal numbers written there (the shortest decimal that names
the JSON number); formulas over them are exact; the result is rounded half to even to the paisa. Amounts are integers
of paise ever after.

Interpretations of the specification: docs/interpretations.md#money.
"""

from __future__ import annotations

from fractions import Fraction

MINIMUM_PAYOUT_PAISE = 100
"""A payout under Rs 1 is not paid."""


MAXIMUM_PAISE = 2**63 - 1
"""A contract allows any wage; amounts stop at what a 64-bit integer holds."""


def paise_of(amount_inr: Fraction) -> int:
    """An exact amount in rupees as paise, half to even, from 0 to MAXIMUM_PAISE."""
    return min(max(0, round(amount_inr * 100)), MAXIMUM_PAISE)


def rupees(paise: int) -> float:
    """Paise as the JSON number of rupees that contracts carry."""
    return paise / 100
