"""From a rider's own telemetry: candidates for claims, their evidence, and what neighbors are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import polars as pl

from monsoon.pipelines.operators.disruption_state import pack_disruption, unpack_disruption
from monsoon.pipelines.operators.disruption_updates import updates_after
from monsoon.pipelines.operators.evidence_requests import LOOK_BACK_MS, PANES_LOOK_BACK_MS, EvidenceRequests
from monsoon.pipelines.operators.pane_buffer import PaneBuffer, PaneReducer
from monsoon.pipelines.operators.peer_activity_tests import ROWS
from monsoon.pipelines.operators.report_intake import INTAKE_KINDS, ReportIntake, account_for
from monsoon.pipelines.operators.report_store import ReportStore
from monsoon.pipelines.operators.reread_requests import RereadRequests
from monsoon.pipelines.operators.rider_features import RiderFeatures
from monsoon.pipelines.operators.route_policies import PolicyBook
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import RESULTS, Message, bucket_of, buckets_of, messages_by_bucket, pack, unpack
from monsoon.pipelines.runtime.state_codec import pack_small, unpack_small
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.activity.rider_tests import Due, RiderActivityTests, Span, week_to_date_of
from monsoon.transforms.activity.week_to_date import WEEK_MS, claims_with_week_to_date
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption, LookupStart
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.adjudication.scoring_times import ScoringTimes
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.presence import REPORT_HOLDS_MS, Presence, ReportCells
from monsoon.transforms.product import Product
from monsoon.transforms.product_claims import ProductClaims
from monsoon.transforms.rings.openings import openings_of, places_of
from monsoon.transforms.stated_amounts import wages_of
from monsoon.transforms.triggers.disruption_log import (
    DisruptionLog,
    EventKey,
    SeriesRecord,
    confirmed_after,
    event_keys_of,
)
from monsoon.transforms.triggers.series import Series

_RECENT_MS = 6 * 3_600_000
"""The reports of an interval are laid out in one table, but for what needs reports of more than 6 h before it."""


class RiderEvidence(KeyedOperator):
    """One bucket of riders: joins their telemetry and policies with the series of all triggers."""

    uid: ClassVar = "riders-evidence"
    label: ClassVar = "telemetry, policies and disruptions by rider"
    to: ClassVar = (
        "unite-disruptions",
        "compare-neighbors",
        "link-claims",
        "adjudicate-claims",
        "account-dead-letters",
        "measure-features",
        RESULTS,
    )

    def __init__(self, key: int, state: StateWriter, config: JobConfig, references: ReferenceTables) -> None:
        super().__init__(key, state)
        self._config = config
        self._reports = ReportStore(state, "rows", self._new_entry)
        self._intake = ReportIntake(state, self._reports, self._new_entry)
        self._panes = PaneBuffer(state, "panes", "pane_start_ms", self._new_entry)
        self._requests = EvidenceRequests(key, config.buckets, references, self._reports, self._panes)
        self._features = RiderFeatures(config, self._panes)
        self._pane_reducer = PaneReducer(state, self._reports, self._panes, self._features.panes_wait_ms)
        self._book = PolicyBook(state)
        self._pending_series: dict[str, list[SeriesRecord]] = {}
        """Series that are not due yet, by state entry."""
        self._log = DisruptionLog()
        self._scoring_times = ScoringTimes(config.triggers)
        self._activity_tests = RiderActivityTests(config.triggers)
        self._series: list[tuple[str, set[EventKey]]] = []
        """State entries of series, each with the trigger events of its revisions."""
        self._product_claims = {name: ProductClaims(product) for name, product in sorted(config.running.items())}
        self._rereads = RereadRequests(state, self._product_claims)

    def process(self, message: Message) -> None:
        if message.kind in INTAKE_KINDS:
            self._intake.take(message, self.done_ms)
        elif message.kind == "policies":
            for (product, _), events in self._book.add(unpack(message.payload, list[dict[str, Any]])).items():
                self._product_claims[product].changed_policies.extend(events)
            self._save_progress(self.done_ms)  # entries of policies have no serial number, but need the version too
        elif message.kind == "confirmations":
            self._defer("answers", message, unpack(message.payload, list[dict[str, Any]]))
        else:
            arrived_series = unpack(message.payload, list[SeriesRecord])
            records = [record.not_before(self.done_ms) for record in arrived_series]
            name = self._defer("series", message)
            self._add_series(name, records)
            self.state.put(name, message.payload if records == arrived_series else pack(records))

    def _add_series(self, name: str, records: Sequence[SeriesRecord]) -> None:
        self._pending_series[name] = list(records)
        self._series.append((name, set().union(*map(event_keys_of, records))))

    def _take_series_of(self, names: Collection[str]) -> list[SeriesRecord]:
        """Removes the series of these entries and gives them, in the order of their arrival."""
        arrived = [name for name in self._pending_series if name in names]
        return [record for name in arrived for record in self._pending_series.pop(name)]

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        released = self._intake.release(upto_ms, self.done_ms, self.watermark_ms, self.erased)
        yield from account_for(released, self._config.buckets)
        changed_events: dict[str, set[Any]] = defaultdict(set)
        due_messages = self._take_due(upto_ms)
        records = self._take_series_of(due_messages)
        answers = self._rereads.drop_answers(due_messages)
        for record in records:
            new = self._log.add(record)
            changed_events[self._product_of(record.trigger)].update(new)
            self._activity_tests.add_events(new)
            self._scoring_times.add(record, self.done_ms)
        tests = self._activity_tests.due(self._log, Span(self.done_ms, upto_ms))
        for due in tests:
            self._scoring_times.schedule(due.trigger, (time.at_ms for time in due.times), self.done_ms)
        closes_panes = self._closes_panes(upto_ms) or answers is not None
        self._lay_out_reports(records, tests, closes_panes)
        new_panes_ms = self._pane_reducer.close(upto_ms) if closes_panes else None
        panes_to_neighbors: dict[int, list[tuple[int, bytes]]] = {}
        if new_panes_ms is not None:
            panes = self._panes.frame(new_panes_ms - PANES_LOOK_BACK_MS - 1)
            new_panes = panes.filter(panes["pane_start_ms"] >= new_panes_ms)
            yield from self._requests.phones_to_neighbors(new_panes, upto_ms)
            yield from self._features.add(panes, new_panes_ms, self.done_ms, upto_ms)
            resolutions = {claims.product.zone_resolution for claims in self._product_claims.values()}
            panes_to_neighbors = self._requests.panes_to_neighbors(panes, new_panes_ms, resolutions)
        yield from self._features.versions(self.done_ms, upto_ms)
        for name, claims in self._product_claims.items():
            self._apply_policy_changes(claims, changed_events[name])
            mine = [due for due in tests if self._product_of(due.trigger) == name]
            changed = yield from self._process_product(name, claims, changed_events[name], mine, upto_ms)
            rereads = self._rereads.of_product(name, answers or (), changed, self.done_ms, upto_ms)
            yield from self._requests.rereads(claims, rereads, upto_ms)
            for key, payload in panes_to_neighbors.get(claims.product.zone_resolution, ()):
                yield Message("compare-neighbors", key, f"panes/{name}", upto_ms, payload)

    def _lay_out_reports(self, records: Sequence[SeriesRecord], tests: Sequence[Due], closes_panes: bool) -> None:
        """Lays out the reports that this interval needs in one table: of corrections and other work on moments long
        past it has no part, which would make every table long."""
        if not self.state.durable:
            self._reports.report_cells(BEFORE_TIME_MS)
            return
        confirmed_ms = [
            revision.event.confirmed_at_ms
            for record in records
            for revision in record.revisions
            if revision.at_ms > self.done_ms
        ]
        needs = [each - LOOK_BACK_MS for each in confirmed_ms]
        if tests:
            needs.append(self._activity_tests.reports_after_ms(tests) - 1)
        if closes_panes and (panes_ms := self._pane_reducer.open_ms) is not None:
            needs.append(panes_ms - 1)
        recent = [each for each in needs if each >= self.done_ms - _RECENT_MS]
        if recent:
            self._reports.report_cells(min(recent))

    def _product_of(self, trigger: str) -> str:
        return self._config.triggers[trigger][0].name

    def _closes_panes(self, upto_ms: int) -> bool:
        """Whether panes have to be closed now."""
        scores_due = self._scoring_times.take_due(upto_ms)
        delay_ms = self._pane_reducer.due_ms
        return scores_due or (delay_ms is not None and delay_ms <= upto_ms)

    # Disruptions.

    def _apply_policy_changes(self, claims: ProductClaims, changed_events: set[Any]) -> None:
        """Applies changed policies; adds to `changed_events` those that may concern new riders or homes."""
        if not claims.changed_policies:
            return
        name = claims.product.name
        # An event may change which of the homes that the policy stated before is in force.
        changed = {event["policy_id"] for event in claims.changed_policies}
        resolution = claims.product.zone_resolution
        cells: set[int] = set()
        workers: set[str] = set()
        for policy in sorted(changed):
            events = self._book.events_of((name, policy))
            claims.coverage.replace_events(policy, events)
            cells.update(cell_of(event["home_lat"], event["home_lon"], resolution) for event in events)
            workers.update(event["worker_id"] for event in events)
        claims.changed_policies.clear()
        own_workers = set(filter(self._requests.is_mine, workers))
        newcomers = sorted(own_workers - claims.workers)
        claims.workers |= own_workers
        if newcomers:
            # Of zones that new policy holders visited before they had a policy, disruptions are recorded, too.
            report_cells = ReportCells(self._reports.telemetry(None, newcomers))
            seen = claims.product.versions if len(report_cells.telemetry) else ()
            margins_m = {version.presence_margin_m for version in seen}
            claims.newcomers = {each: Presence(report_cells, newcomers, resolution, each) for each in margins_m}
            cells.update(*(presence.visited.tolist() for presence in claims.newcomers.values()))
        mine = {trigger for trigger in self._config.triggers if self._product_of(trigger) == name}
        changed_events |= self._log.in_zones(mine, cells)

    def _process_product(
        self, name: str, claims: ProductClaims, changed_events: set[Any], tests: Sequence[Due], upto_ms: int
    ) -> Generator[Message, None, Collection[str]]:
        """Updates disruptions, and sends the evidence of claims that may be scored in this interval; gives the
        disruptions that changed."""
        due = claims.take_due(upto_ms)
        if not changed_events and not due and not tests:
            return ()
        series = self._changed_series(claims, changed_events)
        changed = self._disruptions(claims, series, upto_ms)
        for disruption in changed:
            self._record_disruption(claims, disruption)
        yield from self._send_records(claims.product, changed, upto_ms)
        openings = [each for disruption in changed for each in openings_of(claims.product, disruption, self.done_ms)]
        yield from self._requests.openings(name, openings, upto_ms)
        new = [each for _, of_version in series for each in of_version]
        yield from self._requests.active_riders(name, places_of(new, self.done_ms), upto_ms)
        yield from self._requests.stated_amounts(claims, wages_of(new, self.done_ms), upto_ms)
        yield from self._send_activity_tests(claims, tests, upto_ms)
        yield from self._evaluate_week(claims, changed, upto_ms)
        with_new_results = claims.take_new_results()
        for identity in sorted(with_new_results):
            if self.state.durable:
                self.state.put(f"found/{name}/{identity}", pack_small(claims.activity_results[identity]))
        named = {disruption.disruption_id for disruption in changed} | due | with_new_results
        requests = claims.scoring_requests(named, self.done_ms, upto_ms)
        claims.schedule([*changed, *(claims.disruptions[identity] for identity in sorted(with_new_results))], upto_ms)
        updates = updates_after(changed, self.done_ms)
        if updates:
            yield Message("adjudicate-claims", self.key, f"happenings/{name}", upto_ms, pack(updates))
        yield from self._requests.evidence(claims, requests, upto_ms)
        return {disruption.disruption_id for disruption in changed} | with_new_results

    def _send_activity_tests(self, claims: ProductClaims, tests: Sequence[Due], upto_ms: int) -> Iterator[Message]:
        """Sends the bucket's part of the activity tests to `ComparePeers`, where peers are counted."""
        if not tests:
            return
        report_cells = self._reports.report_cells(self._activity_tests.reports_after_ms(tests) - 1)
        for kind, columns in self._activity_tests.rows_of(claims, tests, report_cells, Span(self.done_ms, upto_ms)):
            rows = pl.DataFrame({**dict.fromkeys(ROWS[kind]), **columns}, schema=ROWS[kind])
            buckets = buckets_of(rows["disruption_id"].to_list(), self._config.buckets)
            yield from messages_by_bucket("compare-neighbors", f"{kind}/{claims.product.name}", upto_ms, rows, buckets)

    def _evaluate_week(self, claims: ProductClaims, changed: Sequence[Disruption], upto_ms: int) -> Iterator[Message]:
        """Sends the week's work of riders to their claims, where a supplement may depend on it."""
        supplemented = claims_with_week_to_date(changed, self.done_ms)
        if not supplemented:
            return
        after_ms = min(update.start_ms for update, _ in supplemented) - WEEK_MS - 1
        telemetry = self._reports.telemetry(after_ms, {terms.worker_id for _, terms in supplemented})
        results = pack(sorted(week_to_date_of(claims, changed, telemetry, self.done_ms).items()))
        yield Message("adjudicate-claims", self.key, f"findings/{claims.product.name}", upto_ms, results)

    def _changed_series(self, claims: ProductClaims, changed_events: set[Any]) -> list[tuple[Product, list[Series]]]:
        """The series of the changed events of a product's triggers, by version."""
        series: list[tuple[Product, list[Series]]] = []
        for version in claims.product.versions:
            triggers = {name: trigger for name, (of, trigger) in self._config.triggers.items() if of is version}
            mine = {each for each in changed_events if each[0][0] in triggers}
            if mine:
                series.append((version, list(self._log.series(mine, triggers))))
        return series

    def _disruptions(
        self, claims: ProductClaims, series: Sequence[tuple[Product, Sequence[Series]]], upto_ms: int
    ) -> list[Disruption]:
        """The disruptions of changed series that concern riders of the bucket, each with its updates for them."""
        if not series:
            return []
        confirmed = confirmed_after([each for _, of_version in series for each in of_version], self.done_ms)
        report_cells = self._reports.report_cells(min(confirmed, default=upto_ms) - LOOK_BACK_MS)
        lookup_start = LookupStart(self.done_ms, self.done_ms - self._config.reports_kept_ms + REPORT_HOLDS_MS)
        found: list[Disruption] = []
        for version, of_version in series:
            presence = Presence(report_cells, claims.workers, version.zone_resolution, version.presence_margin_m)
            finder = CandidateFinder(version, claims.coverage, presence)
            of_all = list(finder.disruptions_of(of_version, claims.disruptions, lookup_start))
            if claims.newcomers:
                disruptions = claims.disruptions | {disruption.disruption_id: disruption for disruption in of_all}
                finder = CandidateFinder(version, claims.coverage, claims.newcomers[version.presence_margin_m])
                of_new = finder.disruptions_of(of_version, disruptions, lookup_start)
                of_all += [each for each in of_new if each.disruption_id not in disruptions]
            found += of_all
        claims.newcomers = {}
        return [
            disruption
            for disruption in found
            if disruption.disruption_id not in claims.disruptions
            or len(disruption.revisions) > len(claims.disruptions[disruption.disruption_id].revisions)
        ]

    def _record_disruption(self, claims: ProductClaims, disruption: Disruption) -> None:
        claims.record_disruption(disruption)
        if self.state.durable:
            version = claims.product.at(disruption.revisions[0].event.start_ms)
            trigger = self._config.trigger_name(version, disruption.series.trigger.name)
            self.state.put(
                f"disruption/{claims.product.name}/{disruption.disruption_id}",
                pack_disruption(trigger, disruption),
            )

    def _send_records(self, product: Product, changed: Sequence[Disruption], due_ms: int) -> Iterator[Message]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for disruption in changed:
            by_key[bucket_of(disruption.disruption_id, self._config.buckets)].extend(disruption.records(product.name))
        for key, records in by_key.items():
            yield Message("unite-disruptions", key, "records", due_ms, pack(records))

    # State.

    def removals(self) -> Iterator[Message]:
        return self._features.removals(self.erased_next)

    @property
    def holds_expiring_state(self) -> bool:
        disruptions = any(claims.disruptions for claims in self._product_claims.values())
        return bool(self._intake or self._reports or self._panes or self._book or self._series or disruptions)

    def expire(self, upto_ms: int) -> None:
        reports_ms = upto_ms - self._config.reports_kept_ms
        self._reports.expire(upto_ms - self._config.rows_kept_ms)
        self._intake.expire(upto_ms - self._config.ids_remembered_ms, upto_ms)
        self._panes.expire(reports_ms - self._config.history_kept_ms)
        self._panes.compact(upto_ms)
        self._requests.expire(upto_ms)
        before_ms = upto_ms - self._config.remembered_ms
        if self._log.expire(before_ms):
            for name, events in self._series:
                if name not in self._pending_series and not any(map(self._log.has_event, events)):
                    self.state.drop(name)
                    events.clear()
            self._series = [entry for entry in self._series if entry[1]]
        for name, policy in sorted(self._book.expire(upto_ms - self._config.policies_kept_ms)):
            claims = self._product_claims[name]
            holders = claims.coverage.policies[policy].workers
            claims.coverage.replace_events(policy, ())
            claims.workers -= holders - claims.coverage.holders
        for claims in self._product_claims.values():
            for identity in claims.expire(before_ms):
                self.state.drop(f"disruption/{claims.product.name}/{identity}")
                self.state.drop(f"found/{claims.product.name}/{identity}")
                self._rereads.forget(claims.product.name, identity)

    @property
    def next_work_ms(self) -> int | None:
        if any(claims.changed_policies for claims in self._product_claims.values()):
            return self.done_ms
        dues = [claims.scoring_times[0][0] for claims in self._product_claims.values() if claims.scoring_times]
        more = (
            self._scoring_times.next_ms,
            self._intake.next_ms(self.done_ms),
            self._pane_reducer.due_ms,
            self._features.next_ms,
            self._next_deferred_ms,
            self._activity_tests.next_due_ms(self.done_ms),
            self._rereads.next_ms,
        )
        dues += [ms for ms in more if ms is not None]
        return min(dues, default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._reports.restore(entries)
        self._intake.restore(entries, self.done_ms)
        self._panes.restore(entries)
        self._book.restore(entries)
        for claims in self._product_claims.values():
            claims.changed_policies.extend(self._book.of_product(claims.product.name))
        for name, payload in entries_of(entries, "series"):
            self._add_series(name, unpack(payload, list[SeriesRecord]))
        processed = {name for name in self._pending_series if not self._restore_deferred(name)}
        for record in self._take_series_of(processed):
            self._activity_tests.add_events(self._log.add(record))
            self._scoring_times.add(record, self.done_ms)
        self._pane_reducer.restore(entries)
        self._features.restore(self.done_ms)
        for name, payload in entries_of(entries, "disruption"):
            _, product, identity = name.split("/", 2)
            self._product_claims[product].record_disruption(unpack_disruption(identity, payload, self._config.triggers))
        for name, payload in entries_of(entries, "found"):
            _, product, identity = name.split("/", 2)
            self._product_claims[product].activity_results[identity] = unpack_small(
                payload, dict[str, list[ActivityResult]]
            )
        for claims in self._product_claims.values():
            claims.schedule(claims.disruptions.values(), self.done_ms)
        self._rereads.restore(entries, self.done_ms)
        for name, payload in entries_of(entries, "answers"):
            self._restore_deferred(name, unpack(payload, list[dict[str, Any]]))
