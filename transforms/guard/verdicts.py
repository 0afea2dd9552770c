"""From the signals of claims to what the guard does with them (`fraud.md`, "The guard")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monsoon.transforms.guard.signals import RING, SIGNALS, STRONG, Signal

PASS, VERIFY, REVIEW = 0, 1, 2
"""The product's rules decide; the rider is asked for a re-read; manual review."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """One element per claim: `action` int8 (PASS, VERIFY or REVIEW), and the reasons for it: `verify:SIGNAL`, or the
    names of the strong signals in the order of SIGNALS; none for PASS."""

    action: npt.NDArray[np.int8]
    reasons: list[tuple[str, ...]]


def verdicts_of(signals: Mapping[str, Signal]) -> Verdicts:
    """What the guard says to claims with these signals (`signals_of`).

    None strong: the product's rules decide. One strong, not `ring`: verification. Two or more, or `ring`: manual
    review. Nothing else is worse: nobody is denied.
    """
    strong = np.stack([signals[name].status == STRONG for name in SIGNALS])
    count = strong.sum(axis=0)
    action = np.where(count == 0, PASS, np.where((count == 1) & ~strong[list(SIGNALS).index(RING)], VERIFY, REVIEW))
    reasons: list[tuple[str, ...]] = [()] * len(action)
    for claim in np.flatnonzero(count).tolist():
        names = tuple(name for name, is_strong in zip(SIGNALS, strong[:, claim], strict=True) if is_strong)
        reasons[claim] = names if action[claim] == REVIEW else (f"verify:{names[0]}",)
    return Verdicts(action.astype(np.int8), reasons)
