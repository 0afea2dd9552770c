"""Makes a model folder from vetted honest rows: forest, calibration, parity rows, manifest."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from sklearn.ensemble import IsolationForest

from monsoon.models.calibration import fit_calibration
from monsoon.models.claim_features import CLAIM_ANOMALY
from monsoon.models.design import ModelDesign, Warp, warp_rows
from monsoon.models.forest_export import ExportedForest, export_forest
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.calibration import Calibration, RiskTable
from monsoon.transforms.scoring.features import measured_masks
from monsoon.transforms.scoring.folder import MANIFEST, ModelFolder, build_manifest
from monsoon.transforms.scoring.forest import Forest
from monsoon.transforms.scoring.scorer import CALIBRATION, FEATURES, PARITY, PARITY_TOLERANCE

MODEL_CARD = "model_card.md"
TREES, SUBSAMPLE = 100, 256
# Of the forest's rows, this share a strong feature is made to contradict an otherwise honest claim. Honest riders
# are all alike in some features (hardly a mock location among thousands), and a forest cannot split what never
# varies: these rows give each strong feature its range, one feature at a time and never a combination.
CONTRADICTION_SHARE = 0.01
PARITY_ROWS, PARITY_CHECK_ROWS = 2_000, 100_000


Calibrate = Callable[
    [Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray, Callable[[float], None] | None], Calibration
]
"""As `fit_calibration`."""


@dataclass(frozen=True)
class FittedForest:
    """The forest as scikit-learn has it, as exported, and what turns plain rows into its input."""

    forest: IsolationForest
    exported: ExportedForest
    design: ModelDesign
    shapes: list[Warp]
    medians: np.ndarray

    def anomaly_scores(self, rows: np.ndarray) -> np.ndarray:
        """scikit-learn's -score_samples of rows in plain units, float64 (n,)."""
        return -self.forest.score_samples(warp_rows(rows, self.shapes))


def fit_forest(rows: np.ndarray, seed: int, trees: int = TREES, design: ModelDesign = CLAIM_ANOMALY) -> FittedForest:
    """rows: float64 (n, features) of honest claims, NaN = not measured."""
    rng = np.random.default_rng(seed)
    medians = design.honest_medians(rows)
    # A missing value is the honest median in training, so that at each split "missing" goes where most honest
    # rows go: missing evidence is not evidence.
    complete = np.where(np.isnan(rows), medians, rows)
    shapes = design.warps(medians)
    training = np.concatenate(
        [complete, _contradictions(complete, round(len(rows) * CONTRADICTION_SHARE), rng, design)]
    )
    forest = IsolationForest(n_estimators=trees, max_samples=SUBSAMPLE, random_state=seed)
    forest.fit(warp_rows(training, shapes))
    return FittedForest(forest, export_forest(forest, shapes), design, shapes, medians)


def _contradictions(complete: np.ndarray, each: int, rng: np.random.Generator, design: ModelDesign) -> np.ndarray:
    rows = []
    for index in design.strong:
        block = complete[rng.integers(0, len(complete), each)].copy()
        block[:, index] = design.fraud_ends[index]
        rows.append(block)
    return np.concatenate(rows)


def with_faults(rows: np.ndarray, rng: np.random.Generator, design: ModelDesign = CLAIM_ANOMALY) -> np.ndarray:
    """The rows, the design's `fault_share` of them with one strong feature, any of them, contradicting the claim."""
    strong, ends = design.strong, design.fraud_ends
    faulty = np.flatnonzero(rng.random(len(rows)) < design.fault_share)
    which = strong[rng.integers(0, len(strong), len(faulty))]
    changed = rows.copy()
    changed[faulty, which] = ends[which]
    return changed


def build_files(
    forest_rows: np.ndarray,
    calibration_rows: np.ndarray,
    seed: int,
    trees: int = TREES,
    progress: Callable[[float], None] | None = None,
    design: ModelDesign = CLAIM_ANOMALY,
    calibrate: Calibrate = fit_calibration,
) -> dict[str, bytes]:
    """Every file of the model folder but the model card and the manifest, by name.

    forest_rows, calibration_rows: float64 (n, features), of different riders. `progress` is called with the share of
    the calibration that is done, which takes nearly all of the time. Raises ValueError where there are too few rows,
    or the export fails parity.
    """
    rng = np.random.default_rng(seed + 1)
    fitted = fit_forest(forest_rows, seed, trees, design)
    features = design.feature_list(fitted.medians)
    starts = features.group_starts()
    onnx_bytes = fitted.exported.model.SerializeToString(deterministic=True)
    forest = Forest(onnx_bytes)
    check_parity(fitted, forest, sample_for_parity(forest_rows, PARITY_CHECK_ROWS, rng, design))

    completed = completed_rows(calibration_rows, starts, rng, design)
    honest = with_faults(completed, rng, design).astype(np.float32)
    calibration = calibrate(forest.path_quanta, honest, starts, progress)
    parity_rows = sample_for_parity(forest_rows, PARITY_ROWS, rng, design)
    quanta, _ = forest.run(parity_rows)
    risks = RiskTable(calibration).risk(quanta, measured_masks(parity_rows, starts))
    return {
        f"{design.name}.onnx": onnx_bytes,
        FEATURES: msgspec.json.format(msgspec.json.encode(features), indent=1) + b"\n",
        CALIBRATION: _one_mask_a_line(calibration),
        PARITY: _parity_file(parity_rows, fitted.anomaly_scores(parity_rows), risks),
    }


def completed_rows(
    rows: np.ndarray, group_starts: np.ndarray, rng: np.random.Generator, design: ModelDesign = CLAIM_ANOMALY
) -> np.ndarray:
    """The rows that measured at least half of the sensor groups, float64, with every group measured.

    Few phones measure everything, and those are the dear ones. What a row lacks it takes, group by group and whole
    groups only, from a random row that measured it. Raises ValueError for a group that no row measured.
    """
    measured = np.logical_or.reduceat(~np.isnan(rows), group_starts, axis=1)
    base = measured.sum(axis=1) * 2 >= len(group_starts)
    completed, has = rows[base], measured[base]
    for group, features in enumerate(np.split(np.arange(rows.shape[1]), group_starts[1:])):
        lacking, donors = np.flatnonzero(~has[:, group]), np.flatnonzero(measured[:, group])
        if not len(donors):
            raise ValueError(f"no training row measures {', '.join(design.names[feature] for feature in features)}")
        completed[np.ix_(lacking, features)] = rows[np.ix_(rng.choice(donors, len(lacking)), features)]
    return completed


def sample_for_parity(
    rows: np.ndarray, count: int, rng: np.random.Generator, design: ModelDesign = CLAIM_ANOMALY
) -> np.ndarray:
    """float32 (count, features): honest rows, a third of their values redrawn up to the contradicting end, a tenth
    of them missing, so that every branch is taken."""
    sample = rows[rng.integers(0, len(rows), count)]
    toward = sample + (design.fraud_ends - sample) * rng.random(sample.shape)
    sample = np.where(rng.random(sample.shape) < 1 / 3, toward, sample)
    return np.where(rng.random(sample.shape) < 0.1, np.nan, sample).astype(np.float32)


def check_parity(fitted: FittedForest, forest: Forest, rows: np.ndarray) -> float:
    """The largest difference between the exported forest and scikit-learn. Raises ValueError above the tolerance."""
    _, exported = forest.run(rows)
    worst = float(np.abs(exported - fitted.anomaly_scores(rows)).max())
    if not worst <= PARITY_TOLERANCE:
        raise ValueError(f"the exported forest differs from scikit-learn's by {worst:.3g}")
    return worst


def scorer_of(path: Path, files: Mapping[str, bytes], name: str = CLAIM_ANOMALY.name) -> Scorer:
    """The scorer that a folder at `path` with these files will be. Raises ModelFolderError."""
    return Scorer(ModelFolder(path, name, build_manifest(name, files).version, files))


def write_folder(path: Path, files: Mapping[str, bytes], name: str = CLAIM_ANOMALY.name) -> str:
    """Writes the folder and returns its version; what would not load is not written. Raises OSError,
    ModelFolderError."""
    scorer_of(path, files, name)
    return write_files(path, files, name)


def write_files(path: Path, files: Mapping[str, bytes], name: str) -> str:
    """Writes a folder of these files with their manifest, and returns its version. Raises OSError."""
    manifest = build_manifest(name, files)
    path.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (path / file).write_bytes(content)
    (path / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest.version


def _parity_file(rows: np.ndarray, anomaly_scores: np.ndarray, risks: np.ndarray) -> bytes:
    table = np.empty(len(rows), [("features", "<f4", (rows.shape[1],)), ("anomaly_score", "<f8"), ("risk", "<f8")])
    table["features"], table["anomaly_score"], table["risk"] = rows, anomaly_scores, risks
    stream = io.BytesIO()
    np.lib.format.write_array(stream, table, allow_pickle=False)
    return stream.getvalue()


def _one_mask_a_line(calibration: Calibration) -> bytes:
    head = msgspec.json.encode({"honest_rows": calibration.honest_rows, "risk_knots": calibration.risk_knots})
    masks = b",\n".join(msgspec.json.encode(knots) for knots in calibration.masks)
    return head[:-1] + b',"masks":[\n' + masks + b"\n]}\n"
