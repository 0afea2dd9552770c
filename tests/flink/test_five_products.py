"""All five products at once on Flink: the local engine's bytes, and each as it would be alone."""

import pytest
from kit.five import PRODUCTS, five_at_once
from kit.flink_runs import PRODUCTS as KNOWN
from kit.flink_runs import in_batch, locally, streaming, written
from kit.streams import write_streams

pytestmark = [pytest.mark.flink, pytest.mark.slow]


@pytest.fixture(scope="module")
def source(shared, tmp_path_factory):
    return write_streams(tmp_path_factory.mktemp("five") / "in", five_at_once(shared, "901"), parts=3)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    return locally(source, tmp_path_factory.mktemp("local") / "out")


def test_in_batch(source, expected, tmp_path):
    assert in_batch(source, tmp_path / "out", 2, buckets=5) == expected


def test_streaming(source, expected, tmp_path):
    assert streaming(source, tmp_path / "out", 2, part_bytes=1_000_000) == expected


def test_each_as_if_it_were_alone(source, expected, tmp_path):
    from monsoon.pipelines.flink.replay import replay

    alone = {}
    for name in PRODUCTS:
        replay(source, tmp_path / name, KNOWN, [name], parallelism=2, buckets=3)
        alone[name] = written(tmp_path / name)
    for stream in expected.keys() - {"summary", "dead_letters"}:
        assert sorted(line for found in alone.values() for line in found[stream]) == expected[stream], stream
