"""What the re-read of a claim leads to whose rider was asked and confirmed it.

Interpretations of the specification: docs/interpretations.md#the-guard.
"""

from __future__ import annotations

from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import Reread, strong_signals
from monsoon.transforms.adjudication.decision import APPROVE, MANUAL_REVIEW, UNSCORED, Outcome
from monsoon.transforms.product import Hold

NOT_MEASURED_AGAIN = "reread_not_measured"
"""Reason of a claim of whose rider's phone nothing was measured between the asking and the end of the wait."""
ELSEWHERE = "reread_elsewhere"
"""Reason of a claim whose re-read does not tie to it."""


def released_by(hold: Hold, reread: Reread) -> Reread:
    """The re-read with the outcome that it has in a hold: where that requires none, all but a strong signal releases
    the claim."""
    if hold.reread_required or reread.outcome == "missing" or strong_signals(reread.signals):
        return reread
    return replace(reread, outcome="released")


def outcome_of(reread: Reread) -> Outcome:
    """What a re-read leads to when nothing more is waited for."""
    if reread.outcome == "released":
        return Outcome(APPROVE, None)
    if reread.outcome == "missing":
        return Outcome(MANUAL_REVIEW, UNSCORED)
    if reread.outcome == "waits":
        return Outcome(MANUAL_REVIEW, None, (NOT_MEASURED_AGAIN,))
    return Outcome(MANUAL_REVIEW, None, tuple(strong_signals(reread.signals)) or (ELSEWHERE,))
