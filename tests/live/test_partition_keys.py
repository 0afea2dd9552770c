"""Keys of tasks: partitions are spread over the tasks at any parallelism, and each task knows its own."""

from hypothesis import given
from hypothesis import strategies as st

from monsoon.pipelines.flink.keys import MAX_PARALLELISM
from monsoon.pipelines.flink.partition_keys import MAX_PARTITIONS, PartitionKeys, code_of, sql_key_group
from monsoon.sources.files import INPUT_STREAMS

STREAMS = ("telemetry", "oracle_readings", "subscriptions", "reserves", "confirmations")
COUNTS = st.fixed_dictionaries({stream: st.integers(1, 40) for stream in STREAMS})


@given(COUNTS, st.integers(1, 128))
def test_tasks_read_about_as_many_partitions_as_each_other(counts, parallelism):
    keys = PartitionKeys(counts, parallelism)
    assert len(keys.keys) == len(keys.partitions) == sum(counts.values())
    read = [keys.of_task(task, parallelism) for task in range(parallelism)]
    assert sorted(partition for some in read for partition in some) == sorted(keys.partitions)
    if 2 * parallelism <= len(keys.partitions) <= 128:
        assert min(map(len, read)) >= 1
    fair = len(keys.partitions) / parallelism
    assert max(map(len, read)) <= 2 * fair + 2


@given(COUNTS, st.integers(1, 128), st.integers(1, 128))
def test_a_task_has_one_key_and_knows_its_partitions_at_any_parallelism(counts, started, now):
    keys = PartitionKeys(counts, started)
    for task in range(started):
        assert len({keys.keys[partition] for partition in keys.of_task(task, started)}) <= 1
    for task in range(now):
        for partition in keys.of_task(task, now):
            assert sql_key_group(keys.keys[partition]) * now // MAX_PARALLELISM == task


def test_partitions_of_different_topics_are_told_apart():
    codes = [code_of(stream, number) for stream in INPUT_STREAMS for number in (0, 1, MAX_PARTITIONS - 1)]
    assert len(set(codes)) == len(codes)
    assert max(codes) < 2**20  # with 43 bits of a timestamp in one BIGINT


def test_tasks_share_the_partitions_of_telemetry():
    counts = {"telemetry": 4, "oracle_readings": 2, "subscriptions": 2, "reserves": 1, "confirmations": 1}
    for parallelism in (2, 4):
        keys = PartitionKeys(counts, parallelism)
        read = [
            sum(stream == "telemetry" for stream, _ in keys.of_task(task, parallelism)) for task in range(parallelism)
        ]
        assert read == [4 // parallelism] * parallelism
