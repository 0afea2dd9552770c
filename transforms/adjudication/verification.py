"""Where scores and re-reads come from, and what the re-read of a claim leads to whose rider confirmed it.

Interpretations of the specification: docs/interpretations.md#the-guard.
"""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import Claim, ClaimScore, Reread, strong_signals
from monsoon.transforms.adjudication.decision import APPROVE, MANUAL_REVIEW, UNSCORED, Outcome
from monsoon.transforms.product import Hold

NOT_MEASURED_AGAIN = "reread_not_measured"
"""Reason of a claim of whose rider's phone nothing was measured between the asking and the end of the wait."""
ELSEWHERE = "reread_elsewhere"
"""Reason of a claim whose re-read does not tie to it."""


class Scorer(Protocol):
    """Evidence of claims at a moment (ms), from records with event time up to that moment; None where none arrived,
    which is a fault, and sends the claim to manual review."""

    def __call__(self, claim: Claim, at_ms: int) -> ClaimScore | None:
        """The evidence of a claim, its scores and the guard's signals."""

    def reread(self, claim: Claim, at_ms: int, asked_at_ms: int, answer_id: str) -> Reread | None:
        """What was reported since the rider was asked: at the moment of the answer, or, with an empty `answer_id`, at
        the end of the wait."""


def reread_of(scorer: Scorer, claim: Claim, hold: Hold, at_ms: int, answer_id: str) -> Reread:
    """The re-read of a claim that waits in a hold (`Scorer.reread`), with the outcome that it has there: where the hold
    requires none, all but a strong signal releases the claim."""
    asked_at_ms = at_ms if claim.due_ms is None else claim.due_ms - hold.wait_ms
    found = scorer.reread(claim, at_ms, asked_at_ms, answer_id)
    if found is None:
        return Reread(asked_at_ms, at_ms, "missing")
    if hold.reread_required or strong_signals(found.signals):
        return found
    return replace(found, outcome="released")


def outcome_of(reread: Reread) -> Outcome:
    """What a re-read leads to when nothing more is waited for."""
    if reread.outcome == "released":
        return Outcome(APPROVE, None)
    if reread.outcome == "missing":
        return Outcome(MANUAL_REVIEW, UNSCORED)
    if reread.outcome == "waits":
        return Outcome(MANUAL_REVIEW, None, (NOT_MEASURED_AGAIN,))
    return Outcome(MANUAL_REVIEW, None, tuple(strong_signals(reread.signals)) or (ELSEWHERE,))
