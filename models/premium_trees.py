"""Gradient-boosted trees of expected payouts: fitted by scikit-learn, exported to ONNX and to a table of leaves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingRegressor

from monsoon.models.forest_export import FLOAT32_BITS, NO_CHILD, Tree, ensemble_node, round_down
from monsoon.transforms.pricing.premium_model import RISING, leaf_table

TREES, LEAVES_PER_TREE, DEPTH, LEARNING_RATE = 60, 16, 6, 0.1
MIN_ROWS_PER_LEAF = 200


@dataclass(frozen=True)
class PremiumTrees:
    """The model as a graph and as a table of leaves, of the same values."""

    graph: bytes
    leaves: np.ndarray

    def leaf_bytes(self) -> bytes:
        """The table as a file of numpy's."""
        stream = io.BytesIO()
        np.lib.format.write_array(stream, self.leaves, allow_pickle=False)
        return stream.getvalue()


def fit_premium_trees(
    names: Sequence[str],
    rows: np.ndarray,
    paise_a_day: np.ndarray,
    weights: np.ndarray,
    trees: int = TREES,
    min_rows_per_leaf: int = MIN_ROWS_PER_LEAF,
) -> PremiumTrees:
    """Least squares, monotone in the inputs of RISING.

    Args:
        names: of the inputs.
        rows: float32 (n, inputs), without NaN.
        paise_a_day: what such a rider cost on a day, (n,).
        weights: how probable such a day is, (n,), above 0.
    """
    fitted = HistGradientBoostingRegressor(
        max_iter=trees,
        max_leaf_nodes=LEAVES_PER_TREE,
        max_depth=DEPTH,
        learning_rate=LEARNING_RATE,
        min_samples_leaf=min_rows_per_leaf,
        monotonic_cst=[int(name in RISING) for name in names],
        early_stopping=False,
        random_state=0,
    ).fit(rows, paise_a_day, sample_weight=weights)
    nodes = [stage[0].nodes for stage in fitted._predictors]
    base = float(np.ravel(fitted._baseline_prediction)[0])
    sizes = [abs(each["value"][each["is_leaf"] == 1]).max() for each in nodes]
    # No partial sum, in any order, needs more than float32's bits.
    quantum = 2.0 ** (np.ceil(np.log2(abs(base) + sum(sizes) + 1)) + 1 - FLOAT32_BITS)
    exported, leaves = [], []
    for number, each in enumerate(nodes):
        tree = _tree(each, quantum, base if number == 0 else 0.0)
        exported.append(tree)
        leaves += _leaves(tree, 0, rows, weights, _Box.whole(rows.shape[1]))
    table = np.array(leaves, leaf_table(rows.shape[1]))
    return PremiumTrees(_graph(exported, rows.shape[1]), table)


def _tree(nodes: np.ndarray, quantum: float, base: float) -> Tree:
    leaf = nodes["is_leaf"] == 1
    return Tree(
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0.0, round_down(np.where(leaf, 0.0, nodes["num_threshold"]))),
        left=np.where(leaf, NO_CHILD, nodes["left"].astype(np.int64)),
        right=np.where(leaf, NO_CHILD, nodes["right"].astype(np.int64)),
        missing_left=np.zeros(len(nodes), dtype=bool),
        path=np.where(leaf, np.rint((nodes["value"] + base) / quantum) * quantum, 0.0),
    )


@dataclass(frozen=True)
class _Box:
    low: np.ndarray
    high: np.ndarray
    share: np.ndarray

    @classmethod
    def whole(cls, inputs: int) -> _Box:
        return cls(np.full(inputs, -np.inf), np.full(inputs, np.inf), np.ones(inputs))

    def part(self, feature: int, share: float, *, low: float = -np.inf, high: float = np.inf) -> _Box:
        """The box on one side of a split."""
        lows, highs, shares = self.low.copy(), self.high.copy(), self.share.copy()
        lows[feature], highs[feature] = max(lows[feature], low), min(highs[feature], high)
        shares[feature] *= share
        return _Box(lows, highs, shares)


def _leaves(tree: Tree, node: int, rows: np.ndarray, weights: np.ndarray, box: _Box) -> list[tuple]:
    """The leaves below a node, which these rows of training reach."""
    if tree.left[node] == NO_CHILD:
        return [(tree.path[node], box.low, box.high, box.share)]
    feature, threshold = int(tree.feature[node]), float(tree.threshold[node])
    left = rows[:, feature] <= threshold
    share = float(weights[left].sum() / weights.sum())
    return _leaves(
        tree, int(tree.left[node]), rows[left], weights[left], box.part(feature, share, high=threshold)
    ) + _leaves(tree, int(tree.right[node]), rows[~left], weights[~left], box.part(feature, 1 - share, low=threshold))


def _graph(trees: list[Tree], inputs: int) -> bytes:
    output = "payout_paise_a_day"
    graph = helper.make_graph(
        [ensemble_node(trees, [tree.path for tree in trees], "inputs", output)],
        "expected_payouts",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, [None, inputs])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="monsoon")
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
