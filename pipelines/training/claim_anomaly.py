"""Trains the model `claim_anomaly` on simulated storms and evaluates it on others.

scikit-learn and onnx, which only training needs, are imported when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from monsoon.pipelines.training.claims import HOLD_MS, RESCORED_SHARE, Claims, Generator, simulated_claims
from monsoon.sinks.folder import OutputError
from monsoon.sources.simulator import Storm, load_storm
from monsoon.transforms.drift.reference import DRIFT
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.scoring.folder import MANIFEST, read_model_folder

if TYPE_CHECKING:
    from monsoon.models.exchangeability import Exchangeability

Progress = Callable[[str, float | None], None]

TRAINING: tuple[tuple[Generator, str, float], ...] = (
    ("rides", "chennai-2015-12-01", 1.0),
    ("rides", "chennai-2015-12-01", 3.0),
    ("rides", "chennai-2016-12-12-vardah", 1.0),
    ("rides", "delhi-2024-05-29-heat", 1.0),
    ("rides", "bengaluru-2020-03-22-curfew", 1.0),
    ("scenarios", "chennai-2015-12-01", 1.0),
    ("scenarios", "chennai-2016-12-12-vardah", 1.0),
    ("scenarios", "delhi-2024-05-29-heat", 1.0),
    ("scenarios", "bengaluru-2020-03-22-curfew", 1.0),
)
"""Generators and storms, each with what its rain is multiplied by: in the worst, riders shelter, and phones lie still.
Of rain, wind, heat and a curfew, since how riders wait decides what is ordinary; by two generators that share no model
of motion or of noise, since a phone is neither's."""
EVALUATION_STORMS = ("delhi-2024-06-28", "delhi-2019-11-02-smog")
"""Other cities, other weather; the simulator's seeds differ too."""
DEFAULT_ROWS = 50_000
MOMENTS = 8
CLAIMS_PER_RIDER = 4
"""About: half of the riders are on shift at any moment."""
FOREST_SHARE = 0.3
"""Of the riders; the others' claims calibrate."""
EVALUATION_RIDERS = 6_000
EVALUATION_MOMENTS = 10
EVALUATION_ATTACKERS = 0.10
HELD_OUT: tuple[tuple[Generator, str, int], ...] = (
    ("rides", "delhi-2023-07-13-flood", 2_000),
    ("rides", "mumbai-2025-10-20-outage", 2_000),
    ("scenarios", "delhi-2024-06-28", 800),
    ("scenarios", "delhi-2019-11-02-smog", 800),
    ("scenarios", "delhi-2023-07-13-flood", 800),
    ("scenarios", "mumbai-2025-10-20-outage", 800),
)
"""Generators and storms of further honest riders, so many each, that calibration is tested on beside the honest ones of
the evaluation's. The second generator takes five times as long for a rider."""
SEEDS_PER_RUN = 20
"""Simulations that one seed of the user's names: each has a seed of its own."""


def train(output: Path, seed: int, rows: int, progress: Progress) -> tuple[str, str]:
    """Trains on about `rows` simulated honest claims, evaluates, and writes the model folder.

    Returns the model's version and the evaluation as text. The same arguments give the same bytes. Raises OutputError
    where `output` holds something that is not a model folder, ValueError for too few rows.
    """
    from monsoon.models.drift_reference import drift_reference, encoded_reference
    from monsoon.models.exchangeability import EXCHANGEABILITY, encoded_exchangeability
    from monsoon.models.guard_rates import GUARD_RATES, encoded_guard_rates, guard_rates
    from monsoon.models.model_card import model_card
    from monsoon.models.train import MODEL_CARD, build_files, scorer_of, write_folder

    refuse_what_is_no_model_folder(output)
    riders = _riders(rows)
    parts = _honest_parts(riders, seed, progress)
    claims = Claims.joined([part.claims for part in parts])
    forest_rows, calibration_rows = _split(claims, np.random.default_rng(seed))
    files = build_files(
        forest_rows, calibration_rows, seed, progress=lambda share: progress("fitting and calibrating", share)
    )
    scorer = scorer_of(output, files)
    files[DRIFT] = encoded_reference(drift_reference(claims.columns, scorer, seed))
    evaluations, held_out = evaluate_model(scorer, EVALUATION_RIDERS, seed, progress)
    held_out += held_out_claims(seed, progress)
    tested = calibration_tested(scorer, held_out)
    rates = guard_rates((part.generator, part.claims.workers, part.claims.signals) for part in [*parts, *held_out])
    files |= {EXCHANGEABILITY: encoded_exchangeability(tested), GUARD_RATES: encoded_guard_rates(rates)}
    training = [
        f"{riders:,} simulated riders, no attackers, asked at {MOMENTS} moments each, in equal parts in",
        *(f"the storm {storm}, its rain times {gain:g}, by the generator {by}" for by, storm, gain in TRAINING),
        f"Of the claims, {RESCORED_SHARE:.0%} as a re-score sees them, {HOLD_MS // 60_000} min later",
    ]
    counts = {
        "claims for the forest": len(forest_rows),
        "claims of other riders for calibration": len(calibration_rows),
    }
    card = model_card(training, counts, seed, evaluations, tested, rates)
    progress("writing", None)
    version = write_folder(output, files | {MODEL_CARD: card.encode()})
    return version, _joined(evaluations)


def add_drift_reference(folder: Path, seed: int, rows: int, progress: Progress) -> str:
    """Measures training's claims anew, and writes what they look like into a model folder, whose other files stay.

    Returns the model's version, which is another one. The same arguments give the same bytes. Raises ModelFolderError
    where `folder` holds no model, ValueError for too few rows.
    """
    from monsoon.models.drift_reference import drift_reference, encoded_reference
    from monsoon.models.train import write_folder

    model = read_model_folder(folder)
    claims = Claims.joined([part.claims for part in _honest_parts(_riders(rows), seed, progress)])
    reference = encoded_reference(drift_reference(claims.columns, Scorer(model), seed))
    progress("writing", None)
    return write_folder(folder, {**model.contents, DRIFT: reference}, model.name)


@dataclass(frozen=True)
class Simulated:
    """Claims of honest riders of one simulation."""

    generator: Generator
    storm: str
    claims: Claims


def evaluate_model(
    scorer: Scorer, riders: int, seed: int, progress: Progress
) -> tuple[dict[str, str], list[Simulated]]:
    """For each evaluation storm what the model does to honest riders and attackers, as text; and the honest claims."""
    from monsoon.models.risk_rates import HONEST, evaluate, honest_slices, report

    reports, honest = {}, []
    for number, storm in enumerate(EVALUATION_STORMS, len(TRAINING)):
        progress(f"evaluating on {storm}", None)
        claims = simulated_claims(
            load_storm(storm), riders, EVALUATION_MOMENTS, seed * SEEDS_PER_RUN + number, attackers=EVALUATION_ATTACKERS
        )
        scores = scorer.score(claims.columns)
        slices = honest_slices(scores, claims.kinds, claims.tiers, scorer.groups)
        reports[f"{storm}, {riders:,} riders, seed {seed}"] = report(evaluate(scores, claims.kinds), slices)
        honest.append(Simulated("rides", storm, claims.of(claims.kinds == HONEST)))
    return reports, honest


def held_out_claims(
    seed: int, progress: Progress, held_out: Sequence[tuple[Generator, str, int]] = HELD_OUT
) -> list[Simulated]:
    """Claims of honest riders of storms and at seeds that neither training nor `evaluate_model` had."""
    found: list[Simulated] = []
    for number, (generator, storm, riders) in enumerate(held_out, len(TRAINING) + len(EVALUATION_STORMS)):
        progress("simulating held-out honest riders", len(found) / len(held_out))
        part_seed = seed * SEEDS_PER_RUN + number
        claims = simulated_claims(load_storm(storm), riders, MOMENTS, part_seed, attackers=0.0, generator=generator)
        found.append(Simulated(generator, storm, claims))
    return found


def calibration_tested(scorer: Scorer, held_out: Sequence[Simulated]) -> Exchangeability:
    """Whether these honest claims are exchangeable with those of the model's calibration, by availability mask."""
    from monsoon.models.exchangeability import exchangeability

    claims = Claims.joined([part.claims for part in held_out])
    names = [f"{part.storm} by {part.generator}" for part in held_out]
    return exchangeability(scorer.score(claims.columns), claims.workers, scorer.groups, names)


def _riders(rows: int) -> int:
    """How many riders make about so many claims, as many in each training storm."""
    return -(-rows // (CLAIMS_PER_RIDER * len(TRAINING))) * len(TRAINING)


def _honest_parts(riders: int, seed: int, progress: Progress) -> list[Simulated]:
    parts = []
    for number, (generator, name, gain) in enumerate(TRAINING):
        progress(f"simulating {riders:,} honest riders", number / len(TRAINING))
        storm, part_seed = _with_rain(load_storm(name), gain), seed * SEEDS_PER_RUN + number
        each = riders // len(TRAINING)
        claims = simulated_claims(storm, each, MOMENTS, part_seed, attackers=0.0, generator=generator)
        parts.append(Simulated(generator, name, claims))
    return parts


def _with_rain(storm: Storm, gain: float) -> Storm:
    feeds = tuple(
        replace(feed, gain=feed.gain * gain) if feed.metric.startswith("rain") else feed for feed in storm.modeled.feeds
    )
    return replace(storm, modeled=replace(storm.modeled, feeds=feeds))


def _split(claims: Claims, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows for the forest and for calibration, of different riders."""
    from monsoon.models.claim_features import NAMES

    workers, which = np.unique(claims.workers, return_inverse=True)
    forest = (rng.random(len(workers)) < FOREST_SHARE)[which]
    rows = claims.rows(NAMES)
    return rows[forest], rows[~forest]


def _joined(reports: dict[str, str]) -> str:
    return "\n".join(f"{title}\n{text}" for title, text in reports.items())


def refuse_what_is_no_model_folder(output: Path) -> None:
    """Raises OutputError where a folder holds something else, which must not be written over."""
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output}: is a file; give --output a new or empty folder")
    if output.is_dir() and any(output.iterdir()) and not (output / MANIFEST).is_file():
        raise OutputError(f"{output}: holds something that is no model folder; give --output a new or empty folder")
