"""The isolation forest: runs its ONNX graph.

Path lengths are whole numbers of quanta. The quantum is a power of two (the model's metadata `quantum`) to which the
export rounds path lengths, so that sums are exact.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# Read when it is imported: else it writes a device id below the home folder and looks up its maker's host. Here, since
# every process that scores comes by: commands, Flink's workers on any machine, training, somebody's notebook.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

_OUTPUTS = ["path_length", "anomaly_score"]
_MIN_ROWS_FOR_THREADS = 100_000
"""A third of a second's work; fewer are not worth a thread."""


def graph_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread. Raises ValueError for bytes that are no graph."""
    options = onnxruntime.SessionOptions()
    # A claim is too small to share between threads; bulk runs get their cores from processes.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no other common base
        raise ValueError(f"no model that onnxruntime reads ({error})") from error


class Forest:
    """One onnxruntime session, on one thread. Raises ValueError for bytes that are no such model."""

    def __init__(self, model: bytes) -> None:
        self._session = graph_session(model)
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            self._quanta_per_level = np.float32(1.0 / float(metadata["quantum"]))  # both powers of two: exact
            self.trees = int(metadata["trees"])
        except (KeyError, ValueError, ZeroDivisionError) as error:
            raise ValueError(f"no forest: its metadata lack quantum and trees ({error})") from error

    def run(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Path lengths in quanta, summed over the trees, int64 (n,), lower is more anomalous; and anomaly scores, (n,)
        in (0, 1), higher is more anomalous.

        rows: float32 (n, features), NaN = not measured. The path length is a sum without rounding: the same in any
        batch, order of trees and machine.
        """
        path_length, anomaly_score = self._session.run(_OUTPUTS, {"features": rows})
        return self._quanta(path_length), anomaly_score[:, 0]

    def path_quanta(self, rows: np.ndarray) -> np.ndarray:
        """The path lengths of `run` alone, int64 (n,), in quanta; from 100,000 rows on two threads share the work."""
        if len(rows) < _MIN_ROWS_FOR_THREADS:
            return self._quanta(self._session.run(_OUTPUTS[:1], {"features": rows})[0])
        halves = np.array_split(rows, 2)
        with ThreadPoolExecutor(len(halves)) as pool:
            found = pool.map(lambda half: self._session.run(_OUTPUTS[:1], {"features": half})[0], halves)
            return self._quanta(np.concatenate(list(found)))

    def mean_path_length(self, quanta: float) -> float:
        """The mean path length of a tree, in levels, from the sum over all trees in quanta."""
        return quanta / float(self._quanta_per_level) / self.trees

    def _quanta(self, path_length: np.ndarray) -> np.ndarray:
        return (path_length[:, 0] * self._quanta_per_level).astype(np.int64)
