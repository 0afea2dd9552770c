"""Model folders from disk to scorers."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.folder import ModelFolder, read_model_folder

DEFAULT_MODEL = "claim_anomaly"


def load_scorer(folder: Path | None = None) -> Scorer:
    """The model in `folder`, or the one that comes with Monsoon.

    Raises ModelFolderError where the folder fails its checks.
    """
    if folder is not None:
        return Scorer.load(folder)
    return load_model(DEFAULT_MODEL)


@cache
def load_model(name: str) -> Scorer:
    """A model that comes with Monsoon, by name; loaded once. Raises ModelFolderError where its folder fails its
    checks, or there is none."""
    with as_file(files("monsoon.models") / "onnx" / name) as known:
        return Scorer.load(known)


def read_model(folder: Path | None = None) -> ModelFolder:
    """The files of the model in `folder`, or of the one that comes with Monsoon. Raises ModelFolderError."""
    if folder is not None:
        return read_model_folder(folder)
    with as_file(files("monsoon.models") / "onnx" / DEFAULT_MODEL) as known:
        return read_model_folder(known)
