"""Basis risk: how far what a product pays is from what its riders lose.

Belongs here: the measures with their bootstrap bounds, the loss of a rider of whom no truth is known, and which station
is near him. Not here: reading an input and an output, and other terms tried on them (monsoon.pipelines.basis_risk).
"""

from monsoon.transforms.basis_risk.activity_loss import ActivityLoss, activity_loss
from monsoon.transforms.basis_risk.measures import (
    DEFAULT_RESAMPLES,
    MEASURES,
    Estimate,
    GroupMeasures,
    LossAndPayment,
    group_measures,
)
from monsoon.transforms.basis_risk.stations import (
    DISTANCE_BANDS,
    Stations,
    at_stations,
    distance_band,
    official_stations,
)

__all__ = [
    "DEFAULT_RESAMPLES",
    "DISTANCE_BANDS",
    "MEASURES",
    "ActivityLoss",
    "Estimate",
    "GroupMeasures",
    "LossAndPayment",
    "Stations",
    "activity_loss",
    "at_stations",
    "distance_band",
    "group_measures",
    "official_stations",
]
