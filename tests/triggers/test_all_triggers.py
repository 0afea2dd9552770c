"""Properties of every trigger of every product: corrections end where judging afresh does, whatever is remembered."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from unittest.mock import patch

import pytest
from kit import at, reading
from kit.examples import mostly_slow

from monsoon.sources.product_files import load_products
from monsoon.transforms.triggers import history as history_module
from monsoon.transforms.triggers.conditions import SeriesRules, alert_condition
from monsoon.transforms.triggers.event_detector import EventDetector, as_published
from monsoon.transforms.triggers.history import END_OF_TIME_MS, Observation
from monsoon.transforms.triggers.machine import TriggerMachine

PRODUCTS = load_products()
TRIGGERS = [(product, trigger) for product in PRODUCTS.values() for trigger in product.triggers]
SLOT = 17

cases = pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(
            (product, trigger),
            id=f"{product.name}-{trigger.name}",
            marks=[] if trigger is product.triggers[0] else [pytest.mark.slow],
        )
        for product, trigger in TRIGGERS
    ],
)
seeds = pytest.mark.parametrize("seed", mostly_slow([0, 1]))


def built(chosen, seed):
    """A few days of readings of everything that the trigger listens to, with spells of breach, and corrections of
    every second reading or so: of its value, of its place."""
    product, trigger = chosen
    random = Random(seed)
    found = []
    conditions = {each.metric: each for each in SeriesRules.of(trigger, alert_condition(product)).conditions}
    for condition in conditions.values():
        breach = condition.breaches[0]
        harsh = condition.breaches[-1].threshold
        pause = max(1, min(condition.ttl_ms // 60_000 // SLOT, 12))
        for provider in ("imd", "admin", "news", "grid"):
            slot, spell = random.randrange(6), True
            while slot < 160:
                slot += 1 + random.randrange(pause) + 12 * (random.random() < 0.05)
                spell ^= random.random() < 0.15
                name = f"{provider}-{condition.metric}-{slot}"
                for revision in range(random.choice((1, 1, 2, 3))):
                    side = spell if revision == 0 else random.random() < 0.5
                    worse = (harsh - breach.threshold) * random.randrange(2) + random.randrange(3)
                    worse = worse + 1 if side else -1 - worse
                    value = breach.threshold + (worse if breach.larger_is_worse else -worse)
                    emitted = reading(
                        condition.metric,
                        float(side) if breach.operator == "=" else value,
                        SLOT * slot,
                        reading_id=name,
                        revision=revision,
                        provider=provider,
                        quality="fallback" if provider == "grid" else "official",
                        issued_time=at(SLOT * (slot + random.randrange(120 if revision else 2))),
                    )
                    found.append(
                        Observation(emitted, random.choice((0, 0, 1, 1, None)) if revision else random.randrange(2))
                    )
    random.shuffle(found)
    return sorted(found, key=lambda item: item.reading.effective_ms)


def machine_of(chosen):
    product, trigger = chosen
    # Telemetry agrees at two moments of three.
    agreed = {at(SLOT * slot) for slot in range(300) if slot % 3}
    return TriggerMachine(trigger, alert_condition(product), agreed if trigger.telemetry_condition else frozenset())


def play(machine, observed):
    moments = {}
    for item in observed:
        moments.setdefault(item.reading.effective_ms, []).append(item)
    return [revision for at_ms in sorted(moments) for revision in machine.take_effect(at_ms, moments[at_ms])]


def open_status(published):
    """What stands in the end, without what belongs to a revision alone."""
    last = {revision.event.start_ms: revision for revision in published}
    return {start: replace(r.event, modes=()) for start, r in last.items() if r.state != "withdrawn"}


@cases
@seeds
def test_corrections_end_where_judging_the_last_revisions_afresh_does(chosen, seed):
    observed = built(chosen, seed)
    with patch.object(history_module, "_SNAPSHOT_READINGS", 3):
        machine = machine_of(chosen)
        published = play(machine, observed) + machine.run_until(END_OF_TIME_MS)
    last = {}
    for item in sorted(observed, key=lambda item: item.reading.revision):
        last[item.reading.reading_id] = item
    fresh = EventDetector(machine._rules)
    for item in (item for item in last.values() if item.distance_rank is not None):
        fresh.observe(item.distance_rank, item.reading)
    list(fresh.run(2**62))
    assert open_status(published) == {event.start_ms: replace(as_published(event), modes=()) for event in fresh.events}


@cases
@seeds
def test_where_a_fold_starts_again_makes_no_difference(chosen, seed):
    observed = built(chosen, seed)
    found = []
    for readings in (1, 4, 1000):
        with patch.object(history_module, "_SNAPSHOT_READINGS", readings):
            machine = machine_of(chosen)
            found.append((play(machine, observed) + machine.run_until(END_OF_TIME_MS), machine.query_times_ms))
    assert found[0] == found[1] == found[2]


@cases
@seeds
def test_revisions_count_up_and_silent_ones_do_not_count(chosen, seed):
    machine = machine_of(chosen)
    counts = {}
    published = play(machine, built(chosen, seed)) + machine.run_until(END_OF_TIME_MS)
    assert [revision.at_ms for revision in published] == sorted(revision.at_ms for revision in published)
    for revision in published:
        before = counts.get(revision.event.start_ms, -1)
        assert revision.revision == (before if revision.silent else before + 1)
        assert not revision.silent or chosen[1].activity is not None
        counts[revision.event.start_ms] = revision.revision
