"""Other observations tried on one input: fewer stations, some providers, zones of another size, each run as a replay.

The streams are read once; triggers, candidates, evidence and decisions are computed anew, as in a grid of terms
(monsoon.pipelines.whatif). What is tried is what the insurer knows of the storm; what riders lost stays as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl

from monsoon.pipelines.basis_risk.riders import paid_of, with_payments
from monsoon.pipelines.basis_risk.table import MEASURE_SCHEMA, measured
from monsoon.pipelines.local.collector import collector_paused
from monsoon.pipelines.local.evidence import ClaimEvidence
from monsoon.pipelines.local.replay import Inputs, claim_evidence, run_product
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.pipelines.results import Outcome
from monsoon.pipelines.whatif import points_of
from monsoon.sources.files import InputError
from monsoon.transforms.adjudication.rider_answers import Answers
from monsoon.transforms.basis_risk import at_stations, official_stations
from monsoon.transforms.documents import did_you_mean
from monsoon.transforms.product import Product, ProductError
from monsoon.transforms.product.variations import Variation
from monsoon.transforms.scoring import Scorer
from monsoon.transforms.triggers.readings import Reading

Kind = Literal["as given", "stations", "providers", "resolution"]
COMPARISON_SCHEMA: Mapping[str, pl.DataType] = {
    "variant": pl.String(),
    "value": pl.String(),
    "product": pl.String(),
    "readings": pl.Int64(),
    "disruptions": pl.Int64(),
    **MEASURE_SCHEMA,
}


@dataclass(frozen=True)
class Variant:
    """What is tried: all readings and the products' own zones (`as given`), the readings of so many official stations
    of each metric, those of some providers, or zones of another H3 resolution."""

    kind: Kind
    value: str = ""


AS_GIVEN = Variant("as given")


def variants_of(stations: Sequence[int], providers: Sequence[str], resolutions: Sequence[int]) -> list[Variant]:
    """The variants that options state, after `AS_GIVEN`: each is tried by itself."""
    return [
        AS_GIVEN,
        *(Variant("stations", str(count)) for count in stations),
        *(Variant("providers", ",".join(sorted({name.strip() for name in each.split(",")}))) for each in providers),
        *(Variant("resolution", str(each)) for each in resolutions),
    ]


class Observations:
    """One input, read once, on which variants are run."""

    def __init__(
        self, inputs: Inputs, input_dir: Path, scorer: Scorer, products: Mapping[str, Product], extra: Iterable[Path]
    ) -> None:
        """`products` are those to run; `extra` are product files from elsewhere, of which they may be."""
        self._inputs, self._products, self._extra = inputs, products, tuple(extra)
        self._scores: ClaimEvidence = claim_evidence(inputs, input_dir, scorer)
        _ = inputs.shared  # of all variants
        self._stations = official_stations(inputs.readings)

    def check(self, variants: Iterable[Variant]) -> None:
        """Raises InputError for a provider of which the input has no reading, and ProductError for zones that a product
        cannot have."""
        known = sorted({reading.provider for reading in self._inputs.readings})
        for variant in variants:
            for name in variant.value.split(",") if variant.kind == "providers" else ():
                if name not in known:
                    raise InputError(
                        f"no reading of {name!r}{did_you_mean(name, known)}",
                        "--providers",
                        f"There are {', '.join(known) or 'no readings'}",
                    )
            self.products(variant)

    def products(self, variant: Variant) -> Mapping[str, Product]:
        """The products as a variant has them: zones of another size are those of the product file with that number."""
        if variant.kind != "resolution":
            return self._products
        try:
            varied = [Variation(name, ("zone_resolution",), (Decimal(variant.value),)) for name in self._products]
            (point,), _ = points_of(varied, self._extra)
            return point.products()
        except ProductError as error:
            raise ProductError(f"--resolution {variant.value}: {error}") from error

    def readings(self, variant: Variant, riders: pl.DataFrame) -> list[Reading]:
        """The readings that a variant leaves. Of a metric's stations the first are those nearest to most riders."""
        given = self._inputs.readings
        if variant.kind == "providers":
            names = set(variant.value.split(","))
            return [reading for reading in given if reading.provider in names]
        if variant.kind != "stations":
            return given
        places = riders.unique("worker_id", keep="first", maintain_order=True)
        lat, lon = places["lat"].to_numpy(), places["lon"].to_numpy()
        chosen = {metric: each.first(int(variant.value), lat, lon) for metric, each in self._stations.items()}
        return at_stations(given, self._stations, chosen)

    def run(
        self, variant: Variant, riders: pl.DataFrame, within: tuple[int, int] | None
    ) -> tuple[pl.DataFrame, Counter[str], int]:
        """What each rider is then paid by each product (PAID_SCHEMA) for disruptions that lasted `within` [start_ms,
        end_ms) (None: for all), the disruptions of each product that stand, and the readings that there were."""
        inputs = copy(self._inputs)
        inputs.readings = self.readings(variant, riders)
        with collector_paused():
            outcome, answers = Outcome(), Answers(inputs.confirmations)
            for product in self.products(variant).values():
                run_product(product, inputs, self._scores, outcome, answers)
        last = {record["disruption_id"]: record for record in outcome.disruptions}
        counts = Counter(each["product"] for each in last.values() if each["state"] != "withdrawn")
        paid_for = {name for name, each in last.items() if within is None or _lasted_in(each, *within)}
        claims = {claim["claim_id"]: claim for claim in outcome.claims}
        payouts = [each for each in outcome.payouts if claims[each["claim_id"]]["disruption_id"] in paid_for]
        return paid_of(claims, payouts), counts, len(inputs.readings)


def _lasted_in(disruption: Mapping[str, Any], start_ms: int, end_ms: int) -> bool:
    until_ms = disruption["absent_since"] or disruption["end"] or disruption["revised_at"]
    return bool(disruption["start"] < end_ms and until_ms > start_ms)


def comparison_table(
    observations: Observations,
    variants: Sequence[Variant],
    riders: pl.DataFrame,
    within: tuple[int, int] | None,
    threshold: float,
    seed: int,
    resamples: int,
    progress: Progress = no_progress,
) -> pl.DataFrame:
    """A row per variant and product, COMPARISON_SCHEMA; `riders` of `insured_riders`, `within` of `Observations.run`.

    The resamples are the same for every variant, so that their differences are not of the draw.
    """
    rows: list[dict[str, Any]] = []
    for number, variant in enumerate(variants):
        progress(f"running {len(variants)} variants", number / len(variants))
        paid, disruptions, readings = observations.run(variant, riders, within)
        for (product,), members in with_payments(riders, paid, threshold).group_by("product", maintain_order=True):
            rows.append(
                {
                    "variant": variant.kind,
                    "value": variant.value,
                    "product": product,
                    "readings": readings,
                    "disruptions": disruptions[str(product)],
                    **measured(members, f"{product}|all|all", seed, resamples),
                }
            )
    return pl.DataFrame(rows, schema=COMPARISON_SCHEMA, orient="row")
