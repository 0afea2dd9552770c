"""What is known of riders, phones, zones and neighborhoods, at every moment: online in Redis, offline in Parquet.

Belongs here: the definitions of features by entity, their versions in event time, and both stores. Does not: how a
feature is computed, which is the business of `monsoon.transforms.evidence`, and reading of telemetry.
"""

from monsoon.feature_store.definitions import (
    ENTITIES,
    FEATURE_SETS,
    FeatureError,
    FeatureSet,
    feature_set,
    pair_id,
    sets_of,
)
from monsoon.feature_store.offline import OfflineStore, get
from monsoon.feature_store.versions import FeatureVersions

__all__ = [
    "ENTITIES",
    "FEATURE_SETS",
    "FeatureError",
    "FeatureSet",
    "FeatureVersions",
    "OfflineStore",
    "feature_set",
    "get",
    "pair_id",
    "sets_of",
]
