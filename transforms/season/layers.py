"""Reinsurance: layers per occurrence with reinstatements, and layers on a year's total.

A layer "L xs A" pays the part of a loss between A and A + L. One per occurrence pays L once a year, and once more for
each reinstatement, for which a share of the layer's premium is paid again, pro rata of the limit that is reinstated.
Formulas: Sundt, "On excess of loss reinsurance with reinstatements", Bulletin of the Swiss Association of Actuaries,
1991; Antal, Mathematical Methods in Reinsurance, ETH 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from monsoon.transforms.season.occurrences import Ints, Occurrences


@dataclass(frozen=True)
class OccurrenceLayer:
    """`limit_paise` in excess of `attachment_paise` of each occurrence, reinstated `reinstatements` times a year at
    `reinstatement_share` of the premium (0: free). Raises ValueError for a figure that makes no layer."""

    attachment_paise: int
    limit_paise: int
    reinstatements: int = 0
    reinstatement_share: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        _require_layer(self.attachment_paise, self.limit_paise)
        if self.reinstatements < 0 or self.reinstatement_share < 0:
            raise ValueError("reinstatements and their share of the premium are not negative")

    @property
    def annual_limit_paise(self) -> int:
        """The most that it pays in a year."""
        return self.limit_paise * (1 + self.reinstatements)

    def ceded_paise(self, occurrences: Occurrences, loss_paise: Ints) -> Ints:
        """What it pays of each occurrence's loss [occurrences], in the order of the year until it is exhausted."""
        wanted = _excess(loss_paise, self.attachment_paise, self.limit_paise)
        running = np.cumsum(wanted)
        begins = np.searchsorted(occurrences.year, occurrences.year)  # the row at which the row's year begins
        before = running - wanted - (running - wanted)[begins] if len(wanted) else wanted
        return np.clip(self.annual_limit_paise - before, 0, wanted)

    def reinstated_share(self, annual_ceded_paise: Ints) -> Fraction:
        """The mean over years of the share of the limit that was reinstated, times the share of premium due for it."""
        most = self.limit_paise * self.reinstatements
        reinstated = int(np.minimum(annual_ceded_paise, most).sum())
        return self.reinstatement_share * Fraction(reinstated, self.limit_paise * len(annual_ceded_paise))


@dataclass(frozen=True)
class AggregateLayer:
    """`limit_paise` in excess of `attachment_paise` of a year's total (stop loss). Raises as `OccurrenceLayer`."""

    attachment_paise: int
    limit_paise: int

    def __post_init__(self) -> None:
        _require_layer(self.attachment_paise, self.limit_paise)

    def ceded_paise(self, occurrences: Occurrences, loss_paise: Ints) -> Ints:
        """What it pays on account of each occurrence's loss [occurrences]: how much further the year's total so far
        reaches into the layer."""
        running = np.cumsum(loss_paise)
        if not len(running):
            return running
        begins = np.searchsorted(occurrences.year, occurrences.year)
        before = running - loss_paise - (running - loss_paise)[begins]
        after = _excess(before + loss_paise, self.attachment_paise, self.limit_paise)
        return after - _excess(before, self.attachment_paise, self.limit_paise)

    def reinstated_share(self, annual_ceded_paise: Ints) -> Fraction:
        """0: a layer on the total has no reinstatements."""
        return Fraction(0)


Layer = OccurrenceLayer | AggregateLayer


@dataclass(frozen=True)
class LayerPrice:
    """What a layer does and what it costs a year on average, in paise.

    `premium_paise` is the initial premium, before any loading, at which premium and reinstatement premiums together are
    expected to be the recoveries: E[S] / (1 + c E[min(S, K L)] / L). `attached_years` and `exhausted_years`: how many
    of the years reach the layer, and use all of it.
    """

    expected_paise: Fraction
    premium_paise: Fraction
    reinstatement_paise: Fraction
    rate_on_line: Fraction
    attached_years: int
    exhausted_years: int


def price_layer(layer: Layer, annual_ceded_paise: Ints) -> LayerPrice:
    """The price of a layer from what it pays each year [years], at least one."""
    expected = Fraction(int(annual_ceded_paise.sum()), len(annual_ceded_paise))
    share = layer.reinstated_share(annual_ceded_paise)
    premium = expected / (1 + share)
    most = layer.annual_limit_paise if isinstance(layer, OccurrenceLayer) else layer.limit_paise
    return LayerPrice(
        expected_paise=expected,
        premium_paise=premium,
        reinstatement_paise=premium * share,
        rate_on_line=premium / layer.limit_paise,
        attached_years=int((annual_ceded_paise > 0).sum()),
        exhausted_years=int((annual_ceded_paise >= most).sum()),
    )


def _require_layer(attachment_paise: int, limit_paise: int) -> None:
    if attachment_paise < 0 or limit_paise < 1:
        raise ValueError("a layer has an attachment of 0 or more and a limit above 0")


def _excess(loss_paise: Ints, attachment_paise: int, limit_paise: int) -> Ints:
    return np.clip(loss_paise - attachment_paise, 0, limit_paise)


def retained_by_line(loss_paise: Ints, ceded_paise: Ints) -> Ints:
    """What is left of each occurrence's losses [occurrences, lines] after `ceded_paise` [occurrences] was taken from
    them in proportion, to the paisa: what rounding leaves over is taken from the lines with the greatest remainders,
    of equal ones the first. Raises ValueError where more is ceded than was lost.
    """
    retained = loss_paise.copy()
    for row in np.flatnonzero(ceded_paise).tolist():
        losses, ceded = loss_paise[row].tolist(), int(ceded_paise[row])  # Python's integers: products exceed 64 bits
        total = sum(losses)
        if ceded > total:
            raise ValueError(f"{ceded} paise ceded of {total}; layers must not overlap")
        parts = [divmod(each * ceded, total) for each in losses]
        over = ceded - sum(whole for whole, _ in parts)
        greatest = sorted(range(len(parts)), key=lambda line: -parts[line][1])[:over]
        retained[row] -= [whole + (line in greatest) for line, (whole, _) in enumerate(parts)]
    return retained
