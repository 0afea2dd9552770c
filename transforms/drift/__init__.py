"""Drift and fairness in operation: a day's claims beside the claims that a model was trained on.

Belongs here: what is compared, and when a difference is more than chance. Not here: reading and writing of outputs,
and the reference itself, which is made with the model (monsoon.models.drift_reference).
"""

from monsoon.transforms.drift.claims import DriftClaims, drift_claims
from monsoon.transforms.drift.reference import DriftReference, read_drift_reference
from monsoon.transforms.drift.report import drift_reports

__all__ = ["DriftClaims", "DriftReference", "drift_claims", "drift_reports", "read_drift_reference"]
