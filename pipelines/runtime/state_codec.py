"""Compact encoding of state that is kept for weeks: MessagePack, deflated with a preset dictionary.

A claim of 2 KB is mostly names of fields and features. The encoding keeps the names, so that a later release can read
fields by name; the preset dictionary makes them nearly free.
"""

from __future__ import annotations

import zlib
from typing import Any

from monsoon.pipelines.runtime.messages import pack, unpack

_WORDS = """\
event_id event_time type policy_id worker_id product plan platform home_lat home_lon coverage_start
coverage_end premium_inr daily_wage_inr shift_baseline_inr orders_per_hour orders_per_hour_sd payout_account
fund_account_id device_id account_created_at trust_tier squad_id consents slab_orders planned_hours_week
week_orders_carried week_hours_carried first_issued_ms ended_ms at_ms revision state episode silent start_ms
confirmed_at_ms severity level providers reading_ids first_alert_ms absent_since_ms end_ms alert modes values
disruption_id kind met risk signals features reports weightiest trust facts claim_id happening terms
gross_paise status reasons score paid_paise applied due_ms hold asked_until_ms answer_id confirmed findings
base_paise supplements supplemented trigger peril zone withdrawn account_created_at_ms activated_at_ms
period_start_ms covered stated_at_ms fresh stale conflict outage ended active activated renewed upgraded
cancelled approved soft_hold step_up manual_review ineligible overlap cap_reached cap_partial duplicate
overlap_inr local_day iso_week coverage_period period limit_inr used_inr rain_mm_24h rain_mm_h standard kawaach
offshift gic jugaad nexora rain partial full swiggy zomato imd skymet orders_so_far hours_so_far sigma drop
threshold share peers mock_location_share accelerometer_variance barometric_delta_match gnss_cn0_agc_anomaly
gnss_network_time_delta_s bssid_zone_match cell_tower_zone_match battery_drain_z speed_variance_30min
route_linearity teleport_mps teleport_second_mps gps_jitter_m recent_activity_in_zone app_activity
shift_pattern peer_divergence subscription_alert_gap_s claims_7d account_age_d claim_burst_rank
riders_on_device_28d proximity_degree shared_network_degree ring_score
"""
"""Part of the state format: entries can only be read with these words in this order. A change needs a new
STATE_VERSION. A name that is missing here is only stored at its full length."""

_DICTIONARY = b"".join(pack(word) for word in _WORDS.split())
"""The words as MessagePack encodes them."""

_RAW = -zlib.MAX_WBITS
"""Raw deflate, without zlib's header and checksum: the state backend checks integrity."""


def pack_small(value: Any) -> bytes:
    """Encodes plain data and dataclasses, as `pack` does."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW, zdict=_DICTIONARY)
    return deflate.compress(pack(value)) + deflate.flush()


def unpack_small(payload: bytes, type_: Any = Any) -> Any:
    """The inverse of `pack_small`, validated against the type. Raises ValueError."""
    inflate = zlib.decompressobj(_RAW, zdict=_DICTIONARY)
    try:
        content = inflate.decompress(payload)
    except zlib.error as error:
        raise ValueError(f"{len(payload)} bytes that are not deflated: {error}") from error
    return unpack(content, type_)
