"""The settings of the dispatcher of payments: one YAML file, checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from monsoon.sources.yaml_formats import FormatError, YamlFormat
from monsoon.transforms.documents import Fault, Section, about, faults_of, matching

MAX_INR = 10_000_000_000
MAX_WORKERS = 256
MAX_REQUESTS_PER_S = 10_000
_LOCAL = frozenset(("127.0.0.1", "localhost", "::1"))
Port = Annotated[int, Meta(ge=1, le=65_535)]
Brokers = Annotated[str, matching("^[^,\\s]+:[0-9]+(,[^,\\s]+:[0-9]+)*$(?!\\n)", "is no HOST:PORT,...")]
Inr = Annotated[int, Meta(ge=1, le=MAX_INR)]


class DispatchSettingsError(FormatError):
    """Settings that cannot be used: which file, which key, why."""


class ProviderSettings(Section, frozen=True):
    """Who pays."""

    url: Annotated[str, matching("^https?://[^\\s/?#@]+(/[^\\s?#]*)?$(?!\\n)", "is no address of a provider")] = (
        "http://127.0.0.1:8099"
    )
    account: Annotated[str, matching("^[0-9A-Za-z]{1,40}$(?!\\n)", "is no account number")] = "7878780080316316"
    connect_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 3.0
    read_timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0


class DispatchKafkaSettings(Section, frozen=True):
    """Where the streams are."""

    brokers: Annotated[str, matching("^[^,\\s]+:[0-9]+(,[^,\\s]+:[0-9]+)*$(?!\\n)", "is no HOST:PORT,...")] | None = (
        None
    )
    topic_prefix: Annotated[str, matching("^[a-zA-Z0-9._-]{0,200}$(?!\\n)", "is no beginning of a topic's name")] = ""
    group: Annotated[str, Meta(min_length=1, max_length=200)] = "dispatcher"


class LimitSettings(Section, frozen=True):
    """Of all instances together, which must have the same; null: no limit."""

    requests_per_s: Annotated[int, Meta(ge=1, le=MAX_REQUESTS_PER_S)] | None = 10
    burst: Annotated[int, Meta(ge=1, le=MAX_REQUESTS_PER_S)] = 10
    rider_day_inr: Inr | None = None
    hour_inr: Inr | None = None


class PatienceSettings(Section, frozen=True):
    """How long is waited, and how often is tried."""

    lease_s: Annotated[int, Meta(ge=1, le=3_600)] = 60
    first_retry_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 1.0
    max_retry_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 300.0
    first_fetch_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 30.0
    max_fetch_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 3_600.0
    max_attempts: Annotated[int, Meta(ge=1, le=99)] = 3
    key_valid_h: Annotated[int, Meta(ge=1, le=144)] = 144


class InstanceSettings(Section, frozen=True):
    """Of one instance."""

    workers: Annotated[int, Meta(ge=1, le=MAX_WORKERS)] = 16
    webhook_port: Annotated[Port | None, about("null: webhooks are not listened to")] = None
    webhook_host: Annotated[
        Annotated[str, matching("^[0-9]{1,3}(\\.[0-9]{1,3}){3}$(?!\\n)", "is no IPv4 address")],
        about("of this machine: the address to listen to webhooks on"),
    ] = "127.0.0.1"
    metrics_port: Annotated[Port | None, about("null: no metrics are served")] = None


class DispatchFile(Section, frozen=True):
    """One file of settings."""

    provider: ProviderSettings = ProviderSettings()
    kafka: DispatchKafkaSettings = DispatchKafkaSettings()
    limits: LimitSettings = LimitSettings()
    patience: PatienceSettings = PatienceSettings()
    instance: InstanceSettings = InstanceSettings()


def is_local(url: str) -> bool:
    """Whether a provider's address is of this machine."""
    return urlsplit(url).hostname in _LOCAL


def _inconsistencies(settings: DispatchFile) -> Iterator[Fault]:
    """Faults that types cannot express, each with its path."""
    provider, patience, limits, instance = settings.provider, settings.patience, settings.limits, settings.instance
    if provider.url.startswith("http://") and not is_local(provider.url):
        yield Fault(("provider", "url"), "the key would be readable on its way: give https://, or this machine")
    for kind in ("retry", "fetch"):
        if getattr(patience, f"first_{kind}_s") > getattr(patience, f"max_{kind}_s"):
            yield Fault(("patience", f"max_{kind}_s"), f"less than first_{kind}_s")
    if limits.rider_day_inr is not None and limits.hour_inr is not None and limits.rider_day_inr > limits.hour_inr:
        yield Fault(("limits", "hour_inr"), "less than rider_day_inr: one rider's day would stop all payments")
    if instance.webhook_port is not None and instance.webhook_port == instance.metrics_port:
        yield Fault(("instance", "metrics_port"), "the same as webhook_port")


def with_options(settings: DispatchFile, options: Mapping[str, Mapping[str, object]]) -> DispatchFile:
    """The same with other values, by section and name; None: as it was. Raises DispatchSettingsError."""
    document = msgspec.to_builtins(settings)
    for section, values in options.items():
        document[section] |= {name: value for name, value in values.items() if value is not None}
    faults = faults_of(document, DispatchFile) or list(_inconsistencies(msgspec.convert(document, DispatchFile)))
    if faults:
        path = ".".join(map(str, faults[0].path))
        raise DispatchSettingsError(f"{path}: {faults[0].problem}", "options", "docs/payments.md has the settings.")
    return msgspec.convert(document, DispatchFile)


DISPATCH_FILES = YamlFormat(
    kind="dispatch",
    folder="infra",
    package="monsoon.sources",
    model=DispatchFile,
    error=DispatchSettingsError,
    page="docs/payments.md",
    further=_inconsistencies,
    name_of=lambda settings: "dispatch",
)
