"""Deterministic ids of records: a digest of the fields that identify them, so that a rerun yields the same ids.

Each is a letter for the kind of record and 32 hexadecimal digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii


def _digest_id(prefix: str, parts: Sequence[str | int | None]) -> str:
    """`prefix` and 128 bits of BLAKE2 over the parts as JSON, unambiguous whatever characters they hold."""
    spelled = ",".join(
        [
            encode_basestring_ascii(part) if isinstance(part, str) else "null" if part is None else str(part)
            for part in parts
        ]
    )
    digest = hashlib.blake2b(f"[{spelled}]".encode(), digest_size=16).hexdigest()
    return f"{prefix}{digest}"


def disruption_id(product: str, trigger: str, zone: str, platform: str | None, start_ms: int) -> str:
    """33 characters; a function of these five alone."""
    return _digest_id("d", [product, trigger, zone, platform, start_ms])


@lru_cache(maxsize=4096)  # repeated while one rider's claims are decided
def claim_id(policy_id: str, disruption: str) -> str:
    """33 characters; a function of the policy and the disruption alone."""
    return _digest_id("c", [policy_id, disruption])


def reference_id(claim: str, instalment: int) -> str:
    """33 characters of [a-z0-9]; the payment provider's idempotency key for one instalment of a claim."""
    return _digest_id("p", [claim, instalment])


def syndicate_alert_id(disruption: str, confirmed_at_ms: int, members: Sequence[str]) -> str:
    """33 characters; a function of the disruption as confirmed at that moment and of the group's riders."""
    return _digest_id("s", [disruption, confirmed_at_ms, *members])


def ring_id(product: str, trigger: str, first_claim: str) -> str:
    """33 characters; a function of the product's trigger and of the ring's earliest claim alone."""
    return _digest_id("r", [product, trigger, first_claim])


def ring_alert_id(ring: str, at_ms: int) -> str:
    """33 characters; a function of the ring and the moment alone."""
    return _digest_id("g", [ring, at_ms])


def reserve_alert_id(product: str, day: str, cell: str, at_ms: int) -> str:
    """33 characters; a function of a reserve's product, day and cell, and of the moment alone."""
    return _digest_id("a", [product, day, cell, at_ms])


def notification_id(claim: str, kind: str, at_ms: int, instalment: int | None) -> str:
    """33 characters; a function of the claim, the kind, the moment and, of a payment, the instalment alone."""
    return _digest_id("n", [claim, kind, at_ms, instalment])


def drift_report_id(model_version: str, day: str, cell: str | None) -> str:
    """33 characters; a function of the model, the local day and the cell (None: all cells) alone."""
    return _digest_id("m", [model_version, day, cell])
