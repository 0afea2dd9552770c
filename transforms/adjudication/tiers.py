"""What a score may lead to. Missing evidence is not evidence; nobody is escalated on fewer than a few signals."""

from __future__ import annotations

from typing import Literal

from monsoon.transforms.adjudication.claims import Score
from monsoon.transforms.product import Decision

Tier = Literal["approve", "soft_hold", "step_up"]


def first_tier(decision: Decision, score: Score, trust_tier: int | None) -> Tier:
    """The tier of a claim scored for the first time.

    Below `approve_below` it is approved, up to `hold_up_to` held, above stepped up. A trusted rider skips the hold and
    is stepped up only above `trusted_step_up_above`. Fewer than `signals_for_step_up` measured signals never lead
    beyond a soft hold.
    """
    if score.risk is None:
        return "approve"
    if trust_tier in decision.trusted_tiers:
        tier: Tier = "step_up" if score.risk > decision.trusted_step_up_above else "approve"
    elif score.risk < decision.approve_below:
        tier = "approve"
    else:
        tier = "soft_hold" if score.risk <= decision.hold_up_to else "step_up"
    if tier == "step_up" and score.signals < decision.signals_for_step_up:
        return "soft_hold"
    return tier


def tier_after_hold(decision: Decision, score: Score) -> Tier:
    """The tier of a held claim re-scored when its hold ends: approve or step up, never a second hold."""
    if score.risk is None or score.risk < decision.approve_below:
        return "approve"
    return "step_up" if score.signals >= decision.signals_for_step_up else "approve"
