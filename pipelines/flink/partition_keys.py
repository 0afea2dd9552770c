"""Where the records of the input topics' partitions go: each task has a key, by which Flink SQL gathers there what its
partitions bring.

Partitions have key groups at equal distances, as `keys.py` gives them to buckets, and so spread evenly over the tasks.
The key of a task is one of its first partition's group, by the hash of SQL's own rows. A task knows from the start
which partitions it will read, so that one from which nothing has come yet holds back event time there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from monsoon.pipelines.flink.keys import MAX_PARALLELISM, even_groups, murmur_hash, smallest_keys
from monsoon.sources.files import INPUT_STREAMS

MAX_PARTITIONS = 4096
"""Of a topic: the code of a partition is its number, and a multiple of this by its stream."""
_SEED = 42


@dataclass(frozen=True)
class PartitionKeys:
    """The partitions of the input topics: how many each stream's topic has; for a job that is started with so many
    tasks. `keys` depend on this number; where they go to, on how many there are now."""

    counts: Mapping[str, int]
    parallelism: int

    @cached_property
    def partitions(self) -> tuple[tuple[str, int], ...]:
        """Stream and number of each partition, those of a stream at equal distances, so that tasks share them."""
        placed = [
            ((number + 0.5) / count, stream, number) for stream, count in self.counts.items() for number in range(count)
        ]
        return tuple((stream, number) for _, stream, number in sorted(placed))

    @cached_property
    def keys(self) -> dict[tuple[str, int], int]:
        """By partition, the key of the task to which its records go."""
        smallest = smallest_keys(sql_key_group)
        first: dict[int, int] = {}
        return {
            partition: smallest[first.setdefault(_task(group, self.parallelism), group)]
            for partition, group in zip(self.partitions, even_groups(len(self.partitions)), strict=True)
        }

    def of_task(self, task: int, parallelism: int) -> list[tuple[str, int]]:
        """The partitions whose records come to a task, of as many as there are now."""
        return [partition for partition, key in self.keys.items() if _task(sql_key_group(key), parallelism) == task]


def code_of(stream: str, number: int) -> int:
    """A number for each partition of the input topics."""
    return INPUT_STREAMS.index(stream) * MAX_PARTITIONS + number


def _task(group: int, parallelism: int) -> int:
    return group * parallelism // MAX_PARALLELISM


def sql_key_group(key: int) -> int:
    """The key group of a row of one INT, as Flink SQL partitions by it.

    org.apache.flink.table.data.binary.BinaryRowData hashes its words, which are eight bytes of header and eight of the
    value, by MurmurHashUtils with seed 42; KeyGroupRangeAssignment takes the hash from there.
    """
    state = _SEED
    for word in (0, 0, key, 0):
        state = (_rotated(state ^ _mixed(word), 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    state ^= 16
    state = (state ^ state >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    state = (state ^ state >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    state ^= state >> 16
    return murmur_hash(state) % MAX_PARALLELISM


def _mixed(word: int) -> int:
    return _rotated(word * 0xCC9E2D51 & 0xFFFFFFFF, 15) * 0x1B873593 & 0xFFFFFFFF


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & 0xFFFFFFFF
