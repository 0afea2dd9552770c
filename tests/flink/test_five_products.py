"""All five products at once in batch on Flink: the local engine's bytes, of which each is as it would be alone
(tests/replay/test_five_products.py). As a stream they run in tests/live/test_examples.py."""

import pytest
from kit.five import five_at_once
from kit.flink_runs import in_batch, locally
from kit.streams import write_streams

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def test_in_batch(shared, tmp_path):
    source = write_streams(tmp_path / "in", five_at_once(shared, "902"), parts=3)
    assert in_batch(source, tmp_path / "out", 2, buckets=5) == locally(source, tmp_path / "local")
