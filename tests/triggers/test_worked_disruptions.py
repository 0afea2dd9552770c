"""The worked examples beside the project: what the triggers of all five products find, whoever claims on it."""

from __future__ import annotations

import json

import h3.api.basic_int as h3
import numpy as np
import pytest

from monsoon.sources.product_files import load_products
from monsoon.sources.streams import read_stream
from monsoon.transforms.geo.areas import Zones
from monsoon.transforms.triggers.conditions import alert_condition
from monsoon.transforms.triggers.readings import reading_from_record
from monsoon.transforms.triggers.series import judge_trigger, witness_moments
from monsoon.transforms.validation.catalogue import Catalogue

PRODUCTS = load_products()


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module", params=[(name, period) for name in PRODUCTS for period in ("901", "902")], ids="-".join)
def example(request, shared):
    name, period = request.param
    folder = shared / "examples" / f"{name}-{period}"
    catalogue = Catalogue({each: product.accepts_plan for each, product in PRODUCTS.items()})
    frame = read_stream("oracle_readings", folder, catalogue, lambda *_: None).frame
    readings = [reading_from_record(record) for record in frame.to_dicts()]
    return PRODUCTS[name], readings, rows(folder / "expected" / "disruptions.jsonl"), rows(folder / "notes.jsonl")


def telling(trigger, readings, zones, expected):
    """Telemetry as the expectations have it: it bears out what they list, and nothing else."""
    spans = {}
    for record in expected:
        if record["trigger"] == trigger.name:
            span = (record["start"], record["absent_since"])
            spans.setdefault((record["platform"], h3.str_to_int(record["zone"])), []).append(span)
    return {
        (asked.platform, zone, at_ms): float(any(start <= at_ms < gone for start, gone in spans[asked.platform, zone]))
        for asked in witness_moments(trigger, readings, zones)
        for zone in asked.zones.tolist()
        if (asked.platform, zone) in spans
        for at_ms in asked.moments_ms.tolist()
    }


def test_disruptions(example):
    product, readings, expected, notes = example
    cells = [h3.str_to_int(record["zone"]) for record in (*expected, *notes)]
    zones = Zones.of(np.array(cells, dtype=np.uint64), product.zone_resolution)
    got = {}
    for trigger in product.triggers:
        witnessed = telling(trigger, readings, zones, expected) if trigger.witness else None
        for series in judge_trigger(trigger, readings, zones, alert=alert_condition(product), witnessed=witnessed):
            for revision in series.revisions:
                for zone in series.zones.tolist():
                    key = (trigger.name, h3.int_to_str(zone), series.platform, revision.episode.start_ms)
                    got[key] = (trigger, revision)
    wanted = {(r["trigger"], r["zone"], r["platform"], r["start"]): r for r in expected}
    assert got.keys() == wanted.keys()
    for key, (trigger, revision) in got.items():
        want, episode = wanted[key], revision.episode
        assert (trigger.peril, revision.state) == (want["peril"], want["state"]), key
        assert (episode.confirmed_at_ms, episode.severity) == (want["confirmed_at"], want["severity"]), key
        assert (episode.level, list(episode.providers)) == (want["level"], want["providers"]), key
        if revision.state == "withdrawn":
            assert revision.at_ms == want["withdrawn_at"], key
        else:
            assert (episode.absent_since_ms, episode.end_ms) == (want["absent_since"], want["end"]), key
