"""Shares with their 95% bounds."""

from dataclasses import dataclass
from math import sqrt

_Z95 = 1.959964


@dataclass(frozen=True)
class Rate:
    """A share of `total` with its 95% Wilson interval."""

    count: int
    total: int

    @property
    def share(self) -> float:
        """From 0 to 1; NaN of nothing."""
        return self.count / self.total if self.total else float("nan")

    def interval(self) -> tuple[float, float]:
        """(low, high); (0, 1) of nothing."""
        n, z2 = self.total, _Z95 * _Z95
        if not n:
            return 0.0, 1.0
        center = (self.share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * sqrt(self.share * (1 - self.share) / n + z2 / (4 * n * n))
        return max(0.0, center - half), min(1.0, center + half)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.share:8.3%}  [{low:.3%}, {high:.3%}]  {self.count:,} of {self.total:,}"
