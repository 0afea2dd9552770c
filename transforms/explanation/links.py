"""Optional fields of a claim: the guard's signals, the re-read of the phone, and the ring of linked claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monsoon.transforms.calendar import local_minute
from monsoon.transforms.explanation.records import Record
from monsoon.transforms.explanation.text import number
from monsoon.transforms.plain_words import reason_in_words
from monsoon.transforms.product.wording.phrases import Section
from monsoon.transforms.rings.limits import EDGE_WEIGHT_E6, WEIGHT_SCALE

_STATES = {"strong": "strong", "clear": "clear", None: "holds, but over too few reports to count"}

_OUTCOMES = {
    "released": "it supports the claim",
    "waits": "nothing was measured yet",
    "reviewed": "a signal is strong, or it does not tie to the claim",
    "missing": "it could not be made",
}

_WIDEST_NAME = 40

EDGE_WEIGHT = EDGE_WEIGHT_E6 // WEIGHT_SCALE


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


def ring_sections(claim: Record, alerts: Sequence[Record] = ()) -> tuple[Section, ...]:
    """The ring of the claim as a graph: its members, and each resource that links them; none for a claim that never
    stood in one. `alerts` are the ring alerts that name the claim, in the order of time."""
    raised = [each for each in alerts if each["state"] == "raised"]
    if not raised:
        name, score = claim.get("ring_id"), claim.get("ring_score")
        if name is None:
            return ()
        words = "" if score is None else f", ring score {number(score)} (0 no link, 1 the strongest)"
        return (Section(f"Ring {name}", (f"The claim is linked with others{words}; no alert here names them.",)),)
    ring = raised[-1]
    attached = claim["claim_id"] in ring["held_claim_ids"]
    points = [
        f"{len(ring['members'])} riders and {len(ring['claim_ids'])} claims are linked as of "
        f"{local_minute(ring['event_time'])}; this claim is "
        f"{'attached to the ring by one link, and asked about' if attached else 'one of the ring'}. On the left the "
        "members (* this rider), on the right what links them, with how many of them and its weight (two claims are "
        f"linked from {EDGE_WEIGHT} on, by two kinds at least):",
        "",
        *graph(
            ring["members"], [_resource(each, len(ring["members"])) for each in ring["evidence"]], claim["worker_id"]
        ),
    ]
    if "risk" in ring:
        points.append(
            f"Risk {number(ring['risk'])} (0 as honest riders are linked, 1 as none of them are; model "
            f"{ring['model_version']}): which ring to review first. It decides about no claim."
        )
    if alerts[-1]["state"] == "lifted":
        points.append(f"Lifted {local_minute(alerts[-1]['event_time'])}: a claim that is in review stays there.")
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
    return f"{each['kind']} {each['resource'][:_WIDEST_NAME]}: {each['riders']} of {members}, {each['weight']:.2f}"
