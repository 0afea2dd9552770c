"""Keyed hashes of the simulated: worker, device, account, access point. None can be taken for a raw identifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HEX_PAIRS = np.array([f"{value:02x}" for value in range(256)], "S2")
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def keyed_hashes(prefix: str, key: int, numbers: NDArray[np.int64]) -> NDArray[np.str_]:
    """`prefix` (a letter) and 15 hexadecimal digits per number; equal for equal (prefix, key, number).

    The mixing is SplitMix64's, a bijection: distinct numbers of one prefix and key collide only by the one digit
    that is dropped, which the numbers in use are far too few to meet.
    """
    salt = np.uint64((key * 1_000_003 + ord(prefix) * 7_919) & (2**64 - 1))
    z = (numbers.astype(np.uint64) + salt) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX[0]
    z = (z ^ (z >> np.uint64(27))) * _MIX[1]
    z = z ^ (z >> np.uint64(31))
    pairs = _HEX_PAIRS[z.astype(">u8").view(np.uint8).reshape(-1, 8)]
    digits = np.ascontiguousarray(pairs).view("S16").ravel().astype("U15")
    return np.char.add(prefix, digits)


def unit_hash(key: int, numbers: NDArray[np.int64], draw: int) -> NDArray[np.float64]:
    """A number in [0, 1) per number, the same for ever: what the place, not the run's course, decides."""
    z = (numbers.astype(np.uint64) + np.uint64((key * 31 + draw * 1_000_033) & (2**64 - 1))) * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX[0]
    z = (z ^ (z >> np.uint64(27))) * _MIX[1]
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53
