"""What comes late: counted, and true from then on; never a change of what was decided.

A script lists (minutes, records): the watermark promises that nothing earlier than that comes, then the records do.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import at, reading_record, subscription_record
from kit.examples import examples, mostly_slow
from kit.graph import Scripted, StillPhoneScorer, same
from kit.streams import report

from monsoon.pipelines.flink.result_metrics import ResultMetrics
from monsoon.sources.kafka.watermarks import PartitionWatermarks, WatermarkBounds

EVER = 1_000_000


def policy(rider=0, minutes=-1000, **fields):
    base = {
        "event_id": f"s{rider}",
        "policy_id": f"p{rider}",
        "worker_id": f"w{rider}",
        "device_id": f"dw{rider}x",
        "payout_account": f"u{rider}xx",
    }
    return subscription_record("activated", minutes, minutes, EVER, **(base | fields))


def curfew(value, minutes, **fields):
    return reading_record("curfew", value, minutes, **({"reading_id": f"curfew-{minutes}"} | fields))


def rain(value, minutes, provider, **fields):
    name = {"provider": provider, "reading_id": f"{provider}-{minutes}"}
    return reading_record("rain_mm_24h", value, minutes, **(name | fields))


def reports(rider, first, last, **fields):
    return [report(f"w{rider}", minutes, **fields) for minutes in range(first, last)]


def scripted(tmp_path, script, **settings):
    return Scripted(tmp_path / "in", **settings).play(script)


def last(records, identity):
    """The last revision of each, without the moments and scores that depend on when it was decided."""
    newest = {}
    for record in sorted(records, key=lambda record: record["revision"]):
        newest[record[identity]] = record
    return newest


DECIDED_WHEN = {
    "revision",
    "revised_at",
    "decided_at",
    "features",
    "feature_reports",
    "weightiest_features",
    "oracle_modes",
}


def end_states(outcome):
    """Where disruptions and claims end, and what each claim was paid, told apart from when."""
    standing = {
        record["disruption_id"]: json.dumps({name: record[name] for name in sorted(record.keys() - DECIDED_WHEN)})
        for record in last(outcome.disruptions, "disruption_id").values()
        if record["state"] != "withdrawn"
    }
    claims = {
        name: (record["status"], record["payout_inr"], record["disruption_id"], record["worker_id"])
        for name, record in last(outcome.claims, "claim_id").items()
        if record["status"] != "withdrawn"
    }
    return standing, claims


# Telemetry.


def test_a_report_as_late_as_the_watermark_waits_joins_the_evidence(tmp_path):
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": reports(0, -60, -20)}),
            (-20, {"oracle_readings": [curfew(1, 0)]}),
            # Two minutes after the event, as the watermark is two minutes behind.
            (-2, {"telemetry": reports(0, 2, 4)}),
            (-1.5, {"telemetry": reports(0, -1, 2)}),
            (1, {"telemetry": reports(0, 4, 10)}),
            (8, {"oracle_readings": [curfew(0, 40)]}),
        ],
    )
    collected = source.finish()
    _, expected = source.locally()
    same(collected.outcome, expected)
    assert not collected.late
    assert [claim["feature_reports"]["accelerometer_variance"] for claim in collected.outcome.claims] == [11]


def late_reports(tmp_path, name, late, **settings):
    """A curfew at 0 decided at 5; `late` reports of before then come at 10."""
    return scripted(
        tmp_path / name,
        [
            (None, {"subscriptions": [policy()], "telemetry": reports(0, -60, -20)}),
            (-20, {"oracle_readings": [curfew(1, 0)]}),
            (5, {"telemetry": reports(0, 10, 20)}),
            (9, {"telemetry": late}),
            (30, {"oracle_readings": [curfew(0, 40)]}),
        ],
        **settings,
    )


def test_a_report_later_than_that_is_counted_and_changes_no_decision(tmp_path):
    with_it = late_reports(tmp_path, "with", reports(0, -20, 5)).finish()
    without = late_reports(tmp_path, "without", []).finish()
    assert with_it.late == {"telemetry": 25}
    assert with_it.counts["telemetry"]["used"] == without.counts["telemetry"]["used"] + 25
    same(with_it.outcome, without.outcome)
    assert len(with_it.outcome.payouts) == 1


YEAR_MIN = 365 * 24 * 60


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(
    ("package", "watermark_minutes"),
    [
        # A clock a year behind; an hour's end at minute 30.
        ((-YEAR_MIN, 3, 4), (6, 31, 40)),
        ((-YEAR_MIN, 3, 35), (6, 31, 40)),
        # Offline for seven hours, then a report that is released as the hour ends.
        ((-420, 30.1), (29, 33, 40)),
        # A repeat, and a report that is released with it.
        ((-4, 0.05), (6,)),
    ],
)
def test_reports_sent_together_with_late_ones_stay(tmp_path, package, watermark_minutes, restored):
    source = Scripted(tmp_path / "in", products=["kawaach"], buckets=1)
    source.play(
        [(None, {"telemetry": reports(0, -5, -3)}), (0, {"telemetry": [report("w0", each) for each in package]})]
    )
    for minutes in watermark_minutes:
        source.graph.advance(at(minutes))
        if restored:
            source.restore()
    operator: Any = source.graph.live["riders-evidence"][0]
    assert operator._reports.telemetry().event_time_ms.tolist() == sorted({at(each) for each in (-5, -4, *package)})
    assert source.graph.collected().counts["telemetry"]["used"] == len({-5, -4, *package})


def test_a_clock_years_behind_has_no_cold_reports_read(tmp_path, monkeypatch):
    """Each of its reports is late; reports of days ago are in the state backend alone."""
    source = Scripted(tmp_path / "in", products=["kawaach"], buckets=1)
    behind = iter(range(1000))
    for hour in range(12):
        minutes = 60 * hour
        source.graph.advance(at(minutes) - 1)
        wrong = [report("w1", next(behind) - YEAR_MIN) for _ in range(2)]
        source.say("telemetry", [report("w0", minutes + 1), report("w0", minutes - 1), *wrong])
    operator: Any = source.graph.live["riders-evidence"][0]
    assert sum(part.is_cold for part in operator._reports._parts) >= 5
    monkeypatch.setattr(operator.state, "read_cold", lambda name: pytest.fail(f"{name} is read"))
    source.say("telemetry", [report("w1", next(behind) - YEAR_MIN), report("w0", 60 * 11 - 2)])
    source.graph.advance(at(60 * 11 + 2))
    assert source.graph.collected().counts["telemetry"]["used"] == 12 * 4 + 2


class Counters:
    """A metric group of Flink: counters by path."""

    def __init__(self, counted, path=()):
        self.counted, self.path = counted, path

    def get_metrics_group(self):
        return self

    def add_group(self, label, value):
        return Counters(self.counted, (*self.path, label, value))

    def counter(self, name):
        return Counters(self.counted, (*self.path, name))

    def inc(self, count):
        self.counted[self.path] = self.counted.get(self.path, 0) + count


def test_what_is_late_is_a_metric(tmp_path):
    source = late_reports(tmp_path, "late", reports(0, -20, 5))
    counters = Counters({})
    meters = ResultMetrics(counters)
    for kind, payload in source.graph.results:
        meters.count(kind, payload)
    assert counters.counted["stream", "telemetry", "records_late"] == 25


@pytest.mark.parametrize(("late", "ends_as"), [(True, "approved"), (False, "manual_review")])
def test_a_late_report_is_heard_when_a_hold_runs_out(tmp_path, late, ends_as):
    still = [each | {"accel_var": None} for each in reports(0, -30, 0)]
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": still}),
            (-20, {"oracle_readings": [curfew(1, 0), curfew(0, 40)]}),
            (5, {}),
            (6, {"telemetry": [report("w0", minutes + 0.5) for minutes in range(-20, 0)] if late else []}),
        ],
        scorer=StillPhoneScorer(),
    )
    outcome = source.finish().outcome
    states = [(claim["status"], claim["decided_at"]) for claim in outcome.claims]
    assert states[0] == ("soft_hold", at(0))
    assert states[-1] == (ends_as, at(120) if late else at(360))
    assert len(outcome.payouts) == late


def test_a_late_report_from_a_zone_new_to_everybody_opens_no_claim_on_what_was_decided(tmp_path):
    """The rider was there when the disruption was confirmed, it is open, nobody knew; its end must not open a claim."""
    away = {"lat": 28.70, "lon": 77.10}
    source = scripted(
        tmp_path,
        [
            (
                None,
                {"subscriptions": [policy(home_lat=28.70, home_lon=77.10)], "telemetry": reports(0, -60, -20, **away)},
            ),
            (-20, {"oracle_readings": [curfew(1, 0)]}),
            (10, {"telemetry": reports(0, -10, 1)}),
            (20, {"oracle_readings": [curfew(0, 40)]}),
        ],
    )
    collected = source.finish()
    assert collected.late == {"telemetry": 11}
    assert not collected.outcome.claims
    # The zone is worth a record from now on: the replay says the same of it.
    same_disruptions = [
        sorted(map(json.dumps, found)) for found in (collected.outcome.disruptions, source.locally()[1].disruptions)
    ]
    assert same_disruptions[0] == same_disruptions[1] != []


@pytest.mark.parametrize("remembered_minutes", [360, 10])
def test_a_repeat_after_its_original_was_used_changes_nothing(tmp_path, remembered_minutes):
    """Remembered or not: then it counts as late, and is still no second report in the evidence of a re-score."""
    first = [each | {"accel_var": None} for each in reports(0, -30, 1)]
    script = [
        (None, {"subscriptions": [policy()], "telemetry": first}),
        (-20, {"oracle_readings": [curfew(1, 0), curfew(0, 40)]}),
        (61, {"telemetry": reports(0, 61, 63)}),
        (62, {"telemetry": first}),
        (70, {"telemetry": reports(0, 75, 80)}),
    ]
    settings = {"ids_remembered_ms": remembered_minutes * 60_000, "scorer": StillPhoneScorer()}
    once = [
        (watermark, {} if records.get("telemetry") is first and watermark else records) for watermark, records in script
    ]
    collected = scripted(tmp_path / "twice", script, **settings).finish()
    same(collected.outcome, scripted(tmp_path / "once", once, **settings).finish().outcome)
    counts = collected.counts["telemetry"]
    assert counts["read"] == counts["used"] + counts["duplicate"]
    if remembered_minutes == 360:
        assert (counts["duplicate"], collected.late) == (31, {})
    else:
        assert collected.late["telemetry"] == 31 - counts["duplicate"] > 0


def test_another_content_under_an_id_that_was_used_is_a_conflict_however_it_sorts(tmp_path):
    other = [each | {"accuracy_m": 0.5} for each in reports(0, -10, 0)]
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": reports(0, -60, 0)}),
            (1, {"oracle_readings": [curfew(1, 10), curfew(0, 40)], "telemetry": other}),
        ],
    )
    collected = source.finish()
    assert [letter["reason"] for letter in collected.dead_letters] == ["conflicting_duplicate"] * 10
    assert collected.counts["telemetry"] | {"nulled": {}} == {
        "read": 70,
        "used": 60,
        "duplicate": 0,
        "dead": 10,
        "nulled": {},
        "reasons": {"conflicting_duplicate": 10},
    }


# Readings.


def storm(late_at, late, readings):
    """Two riders who report all the time; `readings` are in time, `late` ones come at a watermark."""
    return [
        (None, {"subscriptions": [policy(0), policy(1)], "oracle_readings": readings}),
        *(
            (minutes, {"telemetry": reports(0, minutes, minutes + 15) + reports(1, minutes, minutes + 15)})
            for minutes in range(-60, late_at, 15)
        ),
        (late_at, {"oracle_readings": late}),
        *((minutes, {"telemetry": reports(0, minutes, minutes + 15)}) for minutes in range(late_at, late_at + 90, 15)),
    ]


@pytest.mark.parametrize("restored", mostly_slow([True, False]))
def test_a_late_reading_opens_the_disruption_that_it_would_have_opened(tmp_path, restored):
    source = scripted(tmp_path, storm(60, [], [curfew(0, -50)]), buckets=1)
    if restored:
        source.restore()
    source.say("oracle_readings", [curfew(1, 0)])
    source.play([(200, {"oracle_readings": [curfew(0, 210)]})])
    collected = source.finish()
    # After a restart as well: what was used before says how far the watermark had come.
    assert collected.late == {"oracle_readings": 1}
    assert end_states(collected.outcome) == end_states(source.locally()[1])
    confirmed = [record for record in collected.outcome.disruptions if record["revision"] == 0]
    assert {record["confirmed_at"] for record in confirmed} == {at(0)}
    assert min(record["revised_at"] for record in confirmed) > at(60), "published when it was known, not before"
    assert len(collected.outcome.payouts) == 2
    assert all(payout["created_at"] > at(60) for payout in collected.outcome.payouts)


def test_a_late_reading_withdraws_what_would_never_have_been_confirmed(tmp_path):
    """Paid stays paid and is listed for review; a claim still held is withdrawn."""
    breaching = [rain(80, 0, "imd"), rain(80, 0, "skymet")]
    drier = [rain(10, 0, "imd", reading_id="imd-0-later", issued_time=at(20))]
    for name, scorer, status, reasons in (
        ("paid", None, "approved", ["paid_before_withdrawal"]),
        ("held", StillPhoneScorer(), "withdrawn", ["disruption_withdrawn"]),
    ):
        script = storm(60, drier, breaching)
        if scorer:
            script = [
                (
                    watermark,
                    records | {"telemetry": [each | {"accel_var": None} for each in records.get("telemetry", [])]},
                )
                for watermark, records in script
            ]
        source = scripted(tmp_path / name, script, scorer=scorer)
        outcome = source.finish().outcome
        assert {record["state"] for record in last(outcome.disruptions, "disruption_id").values()} == {"withdrawn"}
        ends = last(outcome.claims, "claim_id").values()
        assert [(claim["status"], claim["reasons"]) for claim in ends] == [(status, reasons)] * 2
        assert len(outcome.payouts) == (2 if name == "paid" else 0)
        replayed = source.locally()[1]
        assert end_states(replayed) == ({}, {})


def test_a_late_reading_that_moves_the_start_withdraws_the_old_id_and_opens_the_new(tmp_path):
    """Wind from -40 on by two providers is confirmed at -10, started at -40; one of them was calm at -30."""
    wind = [
        reading_record("wind_kmh", 70.0, minutes, provider=provider, reading_id=f"{provider}-{minutes}")
        for minutes in range(-40, 20, 10)
        for provider in ("imd", "skymet")
        if (provider, minutes) != ("imd", -30)
    ]
    calm = reading_record("wind_kmh", 20.0, -30, provider="imd", reading_id="imd--30")
    source = scripted(tmp_path, storm(0, [calm], wind))
    outcome = source.finish().outcome
    states = {(record["start"], record["state"]) for record in last(outcome.disruptions, "disruption_id").values()}
    assert states == {(at(-40), "withdrawn"), (at(-20), "ended")}
    standing, claims = end_states(source.locally()[1])
    assert end_states(outcome)[0] == standing
    # Paid once in all: what was paid under the old id counts for the new one's overlap.
    assert len(outcome.payouts) == 2
    mine = last(outcome.claims, "claim_id")
    assert [mine[name]["status"] for name in claims] == ["ineligible"] * 2
    assert [mine[name]["reasons"] for name in claims] == [["overlap"]] * 2


def test_corrections_before_what_they_correct(tmp_path):
    """Revision 1 (issued at 50) is in time, revision 0 of the same reading late: the later revision stands."""
    corrected = rain(90, 0, "imd", revision=1, issued_time=at(50))
    source = scripted(
        tmp_path,
        storm(
            60, [rain(10, 0, "imd")], [rain(80, 0, "skymet"), corrected, rain(30, 120, "imd"), rain(30, 120, "skymet")]
        ),
    )
    collected = source.finish()
    assert collected.late == {"oracle_readings": 1}
    assert end_states(collected.outcome) == end_states(source.locally()[1])
    assert {record["confirmed_at"] for record in collected.outcome.disruptions} == {at(0)}
    assert {payout["created_at"] for payout in collected.outcome.payouts} == {at(50)}


@pytest.mark.slow
@given(data=st.data())
@examples(15)
def test_however_late_readings_come_disruptions_end_as_in_the_replay(tmp_path_factory, data):
    """Which disruptions stand, their starts, ends, levels and readings; and no claim is paid twice over."""
    readings = [
        rain(value, minutes, provider)
        for provider in ("imd", "skymet")
        for minutes, value in zip(
            range(0, 150, 30), data.draw(st.lists(st.sampled_from([10, 80, 120]), min_size=5, max_size=5)), strict=True
        )
    ]
    readings += [
        curfew(value, 20 * step) for step, value in enumerate(data.draw(st.lists(st.integers(0, 1), max_size=5)))
    ]
    arrivals = sorted(
        (reading["event_time"] + data.draw(st.integers(-10, 200)) * 60_000, place, reading)
        for place, reading in enumerate(readings)
    )
    source = Scripted(tmp_path_factory.mktemp("late") / "in")
    source.play([(None, {"subscriptions": [policy(0), policy(1)], "telemetry": reports(0, -60, 0)})])
    for arrival_ms, _, reading in arrivals:
        source.graph.advance(max(arrival_ms, at(-1)))
        if data.draw(st.integers(0, 5)) == 0:
            source.restore()
        source.say("oracle_readings", [reading])
    outcome = source.finish().outcome
    replayed = source.locally()[1]
    assert end_states(outcome)[0] == end_states(replayed)[0]
    paid = {}
    for payout in outcome.payouts:
        paid[payout["worker_id"]] = paid.get(payout["worker_id"], 0) + payout["amount_paise"]
    assert max(paid.values(), default=0) <= 50_000, "one day's wage is the most that a day pays"
    assert len({payout["reference_id"] for payout in outcome.payouts}) == len(outcome.payouts)


def test_a_repeated_late_reading_is_a_duplicate(tmp_path):
    script = storm(60, [curfew(1, 0)], [curfew(1, 0), curfew(0, 40)])
    source = scripted(tmp_path, script)
    collected = source.finish()
    assert collected.counts["oracle_readings"]["duplicate"] == 1
    assert not collected.late
    same(collected.outcome, source.locally()[1])


def test_a_reading_later_than_can_be_judged_again_is_a_dead_letter(tmp_path):
    """What it says of five weeks ago may be a repeat, and claims of then are settled and forgotten."""
    weeks = 29 * 24 * 60
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": reports(0, -30, 0)}),
            (0, {"oracle_readings": [curfew(0, weeks)]}),
            (weeks, {"oracle_readings": [curfew(1, 0)]}),
            (weeks + 1, {"oracle_readings": [curfew(1, 10, revision=1, issued_time=at(weeks + 2))]}),
        ],
    )
    collected = source.finish()
    assert [letter["reason"] for letter in collected.dead_letters] == ["too_late"] * 2
    assert not collected.outcome.claims
    assert collected.counts["oracle_readings"]["used"] == 1


def test_a_reading_of_a_time_whose_reports_are_gone_opens_the_disruption_and_no_claim(tmp_path):
    """Where riders were is no longer known: nobody is taken to have been at home."""
    days = 6 * 24 * 60
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": reports(0, -30, 0)}),
            (0, {"oracle_readings": [curfew(0, days)], "telemetry": reports(0, days, days + 10)}),
            (days + 10, {"oracle_readings": [curfew(1, 0)]}),
        ],
    )
    collected = source.finish()
    assert {(record["confirmed_at"], record["state"]) for record in collected.outcome.disruptions} >= {(at(0), "ended")}
    assert not collected.outcome.claims
    assert source.locally()[1].claims


# Policies, lines that cannot be read.


def test_a_late_policy_covers_what_is_confirmed_from_then_on(tmp_path):
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy(0)], "telemetry": reports(0, -60, 0) + reports(1, -60, 0)}),
            (-20, {"oracle_readings": [curfew(1, 0), curfew(0, 40)]}),
            (10, {"subscriptions": [policy(1, -500)]}),
            (20, {"telemetry": reports(0, 150, 200) + reports(1, 150, 200)}),
            (140, {"oracle_readings": [curfew(1, 200), curfew(0, 240)]}),
        ],
    )
    collected = source.finish()
    assert collected.late == {"subscriptions": 1}
    claimants = {}
    starts = {record["disruption_id"]: record["start"] for record in collected.outcome.disruptions}
    for claim in collected.outcome.claims:
        claimants.setdefault(starts[claim["disruption_id"]], set()).add(claim["worker_id"])
    assert claimants == {at(0): {"w0"}, at(200): {"w0", "w1"}}


def test_a_late_cancellation_takes_back_nothing_that_was_decided(tmp_path):
    cancelled = policy(0, -10, type="cancelled", event_id="s9")
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy(0)], "telemetry": reports(0, -60, 0)}),
            (-20, {"oracle_readings": [curfew(1, 0), curfew(0, 40)]}),
            (10, {"subscriptions": [cancelled], "telemetry": reports(0, 150, 200)}),
            (140, {"oracle_readings": [curfew(1, 200), curfew(0, 240)]}),
        ],
    )
    collected = source.finish()
    assert collected.late == {"subscriptions": 1}
    assert [claim["status"] for claim in collected.outcome.claims] == ["approved"]
    assert [payout["created_at"] for payout in collected.outcome.payouts] == [at(0)]


def test_a_late_line_that_cannot_be_read_is_one_dead_letter(tmp_path):
    source = scripted(
        tmp_path,
        [
            (None, {"subscriptions": [policy()], "telemetry": ['{"event_id": 1}', *reports(0, -60, 0)]}),
            (10, {"telemetry": ['{"event_id": 1}', '{"event_id": 2}', *reports(0, 10, 12)]}),
            (20, {"telemetry": ["nonsense"], "oracle_readings": ["nonsense"]}),
        ],
    )
    collected = source.finish()
    assert collected.dead_letters == source.locally()[0].dead_letters
    assert collected.counts["telemetry"]["duplicate"] == 1
    assert len(collected.dead_letters) == 4


# Watermarks.


def test_one_stream_an_hour_behind_another(tmp_path):
    """The watermark is the slower's: nothing is late, all is as in a replay."""
    script = [(None, {"subscriptions": [policy(0), policy(1)]})]
    for minutes in range(-60, 200, 10):
        behind = [
            each
            for each in (curfew(1, 0), curfew(0, 40))
            if minutes - 70 < (each["event_time"] - at(0)) / 60_000 <= minutes - 60
        ]
        script.append((minutes - 60, {"telemetry": reports(0, minutes, minutes + 10), "oracle_readings": behind}))
    source = scripted(tmp_path, script)
    collected = source.finish()
    assert not collected.late
    same(collected.outcome, source.locally()[1])
    assert len(collected.outcome.payouts) == 2


class Broker:
    """Partitions whose records arrive by the minutes of a clock, read into the graph under a policy of watermarks."""

    def __init__(self, folder, partitions, idle_after_s=300.0):
        self.source = Scripted(folder)
        bounds = WatermarkBounds({"telemetry": 120_000, "oracle_readings": 120_000}, idle_after_s)
        self.watermarks = PartitionWatermarks(map(_parsed, partitions), bounds, -3_600.0)
        self.believes = False
        """Whether a record's event time counts whatever it says."""

    def arrive(self, partition, minutes, records):
        stream, number = _parsed(partition)
        spoken = {}
        for record in records:
            moment_ms = record["event_time"] if self.believes else min(record["event_time"], at(minutes))
            for speaker in ("one", "two") if self.believes else (record.get("worker_id"),):
                spoken[speaker] = max(moment_ms, spoken.get(speaker, moment_ms))
        self.watermarks.observe(stream, number, spoken, 60.0 * minutes)
        self.source.say(stream, records)
        self.time(minutes)

    def time(self, minutes):
        watermark_ms = self.watermarks.at(60.0 * minutes)
        if watermark_ms is not None:
            self.source.graph.advance(watermark_ms)

    def paid(self):
        return [payout["created_at"] for payout in self.source.graph.collected().outcome.payouts]


def _parsed(partition):
    stream, _, number = partition.partition("-")
    return stream, int(number)


def played(broker, *, telemetry, until=30):
    """Readings every five minutes, a curfew at 0, riders as `telemetry` says by the minute; the clock runs on."""
    broker.source.say("subscriptions", [policy(0)])
    for minutes in range(-60, until):
        for partition, records in telemetry(minutes).items():
            broker.arrive(partition, minutes, records)
        if minutes % 5 == 0:
            broker.arrive("oracle_readings-0", minutes, [curfew(int(minutes >= 0), minutes)])
        broker.time(minutes)


@pytest.mark.parametrize("silent_from", mostly_slow([-20, -60]))
def test_a_silent_source_or_an_idle_partition_does_not_stop_claims(tmp_path, silent_from):
    """One partition never gives anything, or falls silent: claims are decided all the same, while time goes on."""
    broker = Broker(tmp_path / "in", ["telemetry-0", "telemetry-1", "oracle_readings-0"])

    def telemetry(minutes):
        found = {"telemetry-0": reports(0, minutes, minutes + 1)}
        if minutes < silent_from:
            found["telemetry-1"] = reports(1, minutes, minutes + 1)
        return found

    played(broker, telemetry=telemetry)
    assert broker.paid() == [at(0)]
    assert at(20) < broker.watermarks.at(at(29)) < at(29)


@pytest.mark.slow
def test_without_patience_a_silent_source_would_stop_them(tmp_path):
    broker = Broker(tmp_path / "in", ["telemetry-0", "telemetry-1", "oracle_readings-0"], None)
    played(broker, telemetry=lambda minutes: {"telemetry-0": reports(0, minutes, minutes + 1)})
    assert broker.paid() == []


@pytest.mark.slow
@pytest.mark.parametrize("believing", mostly_slow([False, True]))
def test_a_clock_an_hour_ahead_does_not_close_the_world_early(tmp_path, believing):
    """A phone whose clock is an hour ahead, and honest ones: were it believed, theirs would all come too late."""
    broker = Broker(tmp_path / "in", ["telemetry-0", "oracle_readings-0"])
    broker.believes = believing

    def telemetry(minutes):
        return {"telemetry-0": [*reports(0, minutes, minutes + 1), report("w9", minutes + 60)]}

    played(broker, telemetry=telemetry)
    collected = broker.source.graph.collected()
    if believing:
        assert collected.late["telemetry"] > 50
    else:
        assert not collected.late
        assert broker.paid() == [at(0)]
        # The phone's reports wait for their time, and lose nothing.
        assert broker.source.finish().counts["telemetry"]["used"] == 180
