"""Claims of one rider's machine as the records of an output folder, for their explanations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kit.rider import Rider
from monsoon.transforms.adjudication.claims import DisruptionUpdate
from monsoon.transforms.decisions import Decisions
from monsoon.transforms.explanation import ClaimRecords
from monsoon.transforms.exposure import unlimited
from monsoon.transforms.notifications import claim_notifications, order, payment_notifications


def disruption_records(product: str, updates: Iterable[DisruptionUpdate]) -> list[dict[str, Any]]:
    """Revisions of a disruption in the contract's form."""
    return [
        {
            "disruption_id": each.disruption_id,
            "product": product,
            "trigger": each.trigger,
            "peril": each.peril,
            "platform": each.platform,
            "zone": each.zone,
            "start": each.start_ms,
            "end": each.end_ms,
            "absent_since": each.absent_since_ms,
            "confirmed_at": each.confirmed_at_ms,
            "severity": each.severity,
            "level": each.level,
            "providers": [f"provider-{number}" for number in range(each.providers)],
            "reading_ids": [f"{each.trigger}-{number}" for number in range(each.providers)],
            "revision": revision,
            "revised_at": each.at_ms,
            "state": "withdrawn" if each.withdrawn else "confirmed" if each.end_ms is None else "ended",
        }
        for revision, each in enumerate(updates)
    ]


def records_of(rider: Rider, updates: Iterable[DisruptionUpdate]) -> ClaimRecords:
    """All records of the rider's claim on the disruption of some updates, in an output without reserves."""
    updates = list(updates)
    claims = rider.all(updates[0].disruption_id)
    name = claims[0]["claim_id"]
    payouts = [each for each in rider.payouts if each["claim_id"] == name]
    decisions = Decisions(claims=claims, payouts=payouts, starts_ms=rider.machine.starts_ms)
    paid = payment_notifications(unlimited(decisions.instructions()[0]).transitions)
    last = {each["claim_id"]: each for each in rider.claims if each["claim_id"] != name}
    return ClaimRecords(
        revisions=claims,
        disruptions=disruption_records(rider.product.name, updates),
        payouts=payouts,
        notifications=sorted([*claim_notifications(claims, {}), *paid], key=order),
        others=sorted(last.values(), key=lambda each: each["claim_id"]),
    )
