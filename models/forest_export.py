"""A fitted scikit-learn IsolationForest as one ONNX TreeEnsembleRegressor.

Why so: docs/adr/0020-path-lengths-are-whole-quanta.md.

The graph has one input, ``features`` float32 (n, features) with NaN for "not measured", and two outputs:

- ``path_length`` float32 (n, 1): the sum over the trees of depth + c(samples in the leaf), less ``offset``.
  Every leaf value is a multiple of one quantum, chosen so that no partial sum needs more than float32's
  24 bits. The sum is therefore exact: it cannot depend on the order of the trees, on the size of the
  batch or on the machine.
- ``anomaly_score`` float64 (n, 1): 2^(-path length / (trees x c(subsample))), which is scikit-learn's
  ``-score_samples`` to within the quantum.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.ensemble import IsolationForest

from monsoon.models.design import Warp

FLOAT32_BITS = 24
NO_CHILD = -1


@dataclass(frozen=True)
class ExportedForest:
    """The graph and the constants needed to read its exact output.

    ``path_length`` + ``offset`` is the forest's total path length; ``quantum`` is the step of both.
    """

    model: onnx.ModelProto
    quantum: float
    offset: float
    denominator: float
    trees: int
    nodes: int


@dataclass(frozen=True)
class Tree:
    """Arrays over a tree's nodes. `left` is where the comparison x[feature] <= threshold holds."""

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    path: np.ndarray  # depth + c(samples), of leaves; 0 elsewhere


def average_path_length(samples: np.ndarray) -> np.ndarray:
    """c(n), the mean depth of an unsuccessful search in a binary tree of n keys (Liu, Ting, Zhou 2008, eq. 1)."""
    n = np.asarray(samples, dtype=np.float64)
    harmonic = np.log(np.maximum(n, 2.0) - 1.0) + np.euler_gamma
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, 2.0 * harmonic - 2.0 * (n - 1.0) / np.maximum(n, 1.0)))


def export_forest(forest: IsolationForest, warps: Sequence[Warp | None] | None = None) -> ExportedForest:
    """The forest as ONNX.

    ``warps``: one monotone, non-decreasing function a feature where the forest was fitted on
    float32(warp(x)) instead of x. The graph takes the unwarped x: each threshold t becomes the greatest
    float32 x with float32(warp(x)) <= t, so the routing is that of the fitted forest exactly.

    Raises ValueError for a forest with bootstrapped features or a leaf table too wide for exact sums.
    """
    trees = [_read_tree(*parts) for parts in zip(forest.estimators_, forest.estimators_features_, strict=True)]
    for tree in trees:
        tree.threshold[:] = _thresholds(tree, warps)
        _let_missing_fail(tree, forest.n_features_in_)
    offsets = np.array([_midrange(tree.path[tree.left == NO_CHILD]) for tree in trees])
    widest = sum(np.abs(tree.path[tree.left == NO_CHILD] - o).max() for tree, o in zip(trees, offsets, strict=True))
    quantum = float(2.0 ** (np.ceil(np.log2(widest + 1)) - FLOAT32_BITS))
    leaves = [np.round((tree.path - o) / quantum) * quantum for tree, o in zip(trees, offsets, strict=True)]
    offset = float(np.round(offsets.sum() / quantum) * quantum)
    denominator = float(len(trees) * average_path_length(np.array([forest.max_samples_]))[0])
    model = _model(trees, leaves, offset, denominator, forest.n_features_in_)
    helper.set_model_props(model, {"quantum": repr(quantum), "trees": str(len(trees))})
    return ExportedForest(model, quantum, offset, denominator, len(trees), sum(len(t.left) for t in trees))


def _read_tree(estimator: object, features: np.ndarray) -> Tree:
    tree = estimator.tree_  # type: ignore[attr-defined]
    left, right = tree.children_left.astype(np.int64), tree.children_right.astype(np.int64)
    depth = np.zeros(len(left))
    for node in np.flatnonzero(left != NO_CHILD):  # a parent's number is below its children's
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    leaf = left == NO_CHILD
    return Tree(
        feature=np.where(leaf, 0, features[np.maximum(tree.feature, 0)]),
        threshold=np.where(leaf, 0.0, tree.threshold),
        left=left,
        right=right,
        missing_left=np.asarray(tree.missing_go_to_left, dtype=bool),
        path=np.where(leaf, depth + average_path_length(tree.n_node_samples), 0.0),
    )


def _midrange(values: np.ndarray) -> float:
    return float((values.min() + values.max()) / 2)


def _thresholds(tree: Tree, warps: Sequence[Warp | None] | None) -> np.ndarray:
    thresholds = round_down(tree.threshold)
    for index, warp in enumerate(warps or ()):
        of_feature = (tree.left != NO_CHILD) & (tree.feature == index)
        if warp is not None and of_feature.any():
            thresholds[of_feature] = unwarp(thresholds[of_feature], warp)
    return thresholds


def _let_missing_fail(tree: Tree, features: int) -> None:
    """Rewrites nodes that send missing values left to compare -x (column `features` + x), so that the comparison fails
    for a missing value at every node and the false branch is scikit-learn's choice.

    x > t is -x <= the float32 below -t. Not with nodes_missing_value_tracks_true: it makes onnxruntime test for NaN at
    each node, and the whole forest is then slower by 40%.
    """
    turned = tree.missing_left & (tree.left != NO_CHILD)
    above = np.nextafter(tree.threshold[turned].astype(np.float32), np.float32(np.inf))
    tree.threshold[turned] = -above.astype(np.float64)
    tree.feature[turned] += features
    tree.left[turned], tree.right[turned] = tree.right[turned], tree.left[turned]


def round_down(values: np.ndarray) -> np.ndarray:
    """The greatest float32 <= each value: for a float32 x, x <= value exactly when x <= round_down(value)."""
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest).astype(np.float64)


def unwarp(thresholds: np.ndarray, warp: Warp) -> np.ndarray:
    """The greatest float32 x with float32(warp(x)) <= each threshold, by bisection over float32's own order.

    -inf where there is none, the greatest finite float32 where all are.
    """
    low = np.full(len(thresholds), _order(np.float32(-np.inf)), dtype=np.int64)
    high = np.full(len(thresholds), _order(np.float32(np.inf)), dtype=np.int64)
    while (high - low > 1).any():  # low satisfies the comparison, high does not
        middle = (low + high) // 2
        holds = warp(_from_order(middle).astype(np.float64)).astype(np.float32) <= thresholds
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return _from_order(low).astype(np.float64)


def _order(value: np.float32) -> int:
    """Position of a float32 in ascending order: neighbors differ by 1."""
    bits = int(np.asarray(value).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF)


def _from_order(position: np.ndarray) -> np.ndarray:
    bits = np.where(position >= 0, position, -position | 0x80000000).astype(np.uint32)
    return bits.view(np.float32)


def ensemble_node(trees: Sequence[Tree], leaves: Sequence[np.ndarray], given: str, output: str) -> onnx.NodeProto:
    """The trees as a node that sums their `leaves`, a value per node of each tree of which those of leaves count."""
    node_ids = [np.arange(len(tree.left)) for tree in trees]
    tree_ids = [np.full(len(tree.left), index) for index, tree in enumerate(trees)]
    is_leaf = np.concatenate([tree.left == NO_CHILD for tree in trees])
    all_nodes, all_trees = np.concatenate(node_ids), np.concatenate(tree_ids)

    def child(name: str) -> list[int]:
        return np.maximum(np.concatenate([getattr(tree, name) for tree in trees]), 0).tolist()

    return helper.make_node(
        "TreeEnsembleRegressor",
        [given],
        [output],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=all_trees.tolist(),
        nodes_nodeids=all_nodes.tolist(),
        nodes_featureids=np.concatenate([tree.feature for tree in trees]).tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        nodes_values=np.concatenate([tree.threshold for tree in trees]).tolist(),
        nodes_truenodeids=child("left"),
        nodes_falsenodeids=child("right"),
        target_treeids=all_trees[is_leaf].tolist(),
        target_nodeids=all_nodes[is_leaf].tolist(),
        target_ids=np.zeros(int(is_leaf.sum()), dtype=int).tolist(),
        target_weights=np.concatenate(leaves)[is_leaf].tolist(),
    )


def _model(
    trees: list[Tree], leaves: list[np.ndarray], offset: float, denominator: float, features: int
) -> onnx.ModelProto:
    ensemble = ensemble_node(trees, leaves, "features_both_ways", "path_length")
    nodes = [
        helper.make_node("Neg", ["features"], ["minus_features"]),
        helper.make_node("Concat", ["features", "minus_features"], ["features_both_ways"], axis=1),
        ensemble,
        helper.make_node("Cast", ["path_length"], ["path_length_f64"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["path_length_f64", "offset"], ["total"]),
        helper.make_node("Div", ["total", "minus_denominator"], ["exponent"]),
        helper.make_node("Pow", ["two", "exponent"], ["anomaly_score"]),
    ]
    constants = {"offset": offset, "minus_denominator": -denominator, "two": 2.0}
    graph = helper.make_graph(
        nodes,
        "isolation_forest",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, features])],
        [
            helper.make_tensor_value_info("path_length", TensorProto.FLOAT, [None, 1]),
            helper.make_tensor_value_info("anomaly_score", TensorProto.DOUBLE, [None, 1]),
        ],
        [helper.make_tensor(name, TensorProto.DOUBLE, [1], [value]) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="monsoon")
    onnx.checker.check_model(model)
    return model
