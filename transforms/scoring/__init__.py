"""Scores claims with a model folder: features in, calibrated risk and its reasons out.

Here belongs what every engine needs to read a model folder and apply it. Not here: training, export and
evaluation (monsoon.models), and what a risk leads to (monsoon.transforms.adjudication).
"""

from monsoon.transforms.scoring.folder import ModelFolderError
from monsoon.transforms.scoring.model_schedule import ModelSchedule
from monsoon.transforms.scoring.scorer import Contribution, Scorer, Scores

__all__ = ["Contribution", "ModelFolderError", "ModelSchedule", "Scorer", "Scores"]
