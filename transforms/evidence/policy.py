"""Features of the policy and of the rider's claims: time of purchase, age of the account, number of claims."""

from __future__ import annotations

import numpy as np

from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.ragged import ratio
from monsoon.transforms.evidence.window import Queries

_MS_PER_S = 1000.0
_MS_PER_DAY = 24 * 3_600_000.0


def subscription_alert_gap_s(queries: Queries) -> Measured:
    """When the policy was activated, after the zone's first public alert, s.

    Range: any number; positive is bought after the alert. Direction: high points to fraud: who buys cover knows of the
    storm. Missing input: null without an alert, or a known activation. Rests on: no report. Source: `fraud.md`,
    features.

    >>> bought = Queries.of(9, [0, 0], [0, 0], [0, 0], activated_at_ms=[90_000, None], first_alert_ms=[60_000, 60_000])
    >>> subscription_alert_gap_s(bought)[0]
    array([30., nan])
    """
    return (queries.activated_at_ms - queries.first_alert_ms) / _MS_PER_S, _no_report(queries)


def stated_wage_ratio(queries: Queries) -> Measured:
    """The stated amount that decides the payout (daily wage or shift baseline) / what is usual where the claim is.

    Range: 0 and up. Direction: high points to fraud: above 2 a wage is held for review where it decides the payout.
    Missing input: null where no amount is stated, or nothing usual is known (`wages.py`) or it is 0. Rests on: no
    report. Source: `fraud.md`, features.

    >>> stated = Queries.of(9, [0], [0], [0], stated_inr=[1800.0], usual_inr=[720.0])
    >>> stated_wage_ratio(stated)[0]
    array([2.5])
    """
    usual_inr = np.where(queries.usual_inr > 0, queries.usual_inr, 0.0)
    return ratio(queries.stated_inr, usual_inr), _no_report(queries)


def claims_7d(queries: Queries) -> Measured:
    """The rider's claims of the 7 days before the confirmation, of those known at the decision, a count.

    Range: 0 and up. Direction: high points to fraud. Missing input: null where nobody counted them. Rests on: no
    report. Source: `fraud.md`, features; `products.md`, gic. The caller counts them (`pipelines/claim_scores.py`).
    """
    return queries.claims_7d, _no_report(queries)


def account_age_d(queries: Queries) -> Measured:
    """Age of the account at the confirmation, days.

    Range: 0 and up; an account of a later day is of age 0. Direction: low points to fraud (`products.md`, gic: below
    7). Missing input: null where its creation is not stated. Rests on: no report. Source: `fraud.md`, features.

    >>> account_age_d(Queries.of(9, [0, 0], [0, 0], [864_000_00, 0], account_created_at_ms=[0, 1]))[0]
    array([1., 0.])
    """
    age_d = (queries.confirmed_at_ms - queries.account_created_at_ms) / _MS_PER_DAY
    return np.maximum(age_d, 0.0), _no_report(queries)


def _no_report(queries: Queries) -> np.ndarray:
    return np.zeros(len(queries), dtype=np.int64)
