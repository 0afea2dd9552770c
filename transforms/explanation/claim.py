"""One claim, explained: all sections in the order in which an analyst asks."""

from __future__ import annotations

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.arithmetic import arithmetic_section
from monsoon.transforms.explanation.circumstances import (
    activity_sections,
    disruption_section,
    presence_section,
    product_section,
)
from monsoon.transforms.explanation.decision import decision_section, score_section, waiting_section
from monsoon.transforms.explanation.evidence import evidence_section
from monsoon.transforms.explanation.history import alerts_section, messages_section, others_section, revisions_section
from monsoon.transforms.explanation.links import guard_sections, ring_sections
from monsoon.transforms.explanation.records import ClaimRecords
from monsoon.transforms.explanation.text import money
from monsoon.transforms.plain_words import peril_in_words, reason_in_words
from monsoon.transforms.product import Product
from monsoon.transforms.product.wording.phrases import Section


def explain_claim(records: ClaimRecords, product: Product | None) -> tuple[Section, ...]:
    """The explanation of a claim as of its last revision in `records`.

    `product` is the version that decided it; None: not at hand, and what needs its rules is left out and said so.
    Times are those of Asia/Kolkata.
    """
    claim = records.claim
    return (
        _head(records),
        product_section(claim, product),
        disruption_section(records, product),
        presence_section(records, product),
        *activity_sections(claim),
        evidence_section(claim, product),
        *guard_sections(claim),
        *ring_sections(claim, records.ring_alerts),
        score_section(claim, product),
        decision_section(records, product),
        waiting_section(records, product),
        arithmetic_section(records, product),
        revisions_section(records),
        messages_section(records),
        *alerts_section(records),
        *others_section(records),
    )


_OUTCOMES = {
    "approved": "approved",
    "soft_hold": "held: it waits, and is scored again",
    "step_up": "stepped up: the rider is asked to confirm it",
    "manual_review": "in manual review: a person looks at it",
    "ineligible": "not eligible: nothing is paid",
    "withdrawn": "withdrawn",
}


def _head(records: ClaimRecords) -> Section:
    claim = records.claim
    reason = f", because {reason_in_words(claim['reasons'][0])}" if claim["reasons"] else ""
    paid_paise = sum(each["amount_paise"] for each in records.payouts)
    return Section(
        f"Claim {claim['claim_id']}, revision {claim['revision']}",
        (
            f"A claim for {peril_in_words(claim.get('peril') or 'a disruption')} is {_OUTCOMES[claim['status']]}"
            f"{reason}. Paid so far: {money(paid_paise)}. Decided {local_minute(claim['decided_at'])}.",
            'Times are of Asia/Kolkata. Texts that say "you" and "your" are the rider\'s: the product\'s wording '
            "and what the rider is told.",
        ),
    )
