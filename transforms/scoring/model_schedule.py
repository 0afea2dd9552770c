"""Which model scores a claim: the one that was in force when the claim's disruption was confirmed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from monsoon.transforms.scoring.scorer import Scorer


class ModelSchedule:
    """Models, each in force until the next begins.

    A claim is scored by the same model as long as it lasts, however often: a model that comes into force while a claim
    is held does not change its grounds.
    """

    def __init__(self, first: Scorer, later: Iterable[tuple[int, Scorer]] = ()) -> None:
        """`first` is in force since ever, each of `later` from a moment (ms)."""
        ordered = sorted(later, key=lambda entry: entry[0])
        self._begin_ms = np.array([from_ms for from_ms, _ in ordered], dtype=np.int64)
        self._scorers = [first, *(scorer for _, scorer in ordered)]

    @property
    def first(self) -> Scorer:
        """The model that is in force since ever."""
        return self._scorers[0]

    def numbers_at(self, confirmed_at_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The places in the schedule of the models for disruptions confirmed at these moments (ms)."""
        return np.searchsorted(self._begin_ms, confirmed_at_ms, side="right")

    def __getitem__(self, number: int) -> Scorer:
        """The model at a place in the schedule."""
        return self._scorers[number]
