"""When a claim may ask for a score, told from what happened to its disruption alone.

An engine whose operators form no circle measures evidence before a claim is adjudicated: whether a claim will be held,
and so judged again, is not known then. The moments at which it may be are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from monsoon.transforms.adjudication.claims import Happening
from monsoon.transforms.adjudication.machine import gross_of
from monsoon.transforms.product import Product


class Moment(NamedTuple):
    """A claim as confirmed at one moment, judged at another (ms)."""

    confirmed_at_ms: int
    at_ms: int


def asking_moments(product: Product, happenings: Sequence[Happening]) -> set[Moment]:
    """Every moment at which the machine may ask for the score of one rider's claim on one disruption.

    `happenings` are all of that rider and disruption. A claim asks when it opens, when it opens again after a
    withdrawal and when its gross amount rises, and each time once more when the hold that follows runs out.
    """
    ordered = sorted(happenings, key=lambda happening: happening.at_ms)
    asking: set[Moment] = set()
    stands, gross_paise = False, 0
    for at_ms, together in groupby(ordered, key=lambda happening: happening.at_ms):
        for happening in sorted(together, key=lambda happening: not happening.withdrawn):
            if happening.withdrawn or happening.terms is None:
                stands = False
                continue
            now_paise = gross_of(product, happening, happening.terms)
            if not stands or now_paise > gross_paise:
                asking.add(Moment(happening.confirmed_at_ms, at_ms))
            stands, gross_paise = True, now_paise
    for at_ms in {moment.at_ms for moment in asking}:
        due_ms = at_ms + product.decision.hold_ms
        known = [happening for happening in ordered if happening.at_ms <= due_ms and happening.terms is not None]
        asking.update(Moment(happening.confirmed_at_ms, due_ms) for happening in known)
        asking.update(Moment(happening.confirmed_at_ms, at_ms) for happening in known if happening.at_ms == at_ms)
    return asking
