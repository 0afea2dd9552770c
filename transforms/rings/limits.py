"""Weights, thresholds and windows of rings (`fraud.md`, Rings; docs/interpretations.md#rings)."""

from __future__ import annotations

KINDS = (
    "device",
    "payout_account",
    "access_point",
    "subscription_minute",
    "network_prefix",
    "serving_cell",
    "purchase_on_network",
)
"""The kinds of resources; their codes are positions in this tuple."""

DEVICE, PAYOUT_ACCOUNT, ACCESS_POINT, SUBSCRIPTION_MINUTE, NETWORK_PREFIX, SERVING_CELL, PURCHASE_ON_NETWORK = range(7)

BASE_WEIGHTS = (0.9, 0.9, 0.5, 0.5, 0.15, 0.1, 0.0)
"""By kind: the weight of a resource is this times ln(active riders / riders on it). A purchase on a network weighs by
a test of chance instead (`coincidences.py`)."""

MIN_COINCIDING_RIDERS = 3
"""Fewer riders who bought on one network are no group."""

WEIGHT_SCALE = 1_000_000
"""Weights are whole millionths, so that sums do not depend on their order."""

EDGE_WEIGHT_E6 = 7 * WEIGHT_SCALE
"""An edge has at least this weight in all."""

MAX_KIND_WEIGHT_E6 = EDGE_WEIGHT_E6 - 1
"""The most that one kind counts: below an edge's, so that an edge has two kinds at least."""

PLACE_KINDS = (ACCESS_POINT, NETWORK_PREFIX, SERVING_CELL)
"""Kinds that are one place together: they count like one kind, so that being in a place is never an edge."""

PROXIMITY_KINDS = (ACCESS_POINT, SERVING_CELL)
NETWORK_KINDS = (NETWORK_PREFIX, PURCHASE_ON_NETWORK)
"""Kinds of evidence of the edges that the features proximity_degree and shared_network_degree count."""

FULL_SCORE_WEIGHT_E6 = 2 * EDGE_WEIGHT_E6
"""Two kinds that both count in full: a ring score of 1."""

MAX_RIDERS = 25
"""Resources with more riders are dropped, but for devices and payout accounts."""

NEVER_DROPPED = (DEVICE, PAYOUT_ACCOUNT)

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS

APART_MS = 15 * _MINUTE_MS
"""Two sightings further apart than this count less."""

APART_FACTOR = 0.7

WINDOW_MS = (28 * _DAY_MS, 28 * _DAY_MS, _DAY_MS, 28 * _DAY_MS, _DAY_MS, _DAY_MS, _DAY_MS)
"""By kind: how far back sightings count, and after which time evidence expires. A subscription minute is the policy's,
as its payout account is."""

SIGHTINGS_MS = _DAY_MS
"""How far back the reports of a claim's rider are looked at. Which phones were used before that is known by panes."""

CONTEXT_MS = _DAY_MS
"""A claim is compared with those that were opened within this before it."""

EXPIRY_STEP_MS = _HOUR_MS
"""Evidence expires at the first whole hour (UTC) by which it is as old as that: a graph changes once an hour."""

SURROUNDINGS_MS = 6 * _HOUR_MS
"""Claims in one disruption's surroundings are confirmed within this of one another."""

SURROUNDINGS_RESOLUTION = 5
"""And their zones lie in the same H3 parent of this resolution, or in neighbors."""

MAX_CELLS_OF_A_PLACE = 8
"""An access point that one rider saw under more serving cells than these in 24 h moves: it is a hotspot that rides
along. A place is in reach of the cells of a few carriers and bands; a ride of some kilometers passes dozens. Positions
are not asked, since an attacker states them."""

MAX_SQUAD_RIDERS = 10
"""A Dost Shield squad has 5 to 10 riders (the kawaach source); a larger one is none."""

LINKS_KEPT_MS = max(WINDOW_MS) + EXPIRY_STEP_MS
"""After this no evidence of links is left. A graph has no state but them: a new one to which those of this time are
added, and which is advanced to where the lost one was, goes on as that would have."""
