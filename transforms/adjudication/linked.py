"""What a claim's links to others add to its evidence: the guard's signals of rings, and of shared payout accounts and
phones."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import Claim, ClaimScore, GuardSignal, LinkUpdate, Reread, strong_signals
from monsoon.transforms.guard.signals import RIDERS_ON_DEVICE, RIDERS_ON_PAYOUT_ACCOUNT, RING, SIGNALS

RING_HELD = "verify:ring"
"""Reason of a claim that is asked about since one edge attaches it to a ring."""

_FROZEN = ("soft_hold", "step_up")


def apply_links(claim: Claim, update: LinkUpdate) -> tuple[str, ...]:
    """Notes on a claim what is known of its links; the reasons for review of one that waits, unpaid, and is a member of
    a ring now, else none."""
    if update.riders_on_payout_account is not None:
        claim.riders_on_payout_account = max(claim.riders_on_payout_account, update.riders_on_payout_account)
        return ()
    if update.riders_on_device is not None:
        claim.riders_on_device = max(claim.riders_on_device, update.riders_on_device)
        return ()
    claim.ring_id, claim.ring_held, claim.ring_score = update.ring_id, update.held, update.ring_score
    claim.proximity_degree, claim.shared_network_degree = update.proximity_degree, update.shared_network_degree
    if not is_member(claim) or claim.status not in _FROZEN:
        return ()
    if claim.score is None:
        return (RING,)
    claim.score = linked_score(claim, claim.score)
    return tuple(strong_signals(claim.score.guard))


def is_member(claim: Claim) -> bool:
    """Whether a claim is a member of a ring, rather than attached to one."""
    return claim.ring_id is not None and not claim.ring_held


def linked_score(claim: Claim, score: ClaimScore) -> ClaimScore:
    """The score with what is known of the claim's links."""
    if claim.ring_id is None and not claim.riders_on_payout_account and not claim.riders_on_device:
        return score
    features = score.features
    if claim.ring_id is not None:
        features = {
            **features,
            "proximity_degree": float(claim.proximity_degree),
            "shared_network_degree": float(claim.shared_network_degree),
            "ring_score": round(claim.ring_score, 6),
        }
    return replace(score, guard=linked_signals(claim, score.guard), features=features)


def linked_reread(claim: Claim, reread: Reread) -> Reread:
    """The re-read with what is known of the claim's links: a signal that is strong leads to review.

    The payout account is the policy's, and no evidence since the asking: else a family that is paid to one could answer
    nothing.
    """
    signals = linked_signals(claim, reread.signals, with_account=False)
    if reread.outcome == "missing" or not strong_signals(signals):
        return reread
    return replace(reread, outcome="reviewed", signals=signals)


def linked_signals(
    claim: Claim, signals: Sequence[GuardSignal], *, with_account: bool = True
) -> tuple[GuardSignal, ...]:
    """The signals with those that the claim's links make strong, in the order of SIGNALS."""
    by_name = {each.signal: each for each in signals}
    if is_member(claim):
        by_name["ring"] = _strong("ring", RING, 1.0)
    for feature, riders in (
        (RIDERS_ON_DEVICE, claim.riders_on_device),
        (RIDERS_ON_PAYOUT_ACCOUNT, claim.riders_on_payout_account if with_account else 0),
    ):
        if riders and ("device" not in by_name or by_name["device"].status != "strong"):
            by_name["device"] = _strong("device", feature, float(riders))
    return tuple(by_name[name] for name in SIGNALS if name in by_name)


def _strong(signal: str, feature: str, value: float) -> GuardSignal:
    (condition,) = (each for each in SIGNALS[signal] if each.feature == feature)
    return GuardSignal(
        signal, "strong" if condition.holds_for(value) else "clear", feature, value, condition.threshold, 0
    )
