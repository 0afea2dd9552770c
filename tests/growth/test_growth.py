"""Four times as much input takes about four times the work, where a series, a rider or a policy has a great deal.

Work is lines of Python run, which repeats exactly on any machine; a quadratic step shows as a ratio toward sixteen.
"""

import sys
from dataclasses import replace

import numpy as np
import pytest
from kit import LAT, LON, ScriptedScores, at, kawaach, product_of, subscription_record, update, zones_at
from kit.examples import mostly_slow

from monsoon.transforms.adjudication.machine import RiderMachine
from monsoon.transforms.coverage import Coverage
from monsoon.transforms.geo.areas import Area
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.history import Observation
from monsoon.transforms.triggers.machine import TriggerMachine
from monsoon.transforms.triggers.readings import Reading
from monsoon.transforms.triggers.series import evaluate_trigger

KAWAACH = kawaach()
JUGAAD = product_of("jugaad")
HERE = Area("disc", LAT, LON, radius_km=10.0)
LINEAR = 5.5


def lines_run(work, *args):
    """Lines of Python that `work` runs, by a trace function."""
    lines = 0

    def count(frame, event, arg):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work(*args)
    finally:
        sys.settrace(before)
    return lines


def growth(prepare, size):
    """Lines run for four times the size, by lines run for the size; `prepare` returns what is measured."""
    prepare(2)()  # what is computed once, however much comes
    return lines_run(prepare(4 * size)) / lines_run(prepare(size))


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
    machine.finish()
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
        ended = [replace(item, at_ms=item.at_ms + 3_600_000, end_ms=item.at_ms + 3_600_000) for item in opened]
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
