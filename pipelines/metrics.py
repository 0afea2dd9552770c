"""Every metric that any engine reports: one typed list of names, with units and what to do when one looks wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """`labels` are the dimensions under which values are kept apart."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    meaning: str
    remedy: str
    labels: tuple[str, ...] = ()
    while_running: bool = False
    """Reported by a streaming job only, not in a summary."""


RECORDS_READ = Metric(
    "records_read", "counter", "records", "non-blank input lines or rows", "none: context for the others", ("stream",)
)
RECORDS_USED = Metric("records_used", "counter", "records", "records that took part", "see records_dead", ("stream",))
RECORDS_DUPLICATE = Metric(
    "records_duplicate",
    "counter",
    "records",
    "repeats of a record already read",
    "a producer retries a lot",
    ("stream",),
)
RECORDS_DEAD = Metric(
    "records_dead", "counter", "records", "dead letters", "read dead_letters/ by reason; mend the producer", ("stream",)
)
RECORDS_LATE = Metric(
    "records_late",
    "counter",
    "records",
    "records that came after the watermark had passed their time",
    "phones or a feed lag: raise the lateness that sources allow, if riders lose evidence",
    ("stream",),
    while_running=True,
)
DISRUPTIONS = Metric(
    "disruptions",
    "counter",
    "disruptions",
    "disruptions by final state",
    "many withdrawn: a provider corrects a lot",
    ("product", "state"),
)
ORACLE_MODES = Metric(
    "oracle_modes",
    "counter",
    "records",
    "revisions of disruptions by the mode of each of their metrics when they were made: fresh, stale, conflict, outage",
    "stale or outage: a feed has stopped; conflict: providers contradict each other, look for a broken station",
    ("product", "metric", "mode"),
)
CLAIMS = Metric(
    "claims", "counter", "claims", "claims by final status", "many held: check the model's drift", ("product", "status")
)
PAYOUTS = Metric(
    "payouts", "counter", "instalments", "payout instructions", "none: context for payout_paise", ("product",)
)
PAYOUT_PAISE = Metric("payout_paise", "counter", "paise", "amount instructed", "compare with the reserve", ("product",))
CLAIMS_UNSCORED = Metric(
    "claims_unscored",
    "counter",
    "records",
    "revisions of claims that went to manual review because no score came for them",
    "should be 0: the evidence of a claim is lost, which is a fault of ours; people decide these claims meanwhile",
    ("product",),
)
QUEUED_CLAIMS = Metric(
    "queued_claims", "gauge", "claims", "approved claims that wait for a reserve", "raise the reserve", ("product",)
)
QUEUED_PAISE = Metric(
    "queued_paise", "gauge", "paise", "approved and waiting for a reserve", "raise the reserve", ("product",)
)
RESERVE_ALERTS = Metric(
    "reserve_alerts",
    "counter",
    "records",
    "moments at which a queue for a reserve grew (exhausted) or shrank (released)",
    "read reserve_alerts/; raise the reserve",
    ("product", "state"),
    while_running=True,
)
DISRUPTION_REVISIONS = Metric(
    "disruption_revisions",
    "counter",
    "records",
    "revisions of disruptions published",
    "many withdrawn: a provider corrects a lot",
    ("product", "state"),
    while_running=True,
)
CLAIM_REVISIONS = Metric(
    "claim_revisions",
    "counter",
    "records",
    "revisions of claims published",
    "many held: check the model's drift",
    ("product", "status"),
    while_running=True,
)
PAYOUTS_INSTRUCTED = Metric(
    "payouts_instructed",
    "counter",
    "instalments",
    "payout instructions",
    "none: context for paise_instructed",
    while_running=True,
)
PAISE_INSTRUCTED = Metric(
    "paise_instructed", "counter", "paise", "amount instructed", "compare with the reserve", while_running=True
)

FEATURES_WRITTEN = Metric(
    "features_written",
    "counter",
    "versions",
    "versions of features read from the topic and written to a store, `online` or `offline`",
    "0 while the job writes: look at the messages of `monsoon features consume`",
    ("store",),
    while_running=True,
)
FEATURES_LAG = Metric(
    "features_lag_ms",
    "gauge",
    "ms",
    "how long ago the broker took the oldest version that was written last; 0 once all are",
    "rises: the store is slower than the job; look at its load, and give it more time or another machine",
    ("store",),
    while_running=True,
)
FEATURES_REFUSED = Metric(
    "features_refused",
    "counter",
    "records",
    "records of the topic that are no versions of a set that this release has",
    "update the consumer after the job, or find who else writes to the topic",
    ("store",),
    while_running=True,
)
FEATURES_REFILLS = Metric(
    "features_refills",
    "counter",
    "times",
    "how often a store was found empty and was filled from the topic's beginning",
    "more than after restarts of Redis: it evicts keys; give it memory",
    ("store",),
    while_running=True,
)

OF_LINES = {"read": RECORDS_READ, "used": RECORDS_USED, "duplicate": RECORDS_DUPLICATE, "dead": RECORDS_DEAD}
"""By their names in the counts of a stream."""

METRICS = tuple(each for each in [*globals().values()] if isinstance(each, Metric))


def sample_name(metric: Metric, /, **labels: str) -> str:
    """The name under which one value is reported: `records_read{stream="telemetry"}`.

    Raises ValueError unless the labels are just those of the metric.
    """
    if set(labels) != set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
    inside = ",".join(f'{label}="{labels[label]}"' for label in metric.labels)
    return f"{metric.name}{{{inside}}}" if inside else metric.name
