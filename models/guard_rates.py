"""What share of honest riders each signal of the guard meets, by the generator that simulated them."""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from monsoon.models.rates import Rate
from monsoon.transforms.guard.signals import NULL, SIGNALS, STRONG, Condition

GUARD_RATES = "guard_rates.json"
"""The file of a model folder that has these shares."""
MAX_SHARE, MAX_BOUND = 0.001, 0.0015
"""Of honest riders sent to step-up or review, and of its 95% bound (`fraud.md`)."""
ANY = "any"
OF_SEVERAL_RIDERS = ("ring",)
"""Signals that no claim has by itself; `monsoon evaluate` counts honest riders in rings."""


class SignalRate(msgspec.Struct, frozen=True):
    """Honest riders asked, those of them of whom a signal was measured at any claim, and those whom it met at any."""

    signal: str
    riders: int
    measured: int
    met: int

    @property
    def rate(self) -> Rate:
        """Of those asked."""
        return Rate(self.met, self.riders)


class GuardRates(msgspec.Struct, frozen=True):
    """`thresholds`: the conditions of each signal with which they were measured. `rates`: by generator, ANY for all
    of them, each with every signal in the guard's order and ANY for one or more of them."""

    thresholds: dict[str, tuple[Condition, ...]]
    rates: dict[str, tuple[SignalRate, ...]]

    def beyond_target(self) -> list[tuple[str, str]]:
        """(generator, signal) of shares above MAX_SHARE, and of those of all riders whose bound is above MAX_BOUND."""
        return [
            (generator, each.signal)
            for generator, rates in self.rates.items()
            for each in rates
            if each.rate.share > MAX_SHARE or (generator == ANY and each.rate.interval()[1] > MAX_BOUND)
        ]


Statuses = Mapping[str, np.ndarray]
"""Of claims by signal."""


def guard_rates(honest: Iterable[tuple[str, np.ndarray, Statuses]]) -> GuardRates:
    """From simulations of honest riders: the generator, whose claim each is (n,), and the signals of each."""
    found: dict[str, list[tuple[SignalRate, ...]]] = {ANY: []}
    for generator, riders, signals in honest:
        rates = _rates(riders, signals)
        found[ANY].append(rates)
        found.setdefault(generator, []).append(rates)
    return GuardRates(dict(SIGNALS), {generator: _sum(parts) for generator, parts in found.items()})


def _rates(riders: np.ndarray, signals: Statuses) -> tuple[SignalRate, ...]:
    names = [name for name in SIGNALS if name not in OF_SEVERAL_RIDERS]
    rider = np.unique(riders, return_inverse=True)[1]
    count = int(rider.max(initial=-1)) + 1
    most = np.full((len(names), count), NULL, dtype=np.int8)
    for place, name in enumerate(names):
        np.maximum.at(most[place], rider, signals[name])
    status = np.vstack([most, most.max(axis=0)])
    return tuple(
        SignalRate(name, count, int((each > NULL).sum()), int((each == STRONG).sum()))
        for name, each in zip((*names, ANY), status, strict=True)
    )


def _sum(parts: list[tuple[SignalRate, ...]]) -> tuple[SignalRate, ...]:
    return tuple(
        SignalRate(
            same[0].signal, *(sum(getattr(each, name) for each in same) for name in ("riders", "measured", "met"))
        )
        for same in zip(*parts, strict=True)
    )


def encoded_guard_rates(found: GuardRates) -> bytes:
    """Its file in the model folder."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def guard_table(found: GuardRates) -> str:
    """Markdown: a line a signal, its share of honest riders by generator."""
    lines = [f"| signal | {' | '.join(f'{name}: measured | met' for name in found.rates)} |"]
    lines.append(f"|---|{'---|---|' * len(found.rates)}")
    rows = zip(*found.rates.values(), strict=True)
    lines += [f"| {same[0].signal} | {' | '.join(map(_cells, same))} |" for same in rows]
    return "\n".join(lines)


def _cells(each: SignalRate) -> str:
    share, bound = each.rate.share, each.rate.interval()[1]
    return f"{each.measured:,} | {share:.3%}, {each.met:,} of {each.riders:,}, <= {bound:.3%}"
