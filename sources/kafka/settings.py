"""The settings of the live job: one YAML file, checked before anything starts; docs/live.md has them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from monsoon.sources.files import INPUT_STREAMS
from monsoon.sources.yaml_formats import FormatError, YamlFormat
from monsoon.transforms.documents import Fault, Section, about, matching

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS
MAX_BUCKETS = 128
BROKER_MAX_TRANSACTION_MS = 15 * _MINUTE_MS
"""What a broker allows a transaction unless it is told otherwise (transaction.max.timeout.ms)."""


class SettingsError(FormatError):
    """Settings that cannot be used: which file, which key, why."""


class KafkaSettings(Section, frozen=True):
    """Where the streams are."""

    brokers: Annotated[str, matching("^[^,\\s]+:[0-9]+(,[^,\\s]+:[0-9]+)*$(?!\\n)", "is no HOST:PORT,...")]
    topic_prefix: Annotated[str, matching("^[a-zA-Z0-9._-]{0,200}$(?!\\n)", "is no beginning of a topic's name")] = ""
    group: Annotated[str, Meta(min_length=1, max_length=200)] = "monsoon"
    gather_ms: Annotated[int, Meta(ge=10, le=10_000)] = 100
    transaction_timeout_s: Annotated[int, Meta(ge=10, le=86_400)] = 600


class EventTimeSettings(Section, frozen=True):
    """When event time goes on."""

    lateness_ms: dict[str, Annotated[int, Meta(ge=0, le=_DAY_MS)]] = field(default_factory=dict)
    idle_after_s: Annotated[float, Meta(gt=0, le=86_400)] | None = 60.0
    interval_ms: Annotated[int, Meta(ge=1_000, le=_DAY_MS)] = 10_000


class StateSettings(Section, frozen=True):
    """Where state is, and how it is cut."""

    checkpoints: Annotated[str | None, about("an address that every part of the cluster reaches")] = None
    checkpoint_interval_ms: Annotated[int, Meta(ge=200, le=60 * _MINUTE_MS)] = 1_000
    backend: Literal["hashmap", "rocksdb"] = "rocksdb"
    parallelism: Annotated[int, Meta(ge=1, le=MAX_BUCKETS)] | None = None
    buckets: Annotated[int, Meta(ge=1, le=MAX_BUCKETS)] | None = None


class InsuranceSettings(Section, frozen=True):
    """What is insured and by which rules."""

    products: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    product_files: tuple[str, ...] = ()
    model: str | None = None
    reference: Annotated[str | None, about("folder of cell_towers.csv, access_points.csv and providers.csv")] = None
    reserves: Annotated[bool, about("whether payouts are held against the reserves of the topic reserves")] = True


class FeatureSettings(Section, frozen=True):
    """What is known of riders, phones, zones and neighborhoods, as versions for the feature store."""

    enabled: Annotated[bool, about("whether the job writes versions of features to the topic features")] = False


class LiveSettings(Section, frozen=True):
    """One file of settings."""

    kafka: KafkaSettings
    event_time: EventTimeSettings = EventTimeSettings()
    state: StateSettings = StateSettings()
    insurance: InsuranceSettings = InsuranceSettings()
    features: FeatureSettings = FeatureSettings()

    def at(self, brokers: str, topic_prefix: str | None = None) -> LiveSettings:
        """The same at other brokers, with other topics where a prefix is given."""
        prefix = self.kafka.topic_prefix if topic_prefix is None else topic_prefix
        return replace(self, kafka=replace(self.kafka, brokers=brokers, topic_prefix=prefix))

    @property
    def lateness_ms(self) -> dict[str, int]:
        """By stream."""
        return {stream: self.event_time.lateness_ms.get(stream, LATENESS_MS) for stream in INPUT_STREAMS}


LATENESS_MS = 2 * _MINUTE_MS
"""How far records of a partition may be out of order, unless the settings say it."""


def parse_settings(content: bytes, *, where: str) -> LiveSettings:
    """A settings file's content, checked; `where` names it in messages. Raises SettingsError."""
    return SETTINGS_FILES.parse(content, where=where)


def _inconsistencies(settings: LiveSettings) -> Iterator[Fault]:
    """Faults that types cannot express, each with its path."""
    for stream in settings.event_time.lateness_ms:
        if stream not in INPUT_STREAMS:
            yield Fault(("event_time", "lateness_ms", stream), f"no input stream; there are {', '.join(INPUT_STREAMS)}")
    state, timeout_ms = settings.state, settings.kafka.transaction_timeout_s * 1_000
    if timeout_ms <= 2 * state.checkpoint_interval_ms:
        yield Fault(
            ("kafka", "transaction_timeout_s"),
            f"a transaction is open from one checkpoint to the next ({state.checkpoint_interval_ms / 1000:g} s) and "
            "through an outage; give at least twice that",
        )
    if state.parallelism is not None and state.buckets is not None and state.parallelism > state.buckets:
        yield Fault(("state", "parallelism"), f"more than buckets ({state.buckets}): some tasks would have no work")


SETTINGS_FILES = YamlFormat(
    kind="settings",
    folder="infra",
    package="monsoon.sources.kafka",
    model=LiveSettings,
    error=SettingsError,
    page="docs/live.md",
    further=_inconsistencies,
    name_of=lambda settings: "settings",
)
