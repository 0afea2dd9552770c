"""Four times as much input takes about four times the work, where a series, a rider or a policy has a great deal.

Work is lines of Python run, which repeats exactly on any machine; a quadratic step shows as a ratio toward sixteen.
"""

from dataclasses import replace

import numpy as np
import pytest
from kit import LAT, LON, ScriptedScores, at, kawaach, product_of, reading_record, subscription_record, update, zones_at
from kit.examples import mostly_slow
from kit.graph import settings_of
from kit.growth import CONSTANT, LINEAR, growth
from kit.streams import policy_record, report
from msgspec import structs

from monsoon.pipelines.operators.confirm_disruptions import ConfirmDisruptions
from monsoon.pipelines.operators.rider_evidence import RiderEvidence
from monsoon.pipelines.runtime.keyed_operator import BEFORE_TIME_MS, StateWriter
from monsoon.pipelines.runtime.messages import Message, pack
from monsoon.pipelines.runtime.report_codec import pack_reports
from monsoon.sources.reference import read_references
from monsoon.sources.report_batch import from_frame
from monsoon.sources.telemetry_columns import records_frame
from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.areas import Area
from monsoon.transforms.geo.cells import cell_of
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.disruption_log import SeriesRecord
from monsoon.transforms.triggers.evaluate import evaluate_trigger
from monsoon.transforms.triggers.event_detector import EventState
from monsoon.transforms.triggers.history import END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.incremental import IncrementalTrigger, TelemetryQueryTrigger
from monsoon.transforms.triggers.machine import Revision, TriggerMachine
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.validation.record_validator import ValidRecord

KAWAACH = kawaach()
JUGAAD = product_of("jugaad")
HERE = Area("disc", LAT, LON, radius_km=10.0)


def said(value, minutes, name="imd", metric="rain_mm_24h", revision=0, issued=None, area=HERE, place=""):
    issued_ms = at(minutes if issued is None else issued)
    return Reading(
        f"{name}{place}-{minutes}", revision, name, "official", metric, value, at(minutes), issued_ms, None, area
    )


def play(trigger, readings, machine=None):
    moments = {}
    for reading in readings:
        moments.setdefault(reading.effective_ms, []).append(Observation(reading, 0))
    machine = machine or TriggerMachine(KAWAACH.trigger(trigger))
    for at_ms in sorted(moments):
        machine.take_effect(at_ms, moments[at_ms])
    machine.run_until(END_OF_TIME_MS)
    return machine


@pytest.mark.parametrize(
    ("trigger", "steady"),
    mostly_slow([("rain", False), ("rain", True), ("aqi", False), ("aqi", True)]),
    ids=["rain-many episodes", "rain-one long episode", "aqi-many episodes", "aqi-one long episode"],
)
def test_corrections_of_the_oldest_reading(trigger, steady):
    """As many corrections as readings: each reaches back to the beginning, and is judged until nothing differs."""
    low, high = (20, 80) if trigger == "rain" else (200, 400)
    metric = KAWAACH.trigger(trigger).metric

    def prepare(count):
        readings = [
            said(high if steady or n // 20 % 2 == 0 else low, 30 * n, name, metric)
            for n in range(count)
            for name in ("imd", "skymet")
        ]
        readings += [
            said((low, high)[n % 2], 0, metric=metric, revision=n + 1, issued=30 * count + n) for n in range(count)
        ]
        return lambda: play(trigger, readings)

    assert growth(prepare, 100) < LINEAR


@pytest.mark.parametrize("oldest", mostly_slow(["heat_index_c", "red_alert"]))
def test_corrections_of_a_trigger_that_listens_to_several_metrics(oldest):
    """Each flips a reading of the first day; an alert and what must hold as well are part of what is judged again."""
    heat, alert = JUGAAD.trigger("heat"), alert_condition(JUGAAD)

    def prepare(count):
        readings = [said(50 if n // 20 % 2 == 0 else 20, 30 * n, metric="heat_index_c") for n in range(count)]
        readings += [said(n // 40 % 2, 30 * n, "ndma", "red_alert") for n in range(count)]
        name, values = ("imd", (20, 50)) if oldest == "heat_index_c" else ("ndma", (1, 0))
        readings += [said(values[n % 2], 0, name, oldest, revision=n + 1, issued=30 * count + n) for n in range(count)]
        return lambda: play("heat", readings, TriggerMachine(heat, alert))

    assert growth(prepare, 100) < LINEAR


def test_many_providers_in_one_zone():
    def prepare(count):
        spacing = 60 / count
        readings = [
            said((20, 80)[(n + hour) % 2], 60 * hour + spacing * n, f"p{n}") for n in range(count) for hour in (0, 1)
        ]
        return lambda: play("rain", readings)

    assert growth(prepare, 100) < LINEAR


def test_many_places_of_one_provider():
    """Zones all of different nearness, so each is a series: the work is stations times zones."""
    zones = zones_at(*((LAT + 0.004 * n, LON) for n in range(4)))

    def prepare(count):
        rng = np.random.default_rng(7)
        areas = [Area("disc", LAT + d, LON + e, radius_km=20.0) for d, e in rng.uniform(-0.02, 0.02, (count, 2))]
        readings = [
            said(80, 20 * n / count, name, area=area, place=n) for n, area in enumerate(areas) for name in ("imd", "x")
        ]
        return lambda: evaluate_trigger(KAWAACH.trigger("rain"), readings, zones)

    assert growth(prepare, 100) < LINEAR


def advance(running, readings):
    """An advance for each reading, at its moment."""
    for reading in readings:
        running.observe(reading, reading.effective_ms)
        if isinstance(running, TelemetryQueryTrigger):
            running.pending_queries(reading.effective_ms)
        else:
            running.advance(reading.effective_ms)
        assert running.next_due_ms is not None


def running_of(which, places):
    """A trigger on a stream with zones at these places, and by what to make a reading of it: of the kind that publishes
    revisions, or that queries telemetry."""
    product = {"revisions": KAWAACH, "queries": product_of("offshift")}[which]
    trigger = product.trigger({"revisions": "rain", "queries": "outage"}[which])
    kind = {"revisions": IncrementalTrigger, "queries": TelemetryQueryTrigger}[which]
    running = kind(trigger, product.zone_resolution)
    running.add_cells(zones_at(*places, resolution=product.zone_resolution).cells.tolist())

    def observed(minutes, north, place):
        area = Area("disc", LAT + north, LON, radius_km=10.0)
        reading = said(90, minutes, metric=trigger.metric, area=area, place=place)
        return replace(reading, platform="zepto" if trigger.platform_only else None)

    return running, observed


@pytest.mark.parametrize("onward", mostly_slow([False, True]), ids=["around the same zones", "onward"])
@pytest.mark.parametrize("which", ["revisions", "queries"])
def test_a_disc_that_moves_with_each_reading(which, onward):
    """Each is a new place, nearer to some zones than those before; `onward`: as many zones as readings."""

    def prepare(count):
        north = [0.02 * n if onward else 0.02 * (n % 7) + 0.0001 * n for n in range(count)]
        zones = [(LAT + degrees, LON) for degrees in north[: count if onward else 7]]
        running, observed = running_of(which, zones)
        readings = [observed(30 * n, degrees, n) for n, degrees in enumerate(north)]
        return lambda: advance(running, readings)

    assert growth(prepare, 50) < LINEAR


@pytest.mark.parametrize("which", ["revisions", "queries"])
def test_zones_without_news(which):
    """As many groups of zones as readings, of which all but the first have but one reading."""

    def prepare(count):
        running, observed = running_of(which, [(LAT + 0.2 * n, LON) for n in range(count)])
        advance(running, [observed(n, 0.2 * n, n) for n in range(count)])
        further = [observed(count + n, 0.0, 0) for n in range(count)]
        return lambda: advance(running, further)

    assert growth(prepare, 50) < LINEAR


def adjudicate(updates, scores):
    machine = RiderMachine(KAWAACH, "m1", scores)
    moments = {}
    for item in updates:
        moments.setdefault(item.at_ms, []).append(item)
    ahead = sorted(moments, reverse=True)
    while ahead or machine.next_due_ms is not None:
        due_ms = machine.next_due_ms
        at_ms = ahead.pop() if ahead and (due_ms is None or ahead[-1] <= due_ms) else due_ms
        machine.decide(at_ms, moments.get(at_ms, ()))


@pytest.mark.parametrize("risk", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("apart", [0, 7, 360], ids=["at once", "close together", "apart"])
def test_many_claims_of_one_rider(risk, apart):
    def prepare(count):
        opened = [update(f"d{n}", apart * n) for n in range(count)]
        ended = [structs.replace(item, at_ms=item.at_ms + 3_600_000, end_ms=item.at_ms + 3_600_000) for item in opened]
        return lambda: adjudicate(opened + ended, ScriptedScores(default=risk))

    assert growth(prepare, 50) < LINEAR


def ask(events, count, minutes):
    coverage = Coverage(KAWAACH, events)
    for n in range(count):
        assert coverage.applicable_policy("w1", KAWAACH.trigger("rain"), None, at(minutes * n + 1)) is not None


def test_many_policies_of_one_rider():
    def prepare(count):
        events = [subscription_record("activated", n, n, 10_000, policy_id=f"p{n}") for n in range(count)]
        return lambda: ask(events, count, 1)

    assert growth(prepare, 100) < LINEAR


def test_many_events_of_one_policy():
    def prepare(count):
        events = [subscription_record("renewed", 10 * n, 10 * n, 10 * n + 30) for n in range(count)]
        return lambda: ask(events, count, 10)

    assert growth(prepare, 100) < LINEAR


class Bucket:
    """One bucket of riders of kawaach; `settings` has the folder of a source."""

    def __init__(self, settings):
        self._operator = RiderEvidence(0, StateWriter(), settings, read_references(settings.references))

    def _take(self, kind, payload):
        self._operator.process(Message("riders-evidence", 0, kind, 0, payload))

    def policies(self, *records):
        self._take("policies", pack(records))

    def reports(self, *records):
        self._take("rows", pack_reports(from_frame(records_frame([ValidRecord(each, ()) for each in records]))))

    def curfew(self, minutes, lat=LAT, state="confirmed"):
        event = EventState(at(minutes), at(minutes), 1.0, None, ("imd",), ("r",), at(minutes))
        if state == "ended":
            event = replace(event, absent_since_ms=at(minutes + 5), end_ms=at(minutes + 5))
        revisions = [Revision(at(minutes + 5 * n), n, each, event) for n, each in enumerate({"confirmed": 0, state: 0})]
        zone = cell_of(lat, LON, KAWAACH.zone_resolution)
        self._take("series", pack([SeriesRecord("kawaach/curfew", None, [zone], revisions, BEFORE_TIME_MS)]))

    def advance(self, minutes):
        return list(self._operator.advance(at(minutes) - 1))


NEWS_MIN = 49 * 60
"""Later than a day after all that was: what phones saw in the day before a claim is looked at."""
"""Within an hour of event time, so that nothing expires with the news."""


def news_of_a_day_later(bucket):
    """A rider of a new policy reports, and there is a curfew, which is not the first."""
    bucket.curfew(NEWS_MIN - 30, LAT - 1)
    bucket.advance(NEWS_MIN)

    def work():
        bucket.policies(policy_record("new", "p-new"))
        bucket.reports(*(report("new", NEWS_MIN + minutes, lat=LAT, lon=LON) for minutes in range(8)))
        bucket.curfew(NEWS_MIN + 9)
        messages = bucket.advance(NEWS_MIN + 10)
        assert {"happenings/kawaach", "evidence/kawaach"} <= {message.kind for message in messages}

    return work


@pytest.fixture
def bucket(tmp_path):
    return lambda: Bucket(settings_of(tmp_path, buckets=1, products=["kawaach"]))


def test_riders_of_a_bucket_without_news(bucket):
    def prepare(count):
        made = bucket()
        made.policies(*(policy_record(f"w{n}", f"p{n}", home_lat=LAT + 1 + 0.1 * n) for n in range(count)))
        made.reports(*(report(f"w{n}", 5 * minutes) for n in range(count) for minutes in range(3)))
        return news_of_a_day_later(made)

    assert growth(prepare, 30) < CONSTANT


def test_policies_of_a_product(bucket):
    def prepare(count):
        made = bucket()
        made.policies(*(policy_record(f"w{n}", f"p{n}", home_lat=LAT + 1 + 0.1 * n) for n in range(count)))
        return news_of_a_day_later(made)

    assert growth(prepare, 100) < CONSTANT


@pytest.mark.slow
def test_history_of_panes_and_disruptions(bucket):
    def prepare(count):
        made = bucket()
        made.policies(*(policy_record(name, f"p-{name}") for name in ("w0", "w1")))
        for n in range(count):
            made.reports(*(report(f"w{n % 2}", 10 * n + minutes) for minutes in (0, 5)))
            made.curfew(10 * n, LAT + 0.1 * (1 + n % 7), "ended")
            made.advance(10 * n + 10)
        return news_of_a_day_later(made)

    assert growth(prepare, 30) < CONSTANT


@pytest.mark.parametrize("corrected", [False, True], ids=["a reading", "a correction"])
def test_zones_and_readings_of_other_regions(tmp_path, corrected):
    """A reading costs nothing in regions that it does not touch, nor does its correction, though one key has them
    all; many readings of one region beside as much in regions of their own."""
    settings = settings_of(tmp_path, buckets=1, products=["kawaach"])
    (curfew,) = (each for each, name in settings.trigger_of_id.items() if name == "kawaach/curfew")

    def curfew_at(value, minutes, place, **fields):
        return reading_record("curfew", value, minutes, lat=place[0], lon=place[1], radius_km=5.0, **fields)

    def prepare(count):
        operator = ConfirmDisruptions(0, StateWriter(), settings)

        def take(kind, value):
            operator.process(Message("judge-triggers", 0, kind, 0, pack(value)))
            operator.state.drain()

        places = [(LAT, LON), *((10 + n // 12, 70 + 1.5 * (n % 12)) for n in range(count))]
        take("cells", [([curfew], [cell_of(*place, KAWAACH.zone_resolution)]) for place in places])
        crowd = [(LAT - 5, LON + 0.01 * n) for n in range(count)]
        take("cells", [([curfew], [cell_of(*place, KAWAACH.zone_resolution) for place in crowd])])
        for n, place in enumerate([*places, *crowd]):
            take("readings", [curfew_at(int(n > 0), 1, place, reading_id=f"r{n}")])
        list(operator.advance(at(40)))
        new = curfew_at(1, 45, (LAT, LON))
        if corrected:
            new = curfew_at(1, 1, (LAT, LON), reading_id="r0", revision=1, issued_time=at(45))

        def work():
            take("readings", [new])
            (message, *_) = operator.advance(at(46))
            assert message.kind == "series"

        return work

    assert growth(prepare, 25) < CONSTANT
