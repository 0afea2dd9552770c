"""A rider's claims as plain data, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from monsoon.transforms.adjudication.claims import Claim, Finding, Happening, Score, Terms
from monsoon.transforms.triggers.alerts import Alert

STATE_VERSION = 1


def to_payload(claims: Iterable[Claim]) -> dict[str, Any]:
    """The claims with the version of their form. What was added to a claim since has a default, and needs no new
    version."""
    return {"version": STATE_VERSION, "claims": [asdict(claim) for claim in claims]}


def from_payload(payload: dict[str, Any]) -> list[Claim]:
    """What `to_payload` was given; raises ValueError for a payload of another version."""
    if payload.get("version") != STATE_VERSION:
        raise ValueError(f"rider state of version {payload.get('version')!r}; this code reads {STATE_VERSION}")
    return [_claim(saved) for saved in payload["claims"]]


def _claim(saved: dict[str, Any]) -> Claim:
    happening, score = dict(saved["happening"]), saved["score"]
    seen, alert = happening.pop("terms"), happening.pop("alert", None)
    return Claim(
        **{
            **saved,
            "happening": Happening(
                **happening,
                terms=None if seen is None else Terms(**seen),
                alert=Alert.from_saved(alert),
            ),
            "terms": Terms(**saved["terms"]),
            "score": None if score is None else Score(**{**score, "weightiest": tuple(score["weightiest"])}),
            "reasons": tuple(saved["reasons"]),
            "findings": {name: Finding(**finding) for name, finding in saved.get("findings", {}).items()},
            "supplemented": tuple(saved.get("supplemented", ())),
        }
    )
