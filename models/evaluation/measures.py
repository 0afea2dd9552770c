"""The measures of an evaluation, by product: shares with their bounds, rupees and hours, slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monsoon.models.evaluation import targets
from monsoon.models.evaluation.claims import HONEST, ClaimFacts
from monsoon.models.evaluation.targets import Target, Verdict, target_of, verdict_on
from monsoon.models.rates import Rate

MIN_SLICE = 100
"""Riders of a slice that is compared with the mean; and as many that at the mean one of them would be affected."""
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table. `value`: the share, or the ratio of a slice to the mean; None: not measured. `detail`: of
    which slice, or why it is not measured."""

    product: str
    name: str
    value: float | None
    rate: Rate | None
    detail: str = ""

    @property
    def target(self) -> Target | None:
        """What it should be."""
        return target_of(self.name, self.product)

    @property
    def verdict(self) -> Verdict:
        """Whether it is."""
        return verdict_on(self.target, self.value, self.rate)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of one product: rupees to attackers, and what suspicion costs honest riders.

    `late`: honest claims approved after suspicion, with their rupees and hours; `never`: those not approved by the end
    of the replay, of which neither is known.
    """

    product: str
    honest_claims: int
    late: int
    late_paise: int
    late_ms: int
    never: int
    attackers_paid_paise: int
    attackers_paid: int

    def late_inr_per_1000(self) -> float:
        """Rupees delayed per 1,000 honest claims; 0 of none."""
        return self.late_paise / 100 * 1000 / self.honest_claims if self.honest_claims else 0.0

    def late_hours_per_1000(self) -> float:
        """Hours of delay per 1,000 honest claims; 0 of none."""
        return self.late_ms / _HOUR_MS * 1000 / self.honest_claims if self.honest_claims else 0.0


@dataclass(frozen=True, slots=True)
class Slice:
    """Honest riders of one dimension's value who were held or escalated."""

    product: str
    dimension: str
    value: str
    rate: Rate


def measures_of(product: str, claims: Sequence[ClaimFacts]) -> list[Measure]:
    """Every measure of a product's claims but those of rings; those of EXPECTED that have no claim come without."""
    riders = _honest_riders(claims)
    attacks: dict[str, list[ClaimFacts]] = defaultdict(list)
    variants: dict[str, list[ClaimFacts]] = defaultdict(list)
    for claim in claims:
        if not claim.honest and claim.eligible and not claim.truthful:
            attacks[claim.kind].append(claim)
            if claim.condition and claim.condition != claim.kind:
                variants[claim.condition].append(claim)
    found = [
        _share(product, targets.DENIED, (claim.denied_on_suspicion for claim in claims)),
        _share(product, targets.ESCALATED, (any(c.escalated for c in mine) for mine in riders.values())),
        _share(product, targets.HELD, (any(c.held for c in mine) for mine in riders.values())),
        _share(product, targets.HELD_OTHERWISE, (any(c.held_otherwise for c in mine) for mine in riders.values())),
        _worst_slice(product, claims),
    ]
    found += [
        _share(product, targets.recall_of(kind), (not claim.paid for claim in mine))
        for of in (attacks, variants)
        for kind, mine in sorted(of.items())
    ]
    names = {measure.name for measure in found}
    recalls = (name for name in targets.EXPECTED if name not in names and name not in _OF_RINGS)
    return found + [Measure(product, name, None, None, "no such claim") for name in recalls]


_OF_RINGS = (targets.RING_PRECISION, targets.RING_RECALL)


def sensor_loss_measures(slices: Iterable[Slice]) -> list[Measure]:
    """Over all products: riders with sensor data lost who are held or escalated, against ordinary ones."""
    rates: dict[str, Rate] = {}
    for each in slices:
        if each.dimension == "condition":
            before = rates.get(each.value, Rate(0, 0))
            rates[each.value] = Rate(before.count + each.rate.count, before.total + each.rate.total)
    usual = rates.get(targets.ORDINARY)
    found = []
    for condition, name in targets.SENSORS_LOST.items():
        rate = rates.get(condition)
        if rate is None or usual is None or rate.total < MIN_SLICE or not usual.count:
            found.append(Measure(targets.ALL, name, None, None, f"fewer than {MIN_SLICE} such riders, or nobody held"))
        else:
            detail = f"of the ordinary {usual.count:,} of {usual.total:,}"
            found.append(Measure(targets.ALL, name, rate.share / usual.share, rate, detail))
    return found


def amounts_of(product: str, claims: Iterable[ClaimFacts]) -> Amounts:
    """Rupees and hours of a product's claims."""
    counted = [claim for claim in claims if not claim.truthful]
    honest = [claim for claim in counted if claim.honest and claim.counted]
    late = [claim for claim in honest if claim.delay_ms is not None]
    attacks = [claim for claim in counted if not claim.honest and claim.paid_paise > 0]
    return Amounts(
        product=product,
        honest_claims=len(honest),
        late=len(late),
        late_paise=sum(claim.paid_paise for claim in late),
        late_ms=sum(claim.delay_ms or 0 for claim in late),
        never=sum(claim.suspected and claim.eligible and not claim.paid for claim in honest),
        attackers_paid_paise=sum(claim.paid_paise for claim in attacks),
        attackers_paid=len(attacks),
    )


def slices_of(product: str, claims: Iterable[ClaimFacts]) -> list[Slice]:
    """Honest riders held or escalated, by each value of each dimension, in the order of both; the dimension `""` is
    all of them."""
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for mine in _honest_riders(claims).values():
        affected = any(claim.held or claim.escalated for claim in mine)
        for key in sorted({("", "all"), *(each for claim in mine for each in claim.slices)}):
            found[key].append(affected)
    return [Slice(product, *key, Rate(sum(flags), len(flags))) for key, flags in sorted(found.items())]


def _worst_slice(product: str, claims: Iterable[ClaimFacts]) -> Measure:
    slices = slices_of(product, claims)
    name = targets.WORST_SLICE
    if not slices:
        return Measure(product, name, None, None, "no honest rider")
    mean = next(each.rate for each in slices if not each.dimension)
    if not mean.count:
        return Measure(product, name, 0.0, mean, "nobody affected")
    compared = [
        each for each in slices if each.dimension and each.rate.total >= MIN_SLICE and each.rate.total * mean.share >= 1
    ]
    if not compared:
        return Measure(product, name, None, None, "no slice is large enough")
    worst = max(compared, key=lambda each: (each.rate.share, each.dimension, each.value))
    return Measure(product, name, worst.rate.share / mean.share, worst.rate, f"{worst.dimension}: {worst.value}")


def _honest_riders(claims: Iterable[ClaimFacts]) -> Mapping[tuple[str, str, str], list[ClaimFacts]]:
    """Claims of honest riders who have one that counts, by rider."""
    riders: dict[tuple[str, str, str], list[ClaimFacts]] = defaultdict(list)
    for claim in claims:
        if claim.kind == HONEST and claim.counted:
            riders[claim.rider].append(claim)
    return riders


def _share(product: str, name: str, flags: Iterable[bool]) -> Measure:
    listed = list(flags)
    rate = Rate(sum(listed), len(listed))
    return Measure(product, name, rate.share if rate.total else None, rate)
