"""What a model's training claims looked like, as the model folder keeps it beside the model."""

from __future__ import annotations

import msgspec

from monsoon.transforms.scoring.folder import ModelFolder, ModelFolderError

DRIFT = "drift.json"
"""Its file in the model folder."""


class FeatureReference(msgspec.Struct, frozen=True):
    """One feature. Bin b holds the values above `edges[b - 1]` up to and including `edges[b]`; the first and the last
    are open. `shares`: of the measured values in each bin, none below a small floor. `null_psi`: for each of the
    reference's `counts` the 99th percentile of the PSI of so many values drawn from `shares`, or of more; it falls."""

    name: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    null_psi: tuple[float, ...]


class GroupReference(msgspec.Struct, frozen=True):
    """One sensor group: the share of training claims that did not measure it."""

    name: str
    missing_share: float


class ShareAtOrBelow(msgspec.Struct, frozen=True):
    """The share of training claims with a p-value of at most `p`."""

    p: float
    share: float


class DriftReference(msgspec.Struct, frozen=True):
    """`claims`: how many training claims it is made of. `counts`: numbers of values, rising, for which features have a
    `null_psi`; fewer values than the first are not compared."""

    claims: int
    counts: tuple[int, ...]
    features: tuple[FeatureReference, ...]
    groups: tuple[GroupReference, ...]
    p_values: tuple[ShareAtOrBelow, ...]


def read_drift_reference(folder: ModelFolder) -> DriftReference:
    """The reference of a model folder. Raises ModelFolderError where it has none, or a malformed one."""
    if DRIFT not in folder.contents:
        raise ModelFolderError(folder.path / DRIFT, "is not there, and monsoon train --drift-only makes it")
    try:
        return msgspec.json.decode(folder.contents[DRIFT], type=DriftReference)
    except msgspec.DecodeError as error:
        raise ModelFolderError(folder.path / DRIFT, str(error)) from error
