"""Evidence and scores of claims on the local engine: measured in bulk where the questions are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from monsoon.transforms.adjudication.candidates import Disruption
from monsoon.transforms.adjudication.claims import Claim, Score
from monsoon.transforms.product import Product


class ClaimScores(Protocol):
    """What a run of a product asks for evidence."""

    @property
    def model_version(self) -> str: ...

    def measure_ahead(self, product: Product, disruptions: Iterable[Disruption]) -> None:
        """Told all disruptions of a product before its claims are adjudicated."""

    def __call__(self, claim: Claim, at_ms: int) -> Score: ...
