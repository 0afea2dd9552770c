"""The operator's register of providers: the quality of each provider for each metric, which caps what readings state.

What the text leaves open: docs/interpretations.md#providers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

Quality = Literal["official", "secondary", "fallback"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
"""From the greatest to the least."""
EVERY_METRIC = "*"


class ProviderRegister:
    """Rows of provider, metric (or EVERY_METRIC) and quality; of several for the same the least quality holds."""

    def __init__(self, rows: Iterable[tuple[str, str, Quality]]) -> None:
        self._qualities: dict[tuple[str, str], Quality] = {}
        for provider, metric, quality in rows:
            known = self._qualities.get((provider, metric), quality)
            self._qualities[provider, metric] = lesser(known, quality)

    def listed(self, provider: str, metric: str) -> Quality:
        """The quality of a provider for a metric: its row for that metric, else for all; one without is fallback."""
        for_all = self._qualities.get((provider, EVERY_METRIC), "fallback")
        return self._qualities.get((provider, metric), for_all)


def lesser(one: Quality, other: Quality) -> Quality:
    """The one that may release less."""
    return max(one, other, key=QUALITIES.index)


def as_registered(record: Mapping[str, Any], register: ProviderRegister | None) -> dict[str, Any]:
    """A reading's record with the lesser of the quality that it states and the one listed; without a register as it
    is."""
    if register is None:
        return dict(record)
    return {**record, "quality": lesser(record["quality"], register.listed(record["provider"], record["metric"]))}
