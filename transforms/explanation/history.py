"""The revisions of a claim with what changed and why, and the payouts, messages and alerts that belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.records import (
    WAITING,
    ClaimRecords,
    Record,
    number_of,
    paise,
    revised_at,
    terms_of,
)
from monsoon.transforms.explanation.text import money, number
from monsoon.transforms.product.wording.phrases import Section

_CAUSES = {
    "paid_before_withdrawal": "the disruption was withdrawn after the payment; it stays paid, and is listed for review",
    "paid_above_corrected_level": "the disruption was corrected to less after the payment; it stays paid, and is "
    "listed for review",
    "disruption_withdrawn": "the disruption was withdrawn",
    "not_present": "the disruption was corrected, and the rider was not there at the corrected time",
    "answer_denied": "the rider answered that the claim is not theirs",
    "step_up_unanswered": "the time for an answer ran out",
}


def revisions_section(records: ClaimRecords) -> Section:
    """Every revision: what changed, and why."""
    points: list[str] = []
    before: Record | None = None
    for each in records.revisions:
        points.append(f"Revision {each['revision']}, {local_minute(each['decided_at'])}: {_status(each)}")
        points.append(f"  why: {_cause(each, before, records)}")
        if before is not None:
            points += [f"  {change}" for change in _changes(before, each)]
        before = each
    return Section("Revisions of the claim", tuple(points))


def _status(claim: Record) -> str:
    reasons = f" ({', '.join(claim['reasons'])})" if claim["reasons"] else ""
    return f"{claim['status'].replace('_', ' ')}{reasons}"


def _cause(claim: Record, before: Record | None, records: ClaimRecords) -> str:
    reason = next(iter(claim["reasons"]), None)
    revised = [each for each in records.disruptions if revised_at(each) == claim["decided_at"]]
    if before is None:
        if revised:
            return f"the disruption was {_what(revised[-1])} at that moment (its revision {revised[-1]['revision']})"
        return "the claim was decided for the first time"
    if reason in _CAUSES and reason not in before["reasons"]:
        return _CAUSES[reason]
    if revised:
        return f"the disruption was revised: {_what(revised[-1])} (its revision {revised[-1]['revision']})"
    if claim.get("reread") and claim["reread"] != before.get("reread"):
        return "the rider confirmed, and the re-read of the phone decided"
    if before["status"] == "step_up" and claim["status"] == "approved":
        return "the rider confirmed"
    if before["status"] in WAITING and claim["status"] != before["status"]:
        return "its hold ran out, and the rules of the hold decided"
    return "the record does not say; no revision of the disruption is of that moment"


def _what(disruption: Record) -> str:
    level = f" at level {disruption['level']}" if disruption.get("level") else ""
    return f"{disruption['state']}{level}"


def _changes(before: Record, claim: Record) -> Iterator[str]:
    for name in ("status", "plan", "product_version", "model_version"):
        if before.get(name) != claim.get(name):
            yield f"{name.replace('_', ' ')}: {_plain(before.get(name))} -> {_plain(claim.get(name))}"
    for name in ("anomaly_score", "trust_score", "ring_score"):
        if before.get(name) != claim.get(name):
            yield f"{name.replace('_', ' ')}: {_number(before.get(name))} -> {_number(claim.get(name))}"
    if list(before["reasons"]) != list(claim["reasons"]):
        yield f"reasons: {', '.join(before['reasons']) or 'none'} -> {', '.join(claim['reasons']) or 'none'}"
    old, new = terms_of(before), terms_of(claim)
    if old.get("level") != new.get("level"):
        yield f"level: {_plain(old.get('level'))} -> {_plain(new.get('level'))}"
    for label, one, other in (
        ("gross amount", old.get("gross_inr"), new.get("gross_inr")),
        ("paid in all", before.get("payout_inr"), claim.get("payout_inr")),
    ):
        if one != other:
            yield f"{label}: {_money(one)} -> {_money(other)}"
    yield from _features(before["features"], claim["features"])


def _features(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    changed = [name for name in after if before.get(name) != after[name]]
    if changed:
        words = [f"{name} {_number(before.get(name))} -> {_number(after[name])}" for name in changed]
        yield f"measured anew: {'; '.join(words)}"


def _plain(value: Any) -> str:
    return "none" if value is None else str(value).replace("_", " ")


def _number(value: Any) -> str:
    return "not measured" if value is None else number(float(value))


def _money(value: Any) -> str:
    amount = paise(value)
    return "not settled" if amount is None else money(amount)


def messages_section(records: ClaimRecords) -> Section:
    """The payout records and notifications of a claim."""
    points = [
        f"Payout {each['reference_id']}, instalment {number_of(each, place)}, {local_minute(each['created_at'])}: "
        f"{money(each['amount_paise'])} to fund account {each.get('fund_account_id') or '(none stated)'}"
        for place, each in enumerate(records.payouts)
    ] or ["No payout."]
    points += [
        f'Told the rider, {local_minute(each["event_time"])}, {each["kind"]}: "{each["text"]}"'
        for each in records.notifications
    ] or ["The rider was told nothing."]
    return Section("Payouts and notifications", tuple(points))


def alerts_section(records: ClaimRecords) -> tuple[Section, ...]:
    """The alerts that name the claim; no section without one."""
    points = [
        f"Reserve {each['state']}, {local_minute(each['event_time'])}: cell {each['cell']}, {each['day']}; reserve "
        f"{money(each['reserve_paise'])}, paid {money(each['paid_paise'])}, {money(each['queued_paise'])} of "
        f"{each['queued_claims']} claims waits"
        for each in records.reserve_alerts
    ]
    for each in records.syndicate_alerts:
        points.append(
            f"Syndicate alert {each['alert_id']}, {local_minute(each['event_time'])}: {len(each['members'])} linked "
            f"riders, {len(each['claim_ids'])} claims wait for review. It rests on:"
        )
        points += [
            f"  {signal['signal']}: {number(signal['value'])} (threshold {number(signal['threshold'])})"
            for signal in each["evidence"]
        ]
    return (Section("Alerts that name the claim", tuple(points)),) if points else ()


def others_section(records: ClaimRecords) -> tuple[Section, ...]:
    """The rider's other claims on the product, which overlap, caps and once-rules may concern."""
    points = [
        f"{each['claim_id']}, {each.get('peril') or 'a disruption'}, {local_minute(each['decided_at'])}: "
        f"{_status(each)}, paid {_money(each.get('payout_inr') or 0)}"
        for each in records.others
    ]
    if not points:
        return ()
    return (Section("Other claims of the rider on this product, as of their last revisions", tuple(points)),)
