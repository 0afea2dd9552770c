"""Optional fields of a claim: the guard's signals, the re-read of the phone, and the ring of linked claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.records import Record
from monsoon.transforms.explanation.text import number
from monsoon.transforms.plain_words import reason_in_words
from monsoon.transforms.product.wording.phrases import Section

_STATES = {"strong": "strong", "clear": "clear", None: "holds, but over too few reports to count"}

_OUTCOMES = {
    "released": "it supports the claim",
    "waits": "nothing was measured yet",
    "reviewed": "a signal is strong, or it does not tie to the claim",
    "missing": "it could not be made",
}

_WIDEST_NAME = 40

_RING_FIELDS = {"ring_id", "members", "claims", "evidence"}


def guard_sections(claim: Record) -> tuple[Section, ...]:
    """The guard's signals and the re-read; no section for a claim without the field."""
    signals = claim.get("guard")
    if signals is None:
        return ()
    points = [
        "The guard asks, beside the product's rules, whether anything contradicts where the rider says to have been. "
        "A signal that is absent was not measured.",
        *_signals(signals),
    ]
    reread = claim.get("reread")
    if reread:
        outcome = reread["outcome"]
        points.append(
            f"Re-read of the phone, asked for at {local_minute(reread['asked_at'])}, taken up to "
            f"{local_minute(reread['at'])}: {outcome} - {_OUTCOMES.get(outcome, outcome)}"
        )
        points += [f"  {line}" for line in _signals(reread["guard"])]
    return (Section("Guard: what contradicts the location", tuple(points)),)


def _signals(signals: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{each['signal']}: {_STATES.get(each['status'], each['status'])}; {each['feature']} = "
        f"{number(each['value'])}, threshold {number(each['threshold'])}, over {each['reports']:,} reports "
        f'(what strong means: "{reason_in_words(each["signal"])}")'
        for each in signals
    ] or ["No signal was measured."]


def ring_sections(claim: Record) -> tuple[Section, ...]:
    """The ring of the claim as a graph: its members, and each resource that links them; none without a ring.

    `ring` is of the form of a ring alert: ring_id, members, claims, held, evidence (kind, resource, riders, weight_e6).
    A claim may have its ring_id and ring_score alone.
    """
    ring, name = claim.get("ring"), claim.get("ring_id")
    if not ring:
        if name is None:
            return ()
        score = claim.get("ring_score")
        words = "" if score is None else f", ring score {number(score)} (0 no link, 1 the strongest)"
        return (Section(f"Ring {name}", (f"The claim is linked with others{words}; the record does not name them.",)),)
    if not isinstance(ring, Mapping) or not ring.keys() >= _RING_FIELDS:
        return (Section(f"Ring {name}", ("The record names the ring in a form that is not known here.",)),)
    members, evidence = list(ring["members"]), list(ring["evidence"])
    attached = claim["claim_id"] in ring.get("held", ())
    points = [
        f"{len(members)} riders and {len(ring['claims'])} claims are linked; this claim is "
        f"{'attached to the ring by one link, and held' if attached else 'one of the ring'}. On the left the members "
        "(* this rider), on the right what links them, with how many of them and the weight of the link:",
        "",
        *graph(members, [_resource(each, len(members)) for each in evidence], claim["worker_id"]),
    ]
    return (Section(f"Ring {ring['ring_id']}", tuple(points)),)


def graph(members: Sequence[str], resources: Sequence[str], rider: str) -> list[str]:
    """Members on the left, resources on the right, joined by one trunk: which pairs a resource links is not stated."""
    width = min(_WIDEST_NAME, max(map(len, members), default=0))
    lines = []
    for place in range(max(len(members), len(resources))):
        member = members[place] if place < len(members) else ""
        mark = "*" if member == rider else " "
        left = f"[{mark}{member[:width]:<{width}}]--" if place < len(members) else " " * (width + 5)
        right = f"-- {resources[place]}" if place < len(resources) else ""
        lines.append(f"{left}+{right}")
    return lines


def _resource(each: Mapping[str, Any], members: int) -> str:
    weight = each["weight_e6"] / 1_000_000
    return f"{each['kind']} {each['resource'][:_WIDEST_NAME]}: {each['riders']} of {members}, {weight:.2f}"
