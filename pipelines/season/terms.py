"""What a season's results are reckoned with: the size of the book, loadings, layers, a reserve. No replay depends on
it."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise

from msgspec import Struct

from monsoon.sources.files import InputError
from monsoon.transforms.season.layers import AggregateLayer, OccurrenceLayer

_LAYER = re.compile(r"([^:@]+):([^:@]+)(?::(\d{1,3})(?:@([^:@]+))?)?")


class Terms(Struct, frozen=True):
    """`insured`: riders of the book in each city. `expense_share` of a premium; `capital_cost` a year; a layer's price
    is `1 + reinsurance_loading` times what it is expected to pay. `reserve_paise`: what the year begins with."""

    insured: int
    expense_share: Fraction
    capital_cost: Fraction
    reinsurance_loading: Fraction
    layers: tuple[OccurrenceLayer, ...]
    stop_loss: AggregateLayer | None
    reserve_paise: int | None


def occurrence_layers(texts: list[str]) -> tuple[OccurrenceLayer, ...]:
    """Layers of `--layer ATTACHMENT:LIMIT[:REINSTATEMENTS[@SHARE]]` in rupees, from the lowest.

    Raises InputError for a text that is none, and layers that overlap.
    """
    layers = []
    for text in texts:
        found = _LAYER.fullmatch(text)
        if found is None:
            raise _no_layer(text, "--layer", "ATTACHMENT:LIMIT[:REINSTATEMENTS[@SHARE]], like 5e5:1e6:2@1")
        attachment, limit, count, share = found.groups()
        try:
            layers.append(
                OccurrenceLayer(
                    rupees(attachment, "--layer"),
                    rupees(limit, "--layer"),
                    int(count or 0),
                    Fraction(1) if share is None else Fraction(_decimal(share, "--layer")),
                )
            )
        except ValueError as error:
            raise _no_layer(text, "--layer", str(error)) from None
    layers.sort(key=lambda layer: layer.attachment_paise)
    for lower, upper in pairwise(layers):
        if lower.attachment_paise + lower.limit_paise > upper.attachment_paise:
            raise InputError(
                "two layers overlap: both would pay the same rupee", "--layer",
                f"Let the upper one attach at {(lower.attachment_paise + lower.limit_paise) / 100:,.0f} or more.",
            )  # fmt: skip
    return tuple(layers)


def stop_loss_layer(text: str | None) -> AggregateLayer | None:
    """The layer of `--stop-loss ATTACHMENT:LIMIT` in rupees. Raises InputError for a text that is none."""
    if text is None:
        return None
    attachment, colon, limit = text.partition(":")
    try:
        if not colon:
            raise ValueError("ATTACHMENT:LIMIT in rupees, like 2e6:3e6")
        return AggregateLayer(rupees(attachment, "--stop-loss"), rupees(limit, "--stop-loss"))
    except ValueError as error:
        raise _no_layer(text, "--stop-loss", str(error)) from None


def rupees(text: str, option: str) -> int:
    """An amount in rupees, as paise. Raises InputError for what is no amount of whole paise from 0 to 1e13 rupees."""
    paise = _decimal(text, option) * 100
    if not 0 <= paise <= 10**15 or paise != int(paise):
        raise InputError(f"{text!r} is no amount of rupees", option, "Give one from 0 to 1e13, of whole paise.")
    return int(paise)


def _decimal(text: str, option: str) -> Decimal:
    try:
        number = Decimal(text)
        if not number.is_finite() or abs(number) > 10**15:
            raise InvalidOperation
    except InvalidOperation:
        raise InputError(f"{text!r} is no number", option, "Give a number.") from None
    return number


def _no_layer(text: str, option: str, what: str) -> InputError:
    return InputError(f"{text!r} is no layer", option, f"It is {what}.")
