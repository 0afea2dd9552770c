"""Drift reports of an output folder, whichever engine wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monsoon.sinks.folder import write_derived
from monsoon.sinks.record_files import Format
from monsoon.sources.model_files import read_model
from monsoon.sources.output_folder import read_records
from monsoon.transforms.drift import DriftReference, drift_claims, drift_reports, read_drift_reference
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.folder import ModelFolder

STREAM = "drift_reports"


def drift_model(model: Path | None = None) -> tuple[ModelFolder, DriftReference]:
    """The files of a model, None: of the one that comes with Monsoon, and what its training claims looked like.

    Raises ModelFolderError where the folder does not say.
    """
    folder = read_model(model)
    return folder, read_drift_reference(folder)


def write_drift_reports(output: Path, model: Path | None = None) -> list[dict[str, Any]]:
    """Makes the reports of the claims in an output folder, in the format of its claims, and returns them.

    `model` is the model folder whose training they are compared with; None: the one that comes with Monsoon. Raises
    InputError, OutputError and ModelFolderError.
    """
    folder, reference = drift_model(model)
    scorer = Scorer(folder)
    platforms = {each["disruption_id"]: each.get("platform") for each in read_records(output, "disruptions")}
    claims = drift_claims(read_records(output, "claims"), platforms, scorer.features)
    reports = drift_reports(claims, reference, scorer)
    file_format: Format = "parquet" if any((output / "claims").glob("part-*.parquet")) else "jsonl"
    write_derived(output, STREAM, reports, file_format)
    return reports
