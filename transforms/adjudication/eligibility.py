"""Eligibility of claims, whatever their score: the plan covers the trigger, the policy was not bought into an alert,
the activity test passed; and the gross amount of an eligible one."""

from __future__ import annotations

from typing import NamedTuple

from monsoon.transforms.adjudication.claims import Claim, DisruptionUpdate, PolicyTerms
from monsoon.transforms.adjudication.payout import activity_of
from monsoon.transforms.adjudication.rules import VersionRules
from monsoon.transforms.product import Product

WITHDRAWN_PAID = ("paid_before_withdrawal",)
LEVEL_FELL = ("paid_above_corrected_level",)
REVIEW_REASONS = frozenset(WITHDRAWN_PAID + LEVEL_FELL)
"""Reasons of claims that stay paid after a correction, and are listed for review."""

NOT_MEASURED = "activity_not_measured"


class Assessment(NamedTuple):
    """The assessment of a claim as of now: `gross_paise` without supplements; or the reason why it is ineligible
    (`refused`), or goes to `review`, whatever its score."""

    gross_paise: int
    refused: str | None = None
    review: str | None = None


def assess(version: VersionRules, claim: Claim) -> Assessment | None:
    """The assessment of a claim; None while it is not known."""
    refused = ineligibility_reason(version.product, claim.update, claim.terms)
    if refused is not None:
        return Assessment(0, refused=refused)
    calculator = version.payout_calculators[claim.update.trigger]
    if calculator.trigger.activity is not None:
        activity = activity_of(claim)
        if activity is None:
            return None
        if not activity.passed:
            if activity.values.get("measured"):
                return Assessment(0, refused="no_activity_drop")
            return Assessment(0, review=NOT_MEASURED)
    gross_paise = calculator.gross_paise(claim)
    return None if gross_paise is None else Assessment(gross_paise)


def ineligibility_reason(product: Product, update: DisruptionUpdate, terms: PolicyTerms) -> str | None:
    """The reason code why the policy pays nothing for the disruption; None where it may pay.

    The policy counts as of the disruption's start: one that was cancelled since pays all the same.
    """
    if not terms.covered:
        return "plan_lacks_trigger"
    return "lockout" if product.lockout is not None and locked_out(product, update, terms) else None


def locked_out(product: Product, update: DisruptionUpdate, terms: PolicyTerms) -> bool:
    """Whether the policy was activated too late before an alert, or after one, that holds at confirmation or ended
    shortly before, one of several as well as the last. Exactly `before_ms` before its first reading is early enough;
    exactly `ended_within_ms` after its end it no longer counts."""
    lockout, alert = product.lockout, update.alert
    if lockout is None or alert is None or terms.activated_at_ms is None:
        return False
    return any(
        terms.activated_at_ms > each.first_issued_ms - lockout.before_ms
        for each in alert.all()
        if each.ended_ms is None or update.confirmed_at_ms - each.ended_ms < lockout.ended_within_ms
    )
