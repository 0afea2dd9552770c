"""Buckets as Flink keys: chosen so that they spread evenly over the slots, at any parallelism.

Flink assigns a key to one of `max parallelism` groups by a hash, and each slot a range of groups. Eight small numbers
fall where they like - all on one of two slots, with bad luck - so each bucket is given the smallest number whose group
lies in the middle of the bucket's share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

MAX_PARALLELISM = 128
"""Key groups: what state is cut into when a job is restored at another parallelism. Never changes."""

BUCKETS_PER_SLOT = 4
"""Enough to even out the slots; messages between two operators grow in number with the square of the buckets."""

SCALE_OUT = 8
"""A streaming job has buckets for so many times the slots that it begins with, unless it states their number."""
FORMER_BUCKETS = 4
"""Of jobs whose record does not state the number: an earlier release began them."""

_WORD = 0xFFFFFFFF
_ROW_HASH = 62
"""The hash of a row of one integer is this plus the integer (org.apache.flink.types.Row)."""


def key_group(key: int) -> int:
    """The group of a key, as Flink's KeyGroupRangeAssignment computes it for a row of one integer."""
    return murmur_hash(_ROW_HASH + key) % MAX_PARALLELISM


def batch_buckets(slots: int) -> int:
    """The buckets of a batch job, which keeps no state beyond its end and may follow the machine."""
    return min(BUCKETS_PER_SLOT * slots, MAX_PARALLELISM)


def streaming_buckets(slots: int) -> int:
    """The buckets of a streaming job that begins with so many slots and does not state their number."""
    return min(SCALE_OUT * slots, MAX_PARALLELISM)


@cache
def keys_of(buckets: int) -> tuple[int, ...]:
    """The key of each bucket. Raises ValueError for more buckets than groups."""
    if not 1 <= buckets <= MAX_PARALLELISM:
        raise ValueError(f"{buckets} buckets; there are {MAX_PARALLELISM} key groups")
    smallest = smallest_keys(key_group)
    return tuple(smallest[group] for group in even_groups(buckets))


@cache
def smallest_keys(group_of: Callable[[int], int]) -> Mapping[int, int]:
    """By group, the smallest key in it; `group_of` gives the group of a key."""
    smallest: dict[int, int] = {}
    key = 0
    while len(smallest) < MAX_PARALLELISM:
        smallest.setdefault(group_of(key), key)
        key += 1
    return smallest


def even_groups(count: int) -> list[int]:
    """Groups at equal distances, so many: each in the middle of its share."""
    return [(2 * place + 1) * MAX_PARALLELISM // (2 * count) for place in range(count)]


@cache
def buckets_by_key(buckets: int) -> Mapping[int, int]:
    """The bucket of each key."""
    return {key: bucket for bucket, key in enumerate(keys_of(buckets))}


def murmur_hash(code: int) -> int:
    """Flink's MathUtils.murmurHash, in 32-bit arithmetic."""
    code = _rotated(code * 0xCC9E2D51 & _WORD, 15) * 0x1B873593 & _WORD
    code = (_rotated(code, 13) * 5 + 0xE6546B64) & _WORD ^ 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _WORD
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _WORD
    code ^= code >> 16
    return code if code < 2**31 else 2**32 - code


def _rotated(code: int, by: int) -> int:
    return (code << by | code >> (32 - by)) & _WORD
