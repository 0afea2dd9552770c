"""Whether an attacker's claim is true all the same: raised where the rider was, on a disruption that nobody made up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from monsoon.transforms.geo.near import points_within


def is_true(
    labels: Mapping[str, Any], *, zone: str, margin_m: float, providers: Collection[str], confirmed_at_ms: int
) -> bool:
    """Whether the claim of the rider with this row of labels.csv is no attack; an honest rider's is none.

    It is none where it was confirmed before `attack_ms`; and where the rider is in `zone`, or within the product's
    margin of it, whatever was reported: `true_lat`, `true_lon` say where that is all through the storm. Of a rider
    without a place (who lies about a policy, or whose labels do not say) every claim since the attack began is one.
    `false_sources`: providers whose readings the attackers made up; what was confirmed by one of them (`providers`) is
    an attack wherever the rider is.

    >>> place = {"kind": "mock_app", "true_lat": 28.6, "true_lon": 77.22}
    >>> near = {"zone": "873da1142ffffff", "margin_m": 0.0, "providers": ["imd"], "confirmed_at_ms": 0}
    >>> is_true(place, **near), is_true(place | {"true_lat": 28.7}, **near)
    (True, False)
    >>> is_true(place | {"false_sources": "imd nobody"}, **near)
    False
    """
    if labels["kind"] == "honest":
        return True
    if not set((labels.get("false_sources") or "").split()).isdisjoint(providers):
        return False
    attack_ms = labels.get("attack_ms")
    if attack_ms is not None and confirmed_at_ms < attack_ms:
        return True
    if labels.get("true_lat") is None:
        return False
    lat, lon = (np.array([float(labels[name])]) for name in ("true_lat", "true_lon"))
    return bool(points_within(lat, lon, np.array([h3.str_to_int(zone)], dtype=np.uint64), margin_m)[0])
