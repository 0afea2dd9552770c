"""Who moves event time in the partitions of a broker: the latest speakers of each, not beyond when they were heard."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kit import at, reading_record
from kit.streams import policy_record, report

from monsoon.pipelines.operators.validate import Validate
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.sources.kafka.records import lines_of
from monsoon.sources.product_files import load_products

PRODUCTS = load_products()
VALIDATE = Validate(JobConfig(PRODUCTS, PRODUCTS, Path("reference"), None, 4))


def spoken_in(stream, lines, partitions, arrived_ms):
    spoken = {}
    values = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    found = lines_of(values, np.array(partitions, dtype=np.int64), np.array(arrived_ms, dtype=np.int64))
    assert list(VALIDATE.lines(stream, found, spoken))
    return spoken


REPORT = st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 50), st.integers(0, 2), st.booleans())


@given(st.lists(REPORT, min_size=1, max_size=12))
def test_of_reports_the_latest_two_riders_of_each_partition(reports):
    lines = [report(f"w{rider}", minute) if valid else b"no report" for rider, minute, _, _, valid in reports]
    arrived_ms = [at(arrival) for _, _, arrival, _, _ in reports]
    latest = {}
    for rider, minute, arrival, partition, valid in reports:
        if valid:
            of_riders = latest.setdefault(partition, {})
            of_riders[f"w{rider}"] = max(at(min(minute, arrival)), of_riders.get(f"w{rider}", 0))
    found = spoken_in("telemetry", lines, [each[3] for each in reports], arrived_ms)
    assert found.keys() == latest.keys()
    for partition, riders in latest.items():
        assert found[partition].items() <= riders.items()
        assert sorted(found[partition].values()) == sorted(riders.values())[-2:]


def test_of_other_records_all_who_speak():
    readings = [
        reading_record("curfew", 1, minute, provider=name) for minute, name in ((0, "imd"), (5, "imd"), (3, "x"))
    ]
    assert spoken_in("oracle_readings", [*readings, b"{}"], [4, 4, 5, 6], [at(9), at(4), at(9), at(9)]) == {
        4: {"imd": at(4)},
        5: {"x": at(3)},
    }
    assert spoken_in("subscriptions", [policy_record("wa", "p1", 7)], [1], [at(60)]) == {1: {"p1": at(7)}}
