"""The book of a season: which policies each rider holds, and what their sources charge for them.

Storm files have policies of their own, which show off their triggers. For a season all storms of all cities have this
one book instead: each rider holds one policy of each product, by plan in equal parts, as no product's decisions depend
on another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec.structs import replace

from monsoon.sources.simulator import Storm
from monsoon.sources.simulator.terms import Plan, Policies
from monsoon.transforms.product import Product

WEEK_HOURS = 168

LISTED: Mapping[str, Mapping[str, Plan]] = {
    "kawaach": {"standard": Plan(hours=WEEK_HOURS, premium_inr=74)},
    "gic": {"standard": Plan(hours=WEEK_HOURS, premium_inr=63)},
    "jugaad": {
        "basic": Plan(hours=WEEK_HOURS, premium_inr=39),
        "standard": Plan(hours=WEEK_HOURS, premium_inr=64),
        "full_shield": Plan(hours=WEEK_HOURS, premium_inr=89),
    },
    "nexora": {"standard": Plan(hours=WEEK_HOURS, premium_inr=29)},
    "offshift": {
        "shift_pass": Plan(hours=24, premium_inr=49),
        "weekly_pass": Plan(hours=WEEK_HOURS, premium_inr=99),
        "monthly_pro": Plan(hours=720, premium_inr=349),
    },
}
"""Plans as their sources sell them. A source that states a range has its middle (kawaach 49 to 99; jugaad 29 to 49, 49
to 79 and 79 to 99), gic the mean of its own policies (63), nexora, whose source states no figure, that of the storm
files."""

_STATES: tuple[Literal["shift_baseline", "orders", "slab"], ...] = ("shift_baseline", "orders", "slab")


def plans_of(product: Product) -> Mapping[str, Plan]:
    """The plans of a product in the book; one that is not LISTED has its own plans by the week, without a price."""
    listed = LISTED.get(product.name, {})
    return listed or {name: Plan(hours=WEEK_HOURS) for name in sorted(product.plans)}


def with_book(storm: Storm, products: Mapping[str, Product]) -> Storm:
    """The storm with the book instead of its own policies, and without reserves: nothing is queued."""
    book = tuple(
        Policies(
            product=name,
            plans={plan: replace(each, premium_inr=each.premium_inr or 0) for plan, each in plans_of(product).items()},
            states=_STATES,
        )
        for name, product in sorted(products.items())
    )
    return replace(storm, modeled=replace(storm.modeled, policies=book, reserves=()))
