"""The scorer: one model folder, loaded once, applied to batches of claims."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from monsoon.transforms.scoring.calibration import Calibration, RiskTable
from monsoon.transforms.scoring.features import FeatureList, measured_masks
from monsoon.transforms.scoring.folder import ModelFolder, ModelFolderError, read_model_folder
from monsoon.transforms.scoring.forest import Forest

FEATURES, CALIBRATION, PARITY = "features.json", "calibration.json", "parity.npy"
PARITY_TOLERANCE = 1e-6
REASONS = 3
_LARGEST = float(np.finfo(np.float32).max)
Decoded = TypeVar("Decoded")


class Contribution(NamedTuple):
    """How much one feature contributes to a claim's risk.

    `weight`: by how many levels the mean isolation path grows once `value` is replaced by `honest_median`.
    """

    feature: str
    value: float
    honest_median: float
    weight: float


class Scores(NamedTuple):
    """One entry a row.

    risk float64: calibrated, [0, 1], 0.40 = 1 honest claim in 100, NaN where nothing was measured.
    raw float64: the forest's anomaly score, (0, 1), higher is more anomalous; means nothing across masks, and its
    last bit may differ between processors (risk's does not).
    mask uint16: bit g set where sensor group g was measured. measured_groups uint8: how many are.
    """

    risk: np.ndarray
    raw: np.ndarray
    mask: np.ndarray
    measured_groups: np.ndarray


class Scorer:
    """A model folder that passed its checks. The same row has the same score in any batch, at any place in it.

    `version` names the model in every decision; `features` and `groups` are in the order of the input's columns and
    of the mask's bits; `parity_rows` are the claims, float32 (n, features), that the checks are made on.
    """

    def __init__(self, folder: ModelFolder) -> None:
        """Raises ModelFolderError where the folder's files do not fit together or parity fails."""
        self.name, self.version = folder.name, folder.version
        features = _decode(folder, FEATURES, FeatureList)
        self.features, self.groups = features.names, features.groups
        self.honest_medians = np.array([f.honest_median for f in features.features], dtype=np.float32)
        self._forest = _forest(folder)
        try:
            self._starts = features.group_starts()
            self._risks = RiskTable(_decode(folder, CALIBRATION, Calibration))
        except ValueError as error:
            raise ModelFolderError(folder.path, str(error)) from error
        self._check_parity(folder)

    @classmethod
    def load(cls, path: str | Path) -> "Scorer":
        """Reads and checks the folder at `path`. Raises ModelFolderError."""
        return cls(read_model_folder(Path(path)))

    def rows(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The model's input, float32 (n, features), from one float column (n,) a feature, NaN = not measured.

        A value beyond float32 is the largest there is: as far beyond every split of the forest, and a number still.
        Other columns are ignored. Raises ValueError naming the features that are absent.
        """
        absent = [name for name in self.features if name not in columns]
        if absent:
            raise ValueError(f"{self.version}: no column {', '.join(absent)}")
        rows = np.empty((len(columns[self.features[0]]), len(self.features)), dtype=np.float32)
        for index, name in enumerate(self.features):
            rows[:, index] = np.clip(columns[name], -_LARGEST, _LARGEST)
        return rows

    def score(self, columns: Mapping[str, np.ndarray]) -> Scores:
        """Scores one claim a row; columns as in `rows`.

        Range: `risk` 0..1 to a millionth, linear in log10 of the share of honest claims that look at least as odd: 0.40
        is 1 in 100, 0.72 is 1 in 1,000. Direction: high points to fraud. Missing input: a feature that was not measured
        (NaN) goes where the forest sends most honest claims, and the risk is calibrated for the sensor groups that were
        measured, so a cut-off means the same with and without a barometer; NaN where nothing was. Source: the model
        folder, whose `version` says which; the scale is `products.md`, kawaach, by `fraud.md`, "By product".
        """
        return self.score_rows(self.rows(columns))

    def score_rows(self, rows: np.ndarray) -> Scores:
        """Scores rows that are in the model's input form already, float32 (n, features)."""
        quanta, raw = self._forest.run(rows)
        masks = measured_masks(rows, self._starts)
        return Scores(self._risks.risk(quanta, masks), raw, masks, np.bitwise_count(masks))

    def risk_on_one_scale(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The risk that each row's path would be if every sensor group had been measured, float64 (n,), NaN where none
        was: of a model that is not calibrated for what was measured, to compare with."""
        quanta, _ = self._forest.run(rows := self.rows(columns))
        every = np.uint16((1 << len(self.groups)) - 1)
        return self._risks.risk(quanta, np.where(measured_masks(rows, self._starts) > 0, every, np.uint16(0)))

    def explain(
        self, columns: Mapping[str, np.ndarray], rows: Sequence[int] | np.ndarray
    ) -> list[tuple[Contribution, ...]]:
        """For each of the given row numbers the three features that contribute most to the claim's risk, the largest
        first.

        By occlusion: each measured feature in turn is replaced by its honest median. Fewer than three where fewer
        raise the risk; ties are in feature order.
        """
        inputs = self.rows({name: np.asarray(columns[name])[rows] for name in self.features if name in columns})
        gains, order = self._gains(inputs)
        return [
            tuple(self._contribution(inputs[row], feature, gains[row]) for feature in top if gains[row, feature] > 0)
            for row, top in enumerate(order)
        ]

    def weightiest(self, columns: Mapping[str, np.ndarray]) -> list[tuple[str, ...]]:
        """The names of the features that `explain` returns, for every row."""
        gains, order = self._gains(self.rows(columns))
        names = np.array(self.features, dtype=object)[order].tolist()
        counts = (np.take_along_axis(gains, order, axis=1) > 0).sum(axis=1).tolist()
        return [tuple(top[:count]) for top, count in zip(names, counts, strict=True)]

    def _gains(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By how much, in quanta, each path grows once a feature is occluded, int64 (n, features), 0 where it was not
        measured; and the REASONS largest of each row, ties in feature order."""
        # A value that is the median already changes no path.
        row, feature = np.nonzero(~np.isnan(inputs) & (inputs != self.honest_medians))
        occluded = inputs[row]
        occluded[np.arange(len(row)), feature] = self.honest_medians[feature]
        # The rows as they are go in the same batch: one run of the forest.
        paths = self._forest.path_quanta(np.concatenate([inputs, occluded]))
        gains = np.zeros(inputs.shape, dtype=np.int64)
        gains[row, feature] = paths[len(inputs) :] - paths[row]
        return gains, np.argsort(-gains, axis=1, kind="stable")[:, :REASONS]

    def _contribution(self, row: np.ndarray, feature: int, gains: np.ndarray) -> Contribution:
        weight = round(self._forest.mean_path_length(float(gains[feature])), 6)
        median = float(self.honest_medians[feature])
        return Contribution(self.features[feature], float(row[feature]), median, weight)

    def _check_parity(self, folder: ModelFolder) -> None:
        try:
            expected = np.lib.format.read_array(io.BytesIO(folder.contents[PARITY]), allow_pickle=False)
            self.parity_rows = np.ascontiguousarray(expected["features"], dtype=np.float32)
            scores = self.score_rows(self.parity_rows)
        except Exception as error:
            raise ModelFolderError(folder.path / PARITY, f"cannot be scored ({error})") from error
        worst = float(np.abs(scores.raw - expected["anomaly_score"]).max())
        if not worst <= PARITY_TOLERANCE:
            fault = f"scores differ from scikit-learn's by up to {worst:.3g}, allowed {PARITY_TOLERANCE:g}"
            raise ModelFolderError(folder.path / f"{folder.name}.onnx", fault)
        if not np.array_equal(scores.risk, expected["risk"], equal_nan=True):
            raise ModelFolderError(folder.path / CALIBRATION, "risks differ from those recorded at training")


def _decode(folder: ModelFolder, file: str, type_: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(folder.contents[file], type=type_)
    except (KeyError, msgspec.DecodeError) as error:
        raise ModelFolderError(folder.path / file, str(error)) from error


def _forest(folder: ModelFolder) -> Forest:
    file = f"{folder.name}.onnx"
    try:
        return Forest(folder.contents[file])
    except (KeyError, ValueError) as error:
        raise ModelFolderError(folder.path / file, str(error)) from error
