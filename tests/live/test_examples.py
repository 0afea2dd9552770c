"""The worked examples of five products at once through Kafka and the live job end in the records of a replay."""

import pytest
from kit.five import five_at_once
from kit.streams import write_streams
from live.test_live import same

pytestmark = [pytest.mark.flink, pytest.mark.slow]


def test_five_products_at_once(stack, shared, tmp_path):
    source = write_streams(tmp_path / "in", five_at_once(shared, "901"), parts=3)
    same(stack, source, tmp_path, "--max-refused-share", "1")
