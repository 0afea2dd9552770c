"""One replay of a season: a storm of a certain intensity, with riders of its own, played on the local engine."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import cached_property
from pathlib import Path
from statistics import NormalDist

from msgspec import Struct

from monsoon.models.evaluation.claims import HONEST
from monsoon.pipelines.evaluation.gather import read_labels
from monsoon.pipelines.evaluation.play import play
from monsoon.pipelines.season.book import plans_of, with_book
from monsoon.pipelines.season.drawing import number_of
from monsoon.pipelines.season.settings import SeasonSettings
from monsoon.sources.model_files import load_scorer
from monsoon.sources.product_files import load_products
from monsoon.sources.simulator import Storm, load_storm, simulate
from monsoon.sources.simulator.intensity import factor_of, with_intensity
from monsoon.transforms.product import Product


class LineLoss(Struct, frozen=True):
    """What one plan of a product paid in a replay: its policies, the claims of which so many were paid, and how many
    still wait for a person's review; `leaked_paise` of `paid_paise` went to attackers."""

    product: str
    plan: str
    policies: int
    claims: int
    claims_paid: int
    claims_in_review: int
    paid_paise: int
    leaked_paise: int


class Replay(Struct, frozen=True):
    """The result of a replay; `lines` by product and plan."""

    storm: str
    replicate: int
    seed: int
    intensity: float
    riders: int
    lines: tuple[LineLoss, ...]


class Replayer:
    """Makes the replays of a season."""

    def __init__(self, settings: SeasonSettings) -> None:
        self._settings = settings
        self._files = {storm.name: storm.file for storm in settings.storms}
        self._storms: dict[str, Storm] = {}

    @cached_property
    def _products(self) -> dict[str, Product]:
        return load_products(list(self._settings.products), map(Path, self._settings.product_files))

    def replay(self, name: str, replicate: int) -> Replay:
        """One replay: of the storm `name`, the `replicate`-th of the settings'.

        The intensities of a storm's replicates are the middles of equal parts of its distribution, so that few of them
        have its mean and spread. Their riders are drawn anew, from the seed, the storm and the replicate.
        """
        if name not in self._storms:
            self._storms[name] = load_storm(self._files[name])
        settings, storm = self._settings, self._storms[name]
        intensity = replicate_intensity(storm, replicate, settings.replicates)
        seed = number_of(str(settings.seed), name, str(replicate))
        played = with_book(with_intensity(storm, intensity), self._products)
        with tempfile.TemporaryDirectory(prefix="monsoon-season-") as folder:
            lines = self._play(played, seed, Path(folder))
        return Replay(name, replicate, seed, intensity, settings.riders, lines)

    def _play(self, storm: Storm, seed: int, folder: Path) -> tuple[LineLoss, ...]:
        products = self._products
        simulate(storm, self._settings.riders, seed, folder)
        played = play(folder, products, list(products), load_scorer())
        labels = read_labels(folder)
        plan_of = {each["policy_id"]: (each["product"], each["plan"]) for each in played.inputs.subscriptions}
        policies = Counter(plan_of.values())
        in_order = sorted(played.outcome.claims, key=lambda claim: (claim["claim_id"], claim["revision"]))
        last = {claim["claim_id"]: claim for claim in in_order}
        of_claim = {claim_id: plan_of[claim["policy_id"]] for claim_id, claim in last.items()}
        paid: Counter[tuple[str, str]] = Counter()
        leaked: Counter[tuple[str, str]] = Counter()
        for payout in played.outcome.payouts:
            line = of_claim[payout["claim_id"]]
            paid[line] += payout["amount_paise"]
            if labels[payout["worker_id"]]["kind"] != HONEST:
                leaked[line] += payout["amount_paise"]
        claims = Counter(of_claim.values())
        paid_claims = Counter(of_claim[claim] for claim in {each["claim_id"] for each in played.outcome.payouts})
        reviews = Counter(of_claim[name] for name, claim in last.items() if claim["status"] == "manual_review")
        return tuple(
            LineLoss(*line, policies[line], claims[line], paid_claims[line], reviews[line], paid[line], leaked[line])
            for line in lines_of(products)
        )


def replicate_intensity(storm: Storm, replicate: int, replicates: int) -> float:
    """The intensity of a storm's `replicate`-th of `replicates`: the middle of an equal part of its distribution."""
    assert storm.frequency is not None
    return factor_of(storm.frequency.intensity, NormalDist().inv_cdf((replicate + 0.5) / replicates))


def lines_of(products: dict[str, Product]) -> list[tuple[str, str]]:
    """The lines of a book: (product, plan) by product, in the order of its plans."""
    return [(name, plan) for name, product in sorted(products.items()) for plan in plans_of(product)]
