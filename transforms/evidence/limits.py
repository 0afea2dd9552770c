"""Windows, minimum counts and tolerances of the features, and why each is what it is (docs/adr/0007).

Interpretations of the specification: docs/interpretations.md#evidence.
"""

from __future__ import annotations

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

WINDOW_MS = 30 * _MINUTE_MS
"""Evidence is the 30 min up to and including the anchor, of a re-score the 30 min up to its decision (`fraud.md`)."""

ANCHOR_HOLDS_MS = 90 * _MINUTE_MS
"""How long a report establishes presence, and so is an anchor (`products.md`, Presence)."""

ACTIVITY_MS = 90 * _MINUTE_MS
"""Recent activity, and how long a stay is looked back on: as long as a report says where its rider is."""

HISTORY_MS = 28 * _DAY_MS
"""Baselines: four weeks before the window, each weekday four times."""

ORDERS_HOUR_MS = 60 * _MINUTE_MS
"""Orders are compared by the hour, the unit in which policies state a rider's mean."""

MIN_HISTORY_DAYS = 7
"""Below a week of history a weekday was never seen before, and nothing is usual or unusual."""

MIN_BASELINE_REPORTS = 20
"""5 min of reports: the mean of 20 C/N0 readings of sd 4 dB is good to 0.9 dB, well below the 3 dB that counts."""

AGC_UP_DB = 3.0
AGC_NORMAL_DB = 2.0
CN0_UP_DB = 3.0
CN0_HIGH_DB = 6.0
CN0_FLOOR_DBHZ = 26.0
"""The rule of `fraud.md` for gnss_cn0_agc_anomaly."""

GNSS_ROLLOVER_MS = 1024 * 7 * _DAY_MS
ROLLOVER_TOLERANCE_MS = _DAY_MS
"""GPS counts weeks in ten bits: a receiver that does not know in which of these stretches it lives is off by whole
multiples of one (`fraud.md`, gnss_network_time_delta_s)."""

MIN_OTHERS_PRESSURE = 3
"""A median of fewer is one phone's error."""

MIN_PRESSURE_STEPS = 3
"""At least half of the window's six 5-min steps, else the change compared is not that of the window."""

PRESSURE_TOLERANCE_PA = 200.0
"""A change 2 hPa apart is no agreement: about 17 m of height, more than a city's riders differ by in 30 min."""

MIN_SPEEDS = 4
MIN_STOPPED_STEPS = 8
"""One and two minutes of reports every 15 s: a spread of fewer is an accident."""

STOPPED_MPS = 0.5
"""Slower than walking; GNSS Doppler speeds at rest stay below it."""

STOPPED_STEP_MS = 60_000
"""Two fixes further apart in time say little about one stop."""

MIN_PATH_M = 2000.0
"""Shorter paths are straight by the shape of streets (`fraud.md`)."""

MIN_PATH_STEPS = 8
"""A line through few fixes is straight by itself: one jump of the fix would make a route of it."""

UNKNOWN_ACCURACY_M = 100.0
"""Stands for an accuracy that was not reported: a fix in a storm, in the rider's favor."""

REST_ACCEL_VAR = 2e-4
"""(m/s^2)^2; a phone that lies still stays below it (`fraud.md`, still_while_moving): its sensor's noise, 0.008 to
0.014 m/s^2, is all that it measures."""

MIN_RIDDEN_M = 500.0
"""A shorter path is no ride (`fraud.md`, still_while_moving)."""

RIDDEN_STEP_MS = 60_000
"""accel_var is of the period of one report: after a longer gap it says nothing of the way since the report before."""

EXCURSION_MPS = 70.0
EXCURSION_ACCURACY_M = 50.0
"""Implied speed of an excursion, and how accurate the fixes beside it must say that they are (`fraud.md`, motion)."""

RIDING_MPS = 33.0
"""No rider is faster (`fraud.md`, max_implied_speed_mps)."""

RETURN_M = 2000.0
"""A jump that ends this near to where an excursion began, or nearer, may be its end; as far as a re-read may lie from
the zone (`fraud.md`, the guard)."""

MIN_STEP_S = 1.0
"""Two reports of the same moment are taken as 1 s apart, so that being in two places at once is a finite speed."""

ACCESS_POINT_REACH_M = 250.0
"""From a fix or a located access point to the circle around the zone: Wi-Fi carries about 100 m outdoors and
surveyed positions are as much off again; a resolution 9 zone is only 200 m from center to corner."""

MIN_LOCATED_ACCESS_POINTS = 2
"""One access point may have moved (`fraud.md`, bssid_fix_match)."""

MIN_COSIGHTING_PHONES = 3
"""Fewer phones locate no access point: two are one household's."""

MIN_WAGE_POLICIES = 20
WAGE_PARENT_RESOLUTION = 5
"""`fraud.md`, stated_wage_ratio."""

MAX_WAGE_RATIO = 2.0
"""A multiple of what is usual beyond which a stated wage is held for review (`fraud.md`, ways in, 6)."""

UNKNOWN_TOWER_RANGE_M = 3000.0
"""Range of a tower whose file states none: beyond most urban macro cells, in the rider's favor."""

BATTERY_BLOCK_MS = 30 * _MINUTE_MS
MIN_DRAIN_MS = 20 * _MINUTE_MS
MIN_BATTERY_BLOCKS = 6
MIN_DRAIN_SD_PCT_H = 2.0
"""A battery gauge counts whole percents: over 30 min a rate is good to 2 %/h, over less than 20 min to nothing.
Six blocks are half a shift."""

MIN_BURST_RIDERS = 5
MIN_PEERS = 5
"""Fewer make no curve and no median (`products.md` asks for 5 peers)."""

MIN_DWELLS = 100
"""5-min observations of stays in the neighborhood, else the zone has no curve of its own yet."""

NEIGHBORHOOD_RESOLUTION = 7
"""About 5 km2: riders there share weather and altitude, and are enough to compare with; also what stands for
"this zone" in a rider's habits, since nobody works in one resolution 9 cell."""
