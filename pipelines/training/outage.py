"""Trains the model `outage` on simulated real outages of one city and evaluates it on other cities and seeds.

scikit-learn and onnx, which only training needs, are imported when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from monsoon.pipelines.training.claim_anomaly import refuse_what_is_no_model_folder
from monsoon.pipelines.training.silences import EVALUATION_CITIES, FAKES, REAL, TRAINING_CITY, silences
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_conditions.outage import MAX_OUTAGE_RISK, MIN_GROUPS

Progress = Callable[[str, float | None], None]

DEFAULT_ROWS = 15_000
FOREST_SHARE = 0.3
"""Of the outages; the others calibrate."""
EVALUATION_SILENCES = 1_000
"""Of each kind and city."""

_LIMITS = """\
## Limits

- Riders are simulated, by rules that were written down before the model was trained, not taken from outages that
  happened: the shares above say that it tells these kinds of silence apart in cities and at seeds that it has not
  seen. Watch how often it refuses a quorum that was reached.
- It is asked beside a weighted quorum, never alone; where hardly anything was measured it takes the riders' side.
- A crowd that agrees to stop in the middle of trips, without going offline, looks like an outage. The reports of the
  outage from elsewhere, and trust, must tell.
- "Fraud" in the table is the verdict RIDERS_OFFLINE; nothing here is about one rider.
"""


def train(output: Path, seed: int, rows: int, progress: Progress) -> tuple[str, str]:
    """Trains on `rows` simulated real outages, evaluates, and writes the model folder.

    Returns the model's version and the evaluation as text. The same arguments give the same bytes. Raises OutputError
    where `output` holds something that is not a model folder, ValueError for too few rows.
    """
    from monsoon.models.outage_features import OUTAGE
    from monsoon.models.train import MODEL_CARD, build_files, scorer_of, write_folder

    refuse_what_is_no_model_folder(output)
    progress(f"simulating {rows:,} outages", None)
    real = silences(TRAINING_CITY, REAL, rows, seed)
    table = np.column_stack([real[name] for name in OUTAGE.names])
    forest = round(rows * FOREST_SHARE)
    files = build_files(
        table[:forest],
        table[forest:],
        seed,
        progress=lambda share: progress("fitting and calibrating", share),
        design=OUTAGE,
    )
    evaluation = evaluation_text(scorer_of(output, files, OUTAGE.name), EVALUATION_SILENCES, seed, progress)
    progress("writing", None)
    card = _card(seed, forest, rows - forest, evaluation)
    version = write_folder(output, files | {MODEL_CARD: card.encode()}, OUTAGE.name)
    return version, evaluation


def evaluation_text(scorer: Scorer, count: int, seed: int, progress: Progress) -> str:
    """What the model calls `count` silences of each kind, in cities and at a seed of which it was not trained.

    Precision: of the silences called REAL_OUTAGE, with as many of each kind, those that are; recall: of real outages,
    those called so.
    """
    lines = []
    for number, city in enumerate(EVALUATION_CITIES, 1):
        progress(f"evaluating on {city.name}", None)
        called = {}
        for kind in (REAL, *FAKES):
            scores = scorer.score(dict(silences(city, kind, count, seed + 1000 * number)))
            called[kind] = float(np.mean((scores.measured_groups < MIN_GROUPS) | ~(scores.risk >= MAX_OUTAGE_RISK)))
        precision = called[REAL] / sum(called.values())
        lines.append(f"{city.name}, {count:,} silences of each kind, seed {seed + 1000 * number}")
        lines.append(f"  recall {called[REAL]:.1%}, precision {precision:.1%}")
        lines += [f"    called REAL_OUTAGE: {kind:20} {share:6.1%}" for kind, share in called.items()]
    return "\n".join(lines) + "\n"


def _card(seed: int, forest: int, calibration: int, evaluation: str) -> str:
    from monsoon.models.model_card import feature_table
    from monsoon.models.outage_features import OUTAGE
    from monsoon.models.train import CONTRADICTION_SHARE, SUBSAMPLE, TREES

    return f"""\
# {OUTAGE.name}

An Isolation Forest of {TREES} trees over {SUBSAMPLE} outages each, fitted on real outages alone. It says whether the
silence of a platform's riders in a zone is like these, whatever was measured: REAL_OUTAGE below a calibrated risk of
{MAX_OUTAGE_RISK:g} (1 real outage in 100 is above), else RIDERS_OFFLINE. With fewer than {MIN_GROUPS} groups of
features measured it is REAL_OUTAGE. Made by `monsoon train --model outage`.

## Training

- Seed {seed}, simulated riders of {TRAINING_CITY.name} (`pipelines/training/silences.py`).
- {forest:,} outages for the forest.
- {calibration:,} others for calibration.
- To the forest's outages, {CONTRADICTION_SHARE:.1%} as many again for each strong feature, real but for that feature.

{feature_table(OUTAGE)}

## Evaluation

On other cities and seeds than those of training.

```
{evaluation}```

{_LIMITS}"""
