"""Model folders from disk to scorers."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from monsoon.transforms.scoring import Scorer

DEFAULT_MODEL = "claim_anomaly"


def load_scorer(folder: Path | None = None) -> Scorer:
    """The model in `folder`, or the one that comes with Monsoon.

    Raises ModelFolderError where the folder fails its checks.
    """
    if folder is not None:
        return Scorer.load(folder)
    with as_file(files("monsoon.models") / "onnx" / DEFAULT_MODEL) as known:
        return Scorer.load(known)
