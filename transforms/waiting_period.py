"""The waiting period: which of the terms that a policy's events state count at a moment (`products.md`, "Waiting").

What an event of a policy lowers counts at once; what it raises counts for disruptions that start at least the product's
waiting period after it, and until then what would count without the event does. So at a moment the terms are those of
the last event that has waited long enough, and what came since can only lower them. The first event of a policy, and
one that comes after cover had ended for the waiting period, counts at once.

Which home counts is settled when an event states it: at once if it lies within `MIN_HOME_MOVE_M` of every home that
counted in the waiting period before, else after the wait; a later one that counts takes its place for good. Readings of
the text: docs/interpretations.md#coverage-and-waiting.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monsoon.transforms.geo.sphere import distance_m
from monsoon.transforms.product import MIN_HOME_MOVE_M, Product

Event = Mapping[str, Any]
"""A validated record of contracts/subscription.schema.json."""

_NONE = -math.inf

_RAISED_BY: Mapping[str, Callable[[Event], float]] = {
    "daily_wage_inr": lambda event: _number(event.get("daily_wage_inr")),
    "shift_baseline_inr": lambda event: _number(shift_earnings(event)),
    "orders_per_hour": lambda event: _number(event.get("orders_per_hour")),
    "orders_per_hour_sd": lambda event: -_number(event.get("orders_per_hour_sd"), -_NONE),
}
"""The fields with a waiting period, each with a measure of its value: the larger, the more may be paid."""

_STATED = ("plan", "daily_wage_inr", "shift_baseline_inr", "orders_per_hour", "orders_per_hour_sd")


@dataclass(frozen=True, slots=True)
class TermsInForce:
    """The terms that count of a policy: `records[i]` from `moments_ms[i]` up to the next moment, none before the first.

    A record is the last event's, except for fields of which an earlier value still counts.
    """

    moments_ms: Sequence[int]
    records: Sequence[Event]

    def at(self, at_ms: int) -> Event | None:
        """The terms at a moment; None before the policy's first event."""
        index = bisect_right(self.moments_ms, at_ms) - 1
        return self.records[index] if index >= 0 else None


class WaitingRules:
    """The waiting period of a product; at each moment that of the version in force."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._versions = tuple(product.versions)
        self._waits_ms = tuple(sorted({version.waiting_ms for version in self._versions}))
        self._raises: dict[tuple[str, Any, Any], bool] = {}

    def terms(self, events: Sequence[Event]) -> TermsInForce:
        """The terms in force from a policy's events, one at least, in the order of (event_time, event_id)."""
        if len(events) == 1:
            return TermsInForce((events[0]["event_time"],), events)
        times_ms = [event["event_time"] for event in events]
        stated = [tuple(map(event.get, _STATED)) for event in events]
        homes = [(event["home_lat"], event["home_lon"]) for event in events]
        differs = [n for n in range(1, len(events)) if stated[n] != stated[n - 1] or homes[n] != homes[n - 1]]
        if not differs:
            return TermsInForce(times_ms, events)
        moments_ms = {*times_ms, *(times_ms[n] + wait_ms for n in differs for wait_ms in self._waits_ms)}
        moments_ms.update(version.from_ms for version in self._versions if version.from_ms > times_ms[0])
        ordered_ms = sorted(moments_ms)
        measured = [tuple(measure(event) for measure in _RAISED_BY.values()) for event in events]
        ended_ms = list(cover_ends(events))
        home_of = {wait_ms: _homes_that_count(events, ended_ms, wait_ms) for wait_ms in self._waits_ms}
        records = []
        for now_ms in ordered_ms:
            version = self._product.at(now_ms)
            wait_ms, known = version.waiting_ms, bisect_right(times_ms, now_ms)
            first = known - 1
            while times_ms[first] + wait_ms > now_ms and not _counts_at_once(times_ms[first], ended_ms[first], wait_ms):
                first -= 1
            record = (
                events[first]
                if first == known - 1
                else self._with_raises_waiting(version, events, measured, first, known)
            )
            moves_ms, moves = home_of[wait_ms]
            home = events[moves[bisect_right(moves_ms, now_ms) - 1]]
            if homes[known - 1] != (home["home_lat"], home["home_lon"]):
                record = {**record, "home_lat": home["home_lat"], "home_lon": home["home_lon"]}
            records.append(record)
        return TermsInForce(ordered_ms, records)

    def _with_raises_waiting(
        self, version: Product, events: Sequence[Event], measured: Sequence[tuple[float, ...]], first: int, known: int
    ) -> Event:
        """The record of the last of the events [first, known), where the first counts whole and raises by the others
        wait; `measured` has the measures of each event, in the order of _RAISED_BY."""
        last, plan = events[known - 1], events[first]["plan"]
        changed: dict[str, Any] = {}
        for event in events[first + 1 : known]:
            if event["plan"] != plan and not self._is_raise(version, event["plan"], plan):
                plan = event["plan"]
        if plan != last["plan"]:
            changed["plan"] = plan
        for place, name in enumerate(_RAISED_BY):
            # Of one measure every later event can only lower what counts: the smallest does.
            smallest = min(each[place] for each in measured[first:known])
            if smallest != measured[known - 1][place]:
                counting = events[next(n for n in range(first, known) if measured[n][place] == smallest)]
                changed[name] = shift_earnings(counting) if name == "shift_baseline_inr" else counting.get(name)
        if "daily_wage_inr" in changed and last.get("shift_baseline_inr") is None:
            # The wage that counts is no longer the one that the event stated for the shift.
            earnings = changed.pop("shift_baseline_inr", shift_earnings(last))
            if earnings != changed["daily_wage_inr"]:
                changed["shift_baseline_inr"] = earnings
        return {**last, **changed} if changed else last

    def _is_raise(self, version: Product, plan: str, before: str) -> bool:
        """Whether a plan pays more than the one before it in anything: a larger term, a trigger, a bridge or a
        supplement more."""
        key = version.version, plan, before
        known = self._raises.get(key)
        if known is None:
            known = self._raises[key] = _pays_more(version, plan, before)
        return known


def policy_terms_of(product: Product) -> tuple[Any, ...]:
    """All that the terms in force of a product's policies depend on: equal of two products, these are too."""
    return tuple(
        (
            version.from_ms,
            version.until_ms,
            version.waiting_ms,
            version.plans,
            [(each.name, [(one.name, one.plans) for one in each.supplements]) for each in version.triggers],
        )
        for version in product.versions
    )


def shift_earnings(event: Event) -> float | None:
    """The usual earnings of a shift, in rupees: as an event states them, else its daily wage."""
    stated = event.get("shift_baseline_inr")
    return event.get("daily_wage_inr") if stated is None else stated


def cover_ends(events: Sequence[Event]) -> Iterator[int | None]:
    """When all cover stated before each event had ended or will end (ms), cancellations included; None: no event stated
    any. Events in the order of (event_time, event_id)."""
    ended_ms: int | None = None
    starts: set[int] = set()
    for event in events:
        yield ended_ms
        start_ms, end_ms = event["coverage_start"], event["coverage_end"]
        if event["type"] == "cancelled":
            ended_ms = min(end_ms if ended_ms is None else ended_ms, event["event_time"])
        elif states_a_period(event, starts):
            ended_ms = end_ms if ended_ms is None else max(ended_ms, end_ms)
        starts.add(start_ms)


def states_a_period(event: Event, starts: set[int]) -> bool:
    """Whether an event other than a cancellation states a new period of cover: an upgrade changes the plan, not the
    period, unless its coverage_start is none of the known `starts`."""
    return event["type"] != "upgraded" or event["coverage_start"] not in starts


def _pays_more(version: Product, plan: str, before: str) -> bool:
    now, then = version.plan_of(plan), version.plan_of(before)
    if now is None or then is None:
        return now is not None
    more_triggers = not set(now[1]) <= set(then[1])
    larger = any(value > then[0].terms.get(name, 0.0) for name, value in now[0].terms.items())
    bridge = now[0].bridge and not then[0].bridge
    more_supplements = not _supplements_of(version, *now) <= _supplements_of(version, *then)
    return more_triggers or larger or bridge or more_supplements


def _supplements_of(version: Product, plan: Any, triggers: Sequence[str]) -> set[tuple[str, str]]:
    """The supplements of a plan, by trigger."""
    return {
        (name, each.name) for name in triggers for each in version.trigger(name).supplements if plan.name in each.plans
    }


def _counts_at_once(event_ms: int, ended_ms: int | None, wait_ms: int) -> bool:
    return ended_ms is None or event_ms - ended_ms >= wait_ms


def _homes_that_count(
    events: Sequence[Event], ended_ms: Sequence[int | None], wait_ms: int
) -> tuple[list[int], list[int]]:
    """From when on (ms) the home of which event (index) counts, in the order of time."""
    counted: list[tuple[int, int]] = []
    """(from when on, event)."""
    waiting: list[tuple[int, int]] = []
    for number, event in enumerate(events):
        now_ms = event["event_time"]
        counted += [each for each in waiting if each[0] <= now_ms]
        waiting = [each for each in waiting if each[0] > now_ms]
        at_once = _counts_at_once(now_ms, ended_ms[number], wait_ms) or all(
            _is_near(event, events[index]) for index in _counted_since(counted, now_ms - wait_ms)
        )
        if at_once:
            counted.append((now_ms, number))
            waiting.clear()
        else:
            waiting.append((now_ms + wait_ms, number))
    counted += waiting
    return [from_ms for from_ms, _ in counted], [index for _, index in counted]


def _is_near(event: Event, other: Event) -> bool:
    home, before = ((each["home_lat"], each["home_lon"]) for each in (event, other))
    return home == before or bool(distance_m(*home, *before) <= MIN_HOME_MOVE_M)


def _counted_since(counted: Sequence[tuple[int, int]], since_ms: int) -> Iterator[int]:
    """The events whose homes counted at some time after a moment, latest first."""
    for from_ms, index in reversed(counted):
        yield index
        if from_ms <= since_ms:
            return


def _number(value: float | None, absent: float = _NONE) -> float:
    return absent if value is None else float(value)
