"""The exported forest on public tables, against the published AUROC of Isolation Forest.

Published is the mean of what the sources say of a table, and what is compared is the mean over seeds: neither the
source that is nearest, nor the best seed.
"""

import csv

import numpy as np
import pytest

from monsoon.transforms.scoring.forest import Forest

SEEDS = range(10)
HELD_TO_SCIKIT_LEARN = range(3)
TOLERANCE = 0.01
EXPORT_TOLERANCE = 1e-4

BETTER = {"vowels"}
"""Further above the published value than the tolerance. PyOD alone has this table. Its benchmark fits the forest to a
random 60% of the rows, standardized, and publishes the mean AUROC of the other 40% over random splits: 0.741
(docs/benchmark.rst, docs/tables/roc.csv and notebooks/benchmark.py of github.com/yzhao062/pyod). Split like that,
scikit-learn's forest has 0.745 over 40 splits, with a standard deviation of 0.048 from split to split: means of 10
splits range from 0.724 to 0.760. Fitted to and evaluated on the whole table, as here, it has 0.757 over 10 seeds. The
export adds nothing: it is held to scikit-learn below."""


def published(folder):
    """Table -> the mean of the sources that have it."""
    with (folder / "published_auroc.csv").open() as lines:
        values = {row.pop("table"): [float(value) for value in row.values() if value] for row in csv.DictReader(lines)}
    return {table: float(np.mean(found)) for table, found in values.items()}


@pytest.mark.slow
def test_auroc_is_the_published_one(shared):
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    from monsoon.models.forest_export import export_forest

    folder = shared / "data" / "anomaly"
    expected = published(folder)
    reached = {}
    for table in expected:
        (path,) = folder.glob(f"*_{table}.npz")
        data = np.load(path)
        rows = data["X"].astype(np.float32)
        aurocs = []
        for seed in SEEDS:
            forest = IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(rows)
            exported = Forest(export_forest(forest).model.SerializeToString())
            aurocs.append(roc_auc_score(data["y"], -exported.path_quanta(rows)))
            if seed in HELD_TO_SCIKIT_LEARN:
                own = roc_auc_score(data["y"], -forest.score_samples(rows))
                assert abs(aurocs[-1] - own) <= EXPORT_TOLERANCE, f"{table}: {aurocs[-1]:.5f}, scikit-learn {own:.5f}"
        reached[table] = float(np.mean(aurocs))
    assert len(reached) == 12
    apart = {table: reached[table] - value for table, value in expected.items()}
    told = ", ".join(f"{table} {reached[table]:.4f} ({by:+.4f})" for table, by in apart.items())
    assert {table for table, by in apart.items() if abs(by) > TOLERANCE} == BETTER, told
    assert all(apart[table] > 0 for table in BETTER), told
    assert np.mean(list(apart.values())) >= 0, told
