"""The model of a storm file: its sections, each a strict type; docs/storms.md explains them.

Times are local, `YYYY-MM-DD HH:MM`. Shares are from 0 to 1, weights only compare with each other.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec

from monsoon.sources.provider_files import MAX_RADIUS_KM, ProviderId
from monsoon.transforms.documents import Section, matching
from monsoon.transforms.oracle_metrics import METRICS, MetricName

PLATFORM_METRICS = tuple(name for name, metric in METRICS.items() if metric.needs_platform)
Quality = Literal["official", "secondary", "fallback"]
LocalTime = Annotated[
    str, matching("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$", 'is not a local time like "2024-06-28 08:30"')
]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Weight = Annotated[float, msgspec.Meta(gt=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class Place(Section, frozen=True):
    """A station, or a whole city: its readings name the disc, or the cell `h3` or the border `wkt` instead."""

    title: str
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    radius_km: Annotated[float, msgspec.Meta(gt=0, le=MAX_RADIUS_KM)]
    h3: str | None = None
    wkt: str | None = None


class Period(Section, frozen=True):
    start: LocalTime
    end: LocalTime


# Published and modeled series over time.


class RainPart(Section, frozen=True):
    """A published part of a rain total."""

    start: LocalTime
    end: LocalTime
    mm: float


class RainTotal(Section, frozen=True, tag_field="kind", tag="rain_total"):
    """`mm` of rain in the `hours` up to `until`; the storm's rain_spread distributes it over time."""

    until: LocalTime
    hours: float
    mm: float
    parts: tuple[RainPart, ...] = ()


class RainRate(Section, frozen=True, tag_field="kind", tag="rain_rate"):
    """A rain rate (mm/h) that holds for `step_min` from each slot's time; null: missing."""

    start: LocalTime
    step_min: int
    mm_h: tuple[float | None, ...]


class Pm25(Section, frozen=True, tag_field="kind", tag="pm25"):
    """Mean PM2.5 (ug/m3) of the `step_min` before each slot's time; null: missing."""

    start: LocalTime
    step_min: int
    ug_m3: tuple[float | None, ...]


class Steps(Section, frozen=True, tag_field="kind", tag="steps"):
    """A metric's own values, each holding until the next; read at their times where a feed has no rhythm."""

    metric: MetricName
    points: tuple[tuple[LocalTime, float], ...]


class Curve(Section, frozen=True, tag_field="kind", tag="curve"):
    """A metric's own values with straight lines between them; unknown before the first and after the last."""

    metric: MetricName
    points: tuple[tuple[LocalTime, float], ...]


Series = RainTotal | RainRate | Pm25 | Steps | Curve


class Published(Section, frozen=True):
    source: str
    series: dict[str, Series]


class Spread(Section, frozen=True):
    """The share of a rain total that falls evenly from `start` to `end`."""

    start: LocalTime
    end: LocalTime
    share: float


class Feed(Section, frozen=True):
    """What one provider reports: at each place of `at`, the named series times `gain`, plus `bias`.

    Readings are at multiples of `every_min` of the local day plus `offset_min` (absent: the series' own times) and
    are published `delay_min` later; in `gaps` [start, end) the provider is silent.
    """

    provider: ProviderId
    quality: Quality
    metric: MetricName
    at: dict[str, str]
    platform: str | None = None
    every_min: Count | None = None
    offset_min: int = 0
    delay_min: float = 0
    gain: float = 1.0
    bias: float = 0.0
    gaps: tuple[Period, ...] = ()
    gridded: bool = False


class Correction(Section, frozen=True):
    """The reading of `time` (those up to `until`) was first published as `first`, or its value plus `off_by`.

    The next correction's figure, at last the series' own value, was published at `issued`, as the next revision.
    """

    provider: str
    metric: MetricName
    place: str
    time: LocalTime
    issued: LocalTime
    first: float | None = None
    off_by: float | None = None
    until: LocalTime | None = None
    platform: str | None = None


class RegisteredProvider(Section, frozen=True):
    """A row of the operator's register of providers: the quality of a provider for a metric, or for all (`*`)."""

    provider: ProviderId
    metric: Literal[MetricName, "*"]
    quality: Quality


# How often a season has one.


class Intensity(Section, frozen=True):
    """Rain, PM2.5, AQI and wind of an occurrence are those of the file times a lognormal factor: `median`, and `sigma`
    of its logarithm; a factor below `min` is `min`, one above 1.5 is 1.5. Whatever else the file has stays as it is."""

    median: Annotated[float, msgspec.Meta(gt=0, le=1.5)] = 1.0
    sigma: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    min: Annotated[float, msgspec.Meta(gt=0, le=1.5)] = 0.1


class Frequency(Section, frozen=True):
    """How many such storms a year has on average, in which months (evenly over their days), and how that is known.

    `basis`: counted in a `series` of measurements, from the length of a `record`, or a `judgment`. The number of a year
    is Poisson's; with a `dispersion` (variance over mean) above 1 it is negative binomial.
    """

    per_year: Annotated[float, msgspec.Meta(gt=0, le=60)]
    months: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=12)], ...], msgspec.Meta(min_length=1)]
    basis: Literal["series", "record", "judgment"]
    source: str
    dispersion: Annotated[float, msgspec.Meta(ge=1, le=10)] = 1.0
    intensity: Intensity = Intensity()


# Who works, and what keeps them from it.


class District(Section, frozen=True):
    """Where riders work: depots within the disc; `place` is the station whose weather it has."""

    title: str
    lat: float
    lon: float
    radius_km: float
    weight: float
    place: str
    struck: bool


class History(Section, frozen=True):
    """The same hours of the `weeks` weeks before, in usual weather, with a report each `report_every_s` at most."""

    weeks: Annotated[int, msgspec.Meta(ge=1, le=8)]
    report_every_s: Annotated[int, msgspec.Meta(ge=15, multiple_of=15)] = 60


class Gateway(Section, frozen=True):
    """The operator's gateway, which stamps reports with `received_time`.

    Half of the reports arrive within `median_delay_s`, one in a hundred five times as late or later. In the share
    `buffered_share` of all spells of `buffered_min` minutes a rider's phone has no network: it keeps its reports, and
    they arrive together when the spell is over.
    """

    median_delay_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.8
    buffered_share: Share = 0.02
    buffered_min: Annotated[int, msgspec.Meta(ge=1, le=24 * 60)] = 10


class Syndicate(Section, frozen=True):
    """A group of `size` attackers (fewer where the simulation has fewer riders than the storm's `count`).

    Each buys within `buys_within_min` of the first alert, lives in one of `homes` beside the others, shares a phone
    with `riders_per_device` - 1 of them and is paid to one of `accounts`; phones lie still. All claim to work in
    `district` (a title; absent: in one of those struck) and on `platform` (absent: on various ones).
    """

    size: Count
    method: Literal["mock_app", "replayed_trace", "radio_spoof"] = "mock_app"
    homes: Count = 1
    riders_per_device: Count = 1
    accounts: Count = 1
    buys_within_min: Annotated[float, msgspec.Meta(gt=0)] = 60
    district: str | None = None
    platform: str | None = None


class Riders(Section, frozen=True):
    """Who reports, from `start` to `end`; carriers as mcc-net; `platforms` name -> weight (none: four, even).

    `count`: how many riders the storm is meant for: what the demo simulates.
    """

    start: LocalTime
    end: LocalTime
    carriers: tuple[str, ...]
    altitude_m: float
    working_share: float
    districts: tuple[District, ...]
    count: Count = 500
    platforms: dict[str, Weight] = msgspec.field(default_factory=dict)
    history: History | None = None
    gateway: Gateway | None = None
    syndicates: tuple[Syndicate, ...] = ()


class Hindrance(Section, frozen=True):
    """From `start` to `end` the work of the `share` of riders goes on at `pace` (0: not at all).

    Of `districts` (titles), `platform` and `riders` alone, where given. Of those concerned the shares `offline` and
    `silent` are logged out of the platform's app, or report nothing; the rest wait online.
    """

    start: LocalTime
    end: LocalTime
    share: Share = 1.0
    pace: Share = 0.0
    offline: Share = 0.0
    silent: Share = 0.0
    districts: tuple[str, ...] = ()
    platform: str | None = None
    riders: Literal["honest", "attackers", "all"] = "honest"


# What they have bought.


class Plan(Section, frozen=True):
    """A plan as policies name it (options included), how often it is bought, for how long, at which price."""

    weight: Weight = 1.0
    hours: Annotated[float, msgspec.Meta(gt=0)] = 168
    premium_inr: Amount | None = None


class Upgrade(Section, frozen=True):
    """The `share` of honest holders who change to the plan `to` while the storm is on."""

    share: Share
    to: str


class Policies(Section, frozen=True):
    """The policies of one product; a product may be listed twice, so that some riders hold two of its policies.

    Held by the `share` of honest riders and by every attacker. `late_share` of the honest buy around the first alert,
    `cancelled_share` cancel while the storm is on. `states`: which optional figures nine in ten of them give.
    """

    product: str
    plans: Annotated[dict[str, Plan], msgspec.Meta(min_length=1)]
    share: Share = 1.0
    late_share: Share = 0.03
    cancelled_share: Share = 0.0
    upgrade: Upgrade | None = None
    states: tuple[Literal["shift_baseline", "orders", "slab"], ...] = ()


class Reserve(Section, frozen=True):
    """From `time` on a product may pay `amount_inr` for what begins on `day` in the H3 cell (res 5) of `place`."""

    product: str
    day: date
    place: str
    amount_inr: Amount
    time: LocalTime


class Modeled(Section, frozen=True):
    """What the storm file adds to what was published. `alert`: when word got round, if not by a first red alert."""

    note: str
    readings: Period
    feeds: tuple[Feed, ...]
    riders: Riders
    rain_spread: tuple[Spread, ...] = ()
    series: dict[str, Series] = msgspec.field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    register: tuple[RegisteredProvider, ...] = ()
    alert: LocalTime | None = None
    hindrances: tuple[Hindrance, ...] = ()
    policies: tuple[Policies, ...] = ()
    reserves: tuple[Reserve, ...] = ()
