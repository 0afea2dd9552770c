"""Puts the versions of a product in order: each is in force from its `in_force_from` to that of the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timezone
from itertools import pairwise

from monsoon.transforms.calendar import KOLKATA_OFFSET
from monsoon.transforms.product.terms import ALWAYS_MS, NEVER_MS, Product, ProductError

_KOLKATA = timezone(KOLKATA_OFFSET)


def chain_versions(versions: Mapping[str, Product]) -> Product:
    """The newest version of one product, with the older ones in `earlier`; keys are the files, for messages.

    Raises ProductError where two begin at one moment: it would be ambiguous which of them is in force; and where their
    zones are of different sizes: riders are compared with others of their zones, over weeks, whichever version is in
    force.
    """
    by_start = sorted(versions.items(), key=lambda item: (item[1].from_ms, item[0]))
    for (one, first), (other, second) in pairwise(by_start):
        if first.from_ms == second.from_ms:
            raise ProductError(
                f"{other}: the product {second.name!r} is in force {since(second.from_ms)}, and so it is in {one}; "
                "give the newer version in_force_from, a moment of its own"
            )
        if first.zone_resolution != second.zone_resolution:
            raise ProductError(
                f"{other}: zone_resolution {second.zone_resolution}, but {first.zone_resolution} in {one}; the "
                f"versions of a product have zones of one size: keep {first.zone_resolution}, or give the product "
                "another name"
            )
    ends = [product.from_ms for _, product in by_start[1:]] + [NEVER_MS]
    line = [replace(product, until_ms=end) for (_, product), end in zip(by_start, ends, strict=True)]
    return replace(line[-1], earlier=tuple(line[:-1]))


def since(from_ms: int) -> str:
    """`from 2026-04-01 00:00 (Asia/Kolkata)`, or `since ever`."""
    return "since ever" if from_ms == ALWAYS_MS else f"from {moment(from_ms)}"


def moment(at_ms: int) -> str:
    """A moment for people, in Asia/Kolkata."""
    local = datetime.fromtimestamp(at_ms // 1000, tz=UTC).astimezone(_KOLKATA)
    return f"{local:%Y-%m-%d %H:%M} (Asia/Kolkata)"


def day(at_ms: int) -> str:
    """The moment without the place's name, for tables."""
    return moment(at_ms).partition(" (")[0]
