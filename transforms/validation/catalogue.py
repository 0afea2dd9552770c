"""The products that subscriptions may name, as far as validation needs to know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

PlanRule = Callable[[str], bool]
"""Whether a plan string, options after a colon included, is a plan of the product."""


@dataclass(frozen=True)
class Catalogue:
    """Product name -> its plan rule. A product file's `Product.accepts_plan` is such a rule."""

    products: Mapping[str, PlanRule]

    def fault(self, product: str, plan: str) -> str | None:
        """`unknown_product`, `unknown_plan`, or None."""
        rule = self.products.get(product)
        if rule is None:
            return "unknown_product"
        return None if rule(plan) else "unknown_plan"


class AnyProduct(Catalogue):
    """Takes every product and plan: for who needs none of their terms."""

    def __init__(self) -> None:
        super().__init__({})

    def fault(self, product: str, plan: str) -> str | None:
        """None."""
        return None
