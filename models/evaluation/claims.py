"""From the revisions of a claim, its payouts and the truth about its rider to what an evaluation counts.

>>> labels = {"worker_id": "w1", "kind": "mock_app"}
>>> record = {"claim_id": "c1", "revision": 0, "status": "approved", "decided_at": 0, "worker_id": "w1", "zone": "z",
...           "product": "gic", "features": {}, "reasons": []}
>>> claim_facts([record], labels, scenario="s", true=False, paid_paise=100).paid
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monsoon.transforms.evidence.features import FEATURES
from monsoon.transforms.guard.signals import RING

Record = Mapping[str, Any]

HONEST = "honest"
GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))
"""Sensor groups, in the order of the features."""

_ELIGIBLE = frozenset(("approved", "soft_hold", "step_up", "manual_review"))
_ESCALATED = frozenset(("step_up", "manual_review"))
_OTHER_THAN_SUSPICION = frozenset(("too_few_peers", "activity_not_measured", "nothing_measured"))
_TERMS = frozenset(
    (
        "overlap",
        "below_minimum",
        "cap_reached",
        "cap_partial",
        "duplicate",
        "disruption_withdrawn",
        "not_present",
        "plan_lacks_trigger",
        "lockout",
        "no_activity_drop",
        "answer_denied",
        "paid_before_withdrawal",
        "paid_above_corrected_level",
    )
)
"""Reasons for which a product's terms leave nothing to pay; any other one on a denied claim is suspicion or missing
data."""


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """One claim as an evaluation counts it.

    `eligible`: what it ended as is no denial and no withdrawal. `truthful`: an attacker's claim that is no lie
    (`truth.is_true`). `condition`: the variant of the kind.
    `escalated`: ever in step-up or review; `held`: ever in soft hold; `held_otherwise`: only ever for reasons other
    than suspicion; `in_ring`: ever with the guard's signal of rings. `delay_ms`: from the first suspicion to approval,
    None where there was none or it was never approved. `signals`, `anomaly`, `trust`: of the first revision with a
    score; `scored`: whether there was one. `risk`, `one_scale_risk`: the model's for the features of that revision, and
    the one on the scale of claims that measured every sensor group. `slices`: (dimension, value) for honest riders'
    rates.
    """

    scenario: str
    product: str
    claim_id: str
    worker_id: str
    kind: str
    condition: str | None
    ring: str | None
    status: str
    eligible: bool
    truthful: bool
    paid: bool
    paid_paise: int
    escalated: bool
    held: bool
    held_otherwise: bool
    denied_on_suspicion: bool
    suspected: bool
    delay_ms: int | None
    scored: bool
    signals: tuple[str, ...]
    anomaly: float | None
    trust: float | None
    in_ring: bool = False
    risk: float | None = None
    one_scale_risk: float | None = None
    slices: tuple[tuple[str, str], ...] = field(default=())

    @property
    def honest(self) -> bool:
        """Whether the rider is."""
        return self.kind == HONEST

    @property
    def rider(self) -> tuple[str, str, str]:
        """The rider of this scenario and product."""
        return self.scenario, self.product, self.worker_id

    @property
    def counted(self) -> bool:
        """Whether it is a claim that an honest rider, or an attack, should be measured by."""
        return (self.eligible or self.escalated or self.held) and not self.truthful


def claim_facts(
    revisions: Sequence[Record],
    labels: Record,
    *,
    scenario: str,
    true: bool,
    paid_paise: int,
    risks: tuple[float | None, float | None] = (None, None),
    slices: Sequence[tuple[str, str]] = (),
) -> ClaimFacts:
    """The facts of one claim.

    `revisions`: its records by revision, at least one. `labels`: the rider's row of labels.csv; of it `kind` is
    needed, `condition` and `ring` are used where they are. `true`: whether it is no lie. `paid_paise`: the sum of its
    payouts. `risks`: `risk` and `one_scale_risk`, for the features of `first_scored`. `slices`: besides those of the
    sensor groups that its evidence lacks.
    """
    last = revisions[-1]
    suspicious = [record for record in revisions if _on_suspicion(record)]
    delayed = any(map(_delayed, revisions))
    approved_ms = next((record["decided_at"] for record in revisions if record["status"] == "approved"), None)
    delay_ms = None
    if suspicious and approved_ms is not None:
        delay_ms = max(0, approved_ms - suspicious[0]["decided_at"])
    score = first_scored(revisions)
    kind = labels["kind"]
    return ClaimFacts(
        scenario=scenario,
        product=last["product"],
        claim_id=last["claim_id"],
        worker_id=last["worker_id"],
        kind=kind,
        condition=labels.get("condition") or None,
        ring=labels.get("ring") or None,
        status=last["status"],
        eligible=last["status"] in _ELIGIBLE,
        truthful=kind != HONEST and true,
        paid=last["status"] == "approved",
        paid_paise=paid_paise,
        escalated=any(record["status"] in _ESCALATED for record in suspicious),
        held=any(record["status"] == "soft_hold" for record in suspicious),
        held_otherwise=delayed and not suspicious,
        denied_on_suspicion=last["status"] == "ineligible" and not _TERMS.issuperset(last["reasons"]),
        suspected=bool(suspicious),
        delay_ms=delay_ms,
        scored=_scored(score),
        signals=_strong(score),
        anomaly=score.get("anomaly_score"),
        trust=score.get("trust_score"),
        in_ring=any(RING in _strong(record) for record in revisions),
        risk=risks[0],
        one_scale_risk=risks[1],
        slices=(*slices, *(("not measured", group) for group in _groups_not_measured(score))),
    )


def first_scored(revisions: Sequence[Record]) -> Record:
    """The first revision with a score, or the last one of all."""
    return next((record for record in revisions if _scored(record)), revisions[-1])


def _strong(record: Record) -> tuple[str, ...]:
    return tuple(each["signal"] for each in record.get("guard") or () if each["status"] == "strong")


def _delayed(record: Record) -> bool:
    return record["status"] == "soft_hold" or record["status"] in _ESCALATED


def _on_suspicion(record: Record) -> bool:
    """Whether a revision delays its claim for another reason than those that a product's text asks for."""
    reasons = record["reasons"]
    return _delayed(record) and not any(each in _OTHER_THAN_SUSPICION or "queue" in each for each in reasons)


def _scored(record: Record) -> bool:
    return bool(record["features"])


def _groups_not_measured(record: Record) -> list[str]:
    """In the order of GROUPS; every group where nothing was measured."""
    measured = {feature.group for feature in FEATURES if record["features"].get(feature.name) is not None}
    return [group for group in GROUPS if group not in measured]
