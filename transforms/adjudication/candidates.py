"""Candidates: a disruption x the policies in force at its start x the riders present when it was confirmed.

Interpretations of the specification: docs/interpretations.md#who-claims.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from monsoon.transforms.adjudication.claims import DisruptionUpdate, PolicyTerms
from monsoon.transforms.coverage import Coverage, PolicyState
from monsoon.transforms.geo.cells import cell_name, cell_of
from monsoon.transforms.identifiers import disruption_id
from monsoon.transforms.presence import Presence, PresenceSnapshot
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.history import BEFORE_TIME_MS
from monsoon.transforms.triggers.machine import Revision
from monsoon.transforms.triggers.series import Series


@dataclass(frozen=True)
class Disruption:
    """One disruption in one zone: its revisions in order, and the updates that they make for each candidate."""

    disruption_id: str
    zone: str
    series: Series
    revisions: tuple[Revision, ...]
    updates: dict[str, list[DisruptionUpdate]]
    """By worker_id, for every rider that is a candidate under at least one revision."""

    def present(self) -> dict[int, dict[str, PolicyTerms]]:
        """The candidates under each confirmation (ms), by worker_id."""
        found: dict[int, dict[str, PolicyTerms]] = {revision.event.confirmed_at_ms: {} for revision in self.revisions}
        for worker, updates in self.updates.items():
            for update in updates:
                if update.terms is not None:
                    found[update.confirmed_at_ms][worker] = update.terms
        return found

    def records(self, product: str) -> Iterator[dict[str, Any]]:
        """Every revision in the contract's form (contracts/disruption.schema.json), but for silent ones.

        `revised_at` is the moment from which the revision holds, `absent_since` since when the breach was gone,
        `oracle_modes` how far each metric could be trusted when it was revised, and once it has ended, at its end.
        """
        for revision in self.revisions:
            if revision.silent:
                continue
            event = revision.event
            yield {
                "disruption_id": self.disruption_id,
                "product": product,
                "trigger": self.series.trigger.name,
                "peril": self.series.trigger.peril,
                "platform": self.series.platform,
                "zone": self.zone,
                "start": event.start_ms,
                "end": event.end_ms,
                "absent_since": event.absent_since_ms if event.end_ms is not None else None,
                "confirmed_at": event.confirmed_at_ms,
                "severity": event.severity,
                "level": event.level,
                "providers": event.providers,
                "reading_ids": event.reading_ids,
                "revision": revision.revision,
                "revised_at": revision.at_ms,
                "state": revision.state,
                "oracle_modes": dict(event.modes),
            }


@dataclass(frozen=True, slots=True)
class LookupStart:
    """The confirmations for which candidates are looked up: those published after `published_ms`, of moments from
    `confirmed_ms` on. Riders found only now to have been present at others are no candidates."""

    published_ms: int = BEFORE_TIME_MS
    confirmed_ms: int = BEFORE_TIME_MS

    def without_candidates(self, revisions: Sequence[Revision]) -> dict[int, dict[str, PolicyTerms]]:
        """The earlier confirmations, and all of a disruption known only in part, without candidates."""
        first: dict[int, Revision] = {}
        for revision in revisions:
            first.setdefault(revision.event.confirmed_at_ms, revision)
        return {
            confirmed_ms: {}
            for confirmed_ms, revision in first.items()
            if revision.at_ms <= self.published_ms or confirmed_ms < self.confirmed_ms or revisions[0].revision > 0
        }


class CandidateFinder:
    """Finds the disruptions of one version of a product that are recorded, and the candidates for claims on them."""

    def __init__(self, product: Product, coverage: Coverage, presence: Presence) -> None:
        self._product = product
        self._coverage = coverage
        self._presence = presence
        self._bridges = frozenset(name for name, plan in product.plans.items() if plan.bridge)
        self._snapshots: dict[int, PresenceSnapshot] = {}
        self._naming: dict[tuple[str, int], set[str]] = {}

    def disruptions(
        self, series: Series, known: Mapping[str, Disruption] | None = None, since: LookupStart = LookupStart()
    ) -> Iterator[Disruption]:
        """The disruptions of a series that start while the version is in force, zone by zone.

        A zone is recorded where the home lies that counts of a policy of the product at the start, or a rider holding
        one reported from it (or the margin around it) in the 90 min up to a confirmation. Those `known` by id from an
        earlier call stay, and who was present at their confirmations is not looked up again, nor who was at one from
        before `since`.
        """
        known = known or {}
        by_start: dict[int, list[Revision]] = defaultdict(list)
        for revision in series.revisions:
            by_start[revision.event.start_ms].append(revision)
        for start_ms, of_start in by_start.items():
            revisions = tuple(of_start)  # one object for all zones: found equal at once where it is a key
            if not self._product.from_ms <= start_ms < self._product.until_ms:
                continue
            confirmed = sorted({revision.event.confirmed_at_ms for revision in revisions})
            for zone in series.zones.tolist():
                name = cell_name(zone)
                identity = disruption_id(self._product.name, series.trigger.name, name, series.platform, start_ms)
                before = known.get(identity)
                if (
                    before is not None
                    or self._coverage.is_home(zone, self._product.zone_resolution, start_ms)
                    or any(self._presence.reported_in(zone, at_ms) for at_ms in confirmed)
                ):
                    present = since.without_candidates(revisions) if before is None else before.present()
                    yield self._disruption(series, zone, revisions, identity, present)

    def disruptions_of(
        self,
        series: Iterable[Series],
        known: Mapping[str, Disruption] | None = None,
        since: LookupStart = LookupStart(),
    ) -> Iterator[Disruption]:
        """The disruptions of several series."""
        for each in series:
            yield from self.disruptions(each, known, since)

    def _disruption(
        self,
        series: Series,
        zone: int,
        revisions: tuple[Revision, ...],
        identity: str,
        present: dict[int, dict[str, PolicyTerms]],
    ) -> Disruption:
        trigger, start_ms = series.trigger, revisions[0].event.start_ms
        name = cell_name(zone)
        for revision in revisions:
            confirmed_ms = revision.event.confirmed_at_ms
            if confirmed_ms not in present:
                states = self._present(series, zone, start_ms, confirmed_ms)
                present[confirmed_ms] = {state.worker_id: self._terms(state, trigger.name) for state in states}
        return disruption_of(identity, name, series, revisions, present)

    def _present(self, series: Series, zone: int, start_ms: int, confirmed_ms: int) -> Sequence[PolicyState]:
        """The policies, in force at the start, of the riders in the zone at confirmation: by their report, without one
        at the home that the policy states."""
        snapshot, resolution = self._snapshot(confirmed_ms), self._product.zone_resolution
        reporting = [
            self._applicable(worker, series, start_ms, confirmed_ms) for worker in snapshot.by_cell.get(zone, ())
        ]
        residents = (self._coverage.residents(zone, resolution) & self._presence.workers) - snapshot.reporting
        silent = [self._applicable(worker, series, start_ms, confirmed_ms) for worker in sorted(residents)]
        return [state for state in reporting if state is not None] + [
            state
            for state in silent
            if state is not None and cell_of(state.record["home_lat"], state.record["home_lon"], resolution) == zone
        ]

    def _applicable(self, worker: str, series: Series, start_ms: int, confirmed_ms: int) -> PolicyState | None:
        bridges: frozenset[str] = frozenset()
        if self._bridges and series.trigger.platform_only and series.platform is not None:
            key = (series.platform, confirmed_ms)
            if key not in self._naming:
                self._naming[key] = self._presence.riders_naming(*key)
            if worker in self._naming[key]:
                bridges = self._bridges
        return self._coverage.applicable_policy(worker, series.trigger, series.platform, start_ms, bridges)

    def _snapshot(self, at_ms: int) -> PresenceSnapshot:
        if at_ms not in self._snapshots:
            self._snapshots[at_ms] = self._presence.at(at_ms)
        return self._snapshots[at_ms]

    def _terms(self, state: PolicyState, trigger: str) -> PolicyTerms:
        record = state.record
        plan = self._product.plan_of(record["plan"])
        return PolicyTerms(
            policy_id=record["policy_id"],
            worker_id=record["worker_id"],
            plan=record["plan"],
            daily_wage_inr=record["daily_wage_inr"],
            fund_account_id=record.get("fund_account_id"),
            trust_tier=record.get("trust_tier"),
            account_created_at_ms=record["account_created_at"],
            activated_at_ms=state.activated_at_ms,
            orders_per_hour=record.get("orders_per_hour"),
            period_start_ms=state.period_start_ms,
            covered=plan is not None and trigger in plan[1],
            platform=record.get("platform"),
            device_id=record.get("device_id"),
            payout_account=record.get("payout_account"),
            shift_baseline_inr=record.get("shift_baseline_inr"),
            orders_per_hour_sd=record.get("orders_per_hour_sd"),
            slab_orders=record.get("slab_orders"),
            planned_hours_week=record.get("planned_hours_week"),
            stated_at_ms=record["event_time"],
            week_orders_carried=record.get("week_orders_carried"),
            week_hours_carried=record.get("week_hours_carried"),
            squad_id=record.get("squad_id"),
        )


def disruption_of(
    identity: str,
    zone: str,
    series: Series,
    revisions: tuple[Revision, ...],
    present: Mapping[int, Mapping[str, PolicyTerms]],
) -> Disruption:
    """A disruption with the updates of each candidate: `present` has these by confirmation (ms) and worker_id."""
    trigger = series.trigger
    to_all = [
        DisruptionUpdate(
            at_ms=revision.at_ms,
            disruption_id=identity,
            trigger=trigger.name,
            peril=trigger.peril,
            zone=zone,
            withdrawn=revision.state == "withdrawn",
            start_ms=revision.event.start_ms,
            confirmed_at_ms=revision.event.confirmed_at_ms,
            end_ms=revision.event.end_ms,
            level=revision.event.level,
            first_alert_ms=revision.event.first_alert_ms,
            terms=None,
            severity=revision.event.severity,
            absent_since_ms=revision.event.absent_since_ms if revision.event.end_ms is not None else None,
            providers=len(revision.event.providers),
            platform=series.platform,
            alert=revision.event.alert,
        )
        for revision in revisions
        if not revision.silent
    ]
    by_revision = [(update, present[update.confirmed_at_ms]) for update in to_all]
    updates = {
        worker: [replace(update, terms=candidates.get(worker)) for update, candidates in by_revision]
        for worker in sorted(set().union(*present.values()))
        if by_revision
    }
    return Disruption(identity, zone, series, revisions, updates)
