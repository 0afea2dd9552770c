"""Maxima of a period of cover across occurrences: what one has paid, a later one of the same period does not pay again.

Each storm is replayed by itself, so a cap of the product's coverage period is only known within a storm. Between storms
of a city it is applied to shares of policies: of those that a later occurrence would pay, the ones that an earlier one
of the same period has exhausted get nothing, taken as if storms struck policies independently of each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monsoon.transforms.season.occurrences import Ints

Floats = NDArray[np.float64]


def open_share(
    year: Ints, day: Ints, city: Ints, paid_share: Floats, period_days: Sequence[int | None]
) -> Floats:  # fmt: skip
    """The share of policies that can still be paid at each occurrence: [occurrences, lines], from 0 to 1.

    Occurrences are in order of year and day; `paid_share` [occurrences, lines] is the share of a line's policies that
    each pays; `period_days` [lines] is the length of the cover whose maximum a payout exhausts (None: there is no such
    maximum, and the share is 1). Periods begin on the first day of the year.
    """
    found = np.ones_like(paid_share)
    for line, days in enumerate(period_days):
        if days is None:
            continue
        left: dict[tuple[int, int, int], float] = {}
        for row, key in enumerate(zip(year.tolist(), city.tolist(), (day // days).tolist(), strict=True)):
            share = left.get(key, 1.0)
            found[row, line] = share
            left[key] = share * (1.0 - float(paid_share[row, line]))
    return found
