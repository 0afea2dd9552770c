"""Syndicate alerts over closed batches of claims, and what rules learn of them with the scores, for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from monsoon.transforms.adjudication.claims import ClaimScore
from monsoon.transforms.claim_scores import ScoringRequest
from monsoon.transforms.evidence import device
from monsoon.transforms.evidence.anchor import anchored
from monsoon.transforms.evidence.window import Queries, Window
from monsoon.transforms.identifiers import claim_id, syndicate_alert_id
from monsoon.transforms.product import Product, SyndicateRule
from monsoon.transforms.syndicates import Links, Syndicate, codes_of, syndicates
from monsoon.transforms.telemetry_table import TelemetryTable

Scores = dict[tuple[str, int, int, bool], ClaimScore]
"""By claim_id, confirmation and moment (ms), and whether it is a re-score."""


@dataclass(frozen=True)
class Linked:
    """A claim under one confirmation with the attributes that may link it to others; unknown ones are None or empty."""

    disruption_id: str
    confirmed_at_ms: int
    worker_id: str
    policy_id: str
    zone: str
    start_ms: int
    """When its disruption began."""
    device: str | None
    payout_account: str | None
    activated_at_ms: int | None
    alert_ms: int
    accelerometer_variance: float | None
    towers: tuple[str, ...]

    @property
    def batch(self) -> tuple[str, int]:
        """The batch of claims that it is compared with: those on one disruption, under one confirmation (ms)."""
        return self.disruption_id, self.confirmed_at_ms


def linked(telemetry: TelemetryTable, requests: Sequence[ScoringRequest], queries: Queries) -> list[Linked]:
    """The claims of scoring requests, with attributes from the reports of the 30 min up to their anchors."""
    at_confirmation = replace(queries, decided_at_ms=queries.confirmed_at_ms, rescored=np.zeros_like(queries.rescored))
    window = Window.of_queries(telemetry, anchored(telemetry, at_confirmation))
    variance, reports = device.accelerometer_variance(window)
    served = np.flatnonzero(window["cell"] >= 0)
    pairs = np.unique(np.stack([window.span.query[served], window["cell"][served]]), axis=1)
    starts = np.searchsorted(pairs[0], np.arange(len(requests) + 1))
    found = []
    for index, each in enumerate(requests):
        update, terms = each.update, each.update.terms
        assert terms is not None
        phone = int(window.last_device[index])
        alert = update.alert
        found.append(
            Linked(
                disruption_id=update.disruption_id,
                confirmed_at_ms=update.confirmed_at_ms,
                worker_id=terms.worker_id,
                policy_id=terms.policy_id,
                zone=update.zone,
                start_ms=update.start_ms,
                device=None if phone < 0 else telemetry.devices[phone],
                payout_account=terms.payout_account,
                activated_at_ms=terms.activated_at_ms,
                alert_ms=update.first_alert_ms if alert is None else alert.first_issued_ms,
                accelerometer_variance=float(variance[index]) if reports[index] else None,
                towers=tuple(telemetry.cells[code] for code in pairs[1][starts[index] : starts[index + 1]].tolist()),
            )
        )
    return found


def watches(product: Product) -> bool:
    """Whether a version of the product has a rule for syndicates."""
    return any(version.syndicate is not None for version in product.versions)


def alerts_of(product: Product, claims: Sequence[Linked]) -> list[dict[str, Any]]:
    """The alerts over these claims in the contract's form (contracts/syndicate_alert.schema.json), each batch whole.

    The rule is that of the product version that was in force when the disruption began.
    """
    alerts = []
    for version in product.versions:
        if version.syndicate is not None:
            mine = [claim for claim in claims if product.at(claim.start_ms) is version]
            alerts += _alerts(version, version.syndicate, mine)
    return alerts


def _alerts(product: Product, rule: SyndicateRule, claims: Sequence[Linked]) -> list[dict[str, Any]]:
    claims = sorted(claims, key=lambda claim: (*claim.batch, claim.worker_id))
    batches = {batch: code for code, batch in enumerate(dict.fromkeys(claim.batch for claim in claims))}
    links = Links(
        batch=np.array([batches[claim.batch] for claim in claims], dtype=np.int64),
        device=codes_of([claim.device for claim in claims]),
        payout_account=codes_of([claim.payout_account for claim in claims]),
        activated_at_ms=np.array([claim.activated_at_ms for claim in claims], dtype=np.float64),
        alert_ms=np.array([claim.alert_ms for claim in claims], dtype=np.float64),
        accelerometer_variance=np.array([claim.accelerometer_variance for claim in claims], dtype=np.float64),
        towers=[claim.towers for claim in claims],
    )
    return [_record(product, [claims[index] for index in each.claims], each) for each in syndicates(links, rule)]


def _record(product: Product, members: Sequence[Linked], found: Syndicate) -> dict[str, Any]:
    first = members[0]
    workers = sorted(member.worker_id for member in members)
    return {
        "alert_id": syndicate_alert_id(first.disruption_id, first.confirmed_at_ms, workers),
        "event_time": first.confirmed_at_ms,
        "product": product.name,
        "disruption_id": first.disruption_id,
        "zone": first.zone,
        "members": workers,
        "claim_ids": sorted(claim_id(member.policy_id, first.disruption_id) for member in members),
        "evidence": [
            {"signal": signal.signal, "value": signal.value, "threshold": signal.threshold}
            for signal in found.signals
            if signal.holds
        ],
    }


def members_of(alerts: Sequence[Mapping[str, Any]]) -> set[tuple[str, int]]:
    """(claim_id, confirmation in ms) of every member of the alerts."""
    return {(claim, alert["event_time"]) for alert in alerts for claim in alert["claim_ids"]}


def scores_by_claim(
    product: Product,
    claims: Iterable[tuple[str, str, int, int, bool]],
    scores: Iterable[ClaimScore],
    members: Set[tuple[str, int]],
) -> Scores:
    """The scores of claims, given by policy_id, disruption_id, confirmation and moment (ms), and whether it is a
    re-score; with the fact whether a claim is a member of an alert (`members_of`), where the product has a rule for
    syndicates."""
    found: Scores = {}
    watched = watches(product)
    for (policy, disruption, confirmed_at_ms, at_ms, rescored), score in zip(claims, scores, strict=True):
        name = claim_id(policy, disruption)
        if watched:
            score = msgspec.structs.replace(score, facts={"syndicate": float((name, confirmed_at_ms) in members)})
        found[name, confirmed_at_ms, at_ms, rescored] = score
    return found
