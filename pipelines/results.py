"""A replay's results, whichever engine found them: their order, the account of every line, the output folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from operator import itemgetter
from typing import Any, Literal

from monsoon.pipelines import metrics
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.sinks.folder import OutputFolder
from monsoon.sources.files import OPTIONAL_STREAMS
from monsoon.sources.model_files import load_model
from monsoon.sources.reference import ReferenceAccount
from monsoon.transforms import notifications
from monsoon.transforms.adjudication.decision import UNSCORED
from monsoon.transforms.adjudication.eligibility import REVIEW_REASONS
from monsoon.transforms.decisions import Records
from monsoon.transforms.product import Product, SilentQuorum
from monsoon.transforms.provider_register import ProviderRegister
from monsoon.transforms.rings.alerts import SYNDICATE
from monsoon.transforms.validation.input_checks import InputStatistics, warnings

Providers = Literal["registered", "unregistered"]
"""Whether the operator says how good providers are, or their readings themselves."""


def providers_are(register: ProviderRegister | None) -> Providers:
    """As the summary says it."""
    return "unregistered" if register is None else "registered"


STREAM_ORDER = ("subscriptions", "oracle_readings", "telemetry", *OPTIONAL_STREAMS)
"""The order of input streams in the account."""


def dead_letter_order(letter: Mapping[str, Any]) -> tuple[Any, ...]:
    """The order in which dead letters are written."""
    by_content = itemgetter("seen_at", "reason", "raw", "detail")
    return STREAM_ORDER.index(letter["stream"]), *by_content(letter)


@dataclass(kw_only=True)
class Account:
    """What became of every line read, and of the reference files."""

    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By stream."""
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    reference_account: ReferenceAccount = field(default_factory=ReferenceAccount)
    providers: Providers = "unregistered"
    statistics: dict[str, InputStatistics] = field(default_factory=dict)
    """Of each stream as a whole."""


@dataclass
class Outcome:
    """What one or more products make of the inputs, as records of the contracts."""

    disruptions: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)
    reserve_alerts: list[dict[str, Any]] = field(default_factory=list)
    syndicate_alerts: list[dict[str, Any]] = field(default_factory=list)
    ring_alerts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, records: Records) -> None:
        """Adds records by stream."""
        for stream, of_stream in records.items():
            getattr(self, stream).extend(of_stream)


def write_results(
    output: OutputFolder,
    account: Account,
    outcome: Outcome,
    products: Mapping[str, Product],
    models: Mapping[str, str],
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Writes every stream in a fixed order, and the summary, which it returns. `models` are versions by name."""
    progress("writing", None)
    summary = summarized(account, outcome, products, models)
    for stream in _ORDERS:
        output.write(stream, getattr(outcome, stream))
    output.write("dead_letters", account.dead_letters)
    output.finish(summary)
    return summary


def summarized(
    account: Account, outcome: Outcome, products: Mapping[str, Product], models: Mapping[str, str]
) -> dict[str, Any]:
    """The summary of an outcome, whose records it puts in the order in which they are written."""
    for stream, order in _ORDERS.items():
        getattr(outcome, stream).sort(key=order)
    return _summary(account, outcome, products.values(), models)


_ORDERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "disruptions": itemgetter("revised_at", "disruption_id", "revision"),
    "claims": itemgetter("decided_at", "claim_id", "revision"),
    "payouts": itemgetter("created_at", "claim_id", "instalment"),
    "notifications": notifications.order,
    "reserve_alerts": itemgetter("event_time", "alert_id"),
    "syndicate_alerts": itemgetter("event_time", "alert_id"),
    "ring_alerts": itemgetter("event_time", "alert_id"),
}
"""The streams of an outcome in the order in which they are written, and the order of the records of each."""

_WITHOUT = {
    "oracle_readings": "no disruption can be confirmed",
    "subscriptions": "nobody is insured",
    "telemetry": "every rider is assumed to be at home",
}
"""What a required stream without records means for the decisions."""


def _summary(
    account: Account, outcome: Outcome, products: Iterable[Product], models: Mapping[str, str]
) -> dict[str, Any]:
    """Accounts for every line read and every record written; holds nothing of where or when the replay ran.

    `outcome` is in the order in which it is written.
    """
    disruptions = _last(outcome.disruptions, "disruption_id")
    claims = _last(outcome.claims, "claim_id")
    queues = _queues(outcome.reserve_alerts)
    unscored = Counter(record["product"] for record in outcome.claims if UNSCORED in record["reasons"])
    by_product = {
        product.name: {
            "version": product.version,
            "disruptions": _counted(record["state"] for record in disruptions[product.name]),
            "claims": _counted(record["status"] for record in claims[product.name]),
            "unscored_claims": unscored[product.name],
            **_paid(outcome.payouts, {record["claim_id"] for record in claims[product.name]}),
            "queued_claims": sum(alert["queued_claims"] for alert in queues[product.name]),
            "queued_paise": sum(alert["queued_paise"] for alert in queues[product.name]),
            "for_review": sorted(
                record["claim_id"] for record in claims[product.name] if REVIEW_REASONS.intersection(record["reasons"])
            ),
        }
        for product in products
    }
    streams = {stream: account.counts[stream] for stream in sorted(account.counts)}
    return {
        "monsoon": version("monsoon"),
        "streams": streams,
        "warnings": [
            *(
                f"{stream}: holds no record; {effect}"
                for stream, effect in _WITHOUT.items()
                if stream in streams and not streams[stream]["read"]
            ),
            *warnings(account.statistics),
            *account.reference_account.warnings,
        ],
        "products": by_product,
        "models": {**models, **_witness_models(products), **_ring_model(outcome.ring_alerts)},
        "providers": account.providers,
        "reference_rows_skipped": account.reference_account.rows_skipped,
        "records": {
            **{stream: len(getattr(outcome, stream)) for stream in _ORDERS},
            "dead_letters": len(account.dead_letters),
        },
        "metrics": _samples(streams, by_product) | _oracle_modes(outcome.disruptions),
    }


def _witness_models(products: Iterable[Product]) -> dict[str, str]:
    """The versions of the models that triggers of the products ask, by name."""
    witnesses = (
        trigger.telemetry_condition for product in products for each in product.versions for trigger in each.triggers
    )
    names = {each.model for each in witnesses if isinstance(each, SilentQuorum) and each.model is not None}
    return {name: load_model(name).version for name in sorted(names)}


def _ring_model(alerts: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The version of the model that gave rings their risk, by name; none where there is no ring."""
    versions = sorted({alert["model_version"] for alert in alerts if "model_version" in alert})
    return {SYNDICATE: versions[-1]} if versions else {}


def _samples(streams: Mapping[str, Mapping[str, Any]], products: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """What a streaming job reports while it runs, as it stands at the end."""
    samples = {}
    for stream, counts in streams.items():
        for count, metric in metrics.OF_LINES.items():
            samples[metrics.sample_name(metric, stream=stream)] = counts[count]
    for product, result in products.items():
        for state, count in result["disruptions"].items():
            samples[metrics.sample_name(metrics.DISRUPTIONS, product=product, state=state)] = count
        for status, count in result["claims"].items():
            samples[metrics.sample_name(metrics.CLAIMS, product=product, status=status)] = count
        for metric, name in (
            (metrics.CLAIMS_UNSCORED, "unscored_claims"),
            (metrics.PAYOUTS, "payouts"),
            (metrics.PAYOUT_PAISE, "payout_paise"),
            (metrics.QUEUED_CLAIMS, "queued_claims"),
            (metrics.QUEUED_PAISE, "queued_paise"),
        ):
            samples[metrics.sample_name(metric, product=product)] = result[name]
    return samples


def _oracle_modes(disruptions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Revisions by the mode of each metric when they were made."""
    return _counted(
        metrics.sample_name(metrics.ORACLE_MODES, product=record["product"], metric=metric, mode=mode)
        for record in disruptions
        for metric, mode in record["oracle_modes"].items()
    )


def _last(records: Sequence[Mapping[str, Any]], identity: str) -> dict[str, list[Mapping[str, Any]]]:
    """The last revision of each record, by product."""
    by_product: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in {record[identity]: record for record in records}.values():
        by_product[record["product"]].append(record)
    return by_product


def _queues(alerts: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The last alert of every queue, by product."""
    last = {(alert["product"], alert["day"], alert["cell"]): alert for alert in alerts}
    by_product: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for alert in last.values():
        by_product[alert["product"]].append(alert)
    return by_product


def _paid(payouts: Sequence[Mapping[str, Any]], claim_ids: set[str]) -> dict[str, int]:
    amounts = [payout["amount_paise"] for payout in payouts if payout["claim_id"] in claim_ids]
    return {"payouts": len(amounts), "payout_paise": sum(amounts)}


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
