"""Trains the model `outage` on real outages laid over simulated storms by two generators, and evaluates it on others.

scikit-learn and onnx, which only training needs, are imported when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from monsoon.models.rates import Rate
from monsoon.pipelines.training.claim_anomaly import TRAINING, refuse_what_is_no_model_folder
from monsoon.pipelines.training.claims import Generator
from monsoon.pipelines.training.silences import ATTACKERS, FAKES, REAL, Crowd, as_simulated, crowds, silences
from monsoon.transforms.evidence.ragged import Bools, Floats, Ints
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.telemetry_conditions.outage import MAX_OUTAGE_RISK, MIN_GROUPS

Progress = Callable[[str, float | None], None]

TRAINING_SIMULATIONS: tuple[tuple[Generator, str], ...] = tuple(dict.fromkeys((by, storm) for by, storm, _ in TRAINING))
"""Generators and storms, those of `claim_anomaly`."""
EVALUATION_STORMS = ("delhi-2019-11-02-smog", "delhi-2023-07-13-flood", "delhi-2024-06-28", "mumbai-2025-10-20-outage")
"""Other days and, but for one, other cities; of the last one its own outage, and one that riders at home make up."""
EVALUATION_SIMULATIONS: tuple[tuple[Generator, str], ...] = tuple(
    (by, storm) for by in ("rides", "scenarios") for storm in EVALUATION_STORMS
)
RIDERS, MOMENTS = 512, 12
"""Of each simulation."""
DEFAULT_ROWS = 15_000
FOREST_SHARE = 0.3
"""Of the crowds; the others' outages calibrate."""
MIN_CALIBRATION, MAX_DRAWS = 10_000, 100
"""Outages that a calibration needs; how often crowds are shared out anew to have them."""
EVALUATION_SILENCES = 1_000
"""Of each kind and generator."""
RESAMPLES = 2_000
"""Of the crowds, for the interval of the balanced error."""
SEEDS_PER_RUN = 40
"""Simulations that one seed of the user's names: each has a seed of its own."""

_LIMITS = """\
## Limits

- Riders are simulated, and what silences them was written down before the model was trained, not taken from outages
  that happened: the shares above say that it tells these kinds of silence apart in storms, cities and at seeds that it
  has not seen. Watch how often it refuses a quorum that was reached.
- The generators know one platform outage, of one storm; the others are laid over their riders.
- It is asked beside a weighted quorum, never alone; where hardly anything was measured it takes the riders' side.
- A crowd that agrees to stop in the middle of trips, without going offline, looks like an outage. The reports of the
  outage from elsewhere, and trust, must tell.
- "Fraud" in the table is the verdict RIDERS_OFFLINE; nothing here is about one rider.
"""


def train(output: Path, seed: int, rows: int, progress: Progress) -> tuple[str, str]:
    """Trains on `rows` real outages of simulated storms, evaluates, and writes the model folder.

    Returns the model's version and the evaluation as text. The same arguments give the same bytes. Raises OutputError
    where `output` holds something that is not a model folder, ValueError for too few rows.
    """
    from monsoon.models.outage_features import OUTAGE
    from monsoon.models.train import MODEL_CARD, build_files, scorer_of, write_folder

    refuse_what_is_no_model_folder(output)
    among = simulated_crowds(TRAINING_SIMULATIONS, seed * SEEDS_PER_RUN, progress)
    progress(f"simulating {rows:,} outages", None)
    real = silences(among, REAL, rows, seed)
    table = np.column_stack([real.columns[name] for name in OUTAGE.names])
    for_forest = _for_forest(real.crowd, np.random.default_rng(seed))
    forest, calibration = table[for_forest], table[~for_forest]
    files = build_files(
        forest,
        calibration,
        seed,
        progress=lambda share: progress("fitting and calibrating", share),
        design=OUTAGE,
    )
    others = simulated_crowds(EVALUATION_SIMULATIONS, seed * SEEDS_PER_RUN + len(TRAINING_SIMULATIONS), progress)
    evaluation = evaluation_text(scorer_of(output, files, OUTAGE.name), others, EVALUATION_SILENCES, seed)
    progress("writing", None)
    card = _card(seed, len(np.unique(real.crowd)), len(forest), len(calibration), evaluation)
    version = write_folder(output, files | {MODEL_CARD: card.encode()}, OUTAGE.name)
    return version, evaluation


def _for_forest(crowd: Ints, rng: np.random.Generator) -> Bools:
    """Which outages the forest is fitted on, by crowd, since those of one have the same riders; drawn again where too
    few would be left for calibration."""
    for _ in range(MAX_DRAWS):
        forest = rng.random(int(crowd.max(initial=-1)) + 1)[crowd] < FOREST_SHARE
        if np.count_nonzero(~forest) >= MIN_CALIBRATION:
            break
    return forest


def simulated_crowds(
    simulations: Sequence[tuple[Generator, str]],
    first_seed: int,
    progress: Progress,
    riders: int = RIDERS,
    moments: int = MOMENTS,
) -> list[Crowd]:
    """The crowds of these generators and storms, each simulated with a seed of its own from `first_seed` on."""
    found: list[Crowd] = []
    for number, (generator, storm) in enumerate(simulations):
        progress("simulating riders", number / len(simulations))
        found += crowds(generator, storm, riders, moments, first_seed + number)
    return found


def called_real(scorer: Scorer, columns: Mapping[str, Floats]) -> Bools:
    """Which silences the verdict is REAL_OUTAGE of."""
    scores = scorer.score(columns)
    return (scores.measured_groups < MIN_GROUPS) | ~(scores.risk >= MAX_OUTAGE_RISK)


def evaluation_text(scorer: Scorer, among: Sequence[Crowd], count: int, seed: int) -> str:
    """What the model calls `count` silences of each kind laid over each generator's crowds, and what the storms
    themselves have, on crowds that it was not trained on."""
    lines = []
    for generator in dict.fromkeys(crowd.name.split()[-1] for crowd in among):
        here = [crowd for crowd in among if crowd.name.split()[-1] == generator]
        called = {}
        for kind in (REAL, *FAKES):
            found = silences(here, kind, count, seed)
            called[kind] = by_crowd(called_real(scorer, found.columns), found.crowd)
        error, low, high = balanced_error(called, seed)
        lines.append(f"{generator}, {count:,} silences of each kind, of {len(called[REAL][1])} crowds")
        lines.append(f"  balanced error {error:.1%}  [{low:.1%}, {high:.1%}]")
        for kind, (yes, asked) in called.items():
            lines.append(f"    called REAL_OUTAGE: {kind:20} {Rate(int(yes.sum()), int(asked.sum()))}")
        for title, real in (("outages of the storms' own", True), ("other quorums of theirs", False)):
            own = [each for each in as_simulated(here) if each.real == real]
            verdicts = [bool(called_real(scorer, each.columns)[0]) for each in own]
            lines.append(f"    called REAL_OUTAGE: {title:26} {sum(verdicts)} of {len(verdicts)}")
    return "\n".join(lines) + "\n"


def by_crowd(called: Bools, crowd: Ints) -> tuple[Ints, Ints]:
    """Of each crowd that has silences those called REAL_OUTAGE, and all."""
    place = np.unique(crowd, return_inverse=True)[1]
    return np.bincount(place[called], minlength=place.max(initial=-1) + 1), np.bincount(place)


def balanced_error(called: Mapping[str, tuple[Ints, Ints]], seed: int) -> tuple[float, float, float]:
    """The mean of two shares, with its 95% interval: of real outages those not called so, and of the other kinds, each
    with the same weight, those called so. Silences of one crowd have the same riders, so that the interval is of
    crowds drawn again (percentiles of a bootstrap)."""

    def error(real: dict[str, Floats]) -> Floats:
        return (1.0 - real[REAL] + np.mean([real[kind] for kind in FAKES], axis=0)) / 2

    crowds_ = len(called[REAL][0])
    drawn = np.random.default_rng((seed, 0x626F6F74)).integers(0, crowds_, (RESAMPLES, crowds_))
    found = error({kind: np.asarray(real.sum() / asked.sum()) for kind, (real, asked) in called.items()})
    again = error(
        {
            kind: real[drawn].sum(axis=1) / np.maximum(asked[drawn].sum(axis=1), 1)
            for kind, (real, asked) in called.items()
        }
    )
    low, high = np.quantile(again, (0.025, 0.975))
    return float(found), float(low), float(high)


def _card(seed: int, among: int, forest: int, calibration: int, evaluation: str) -> str:
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

- Seed {seed}; {RIDERS} simulated riders each, {ATTACKERS:.0%} of them attackers, asked about at {MOMENTS} moments, of
{chr(10).join(f"- the storm {storm}, by the generator {by}" for by, storm in TRAINING_SIMULATIONS)}
- Of their {among} crowds: {forest:,} outages for the forest.
- Of other crowds of theirs: {calibration:,} for calibration.
- To the forest's outages, {CONTRADICTION_SHARE:.1%} as many again for each strong feature, real but for that feature.

{feature_table(OUTAGE)}

## Evaluation

On storms and at seeds other than those of training:
{", ".join(EVALUATION_STORMS)}.
The balanced error is the mean of the share of real outages refused and of that of the other kinds, each with the same
weight, called real. Its 95% interval is of crowds drawn again, since silences of one crowd have the same riders; those
of single kinds are of silences.

```
{evaluation}```

{_LIMITS}"""
