"""Premiums from simulated years, with breakdowns that add up to the paisa.

A line is a plan of a product. Its suggested premium for one period of cover is
  burning cost      what honest riders are paid on average,
  + leakage         what attackers are paid on average,
  + reinsurance     the line's share of what the layers cost beyond what they are expected to pay,
  + capital         the cost of the capital that bears the bad years, beyond the average one,
  + expenses        a share of the whole premium.
Each part is rounded to the paisa, half to even, and the premium is their sum. Capital is the tail value at risk less
the mean; a line's part of it is its mean loss in the very years of the tail less its mean in all (Tasche, "Risk
contributions and performance measurement", 1999): the parts add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from monsoon.transforms.season.exceedance import tail_years
from monsoon.transforms.season.occurrences import Ints


@dataclass(frozen=True)
class Line:
    """A plan of a product in the book: `policies` in force all year, in periods of `hours`, at the `price_paise` that
    its source charges for one."""

    product: str
    plan: str
    policies: int
    hours: int
    price_paise: int

    @property
    def periods_per_year(self) -> Fraction:
        """Of a policy that is in force all year, of 365 days."""
        return Fraction(365 * 24, self.hours)

    @property
    def annual_price_paise(self) -> Fraction:
        """What all its policies pay in a year at its source's price."""
        return self.price_paise * self.policies * self.periods_per_year


@dataclass(frozen=True)
class Loadings:
    """What a premium holds beside losses: `expense_share` of the premium (0 to below 1), and `capital_cost` a year of
    the capital that bears the years of `capital_period_years`. Raises ValueError out of range."""

    expense_share: Fraction
    capital_cost: Fraction
    capital_period_years: int

    def __post_init__(self) -> None:
        if not 0 <= self.expense_share < 1:
            raise ValueError(f"an expense share of {float(self.expense_share):g}; 0 to below 1")
        if self.capital_cost < 0:
            raise ValueError(f"a capital cost of {float(self.capital_cost):g}; 0 or more")


@dataclass(frozen=True)
class Premium:
    """The suggested premium of one period of a line; the parts add up to `premium_paise` exactly.

    `benefit_cost_ratio`: losses over the source's own premium; `suggested_ratio`: over the suggested one. A ratio is
    None where there is no premium.
    """

    line: Line
    burning_paise: int
    leakage_paise: int
    reinsurance_paise: int
    capital_paise: int
    expenses_paise: int
    benefit_cost_ratio: float | None
    suggested_ratio: float | None

    @property
    def premium_paise(self) -> int:
        loss = self.burning_paise + self.leakage_paise
        return loss + self.reinsurance_paise + self.capital_paise + self.expenses_paise


def capital_by_line(annual_paise: Ints, return_period_years: int) -> list[Fraction]:
    """Each line's part of tail value at risk less mean, of annual losses [years, lines], in paise.

    It is negative for a line that is better off in the book's bad years. The parts add up to the whole's exactly.
    Raises ValueError as `tail_years`.
    """
    tail = annual_paise[tail_years(annual_paise.sum(axis=1), return_period_years)]
    return [
        Fraction(int(in_tail), len(tail)) - Fraction(int(in_all), len(annual_paise))
        for in_tail, in_all in zip(tail.sum(axis=0), annual_paise.sum(axis=0), strict=True)
    ]


def suggest_premiums(
    lines: list[Line],
    annual_paise: Ints,
    leakage_paise: Ints,
    retained_paise: Ints,
    reinsurance_cost_paise: Fraction,
    loadings: Loadings,
) -> list[Premium]:
    """The suggested premium of each line.

    `annual_paise` [years, lines] is the whole loss, `leakage_paise` the part of it that attackers get, `retained_paise`
    what is left after reinsurance; `reinsurance_cost_paise` is what all layers cost a year beyond what they are
    expected to pay, shared among the lines in proportion to what they cede (to their losses where nothing is ceded). A
    negative part of the capital counts as 0. Raises ValueError for a line without policies, and as `capital_by_line`.
    """
    years = len(annual_paise)
    capital = capital_by_line(retained_paise, loadings.capital_period_years)
    ceded = [int(each) for each in (annual_paise - retained_paise).sum(axis=0)]
    weights = ceded if sum(ceded) else [int(each) for each in annual_paise.sum(axis=0)]
    premiums = []
    for number, line in enumerate(lines):
        if line.policies < 1:
            raise ValueError(f"{line.product}, {line.plan}: no policies")
        per_period = 1 / (line.policies * line.periods_per_year)
        loss = Fraction(int(annual_paise[:, number].sum()), years)
        leakage = round(Fraction(int(leakage_paise[:, number].sum()), years) * per_period)
        burning = round(loss * per_period) - leakage
        share = Fraction(weights[number], sum(weights)) if sum(weights) else Fraction(0)
        reinsurance = round(reinsurance_cost_paise * share * per_period)
        capital_paise = round(max(capital[number], Fraction(0)) * loadings.capital_cost * per_period)
        before = burning + leakage + reinsurance + capital_paise
        expenses = round(before * loadings.expense_share / (1 - loadings.expense_share))
        whole = (before + expenses) / per_period
        premiums.append(
            Premium(
                line=line,
                burning_paise=burning,
                leakage_paise=leakage,
                reinsurance_paise=reinsurance,
                capital_paise=capital_paise,
                expenses_paise=expenses,
                benefit_cost_ratio=float(loss / line.annual_price_paise) if line.price_paise else None,
                suggested_ratio=float(loss / whole) if whole else None,
            )
        )
    return premiums
