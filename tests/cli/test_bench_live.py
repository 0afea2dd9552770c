"""`monsoon bench live`: what its figures are made of, without a stack."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.bench.live_city import HISTORY_STEPS, City, end_ms, step_that_decides
from monsoon.bench.live_growth import next_days
from monsoon.bench.live_latency import latencies_ms, percentile
from monsoon.bench.live_payouts import SeenPayout
from monsoon.bench.live_recovery import first_written_after
from monsoon.bench.rider_reports import report_frames, time_of_row
from monsoon.cli.main import main
from monsoon.pipelines.runtime.intervals import LIVE_INTERVALS


def test_each_zone_of_a_city_is_paid_once_at_its_step(tmp_path):
    city, streams = City(7, 3), {}
    for line in (*city.policies(), *(line for step in range(city.steps) for line in city.lines(step))):
        streams.setdefault(line.stream, []).append(line.line)
    for stream, lines in streams.items():
        (tmp_path / "in" / stream).mkdir(parents=True)
        (tmp_path / "in" / stream / "part-0.jsonl").write_bytes(b"\n".join(lines))
    assert main(["replay", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    payouts = [
        json.loads(line) for line in (tmp_path / "out" / "payouts" / "part-00000.jsonl").read_text().splitlines()
    ]
    assert len({payout["worker_id"] for payout in payouts}) == 7
    steps = sorted(step_that_decides(payout["created_at"]) for payout in payouts)
    assert steps == [HISTORY_STEPS] * 3 + [HISTORY_STEPS + 1] * 3 + [HISTORY_STEPS + 2]


@given(st.integers(0, 10_000_000))
def test_a_step_decides_what_happens_in_its_interval(after_ms):
    moment_ms = end_ms(-1) + after_ms
    assert end_ms(step_that_decides(moment_ms)) == LIVE_INTERVALS.end_of(moment_ms) + 1


def test_the_lines_of_a_step_are_of_its_interval():
    city = City(40, 3)
    for step in (0, HISTORY_STEPS + 2):
        lines = list(city.lines(step))
        assert lines
        assert {step_that_decides(line.time_ms) for line in lines} == {step}


def test_latency_is_counted_from_what_lets_the_watermark_pass():
    moment_ms = end_ms(9) + 5
    seen = [SeenPayout(moment_ms, 100.7, 0), SeenPayout(moment_ms - 10_000, 100.9, 0), SeenPayout(0, 100.9, 0)]
    assert list(latencies_ms(seen, {9: 100.0, 10: 100.5}, 10)) == [pytest.approx(200)]


@pytest.mark.parametrize(("count", "share", "expected"), [(100, 0.99, 99), (1, 0.99, 1), (1200, 0.99, 1188), (3, 0, 1)])
def test_a_percentile_is_one_of_the_values(count, share, expected):
    assert percentile(range(1, count + 1), share) == expected


def test_what_was_written_before_a_kill_is_no_recovery():
    before, after = SeenPayout(0, 12.0, 9_999), SeenPayout(0, 15.0, 14_000)
    assert first_written_after([before], 10.0) is None
    assert first_written_after([before, after, SeenPayout(0, 16.0, 13_000)], 10.0) == 15.0


def test_reports_of_a_later_day_come_a_night_later():
    (first, first_ms), (second, second_ms) = report_frames(2, 16, 8, 0.1)
    moved, moved_ms = next_days(second, second_ms, 1)
    night_ms = 16 * 3_600_000
    assert (first_ms, second_ms, moved_ms) == (time_of_row(8, 2) - 1, time_of_row(16, 2) - 1, second_ms + night_ms)
    assert (moved["event_time"] - second["event_time"]).to_list() == [night_ms] * 8
    assert not set(first["event_id"]) & set(second["event_id"])
