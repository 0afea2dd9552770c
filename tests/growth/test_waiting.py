"""What a watermark and a repeat cost in the step that takes duplicates out: what they concern, not what is kept."""

import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from kit import at
from kit.graph import Graph, settings_of
from kit.streams import report

from monsoon.pipelines.operators import report_intake, report_store
from monsoon.pipelines.operators.rider_evidence import RiderEvidence
from monsoon.pipelines.operators.seen_reports import SeenReports
from monsoon.pipelines.runtime.keyed_operator import StateWriter
from monsoon.pipelines.runtime.messages import Message
from monsoon.pipelines.runtime.report_codec import pack_reports
from monsoon.sources.line_blocks import collect
from monsoon.sources.report_batch import from_frame
from monsoon.transforms.validation.record_validator import RecordValidator

VALIDATOR = RecordValidator("telemetry")
HOUR_MS = 3_600_000
DAY_MIN = 24 * 60


class Counted(np.ndarray):
    """An array that counts how many of its elements numpy is asked to look at: all, but for bisection and places."""

    looked_at = 0

    def __array_function__(self, func, types, args, kwargs):
        plain = [each.view(np.ndarray) if isinstance(each, Counted) else each for each in args]
        if func is np.searchsorted:
            Counted.looked_at += len(plain[1]) * len(plain[0]).bit_length()
        else:
            Counted.looked_at += sum(each.size for each in plain if isinstance(each, np.ndarray))
        return func(*plain, **kwargs)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [each.view(np.ndarray) if isinstance(each, Counted) else each for each in inputs]
        Counted.looked_at += max(each.size for each in plain if isinstance(each, np.ndarray))
        return getattr(ufunc, method)(*plain, **kwargs)

    def __getitem__(self, places):
        found = self.view(np.ndarray)[places]
        Counted.looked_at += np.size(found)
        return found


def hashes_looked_at(known, asked, repeated):
    """Of so many remembered reports, when some are asked for, of which a share repeat them."""
    rng = np.random.default_rng(5)
    serial = count()
    memory = SeenReports(StateWriter(), lambda kind: f"{kind}/{next(serial):012d}")
    chunks = [rng.integers(0, 2**63, known // 100).astype(np.uint64) for _ in range(100)]
    for number, chunk in enumerate(chunks):
        memory.put(chunk, chunk, number * HOUR_MS // 5, {})
        memory.expire(0, number * HOUR_MS // 5)
    memory.parts = [
        replace(each, reports=each.reports.view(Counted), contents=each.contents.view(Counted)) for each in memory.parts
    ]
    old = np.concatenate(chunks)
    wanted = np.where(
        rng.random(asked) < repeated, rng.choice(old, asked), rng.integers(0, 2**63, asked).astype(np.uint64)
    )
    Counted.looked_at = 0
    known_, same = memory.find(wanted, wanted)
    assert (known_ == np.isin(wanted, old)).all()
    assert (known_ == same).all()
    return Counted.looked_at


@pytest.mark.parametrize("repeated", [0.0, 0.5, 1.0])
def test_a_repeat_costs_the_same_however_many_reports_are_remembered(repeated):
    """Sixteen times as many: four more steps of each bisection, where it was sixteen times as much."""
    few, many = (hashes_looked_at(known, 1000, repeated) for known in (2_000, 32_000))
    assert many < 2.5 * few + 2000


def rows_of(records):
    (frame,) = collect(VALIDATOR(json.dumps(each).encode()) for each in records).frames
    return frame


class CountedOperator:
    """The operator alone; `handled` counts reports that it packs or unpacks."""

    def __init__(self, tmp_path, monkeypatch):
        self.handled = 0
        self.step = Graph(settings_of(tmp_path)).factory.make(RiderEvidence, 0, StateWriter())

        def counted(function, rows):
            def call(*args, **kwargs):
                found = function(*args, **kwargs)
                self.handled += rows(found, *args)
                return found

            return call

        unpack = counted(report_store.stored_reports, lambda found, _: len(found))
        pack = counted(pack_reports, lambda _, batch: len(batch))
        for module in (report_intake, report_store):
            monkeypatch.setattr(module, "stored_reports", unpack)
            monkeypatch.setattr(module, "pack_reports", pack)

    def process(self, records):
        self.step.process(Message("riders-evidence", 0, "rows", 0, pack_reports(from_frame(rows_of(records)))))

    def advance(self, minutes):
        """How many rows the watermark made it handle."""
        before = self.handled
        self.used = sum(part["used"] for part in map(used_in, self.step.advance(at(minutes) - 1)))
        return self.handled - before

    @property
    def kept(self):
        return [name for name, payload in self.state().items() if payload is not None]

    def state(self):
        self.entries = getattr(self, "entries", {}) | self.step.state.drain()
        return self.entries


def used_in(message):
    return json.loads(message.payload)[1] if message.kind == "counts" else {"used": 0}


@pytest.mark.slow
def test_a_clock_that_is_ahead_delays_no_row_but_its_own(tmp_path, monkeypatch):
    """Chunks of 50 reports, one of which is a day ahead: what waits is that one, packed with its like."""
    step = CountedOperator(tmp_path, monkeypatch)
    costs = []
    for minutes in range(200):
        honest = [report("w0", minutes + n / 60, event_id=f"{minutes}-{n}") for n in range(49)]
        step.process([*honest, report("w9", minutes + DAY_MIN)])
        costs.append(step.advance(minutes + 1))
        assert step.used == 49
    assert sum(costs[120:180]) == sum(costs[60:120]), "each is unpacked when it is due, and packed with its hour"
    waiting = [name for name in step.kept if name.startswith("far/")]
    assert len(waiting) < 50, "200 reports in packages that were joined"
    assert sum(len(payload) for name, payload in step.state().items() if name in waiting) < 200 * 800
    assert step.handled < 200 * (4 * 50 + 5), "each is packed twice, and a few times with its like"
    step.advance(2 * DAY_MIN)
    assert step.used == 200
    assert not [name for name in step.kept if name.startswith("far/")]


def test_reports_that_are_read_faster_than_event_time_advances_are_packed_no_more_often(tmp_path, monkeypatch):
    """Chunks of six hours of ten riders while the watermark stands: as they arrived until they are due, though a
    single rider's are packed by distance."""
    step = CountedOperator(tmp_path, monkeypatch)
    step.advance(0)
    for hour in range(6):
        minutes = [hour * 60 + n for n in range(0, 360, 10)]
        step.process([report(f"w{n % 10}", each, event_id=f"{hour}-{each}-{n}") for n in range(10) for each in minutes])
    assert not [name for name in step.kept if name.startswith("far/")]
    handled, used = step.handled, 0
    for minutes in range(60, 12 * 60, 60):
        step.advance(minutes)
        used += step.used
    assert used == 6 * 360
    assert step.handled - handled < 3 * 6 * 360, "unpacked when the first is due, and packed by the hour"
    step.process([report("w1", 20 * 60 + n, event_id=f"alone-{n}") for n in range(36)])
    assert [name for name in step.kept if name.startswith("far/")]


def test_a_watermark_costs_the_same_however_many_rows_wait(tmp_path, monkeypatch):
    """Rows of the next hour and of the next years: those that are not due are not looked at."""
    costs = []
    for number, ahead in enumerate((20, 320)):
        step = CountedOperator(tmp_path / str(number), monkeypatch)
        step.advance(0)
        step.process([report("w1", 5 + n / 100, event_id=f"near-{n}") for n in range(ahead)])
        step.process([report("w2", 300 * (n + 1), event_id=f"far-{n}") for n in range(ahead)])
        step.process([report("w0", n) for n in range(4)])
        costs.append([step.advance(minutes) for minutes in range(1, 5)])
    assert costs[0] == costs[1]


def test_rows_far_apart_are_looked_at_a_few_times_each(tmp_path, monkeypatch):
    """One report a day for months, all at once, and the watermark goes from day to day: each comes with its own."""
    step = CountedOperator(tmp_path, monkeypatch)
    step.advance(0)
    days = 100
    step.process([report("w0", DAY_MIN * (n + 0.5), event_id=f"d{n}") for n in range(days)])
    before = step.handled
    for day in range(days):
        step.advance(DAY_MIN * (day + 1))
        assert step.used == 1
    assert step.handled - before < 3 * days * (days * 24).bit_length()


def test_what_waits_is_there_again_after_a_restart(tmp_path, monkeypatch):
    """Near and far, partly released: nothing twice, nothing lost, and nothing unpacked that is not due."""
    step = CountedOperator(tmp_path, monkeypatch)
    step.advance(0)
    step.process(
        [
            report("w0", minutes, event_id=f"e{minutes}")
            for minutes in (1, 30, 119, 130, 600, DAY_MIN * 9, DAY_MIN * 400)
        ]
    )
    step.advance(31)
    assert step.used == 2
    again = CountedOperator(tmp_path, monkeypatch)
    state = {name: payload for name, payload in step.state().items() if payload is not None}
    again.step.resume(state)
    again.entries = dict(state)
    assert again.handled <= 3 + 2
    used = []
    for minutes in (119, 125, 200, 700, DAY_MIN * 10, DAY_MIN * 401):
        again.advance(minutes)
        used.append(again.used)
    assert used == [0, 1, 1, 1, 1, 1]


def test_one_report_of_years_ago_holds_nothing_back(tmp_path):
    """Of 2001, in the first chunk: it is used, late or not, and everything else as if it were not there."""
    from kit import reading_record
    from kit.graph import Scripted, same
    from kit.streams import policy_record

    ancient = report("w7", 0, event_id="old", event_time=1_000_000_000_000, gnss_time=None, network_time=None)
    outcomes = []
    for name, first in (("without", []), ("with", [ancient])):
        source = Scripted(tmp_path / name)
        source.play(
            [
                (None, {"subscriptions": [policy_record("w0", "p0")]}),
                (None, {"telemetry": first + [report("w0", minutes) for minutes in range(-60, 0)]}),
                (0, {"oracle_readings": [reading_record("curfew", 1, 1), reading_record("curfew", 0, 30)]}),
                (1, {"telemetry": [report("w0", minutes) for minutes in range(1, 60)]}),
                (40, {"telemetry": first}),
            ]
        )
        paid = source.graph.collected().outcome.payouts
        assert [payout["created_at"] for payout in paid] == [at(1)], "decided when it was time"
        collected = source.finish()
        assert collected.counts["telemetry"]["used"] == 119 + len(first)
        assert collected.counts["telemetry"]["duplicate"] == len(first)
        same(collected.outcome, source.locally()[1])
        outcomes.append(collected.outcome)
    same(*outcomes, streams=("claims", "payouts", "notifications"))
