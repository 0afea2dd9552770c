"""Keys of partitions: spread over the tasks at any parallelism, and known for what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monsoon.pipelines.flink.partition_keys import PartitionKeys, partition_of

STREAMS = ("telemetry", "oracle_readings", "subscriptions", "reserves", "confirmations")


@given(st.fixed_dictionaries({stream: st.integers(1, 40) for stream in STREAMS}), st.integers(1, 128))
def test_tasks_read_about_as_many_partitions_as_each_other(counts, parallelism):
    keys = PartitionKeys(counts)
    assert len(set(keys.keys.values())) == len(keys.partitions) == sum(counts.values())
    assert all(partition_of(key) == partition for partition, key in keys.keys.items())
    read = [keys.of_task(task, parallelism) for task in range(parallelism)]
    assert sorted(partition for some in read for partition in some) == sorted(keys.partitions)
    if 2 * parallelism <= len(keys.partitions) <= 128:
        assert min(map(len, read)) >= 1
    fair = len(keys.partitions) / parallelism
    assert max(map(len, read)) <= 2 * fair + 2


@pytest.mark.parametrize("more", [{"telemetry": 9}, {"telemetry": 4, "reserves": 3}])
def test_a_key_says_its_partition_whatever_partitions_there_are(more):
    """A row that was gathered before partitions were added is restored after that."""
    before, after = PartitionKeys({"telemetry": 4}), PartitionKeys(more)
    for partition, key in before.keys.items():
        assert partition_of(key) == partition
        assert partition in after.keys


def test_tasks_share_the_partitions_of_telemetry():
    keys = PartitionKeys({"telemetry": 4, "oracle_readings": 2, "subscriptions": 2, "reserves": 1, "confirmations": 1})
    for parallelism in (2, 4):
        read = [
            sum(stream == "telemetry" for stream, _ in keys.of_task(task, parallelism)) for task in range(parallelism)
        ]
        assert read == [4 // parallelism] * parallelism
