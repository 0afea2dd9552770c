"""The metrics of `pipelines.metrics`, counted as results come by on their way to the files.

Not in the operators: PyFlink drops what a keyed function counts in a timer, and that is where operators work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from monsoon.pipelines import metrics
from monsoon.pipelines.metrics import Metric
from monsoon.pipelines.runtime.messages import unpack_result
from monsoon.transforms.adjudication.decision import UNSCORED

_REVISIONS = {
    "disruptions": (metrics.DISRUPTION_REVISIONS, "state"),
    "claims": (metrics.CLAIM_REVISIONS, "status"),
    "reserve_alerts": (metrics.RESERVE_ALERTS, "state"),
}
"""By stream: the metric of its records, and the field that is a label beside the product."""


class _Revision(Struct):
    """What is counted of a revision: other fields are not decoded."""

    product: str
    status: str = ""
    state: str = ""
    reasons: tuple[str, ...] = ()


class _Payout(Struct):
    amount_paise: int


class ResultMetrics:
    """Counters of one task, in Flink's metric groups `label.value`."""

    def __init__(self, runtime_context: Any) -> None:
        self._group = runtime_context.get_metrics_group()
        self._counters: dict[tuple[str, ...], Any] = {}

    def count(self, kind: str, payload: str) -> None:
        """Updates the counters with a result."""
        if kind == "counts":
            stream, counts = unpack_result(payload)
            for name, metric in metrics.OF_LINES.items():
                self._count(metric, counts[name], {"stream": stream})
        elif kind == "late":
            stream, late = unpack_result(payload)
            self._count(metrics.RECORDS_LATE, late, {"stream": stream})
        elif kind in _REVISIONS:
            metric, state = _REVISIONS[kind]
            revisions = unpack_result(payload, list[_Revision])
            for (product, label), count in Counter((each.product, getattr(each, state)) for each in revisions).items():
                self._count(metric, count, {"product": product, state: label})
            unscored = Counter(each.product for each in revisions if UNSCORED in each.reasons)
            for product, count in unscored.items():
                self._count(metrics.CLAIMS_UNSCORED, count, {"product": product})
        elif kind == "payouts":
            payouts = unpack_result(payload, list[_Payout])
            self._count(metrics.PAYOUTS_INSTRUCTED, len(payouts), {})
            self._count(metrics.PAISE_INSTRUCTED, sum(payout.amount_paise for payout in payouts), {})

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
