"""A population of honest claims, the reference made of it, and records of claims drawn from it."""

import numpy as np

from monsoon.models.drift_reference import drift_reference
from monsoon.sources.model_files import load_scorer
from monsoon.transforms.drift import drift_claims, drift_reports

NOON_MS = 1_719_556_200_000  # 12:00 on 28 June 2024 in Kolkata
ZONES = ("893da115cbbffff", "893da18c003ffff")  # of one parent each
GROUPS_MISSING = 0.3


def population(scorer, count, seed):
    """float64 columns by feature: spread around the model's honest medians, a third of the sensor groups missing."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, median in zip(scorer.features, scorer.honest_medians.astype(float), strict=True):
        spread = rng.normal(0.0, 0.1 * max(abs(median), 0.1), count)
        # As with real sensors, some never vary among the honest.
        columns[name] = np.full(count, median) if median in (0.0, 1.0) else np.round(median + spread, 6)
        columns[name][rng.random(count) < GROUPS_MISSING] = np.nan
    return columns


class Population:
    """Claims to draw from, and what a model folder would hold of them."""

    def __init__(self):
        self.scorer = load_scorer()
        self.columns = population(self.scorer, 10_000, 1)
        self.reference = drift_reference(self.columns, self.scorer, 1)

    def records(self, count, seed, **fields):
        """Claims of so many riders of the same kind, but none of those that the reference is made of."""
        columns = {name: column.tolist() for name, column in population(self.scorer, count, (2, seed)).items()}
        return [
            claim(number, {name: _or_null(column[number]) for name, column in columns.items()}, **fields)
            for number in range(count)
        ]

    def reports(self, records, platforms=None):
        """The reports of these claims."""
        claims = drift_claims(records, platforms or {}, self.scorer.features)
        return drift_reports(claims, self.reference, self.scorer)

    def alerts(self, records, **kwargs):
        """Kind and subject of every alert in the report over all cells."""
        return [(each["kind"], each["about"]) for each in self.reports(records, **kwargs)[0]["alerts"]]


def _or_null(value):
    return None if value != value else value  # NaN equals nothing


def claim(number, features, **fields):
    """An approved claim of rider `number`, decided at noon."""
    return {
        "claim_id": f"c{number:032d}",
        "revision": 0,
        "status": "approved",
        "decided_at": NOON_MS + number,
        "worker_id": f"w{number}",
        "policy_id": f"p{number}",
        "product": "kawaach",
        "disruption_id": "d1",
        "peril": "rain",
        "zone": ZONES[0],
        "ring_id": None,
        "features": features,
        "feature_reports": {"accelerometer_variance": 30},
        "reasons": [],
        "product_version": "1",
        "model_version": "claim_anomaly-1",
    } | fields
