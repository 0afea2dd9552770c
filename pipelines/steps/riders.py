"""What each rider's own reports say: who may claim on what, the evidence, and what others are compared with."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from monsoon.pipelines.steps.compact import pack_small, unpack_small
from monsoon.pipelines.steps.desk import Desk
from monsoon.pipelines.steps.envelopes import (
    Envelope,
    Item,
    bucket_of,
    buckets_of,
    pack,
    pack_frame,
    split,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.steps.histories import Histories, Place, confirmed_after, places_of
from monsoon.pipelines.steps.measuring import PANES_LOOK_BACK_MS, Measuring, workers_of
from monsoon.pipelines.steps.noted import noted, read_noted
from monsoon.pipelines.steps.policies import PolicyBook
from monsoon.pipelines.steps.reports import PaneStore, Reports, closed_panes, pane_floor
from monsoon.pipelines.steps.settings import Settings
from monsoon.pipelines.steps.step import BEFORE_TIME_MS, END_OF_TIME_MS, Kept, Step, entries_of
from monsoon.pipelines.steps.triggers import SeriesRecord
from monsoon.pipelines.steps.working import Due, Span, Working, found_in_the_week
from monsoon.sources.reference import ReferenceTables
from monsoon.transforms.activity.week import WEEK_MS, week_of
from monsoon.transforms.adjudication.candidates import CandidateFinder, Disruption, Since
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.adjudication.scoring_schedule import rescore_waits_ms
from monsoon.transforms.evidence.limits import ACTIVITY_MS
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.panes import PANE_MS
from monsoon.transforms.presence import REPORT_HOLDS_MS, Places, Presence
from monsoon.transforms.product import Product
from monsoon.transforms.triggers.series import Series

_LOOK_BACK_MS = ACTIVITY_MS + 1
"""Evidence and presence look back 90 min from a confirmation, presence to the very moment."""

_PANES_WAIT_MS = 3_600_000
"""Panes that nobody asks for are closed by the hour."""


class RidersEvidence(Step):
    """One bucket of riders: their telemetry, policies, and the series of every trigger."""

    uid: ClassVar = "riders-evidence"
    label: ClassVar = "telemetry, policies and disruptions by rider"
    to: ClassVar = ("unite-disruptions", "compare-neighbors", "adjudicate-claims")

    def __init__(self, key: int, kept: Kept, settings: Settings, references: ReferenceTables) -> None:
        super().__init__(key, kept)
        self._settings = settings
        self._measuring = Measuring(key, settings.buckets, references)
        self._reports = Reports(kept, "rows", "event_time", self._name)
        self._panes = PaneStore(kept, "panes", "pane_start_ms", self._name)
        self._paned_ms: int | None = None
        """Panes that start before it are over; None: no report yet."""
        self._book = PolicyBook(kept)
        self._arrived: dict[str, list[SeriesRecord]] = {}
        """Series that wait for their time, by entry."""
        self._histories = Histories()
        self._comparisons: list[int] = []
        """Moments at which claims may be compared with others': a heap."""
        self._scheduled: set[int] = set()
        """What is in it."""
        self._window: tuple[int, Places] | None = None
        """While it works: the moment after which it has a trail, and that trail's places."""
        self._working = Working(settings)
        self._series: list[tuple[str, set[Place]]] = []
        """Entries of series, with the episodes of which each speaks."""
        self._desks = {name: Desk(product) for name, product in sorted(settings.running.items())}

    def take(self, item: Item) -> None:
        if item.kind == "rows":
            arrived = unpack_frame(item.payload)
            rows = self._reports.unheard(arrived)
            if rows.height:
                self._reports.put(rows, item.payload if rows.height == arrived.height else None)
        elif item.kind == "policies":
            for (product, _), events in self._book.add(unpack(item.payload, list[dict[str, Any]])).items():
                self._desks[product].changed_policies.extend(events)
            self._done(self.done_ms)  # policies have entries of their own names: a version beside them
        else:
            arrived_series = unpack(item.payload, list[SeriesRecord])
            records = [record.in_time(self.done_ms) for record in arrived_series]
            name = self._await("series", item)
            self._take_series(name, records)
            self.kept.put(name, item.payload if records == arrived_series else pack(records))

    def _take_series(self, name: str, records: Sequence[SeriesRecord]) -> None:
        self._arrived[name] = list(records)
        self._series.append((name, set().union(*map(places_of, records))))

    def _taken_out(self, names: Collection[str]) -> list[SeriesRecord]:
        """The series of these entries, in the order of their arrival."""
        arrived = [name for name in self._arrived if name in names]
        return [record for name in arrived for record in self._arrived.pop(name)]

    def work(self, upto_ms: int) -> Iterator[Envelope]:
        touched: dict[str, set[Any]] = defaultdict(set)
        for record in self._taken_out(self._ripe(upto_ms)):
            new = self._histories.add(record)
            touched[self._product_of(record.trigger)].update(new)
            self._working.touch(new)
            self._schedule_comparisons(record)
        tests = self._working.due(self._histories, Span(self.done_ms, upto_ms))
        for due in tests:
            self._schedule(due.trigger, (time.at_ms for time in due.times))
        new_panes_ms = self._close_panes(upto_ms) if self._comparing(upto_ms) else None
        if new_panes_ms is not None:
            yield from self._measuring.phones_to_neighbors(self._panes.frame(new_panes_ms - 1), upto_ms)
        self._window = None
        for name, desk in self._desks.items():
            self._enroll(desk, touched[name])
            mine = [due for due in tests if self._product_of(due.trigger) == name]
            yield from self._decide(name, desk, touched[name], mine, upto_ms)
            if new_panes_ms is not None:
                panes = self._panes.frame(new_panes_ms - PANES_LOOK_BACK_MS - 1)
                yield from self._measuring.panes_to_neighbors(desk.product, panes, new_panes_ms, upto_ms)

    def _product_of(self, trigger: str) -> str:
        return self._settings.triggers[trigger][0].name

    def _schedule_comparisons(self, record: SeriesRecord) -> None:
        """Claims may be judged when a disruption is confirmed or rises, and a hold later: by then every bucket must
        have told the neighbors of its panes, whether the claims are its own or not."""
        trigger = self._settings.triggers[record.trigger][1]
        at_the_end = trigger.pays_by_duration or bool(trigger.supplements)
        self._schedule(
            record.trigger,
            (
                revision.at_ms
                for revision in record.revisions
                if revision.state != "withdrawn" and (at_the_end or revision.at_ms != revision.event.end_ms)
            ),
        )

    def _schedule(self, trigger: str, moments_ms: Iterable[int]) -> None:
        """Claims may be judged at these moments, and again when a hold from then runs out."""
        waits_ms = (0, *sorted(rescore_waits_ms(self._settings.triggers[trigger][0])))
        for at_ms in {moment_ms + wait_ms for moment_ms in moments_ms for wait_ms in waits_ms}:
            if at_ms > self.done_ms and at_ms not in self._scheduled:
                self._scheduled.add(at_ms)
                heapq.heappush(self._comparisons, at_ms)

    def _comparing(self, upto_ms: int) -> bool:
        """Whether panes are to be closed now."""
        asked = False
        while self._comparisons and self._comparisons[0] <= upto_ms:
            self._scheduled.discard(heapq.heappop(self._comparisons))
            asked = True
        wait_ms = self._panes_wait_ms
        return asked or (wait_ms is not None and wait_ms <= upto_ms)

    @property
    def _panes_wait_ms(self) -> int | None:
        """Until when panes may wait; None: there are none."""
        first_ms = self._reports.first_ms if self._paned_ms is None else self._reports.first_after(self._paned_ms)
        return None if first_ms is None else pane_floor(first_ms) + _PANES_WAIT_MS

    def _close_panes(self, upto_ms: int) -> int | None:
        """Reduces the reports of panes that are over; gives the start of the first pane that is new, or None."""
        first_ms = self._reports.first_ms if self._paned_ms is None else self._reports.first_after(self._paned_ms)
        last_ms = self._reports.last_ms
        if first_ms is None or last_ms is None:
            return None
        from_ms = pane_floor(first_ms)
        to_ms = min(pane_floor(min(upto_ms, last_ms + PANE_MS)), pane_floor(last_ms) + PANE_MS)
        if to_ms <= from_ms:
            return None
        panes = closed_panes(self._reports.telemetry(from_ms - 1), from_ms, to_ms)
        self._panes.put(panes)
        self._paned_ms = to_ms
        self.kept.put_packed("paned", to_ms)
        return from_ms

    # Disruptions.

    def _enroll(self, desk: Desk, touched: set[Any]) -> None:
        """Takes in policies; disruptions that may concern new riders or homes are looked at again."""
        if not desk.changed_policies:
            return
        name = desk.product.name
        # What an event changes may be which home counts of those that its policy stated before.
        changed = {event["policy_id"] for event in desk.changed_policies}
        resolution = desk.product.zone_resolution
        cells: set[int] = set()
        workers: set[str] = set()
        for policy in sorted(changed):
            events = self._book.of((name, policy))
            desk.coverage.restate(policy, events)
            cells.update(cell_of(event["home_lat"], event["home_lon"], resolution) for event in events)
            workers.update(event["worker_id"] for event in events)
        desk.changed_policies.clear()
        mine_too = {worker for worker in workers if bucket_of(worker, self._settings.buckets) == self.key}
        newcomers = sorted(mine_too - desk.workers)
        desk.workers |= mine_too
        if newcomers:
            # Where they were before they held a policy makes a zone worth a record.
            places = Places(self._reports.telemetry(None, newcomers))
            margins_m = {version.presence_margin_m for version in desk.product.versions}
            desk.newcomers = {margin_m: Presence(places, newcomers, resolution, margin_m) for margin_m in margins_m}
            cells.update(*(presence.visited.tolist() for presence in desk.newcomers.values()))
        mine = {trigger for trigger in self._settings.triggers if self._product_of(trigger) == name}
        touched |= self._histories.of(mine, cells)

    def _decide(
        self, name: str, desk: Desk, touched: set[Any], tests: Sequence[Due], upto_ms: int
    ) -> Iterator[Envelope]:
        """Disruptions that changed, and evidence at the moments at which a claim may be judged."""
        due = desk.take_due(upto_ms)
        if not touched and not due and not tests:
            return
        changed = self._disruptions(desk, touched, upto_ms)
        for disruption in changed:
            self._note(desk, disruption)
        yield from self._to_records(desk.product, changed, upto_ms)
        found_before = {identity: _size(found) for identity, found in desk.found.items()}
        yield from self._test(desk, tests, upto_ms)
        yield from self._look_at_the_week(desk, changed, upto_ms)
        found = {identity for identity, each in desk.found.items() if _size(each) != found_before.get(identity, 0)}
        for identity in sorted(found):
            if self.kept.keeps:
                self.kept.put(f"found/{name}/{identity}", pack_small(desk.found[identity]))
        named = {disruption.disruption_id for disruption in changed} | due | found
        asked = desk.asked(named, self.done_ms, upto_ms)
        desk.schedule([*changed, *(desk.known[identity] for identity in sorted(found))], upto_ms)
        updates = [
            (worker, new)
            for disruption in changed
            for worker, mine in disruption.updates.items()
            if (new := [update for update in mine if update.at_ms > self.done_ms])
        ]
        if updates:
            yield Envelope("adjudicate-claims", self.key, f"happenings/{name}", upto_ms, pack(updates))
        if asked:
            earliest_ms = min(each.update.confirmed_at_ms for each in asked) - _LOOK_BACK_MS
            telemetry = self._places_after(earliest_ms, upto_ms).telemetry
            panes = self._panes.frame(None, workers_of(asked))
            yield from self._measuring.evidence(desk, asked, telemetry, panes, upto_ms)

    def _test(self, desk: Desk, tests: Sequence[Due], upto_ms: int) -> Iterator[Envelope]:
        """What the bucket's riders say of activity tests, to where peers are counted."""
        if not tests:
            return
        places = self._places_after(self._working.looks_back_ms(tests) - 1, upto_ms)
        for kind, rows in self._working.answers(desk, tests, places, Span(self.done_ms, upto_ms)):
            for key, part in split(rows, buckets_of(rows["disruption_id"].to_list(), self._settings.buckets)):
                yield Envelope("compare-neighbors", key, f"{kind}/{desk.product.name}", upto_ms, pack_frame(part))

    def _look_at_the_week(self, desk: Desk, changed: Sequence[Disruption], upto_ms: int) -> Iterator[Envelope]:
        """What riders had worked of the week, to their claims that may get a supplement for it."""
        asked = week_of(changed, self.done_ms)
        if not asked:
            return
        after_ms = min(update.start_ms for update, _ in asked) - WEEK_MS - 1
        telemetry = self._reports.telemetry(after_ms, {terms.worker_id for _, terms in asked})
        found = pack(sorted(found_in_the_week(desk, changed, telemetry, self.done_ms).items()))
        yield Envelope("adjudicate-claims", self.key, f"findings/{desk.product.name}", upto_ms, found)

    def _places_after(self, after_ms: int, upto_ms: int) -> Places:
        """The places of the reports after a moment, and perhaps of more."""
        if self._window is None or self._window[0] > after_ms:
            # At the end everything is judged at once: one trail for all.
            whole = upto_ms == END_OF_TIME_MS
            telemetry = self._reports.telemetry(None if whole else after_ms)
            self._window = (BEFORE_TIME_MS if whole else after_ms, Places(telemetry))
        return self._window[1]

    def _disruptions(self, desk: Desk, touched: set[Any], upto_ms: int) -> list[Disruption]:
        """Those that concern riders of the bucket, each with what it says to them."""
        series: list[tuple[Product, list[Series]]] = []
        for version in desk.product.versions:
            triggers = {name: trigger for name, (of, trigger) in self._settings.triggers.items() if of is version}
            mine = {each for each in touched if each[0][0] in triggers}
            if mine:
                series.append((version, list(self._histories.series(mine, triggers))))
        if not series:
            return []
        confirmed = confirmed_after([each for _, some in series for each in some], self.done_ms)
        places = self._places_after(min(confirmed, default=upto_ms) - _LOOK_BACK_MS, upto_ms)
        since = Since(self.done_ms, self.done_ms - self._settings.reports_kept_ms + REPORT_HOLDS_MS)
        found: list[Disruption] = []
        for version, some in series:
            presence = Presence(places, sorted(desk.workers), version.zone_resolution, version.presence_margin_m)
            finder = CandidateFinder(version, desk.coverage, presence)
            of_all = list(finder.disruptions_of(some, desk.known, since))
            if desk.newcomers:
                known = desk.known | {disruption.disruption_id: disruption for disruption in of_all}
                finder = CandidateFinder(version, desk.coverage, desk.newcomers[version.presence_margin_m])
                of_new = finder.disruptions_of(some, known, since)
                of_all += [each for each in of_new if each.disruption_id not in known]
            found += of_all
        desk.newcomers = {}
        return [
            disruption
            for disruption in found
            if disruption.disruption_id not in desk.known
            or len(disruption.revisions) > len(desk.known[disruption.disruption_id].revisions)
        ]

    def _note(self, desk: Desk, disruption: Disruption) -> None:
        desk.note(disruption)
        if self.kept.keeps:
            version = desk.product.at(disruption.revisions[0].event.start_ms)
            trigger = self._settings.trigger_name(version, disruption.series.trigger.name)
            self.kept.put(f"disruption/{desk.product.name}/{disruption.disruption_id}", noted(trigger, disruption))

    def _to_records(self, product: Product, changed: Sequence[Disruption], due_ms: int) -> Iterator[Envelope]:
        by_key: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for disruption in changed:
            by_key[bucket_of(disruption.disruption_id, self._settings.buckets)].extend(disruption.records(product.name))
        for key, records in by_key.items():
            yield Envelope("unite-disruptions", key, "records", due_ms, pack(records))

    # State.

    @property
    def ages(self) -> bool:
        known = any(desk.known for desk in self._desks.values())
        return bool(self._reports or self._panes or self._book or self._series or known)

    def forget(self, upto_ms: int) -> None:
        reports_ms = upto_ms - self._settings.reports_kept_ms
        self._reports.forget(upto_ms - self._settings.rows_kept_ms)
        self._reports.join(upto_ms)
        self._panes.forget(reports_ms - self._settings.history_kept_ms)
        self._panes.join(upto_ms)
        before_ms = upto_ms - self._settings.remembered_ms
        self._histories.forget(before_ms)
        for name, places in self._series:
            if name not in self._arrived and not any(map(self._histories.knows, places)):
                self.kept.drop(name)
                places.clear()
        self._series = [entry for entry in self._series if entry[1]]
        for name, policy in sorted(self._book.forget(upto_ms - self._settings.policies_kept_ms)):
            desk = self._desks[name]
            desk.coverage.restate(policy, ())
            desk.workers &= desk.coverage.holding
        for desk in self._desks.values():
            for identity in desk.forget(before_ms):
                self.kept.drop(f"disruption/{desk.product.name}/{identity}")
                self.kept.drop(f"found/{desk.product.name}/{identity}")

    @property
    def work_due_ms(self) -> int | None:
        if any(desk.changed_policies for desk in self._desks.values()):
            return self.done_ms
        dues = [desk.asks[0][0] for desk in self._desks.values() if desk.asks] + self._comparisons[:1]
        more = (self._panes_wait_ms, self._ripens_ms, self._working.next_due_ms(self.done_ms))
        dues += [ms for ms in more if ms is not None]
        return min(dues, default=None)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        self._reports.restore(entries)
        self._panes.restore(entries)
        self._book.restore(entries)
        for desk in self._desks.values():
            desk.changed_policies.extend(self._book.of_product(desk.product.name))
        for name, payload in entries_of(entries, "series"):
            self._take_series(name, unpack(payload, list[SeriesRecord]))
        told = {name for name in self._arrived if not self._await_again(name)}
        for record in self._taken_out(told):
            self._working.touch(self._histories.add(record))
            self._schedule_comparisons(record)
        if "paned" in entries:
            self._paned_ms = unpack(entries["paned"], int)
        for name, payload in entries_of(entries, "disruption"):
            _, product, identity = name.split("/", 2)
            self._desks[product].note(read_noted(identity, payload, self._settings.triggers))
        for name, payload in entries_of(entries, "found"):
            _, product, identity = name.split("/", 2)
            self._desks[product].found[identity] = unpack_small(payload, dict[str, list[ActivityResult]])
        for desk in self._desks.values():
            desk.schedule(desk.known.values(), self.done_ms)


def _size(found: Mapping[str, Sequence[ActivityResult]]) -> int:
    return sum(map(len, found.values()))
