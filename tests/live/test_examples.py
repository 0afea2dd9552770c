"""The worked examples through Kafka and the live job end in the records of a replay."""

import pytest
from live.test_live import same

pytestmark = [pytest.mark.flink, pytest.mark.slow]

EXAMPLES = (
    *("gic-901", "gic-902", "identity-903", "jugaad-901", "jugaad-902", "kawaach-901"),
    *("kawaach-902", "nexora-901", "nexora-902", "offshift-901", "offshift-902", "waiting-903"),
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(stack, shared, tmp_path, example):
    same(stack, shared / "examples" / example, tmp_path, "--max-refused-share", "1")
