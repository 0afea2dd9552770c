"""What a rider's policies and claims say of a moment: the inputs of premiums that are counted, not stated.

Interpretations of the specification: docs/pricing.md, "History".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from monsoon.transforms.calendar import local_day
from monsoon.transforms.coverage import Coverage, PolicyState, plan_name

DAY_MS = 24 * 3_600_000
WEEK_MS = 7 * DAY_MS

HISTORY_INPUTS = (
    "weeks_covered",
    "claim_free_weeks",
    "claims_4_weeks",
    "rider_claim_frequency",
    "squad_size",
    "squad_claims_1_week",
    "daily_wage",
    "platform",
    "previous_premium",
    "month",
    "day_of_week",
)
"""The inputs that `histories` gives, under the names by which product files ask for them."""


def histories(
    product: str, coverage: Coverage, claims: Iterable[Mapping[str, Any]], refuted: Collection[str], at_ms: int
) -> dict[str, dict[str, Any]]:
    """By rider with a policy in force at a moment: `plan`, and the inputs of `HISTORY_INPUTS`.

    Args:
        product: whose policies and claims count.
        coverage: its policies.
        claims: revisions of claims, of any product and in any order.
        refuted: ids of claims that a person found to be fraudulent.
        at_ms: the moment; what was decided later is not known.

    weeks_covered: whole weeks since the present unbroken cover began, or since the rider's last refuted claim.
    claim_free_weeks: the same since the last approved claim. claims_4_weeks: approved claims first decided in the
    28 days up to the moment. rider_claim_frequency: a quarter of it. squad_size: riders in force of the same squad, the
    rider included, 0 without one. squad_claims_1_week: their approved claims of 7 days.
    """
    states = {worker: state for worker in coverage.workers if (state := _state(coverage, worker, at_ms)) is not None}
    decided = _decided(claims, product, at_ms)
    squads: dict[str, list[str]] = defaultdict(list)
    for worker, state in states.items():
        if state.record.get("squad_id") is not None:
            squads[state.record["squad_id"]].append(worker)
    squad_claims = {
        squad: sum(_claims_of(decided.get(each, ()), at_ms - WEEK_MS) for each in members)
        for squad, members in squads.items()
    }
    day = local_day(at_ms)
    found = {}
    for worker, state in states.items():
        mine = decided.get(worker, [])
        approved_ms = [first_ms for first_ms, claim_id, status in mine if status == "approved"]
        refuted_ms = [first_ms for first_ms, claim_id, _ in mine if claim_id in refuted]
        covered_ms = state.in_force_since_ms
        of_4_weeks = sum(each > at_ms - 4 * WEEK_MS for each in approved_ms)
        squad = state.record.get("squad_id") or ""
        found[worker] = {
            "plan": plan_name(state.record["plan"]),
            "weeks_covered": (at_ms - max([covered_ms, *refuted_ms])) // WEEK_MS,
            "claim_free_weeks": (at_ms - max([covered_ms, *refuted_ms, *approved_ms])) // WEEK_MS,
            "claims_4_weeks": of_4_weeks,
            "rider_claim_frequency": of_4_weeks / 4,
            "squad_size": len(squads.get(squad, ())),
            "squad_claims_1_week": squad_claims.get(squad, 0),
            "daily_wage": state.record["daily_wage_inr"],
            "platform": state.record.get("platform"),
            "previous_premium": state.record.get("premium_inr"),
            "month": int(day[5:7]),
            "day_of_week": date.fromisoformat(day).isoweekday(),
        }
    return found


def _state(coverage: Coverage, worker: str, at_ms: int) -> PolicyState | None:
    """The rider's policy in force whose unbroken cover is the longest, then the least policy_id."""
    held = [
        state
        for policy in coverage.held_by(worker)
        if (state := policy.in_force(at_ms)) is not None and state.worker_id == worker
    ]
    return min(held, key=lambda state: (state.in_force_since_ms, state.policy_id), default=None)


def _decided(claims: Iterable[Mapping[str, Any]], product: str, at_ms: int) -> dict[str, list[tuple[int, str, str]]]:
    """By rider: (first decided at, claim_id, status) of each claim, as known at the moment."""
    first_ms: dict[str, int] = {}
    last: dict[str, Mapping[str, Any]] = {}
    for claim in claims:
        if claim["decided_at"] > at_ms or claim["product"] != product:
            continue
        name = claim["claim_id"]
        first_ms[name] = min(claim["decided_at"], first_ms.get(name, claim["decided_at"]))
        if name not in last or claim["revision"] > last[name]["revision"]:
            last[name] = claim
    found: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for name, claim in last.items():
        found[claim["worker_id"]].append((first_ms[name], name, claim["status"]))
    return found


def _claims_of(decided: Iterable[tuple[int, str, str]], after_ms: int) -> int:
    return sum(first_ms > after_ms for first_ms, _, status in decided if status == "approved")
