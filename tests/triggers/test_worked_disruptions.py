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
from monsoon.transforms.triggers.evaluate import evaluate_trigger, telemetry_queries
from monsoon.transforms.triggers.readings import reading_from_record
from monsoon.transforms.validation.catalogue import Catalogue

PRODUCTS = load_products()


def rows(path):
    return [json.loads(group) for group in path.read_text().splitlines()]


@pytest.fixture(scope="module", params=[(name, period) for name in PRODUCTS for period in ("901", "902")], ids="-".join)
def example(request, shared):
    name, period = request.param
    folder = shared / "examples" / f"{name}-{period}"
    catalogue = Catalogue({each: product.accepts_plan for each, product in PRODUCTS.items()})
    stated = read_stream("oracle_readings", folder, catalogue, lambda *_: None).records
    readings = [reading_from_record(record) for record in stated]
    return PRODUCTS[name], readings, rows(folder / "expected" / "disruptions.jsonl"), rows(folder / "notes.jsonl")


def telling(trigger, readings, zones, expected):
    """Telemetry as the expectations have it: it bears out what they list, and nothing else."""
    spans = {}
    for record in expected:
        if record["trigger"] == trigger.name:
            span = (record["start"], record["absent_since"])
            spans.setdefault((record["platform"], h3.str_to_int(record["zone"])), []).append(span)
    return {
        (queried.platform, zone, at_ms): float(
            any(start <= at_ms < gone for start, gone in spans[queried.platform, zone])
        )
        for queried in telemetry_queries(trigger, readings, zones)
        for zone in queried.zones.tolist()
        if (queried.platform, zone) in spans
        for at_ms in queried.moments_ms.tolist()
    }


def test_disruptions(example):
    product, readings, expected, notes = example
    cells = [h3.str_to_int(record["zone"]) for record in (*expected, *notes)]
    zones = Zones.from_cells(np.array(cells, dtype=np.uint64), product.zone_resolution)
    got = {}
    for trigger in product.triggers:
        telemetry_values = telling(trigger, readings, zones, expected) if trigger.telemetry_condition else None
        for series in evaluate_trigger(
            trigger, readings, zones, alert=alert_condition(product), telemetry_values=telemetry_values
        ):
            for revision in series.revisions:
                for zone in series.zones.tolist():
                    key = (trigger.name, h3.int_to_str(zone), series.platform, revision.event.start_ms)
                    got[key] = (trigger, revision)
    wanted = {(r["trigger"], r["zone"], r["platform"], r["start"]): r for r in expected}
    assert got.keys() == wanted.keys()
    for key, (trigger, revision) in got.items():
        want, event = wanted[key], revision.event
        assert (trigger.peril, revision.state) == (want["peril"], want["state"]), key
        assert (event.confirmed_at_ms, event.severity) == (want["confirmed_at"], want["severity"]), key
        assert (event.level, list(event.providers)) == (want["level"], want["providers"]), key
        if revision.state == "withdrawn":
            assert revision.at_ms == want["withdrawn_at"], key
        else:
            assert (event.absent_since_ms, event.end_ms) == (want["absent_since"], want["end"]), key
