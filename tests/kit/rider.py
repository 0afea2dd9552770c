"""One rider's machine, driven as an engine would."""

from __future__ import annotations

from typing import Any

from kit import Rereads, ScriptedScores, at
from monsoon.sources.product_files import load_products
from monsoon.transforms.adjudication.claims import ActivityResult, Answer, Claim, ClaimScore
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.product import Product

PRODUCTS = load_products()
"""Every product as its file says."""


class Rider:
    """What is told goes in in order, timers in between; keeps what was published."""

    def __init__(self, scores: Any = None, product: Product | str = "kawaach") -> None:
        self.scores = scores or ScriptedScores()
        self.product = PRODUCTS[product] if isinstance(product, str) else product
        self.machine = RiderMachine(self.product, "m1", self.scores)
        self.claims: list[dict[str, Any]] = []
        self.payouts: list[dict[str, Any]] = []

    def at(self, *items: Any) -> Rider:
        (moment,) = {item.at_ms for item in items}
        self.until(moment - 1)
        self._decide(moment, items)
        return self

    def until(self, moment: int) -> Rider:
        while self.machine.next_due_ms is not None and self.machine.next_due_ms <= moment:
            self._decide(self.machine.next_due_ms, ())
        return self

    def finish(self) -> Rider:
        return self.until(2**62)

    def _decide(self, moment: int, items: Any) -> None:
        claims, payouts = self.machine.decide(moment, items)
        self.claims += claims
        self.payouts += payouts

    def all(self, disruption: str) -> list[dict[str, Any]]:
        return [claim for claim in self.claims if claim["disruption_id"] == disruption]

    def last(self, disruption: str = "d") -> dict[str, Any]:
        return self.all(disruption)[-1]

    def story(self, disruption: str = "d") -> list[str]:
        return [claim["status"] for claim in self.all(disruption)]

    def end(self, disruption: str = "d") -> tuple[str, list[str]]:
        """The final status and reasons."""
        last = self.last(disruption)
        return last["status"], last["reasons"]

    def answer(self, minutes: float, confirms: bool = True, disruption: str = "d", **fields: Any) -> Rider:
        """An answer to the claim on a disruption."""
        claim = self.last(disruption)
        base: dict[str, Any] = {
            "answer_id": f"a{minutes}",
            "policy_id": claim["policy_id"],
            "claim_id": claim["claim_id"],
            "confirms": confirms,
        }
        return self.at(Answer(at_ms=at(minutes), **(base | fields)))

    @property
    def paid_inr(self) -> float:
        return float(sum(payout["amount_paise"] for payout in self.payouts) / 100)


class Always:
    """The same score for every claim: trusted, of little risk, well measured, unless `fields` say otherwise."""

    def __init__(self, **fields: Any) -> None:
        base: dict[str, Any] = {"risk": 0.0, "signals": 9, "trust": 1.0, "weightiest": ("accelerometer_variance",)}
        self.score = ClaimScore(**(base | fields))
        self.reread = Rereads()
        self.asked: list[tuple[str, int]] = []

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore:
        self.asked.append((claim.update.disruption_id, at_ms))
        return self.score


def activity(
    disruption: str, minutes: float, confirmed: float = 0, passed: bool = True, **values: Any
) -> ActivityResult:
    """The result of an activity test at `minutes`, of a disruption confirmed at `confirmed`."""
    base = {"rain": 20.0, "sigma": 2.5, "drop": 0.8, "threshold": 1.3, "share": 0.5, "peers": 10.0}
    found = base | values if passed else values
    return ActivityResult(at(minutes), disruption, at(confirmed), "activity", passed, found)


def work(disruption: str, orders: float | None, hours: float | None, minutes: float = 0) -> ActivityResult:
    """What a rider had worked of the week when a disruption was confirmed, at `minutes`."""
    values = {"orders_so_far": orders, "hours_so_far": hours}
    return ActivityResult(at(minutes), disruption, at(minutes), "work", True, values)
