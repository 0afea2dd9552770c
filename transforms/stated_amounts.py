"""What policies in force state that their riders earn, at any moment: counts of amounts by the cell of the home."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from typing import Any, NamedTuple, Protocol

import numpy as np

from monsoon.transforms.evidence.limits import WAGE_PARENT_RESOLUTION
from monsoon.transforms.evidence.neighborhoods import Cells
from monsoon.transforms.evidence.ragged import Floats, Ints
from monsoon.transforms.evidence.wages import AMOUNT_NAMES, AmountCounts
from monsoon.transforms.geo.cells import cell_of, parents_of
from monsoon.transforms.triggers.series import Series

_END_MS = 2**62
"""After every event time."""

_MAX_CHANGED_SHARE = 20
"""Columns are made anew when more than one policy in so many has changed: columns of 10,000 cost 50 ms."""


class _State(Protocol):
    @property
    def record(self) -> Mapping[str, Any]: ...

    @property
    def worker_id(self) -> str: ...


class _Timeline(Protocol):
    @property
    def moments_ms(self) -> Sequence[int]: ...

    @property
    def states(self) -> Sequence[_State | None]: ...


class _Span(NamedTuple):
    """While a policy is in force with the same terms: [from, until) in ms, the cell of its home, the amounts (NaN:
    not stated)."""

    from_ms: int
    until_ms: int
    home: int
    daily_wage_inr: float
    shift_baseline_inr: float


def wages_of(series: Iterable[Series], after_ms: int) -> dict[tuple[str, int], set[int]]:
    """The amounts that may decide the payout of claims opened after a moment: by name and confirmation (ms), the cells
    of WAGE_PARENT_RESOLUTION with their zones."""
    found: dict[tuple[str, int], set[int]] = defaultdict(set)
    for each in series:
        moments_ms = {revision.event.confirmed_at_ms for revision in each.revisions if revision.at_ms > after_ms}
        if moments_ms and each.trigger.wages:
            zones = np.asarray(each.zones, dtype=np.uint64)
            cells = np.unique(parents_of(zones, WAGE_PARENT_RESOLUTION)).tolist()
            for about in product(each.trigger.wages, moments_ms):
                found[about].update(cells)
    return found


@dataclass(frozen=True, eq=False)
class _Columns:
    """Spans as columns. Of each name `code` is the place of a span's home and amount in `home` and `amount_inr`; -1:
    states none."""

    from_ms: Ints
    until_ms: Ints
    code: Mapping[str, Ints]
    home: Mapping[str, Cells]
    amount_inr: Mapping[str, Floats]

    @staticmethod
    def of(spans: Sequence[_Span]) -> _Columns:
        all_homes = np.array([span.home for span in spans], dtype=np.uint64)
        code: dict[str, Ints] = {}
        home: dict[str, Cells] = {}
        amount_inr: dict[str, Floats] = {}
        for name in AMOUNT_NAMES:
            amount = np.array([getattr(span, name) for span in spans], dtype=np.float64)
            stated = np.flatnonzero(~np.isnan(amount))
            order = stated[np.lexsort((amount[stated], all_homes[stated]))]
            new = np.ones(len(order), dtype=bool)
            new[1:] = (np.diff(amount[order]) != 0) | (all_homes[order[1:]] != all_homes[order[:-1]])
            code[name] = np.full(len(spans), -1, dtype=np.int64)
            code[name][order] = np.cumsum(new) - 1
            home[name], amount_inr[name] = all_homes[order[new]], amount[order[new]]
        from_ms = np.array([span.from_ms for span in spans], dtype=np.int64)
        return _Columns(from_ms, np.array([span.until_ms for span in spans], dtype=np.int64), code, home, amount_inr)

    def at(self, name: str, at_ms: int) -> AmountCounts:
        """The amounts of a name that count at a moment."""
        code = self.code[name][(self.from_ms <= at_ms) & (at_ms < self.until_ms)]
        policies = np.bincount(code[code >= 0], minlength=len(self.home[name]))
        some = np.flatnonzero(policies)
        return AmountCounts(self.home[name][some], self.amount_inr[name][some], policies[some])


class StatedAmounts:
    """The amounts that count of some policies, at every moment. A policy counts while a rider for whom `counts` holds
    has it in force: where policies are kept in several places, each counts in one."""

    def __init__(self, counts: Callable[[str], bool] = lambda worker_id: True) -> None:
        self._counts = counts
        self._columns = _Columns.of(())
        """Of most policies; the few that have changed since are in `_changed`."""
        self._rows: dict[str, tuple[int, int]] = {}
        """By policy_id, its rows of `_columns`."""
        self._spans: dict[str, list[_Span]] = {}
        """By policy_id."""
        self._changed: dict[str, None] = {}

    def replace(self, policy_id: str, timeline: _Timeline | None) -> None:
        """Replaces what is known of a policy; None drops it."""
        self._spans.pop(policy_id, None)
        spans = [] if timeline is None else self._spans_of(timeline)
        if spans:
            self._spans[policy_id] = spans
        if policy_id in self._rows:
            first, stop = self._rows.pop(policy_id)
            self._columns.until_ms[first:stop] = self._columns.from_ms[first:stop]  # never in force
        self._changed[policy_id] = None

    def at(self, name: str, at_ms: int) -> AmountCounts:
        """The amounts of a name that policies in force at a moment state."""
        if len(self._changed) * _MAX_CHANGED_SHARE > len(self._rows):
            self._columns = _Columns.of([span for spans in self._spans.values() for span in spans])
            ends = accumulate(map(len, self._spans.values()), initial=0)
            self._rows = dict(zip(self._spans, pairwise(ends), strict=True))
            self._changed.clear()
        most = self._columns.at(name, at_ms)
        rest = _Columns.of([span for policy_id in self._changed for span in self._spans.get(policy_id, ())])
        return AmountCounts.join([most, rest.at(name, at_ms)])

    def _spans_of(self, timeline: _Timeline) -> list[_Span]:
        until_ms = [*timeline.moments_ms[1:], _END_MS]
        return [
            _Span(
                from_ms,
                end_ms,
                cell_of(state.record["home_lat"], state.record["home_lon"], WAGE_PARENT_RESOLUTION),
                *(_amount(state.record.get(name)) for name in AMOUNT_NAMES),
            )
            for from_ms, end_ms, state in zip(timeline.moments_ms, until_ms, timeline.states, strict=True)
            if state is not None and self._counts(state.worker_id)
        ]


def _amount(stated: float | None) -> float:
    return math.nan if stated is None else float(stated)
