"""From the signals of claims to what the guard does with them (`fraud.md`, "The guard")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from monsoon.transforms.guard.signals import RING, SIGNALS, STRONG, Signal

PASS, VERIFY, REVIEW = 0, 1, 2
"""The product's rules decide; the rider is asked for a re-read; manual review."""

VERIFY_WAIT_MS = 4 * 3_600_000
"""So long a verification waits for the rider's answer and for the re-read (`fraud.md`, "The guard")."""


class Verdict(NamedTuple):
    """PASS, VERIFY or REVIEW, and the reasons: `verify:SIGNAL`, or the names of the strong signals; none for PASS."""

    action: int
    reasons: tuple[str, ...]


def verdict_of(strong: Sequence[str]) -> Verdict:
    """What the guard says to a claim with these strong signals, in the order of SIGNALS.

    None strong: the product's rules decide. One strong, not `ring`: verification. Two or more, or `ring`: manual
    review. Nothing else is worse: nobody is denied.

    >>> verdict_of(["mock"]), verdict_of(["mock", "cell"])
    (Verdict(action=1, reasons=('verify:mock',)), Verdict(action=2, reasons=('mock', 'cell')))
    """
    if not strong:
        return Verdict(PASS, ())
    if len(strong) == 1 and strong[0] != RING:
        return Verdict(VERIFY, (f"verify:{strong[0]}",))
    return Verdict(REVIEW, tuple(strong))


@dataclass(frozen=True, eq=False)
class Verdicts:
    """One element per claim: `action` int8 (PASS, VERIFY or REVIEW), and the reasons for it: `verify:SIGNAL`, or the
    names of the strong signals in the order of SIGNALS; none for PASS."""

    action: npt.NDArray[np.int8]
    reasons: list[tuple[str, ...]]


def verdicts_of(signals: Mapping[str, Signal]) -> Verdicts:
    """What the guard says to claims with these signals (`signals_of`), as `verdict_of` does to each."""
    strong = np.stack([signals[name].status == STRONG for name in SIGNALS])
    action = np.full(strong.shape[1], PASS, dtype=np.int8)
    reasons: list[tuple[str, ...]] = [()] * len(action)
    for claim in np.flatnonzero(strong.any(axis=0)).tolist():
        names = [name for name, is_strong in zip(SIGNALS, strong[:, claim], strict=True) if is_strong]
        action[claim], reasons[claim] = verdict_of(names)
    return Verdicts(action, reasons)
