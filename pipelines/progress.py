"""How a long piece of work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Told the stage, and the share of it that is done where that is known."""


def no_progress(stage: str, share: float | None) -> None:
    """Of work that nobody watches."""
