"""The checks of `monsoon doctor --settings`: the live job's settings against the brokers and the cluster that run."""

from __future__ import annotations

import email.utils
import json
import shutil
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from monsoon.cli.doctor_checks import FAULT, OK, WARNING, Finding

if TYPE_CHECKING:
    from monsoon.sources.kafka.settings import LiveSettings

_TIMEOUT_S = 5
_MAX_SKEW_S = 5.0
_FULL_MB = 1_000
FLINK_VERSION = "2.3"


@dataclass(frozen=True)
class LiveFacts:
    """What the brokers and the cluster say. None: they could not be asked."""

    broker_error: str | None = None
    """Why no broker answers; empty where one does."""
    partitions: Mapping[str, int | None] = field(default_factory=dict)
    """By name of a topic that the job needs; None: there is no such topic."""
    clock: Mapping[str, str] = field(default_factory=dict)
    """By name of an input topic: who stamps its records (message.timestamp.type)."""
    max_transaction_ms: int | None = None
    rest_error: str | None = None
    """Why the cluster does not answer; empty where it does, None where it was not asked."""
    flink_version: str = ""
    slots: int = 0
    free_slots: int = 0
    jobs: tuple[str, ...] = ()
    """Names of jobs that run."""
    skew_s: float | None = None
    """By how much the cluster's clock is ahead of this machine's."""
    free_mb: int | None = None
    """On the disk of the checkpoints, if this machine has it."""
    lacking_places: tuple[str, ...] = ()
    """Files and folders of the settings that this machine does not have."""


def settings_findings(file: Path, cluster: str | None) -> list[Finding]:
    """The findings of a settings file; `cluster` is the HOST:PORT of Flink's REST API."""
    from monsoon.sources.files import InputError
    from monsoon.sources.kafka.settings import parse_settings
    from monsoon.sources.plain_yaml import read_file

    try:
        settings = parse_settings(read_file(file), where=str(file))
    except OSError as error:
        mend = "Name a file of settings; docs/live.md has every setting"
        return [Finding("settings", FAULT, f"{file}: {error.strerror}", mend)]
    except InputError as error:
        return [Finding("settings", FAULT, f"{error.where}: {error.what}", error.mend)]
    return check_live(settings, live_facts(settings, cluster))


def check_live(settings: LiveSettings, facts: LiveFacts) -> list[Finding]:
    """A finding a check, in the order of what stands on what."""
    findings = [Finding("settings", OK, "complete and consistent")]
    if facts.lacking_places:
        message = f"not on this machine: {', '.join(facts.lacking_places)}"
        mend = "They must be at these paths on every worker, and where the job is submitted"
        findings.append(Finding("folders", WARNING, message, mend))
    if facts.broker_error:
        findings.append(Finding("brokers", FAULT, facts.broker_error, "Start Kafka, or mend kafka.brokers"))
    elif facts.broker_error is not None:
        findings += _broker_findings(settings, facts)
    if facts.rest_error:
        findings.append(Finding("cluster", FAULT, facts.rest_error, "Start Flink, or mend --cluster"))
    elif facts.rest_error is not None:
        findings += _cluster_findings(settings, facts)
    if facts.free_mb is not None and facts.free_mb < _FULL_MB:
        findings.append(
            Finding("checkpoints", WARNING, f"{facts.free_mb} MB free on their disk", "Free some, or give another")
        )
    return findings


def _broker_findings(settings: LiveSettings, facts: LiveFacts) -> list[Finding]:
    from monsoon.contracts.topics import topic_name

    lacking = sorted(name for name, count in facts.partitions.items() if count is None)
    findings = []
    if lacking:
        mend = f"python -m monsoon.sources.kafka.create_topics --brokers {settings.kafka.brokers}"
        if settings.kafka.topic_prefix:
            mend += f" --prefix {settings.kafka.topic_prefix}"
        findings.append(Finding("topics", FAULT, f"not there: {', '.join(lacking)}", mend))
    else:
        findings.append(Finding("topics", OK, f"{len(facts.partitions)} are there"))
    control = topic_name("control", settings.kafka.topic_prefix)
    if (facts.partitions.get(control) or 1) > 1:
        fault = f"{control} has {facts.partitions[control]} partitions, between which its records have no order"
        findings.append(Finding("control", FAULT, fault, "Create it anew with one"))
    inputs = sum(count or 0 for name, count in facts.partitions.items() if name in facts.clock)
    parallelism = settings.state.parallelism
    if not lacking and parallelism is not None and parallelism > inputs:
        findings.append(
            Finding(
                "partitions",
                FAULT,
                f"{inputs} of all input topics, and {parallelism} tasks to read them",
                "Add partitions to telemetry, or lower state.parallelism",
            )
        )
    by_producers = sorted(name for name, stamp in facts.clock.items() if stamp != "LogAppendTime")
    if by_producers:
        findings.append(
            Finding(
                "timestamps",
                WARNING,
                f"producers stamp the records of {', '.join(by_producers)}; right for histories only",
                "Set message.timestamp.type=LogAppendTime on these topics where phones and feeds are live",
            )
        )
    limit_ms, asked_ms = facts.max_transaction_ms, settings.kafka.transaction_timeout_s * 1_000
    if limit_ms is not None and asked_ms > limit_ms:
        findings.append(
            Finding(
                "transactions",
                FAULT,
                f"kafka.transaction_timeout_s is {asked_ms // 1000}, the brokers allow {limit_ms // 1000}",
                "Lower it, or raise transaction.max.timeout.ms of the brokers",
            )
        )
    elif limit_ms is not None:
        findings.append(Finding("transactions", OK, f"{asked_ms // 1000} s of at most {limit_ms // 1000}"))
    return findings


def _cluster_findings(settings: LiveSettings, facts: LiveFacts) -> list[Finding]:
    findings = []
    if not facts.flink_version.startswith(f"{FLINK_VERSION}."):
        message = f"Flink {facts.flink_version}; the job is built for {FLINK_VERSION}"
        findings.append(Finding("cluster", FAULT, message, f"Run Flink {FLINK_VERSION}"))
    else:
        findings.append(Finding("cluster", OK, f"Flink {facts.flink_version}, {facts.slots} slots"))
    wanted = settings.state.parallelism or 1
    running = [name for name in facts.jobs if name == "monsoon live"]
    if running:
        findings.append(
            Finding(
                "jobs",
                WARNING,
                "a live job runs there already",
                "Give another kafka.group and topic_prefix, or stop it: two of one group fence each other",
            )
        )
    elif facts.free_slots < wanted:
        message = f"{facts.free_slots} free, the job takes {wanted}"
        findings.append(Finding("slots", FAULT, message, "Add TaskManagers, or lower state.parallelism"))
    if facts.skew_s is not None and abs(facts.skew_s) > _MAX_SKEW_S:
        findings.append(
            Finding(
                "clock",
                WARNING,
                f"the cluster's is {facts.skew_s:+.0f} s off this machine's",
                "Run NTP on both of them",
            )
        )
    return findings


def live_facts(settings: LiveSettings, cluster: str | None) -> LiveFacts:
    """Asks the brokers, the cluster and the disk."""
    brokers, rest = _broker_facts(settings), _rest_facts(cluster)
    insurance = settings.insurance
    named = [*insurance.product_files, insurance.model, insurance.reference]
    lacking = tuple(each for each in named if each is not None and not Path(each).exists())
    return LiveFacts(**brokers, **rest, free_mb=_free_mb(settings.state.checkpoints), lacking_places=lacking)


def _broker_facts(settings: LiveSettings) -> dict[str, Any]:
    from monsoon.contracts.topics import INPUT_TOPICS, TOPICS, topic_name
    from monsoon.sources.files import InputError
    from monsoon.sources.kafka.admin import configuration, max_transaction_ms, partitions_of

    brokers, prefix = settings.kafka.brokers, settings.kafka.topic_prefix
    try:
        partitions = partitions_of(brokers, [topic_name(stream, prefix) for stream in TOPICS])
        inputs = [name for topic in INPUT_TOPICS if partitions[name := topic_name(topic.stream, prefix)] is not None]
        return {
            "broker_error": "",
            "partitions": partitions,
            "clock": {name: configuration(brokers, name)["message.timestamp.type"] for name in inputs},
            "max_transaction_ms": max_transaction_ms(brokers),
        }
    except ImportError as error:
        return {"broker_error": f"{error.name} is not installed here, so they were not asked"}
    except InputError as error:
        return {"broker_error": error.what}


def _rest_facts(cluster: str | None) -> dict[str, Any]:
    if cluster is None:
        return {}
    try:
        with urllib.request.urlopen(f"http://{cluster}/overview", timeout=_TIMEOUT_S) as answer:
            overview, said = json.load(answer), answer.headers.get("Date")
        with urllib.request.urlopen(f"http://{cluster}/jobs/overview", timeout=_TIMEOUT_S) as answer:
            jobs = [job["name"] for job in json.load(answer)["jobs"] if job["state"] == "RUNNING"]
        return {
            "rest_error": "",
            "flink_version": overview["flink-version"],
            "slots": overview["slots-total"],
            "free_slots": overview["slots-available"],
            "jobs": tuple(jobs),
            "skew_s": None if said is None else email.utils.parsedate_to_datetime(said).timestamp() - time.time(),
        }
    except (OSError, ValueError, LookupError) as error:
        return {"rest_error": f"http://{cluster} does not answer ({error})"}


def _free_mb(checkpoints: str | None) -> int | None:
    place = urlparse(checkpoints or "")
    folder = Path(unquote(place.path))
    if place.scheme not in ("", "file") or not checkpoints or not folder.exists():
        return None
    return shutil.disk_usage(folder).free >> 20
