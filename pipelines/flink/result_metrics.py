"""The metrics of `pipelines.metrics`, counted as results come by on their way to the files.

Not in the operators: PyFlink drops what a keyed function counts in a timer, and that is where operators work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from monsoon.pipelines import metrics
from monsoon.pipelines.metrics import Metric
from monsoon.pipelines.runtime.messages import unpack_result
from monsoon.transforms.adjudication.decision import UNSCORED

_LINES = {
    "read": metrics.RECORDS_READ,
    "used": metrics.RECORDS_USED,
    "duplicate": metrics.RECORDS_DUPLICATE,
    "dead": metrics.RECORDS_DEAD,
}


class ResultMetrics:
    """Counters of one task, in Flink's metric groups `label.value`."""

    def __init__(self, runtime_context: Any) -> None:
        self._group = runtime_context.get_metrics_group()
        self._counters: dict[tuple[str, ...], Any] = {}

    def count(self, kind: str, payload: str) -> None:
        """Updates the counters with a result."""
        value = unpack_result(payload)
        if kind == "counts":
            stream, counts = value
            for name, metric in _LINES.items():
                self._count(metric, counts[name], {"stream": stream})
        elif kind == "late":
            stream, late = value
            self._count(metrics.RECORDS_LATE, late, {"stream": stream})
        elif kind == "disruptions":
            for (product, state), count in Counter((each["product"], each["state"]) for each in value).items():
                self._count(metrics.DISRUPTION_REVISIONS, count, {"product": product, "state": state})
        elif kind == "claims":
            for (product, status), count in Counter((each["product"], each["status"]) for each in value).items():
                self._count(metrics.CLAIM_REVISIONS, count, {"product": product, "status": status})
            unscored = Counter(each["product"] for each in value if UNSCORED in each["reasons"])
            for product, count in unscored.items():
                self._count(metrics.CLAIMS_UNSCORED, count, {"product": product})
        elif kind == "reserve_alerts":
            for (product, state), count in Counter((each["product"], each["state"]) for each in value).items():
                self._count(metrics.RESERVE_ALERTS, count, {"product": product, "state": state})
        elif kind == "payouts":
            self._count(metrics.PAYOUTS_INSTRUCTED, len(value), {})
            self._count(metrics.PAISE_INSTRUCTED, sum(payout["amount_paise"] for payout in value), {})

    def _count(self, metric: Metric, count: int, labels: Mapping[str, str]) -> None:
        if not count:
            return
        key = (metric.name, *labels.values())
        if key not in self._counters:
            group = self._group
            for label in metric.labels:
                group = group.add_group(label, labels[label])
            self._counters[key] = group.counter(metric.name)
        self._counters[key].inc(count)
