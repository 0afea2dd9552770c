"""Parses the formulas and quantities of a product file; what cannot be parsed becomes a fault with its path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from monsoon.transforms.documents import Path, quoted
from monsoon.transforms.expressions import Expression, ExpressionError, Unit
from monsoon.transforms.oracle_metrics import METRICS
from monsoon.transforms.product import inputs, quantities
from monsoon.transforms.product.faults import FaultCollector
from monsoon.transforms.product.terms import Comparison, Consensus

RATIO, RUPEES = Unit.parse("1"), Unit.parse("INR")


class FormulaReader:
    """Parses values of one file. Each method returns None for a value with a fault, which the collector then holds."""

    def __init__(self, report: FaultCollector, plan_terms: Mapping[str, Unit]) -> None:
        self.report = report
        self.policy: dict[str, Unit] = {**inputs.POLICY, **plan_terms}
        """What payouts may name: amounts of the policy, and of its plan."""
        for term in sorted(set(plan_terms) & set(inputs.POLICY)):
            report.add(("plans",), f"a plan's term cannot be named {quoted(term)}, an input of every product")

    def formula(self, text: str, known: Mapping[str, Unit | None], unit: Unit | None, path: Path) -> Any:
        """The Expression in `unit` (None: a condition)."""
        try:
            return Expression.parse(text, known, unit)
        except ExpressionError as error:
            message = str(error)
            self.report.add(path, message if quoted(text)[1:-1] in message else f"{quoted(text)}: {message}")
            return None

    def payout(self, text: str, known: Mapping[str, Unit], path: Path) -> Any:
        """An Expression in rupees; one without inputs must be above 0."""
        found = self.formula(text, known, RUPEES, path)
        if found is not None and not found.names:
            value = found.value({})
            if isinstance(value, Fraction) and value <= 0:
                self.report.add(path, f"{quoted(text)} is Rs {float(value):g}; an amount above 0 is wanted here")
        return found

    def comparison(self, text: str, metric: str, path: Path) -> Any:
        """The Comparison; a flag is compared with = 1."""
        found = self.report.attempt(path, quantities.comparison, text)
        if found is not None and METRICS[metric].is_flag and found != Comparison("=", 1.0):
            self.report.add(path, f'{quoted(text)}: {metric} is a flag, 1 where it is raised; did you mean "= 1"?')
        return found

    def duration_ms(self, text: str, path: Path) -> Any:
        """Milliseconds, 0 included."""
        return self.report.attempt(path, quantities.duration_ms, text)

    def positive_duration_ms(self, text: str, path: Path) -> Any:
        """Milliseconds, at least 1 s."""
        found = self.duration_ms(text, path)
        if found is not None and found < 1_000:
            self.report.add(path, f"{quoted(text)} is too short; 1 s is the least")
        return found

    def share(self, value: float | str, path: Path) -> Any:
        """From 0 to 1."""
        return self.report.attempt(path, quantities.share, value)

    def consensus(self, ways: Iterable[Any], path: Path) -> tuple[Consensus, ...]:
        """The ways of a consensus section."""
        found = []
        for index, way in enumerate(ways):
            if way.named and len(way.named) < way.providers:
                names = ", ".join(way.named)
                self.report.add((*path, index, "providers"), f"{way.providers} providers, and only {names} may count")
            found.append(Consensus(way.providers, way.quality, way.named))
        return tuple(found)
