"""How much of a test runs: how many examples hypothesis tries, and which parameters wait for the longer runs."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

SLOW = pytest.mark.slow

EXAMPLES = 100
"""The usual number, of the profile `ci`."""


def examples(many: int) -> settings:
    """Settings of a test: so many examples under the profile `ci`, in proportion fewer or more under another."""
    return settings(max_examples=max(1, many * settings().max_examples // EXAMPLES))


def mostly_slow(values: Iterable[Any], quick: int = 1) -> list[Any]:
    """Parameters of a test of which the first `quick` say the most; the rest are marked slow."""
    return [
        value if number < quick else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=SLOW)
        for number, value in enumerate(values)
    ]
