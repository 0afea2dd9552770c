"""Trains the model `syndicate` on groups by which simulated honest riders are linked, and evaluates it on other storms.

scikit-learn and onnx, which only training needs, are imported when a function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monsoon.pipelines.training.claim_anomaly import SEEDS_PER_RUN, refuse_what_is_no_model_folder
from monsoon.pipelines.training.claims import Generator
from monsoon.pipelines.training.linked_groups import HONEST_EDGE_WEIGHT_E6, MIN_CLAIMS, Groups, SimulatedCity
from monsoon.sources.simulator import load_storm
from monsoon.transforms.rings.limits import EDGE_WEIGHT_E6, WEIGHT_SCALE
from monsoon.transforms.scoring import Scorer

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Simulation:
    """A city to simulate: by which generator, in which storm, with how many riders."""

    generator: Generator
    storm: str
    riders: int

    def __str__(self) -> str:
        return f"the storm {self.storm}, {self.riders:,} riders by the generator {self.generator}"


FOREST = (Simulation("rides", "chennai-2015-12-01", 1_000), Simulation("scenarios", "delhi-2024-05-29-heat", 400))
CALIBRATION = (
    Simulation("rides", "chennai-2016-12-12-vardah", 1_000),
    Simulation("rides", "delhi-2024-05-29-heat", 1_000),
    Simulation("rides", "bengaluru-2020-03-22-curfew", 1_000),
    Simulation("scenarios", "chennai-2015-12-01", 600),
)
"""Of the storms that `claim_anomaly` is trained on, by both generators; other riders than those of the forest."""
EVALUATION = (
    Simulation("rides", "delhi-2024-06-28", 1_600),
    Simulation("scenarios", "delhi-2024-07-31-cloudburst", 1_000),
)
"""Storms that no model is trained on; with as many honest riders as those of training."""
MOMENTS: Mapping[Generator, int] = {"rides": 8, "scenarios": 16}
"""Of each storm, so that the two generators have about as many groups; riders of the second take longer to simulate."""
EVALUATION_MOMENTS, RING_MOMENTS = 8, 4
ATTACKERS = 0.4
"""Of the riders of an evaluation: so that each kind of ring of the second generator is there."""
BY_RULE = ("link_weight", "kinds_per_link")
"""Features in which a ring differs by what makes it one."""
P_LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)

_HONEST, _RING = HONEST_EDGE_WEIGHT_E6 // WEIGHT_SCALE, EDGE_WEIGHT_E6 // WEIGHT_SCALE

_LIMITS = f"""\
## Limits

- It ranks rings that the 2-core has found. It sends nobody to review and frees nobody.
- Honest riders make no ring in these storms, so it was never asked about an honest group of a ring's weight. Links of
  honest groups weigh {_HONEST} to some 5, those of rings {_RING} and more: an AUROC of 1 says that the two do not
  overlap, which the weight alone does. What the model adds is an order among rings.
- Beyond the most unlike honest group the p-value says no more: there the risk is an order by path length, up to 1.
- Its honest groups are of one moment, with one claim a rider, linked over a whole city. Groups of one city share riders
  from one moment to the next, so fewer of them are independent than are counted.
- Riders are simulated. Honest relatives, customers of one UPI handle and squads are as the generators have them.
"""


def train(output: Path, seed: int, progress: Progress) -> tuple[str, str]:
    """Trains, evaluates, and writes the model folder.

    Returns the model's version and the evaluation as text. The same seed gives the same bytes. Raises OutputError where
    `output` holds something that is not a model folder.
    """
    from monsoon.models.p_values import fit_p_values
    from monsoon.models.syndicate_features import SYNDICATE
    from monsoon.models.train import MODEL_CARD, build_files, scorer_of, write_folder

    refuse_what_is_no_model_folder(output)
    forest = _honest_groups(FOREST, seed * SEEDS_PER_RUN, progress)
    calibration = _honest_groups(CALIBRATION, seed * SEEDS_PER_RUN + len(FOREST), progress)
    progress("fitting and calibrating", None)
    files = build_files(
        forest.rows(SYNDICATE.names),
        calibration.rows(SYNDICATE.names),
        seed,
        design=SYNDICATE,
        calibrate=lambda path_quanta, honest, *_: fit_p_values(path_quanta, honest, SYNDICATE.fraud_ends),
    )
    evaluation = _evaluation(scorer_of(output, files, SYNDICATE.name), seed, progress)
    progress("writing", None)
    card = _card(seed, len(forest), len(calibration), evaluation)
    version = write_folder(output, files | {MODEL_CARD: card.encode()}, SYNDICATE.name)
    return version, evaluation


def _city(simulation: Simulation, seed: int, attackers: float) -> SimulatedCity:
    storm = load_storm(simulation.storm)
    return SimulatedCity(storm, simulation.riders, seed, attackers=attackers, generator=simulation.generator)


def _honest_groups(simulations: Iterable[Simulation], first_seed: int, progress: Progress) -> Groups:
    parts = []
    for number, simulation in enumerate(simulations):
        progress(f"simulating {simulation}", None)
        parts.append(_city(simulation, first_seed + number, attackers=0.0).honest_groups(MOMENTS[simulation.generator]))
    return Groups.joined(parts)


def _evaluation(scorer: Scorer, seed: int, progress: Progress) -> str:
    """What the model makes of rings and of honest groups, in storms and at seeds of which it was not trained."""
    lines, parts = [], []
    for number, simulation in enumerate(EVALUATION, len(FOREST) + len(CALIBRATION)):
        progress(f"evaluating on {simulation}", None)
        city = _city(simulation, seed * SEEDS_PER_RUN + number, ATTACKERS)
        parts.append((city.honest_groups(EVALUATION_MOMENTS), city.rings(RING_MOMENTS)))
        lines.append(f"{simulation}, seed {seed}")
        lines += evaluation_lines(scorer, *parts[-1])
    honest, rings = (Groups.joined(each) for each in zip(*parts, strict=True))
    return "\n".join([*lines, "both", *evaluation_lines(scorer, honest, rings)]) + "\n"


def evaluation_lines(scorer: Scorer, honest: Groups, rings: Groups) -> list[str]:
    """How well risks tell rings from honest groups, beside each feature and the size alone; how risks of rings are
    spread; and how many honest groups have a p-value of at most each of P_LEVELS."""
    from monsoon.models.rates import Rate

    apart, rings_apart = honest.disjoint(), rings.disjoint()
    independent = min(len(apart), len(rings_apart))
    risk, ring_risk = scorer.score(honest.columns).risk, scorer.score(rings.columns).risk
    p = np.round(1 - risk, 6)
    area = auroc(risk, ring_risk)
    # The variance of an AUROC A is at most A (1 - A) / n, n the fewer of both.
    bound = Rate(round(area * independent), independent).interval()[0]
    medians = dict(zip(scorer.features, scorer.honest_medians.tolist(), strict=True))

    def without(columns: Mapping[str, np.ndarray]) -> np.ndarray:
        fixed = {name: np.full(len(columns[name]), medians[name]) for name in BY_RULE}
        return scorer.score({**columns, **fixed}).risk

    quantiles = np.quantile(ring_risk, (0.0, 0.05, 0.5, 0.95, 1.0))
    return [
        f"  {len(rings):,} rings, {len(rings_apart)} without a rider in common; {len(honest):,} honest groups, "
        f"{len(apart)} without",
        f"  AUROC of the risk {area:.4f}, at least {bound:.3f} (95%, of {independent} of each)",
        f"    without {' and '.join(BY_RULE)}  {auroc(without(honest.columns), without(rings.columns)):.4f}",
        *(f"    {name:20} alone {auroc(honest.columns[name], rings.columns[name]):.4f}" for name in scorer.features),
        f"    {'number of riders':20} alone {auroc(honest.riders, rings.riders):.4f}",
        f"  risk of rings: 0, 5, 50, 95, 100%  {'  '.join(f'{value:.6f}' for value in quantiles)}",
        f"    {len(np.unique(ring_risk))} different risks; rank correlation with the number of riders "
        f"{_rank_correlation(ring_risk, rings.riders):.2f}",
        *(
            f"  honest groups with p <= {level:<4g}  {np.mean(p <= level):6.1%}; without a rider in common "
            f"{Rate(int((p[apart] <= level).sum()), len(apart))}"
            for level in P_LEVELS
        ),
    ]


def auroc(honest: np.ndarray, rings: np.ndarray) -> float:
    """The probability that a ring has more than an honest group, where equal half of it; NaN without any of either.

    >>> auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    if not len(honest) or not len(rings):
        return float("nan")
    more = rings[:, None] > honest[None, :]
    equal = rings[:, None] == honest[None, :]
    return float(more.mean() + equal.mean() / 2)


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, of mean ranks; NaN where either is constant."""
    ranks = []
    for values in (one, other):
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[which.reshape(-1)])
    if min(np.ptp(each) for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _card(seed: int, forest: int, calibration: int, evaluation: str) -> str:
    from monsoon.models.model_card import feature_table
    from monsoon.models.syndicate_features import SYNDICATE
    from monsoon.models.train import CONTRADICTION_SHARE, SUBSAMPLE, TREES

    moments = " and ".join(f"{count} moments ({generator})" for generator, count in MOMENTS.items())

    def listed(simulations: Iterable[Simulation]) -> str:
        return "\n".join(f"- {simulation}" for simulation in simulations)

    return f"""\
# {SYNDICATE.name}

An Isolation Forest of {TREES} trees over at most {SUBSAMPLE} linked groups each, fitted on groups of honest riders
alone. It says how unlike these the group of a ring is: the risk is 1 - p, where p is the share of honest linked groups
that are at least as unlike (conformal, of {calibration:,} groups). Reviewers take the ring of the highest risk first.
Made by `monsoon train --model syndicate`.

## Training

- Seed {seed}. Simulated honest riders, no attackers. Everybody who is present claims, at {moments} of each storm.
- An honest linked group: at least {MIN_CLAIMS} claims connected by links that weigh {_HONEST} or more; a ring's weigh
  {_RING} or more, and honest riders make none. Squads, families, depots and carriers' networks are as the generators
  make them.
- To the forest's groups, {CONTRADICTION_SHARE:.1%} as many again for each feature, honest but for that feature.

For the forest {forest:,} groups of

{listed(FOREST)}

and for calibration {calibration:,} groups of other riders, of

{listed(CALIBRATION)}

{feature_table(SYNDICATE)}

## Evaluation

On storms on which no model was trained, {ATTACKERS:.0%} of the riders attackers; honest groups are of the others, as if
these were alone. A ring is a 2-core that the rule finds, most of whose members attack.

```
{evaluation}```

{_LIMITS}"""
