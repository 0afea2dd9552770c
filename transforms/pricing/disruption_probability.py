"""The probability that a trigger's threshold is reached within the next days, learned from a series of days.

Three forecasts of the same question, so that each can be held against the others: the climatology of the season, the
persistence of the present state, and a logistic regression that starts from the climatology and moves it by the state
of the last days and, where there is one, by what a forecast says. On days and doubles alone; deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HORIZONS_DAYS = (3, 7)
"""72 h and 7 days, as the sources forecast them."""

_YEAR_DAYS, _PLACES = 365.25, 366
_WINDOW_DAYS = 20
"""The triangular window over the season reaches so far to either side."""
_PRIOR_DAYS = 20.0
"""So many days of the whole year's frequency are added to those of the season."""
_RIDGE = 1.0
_STEPS = 50
_TOO_FEW_YEARS = (
    "fewer than two years have days after which every day of the horizon is measured, and each year is forecast from "
    "the others"
)


@dataclass(frozen=True)
class DailySeries:
    """A row per day without gaps. `days`: int64, since 1970-01-01. `values`: the day's most extreme value as a multiple
    of the threshold, NaN where it was not measured. `events`: 1.0 where the threshold was reached, else 0.0, NaN where
    it was not measured. `forecasts`: the most extreme value, as a multiple of the threshold, that was forecast on that
    day for the days ahead, NaN where none was."""

    days: np.ndarray
    values: np.ndarray
    events: np.ndarray
    forecasts: np.ndarray


def targets(events: np.ndarray, horizon_days: int) -> np.ndarray:
    """By day: 1.0 where one of the next days has an event, 0.0 where none has, NaN where one of them was not measured.

    An event beside a gap would decide it, but no calm day beside one could: kept days would have more events than there
    were.
    """
    count = len(events)
    ahead = np.full((horizon_days, count), np.nan)
    for step in range(1, horizon_days + 1):
        ahead[step - 1, : max(count - step, 0)] = events[step:]
    return np.where(np.isnan(ahead).any(axis=0), np.nan, (ahead > 0).any(axis=0))


def climatology(days: np.ndarray, outcomes: np.ndarray, at_days: np.ndarray) -> np.ndarray:
    """The frequency of outcomes around each day's place in the year, drawn towards that of the whole year. NaN outcomes
    are left out. Raises ValueError where there is none."""
    known = ~np.isnan(outcomes)
    if not known.any():
        raise ValueError("there is no day whose outcome is known")
    places, happened = _place(days[known]), outcomes[known]
    overall = (happened.sum() + 0.5) / (len(happened) + 1.0)
    distance = np.abs(np.subtract.outer(np.arange(_PLACES), np.arange(_PLACES)))
    window = np.maximum(1.0 - np.minimum(distance, _PLACES - distance) / _WINDOW_DAYS, 0.0)
    weights, sums = (window * np.bincount(places, each, _PLACES) for each in (np.ones(len(places)), happened))
    found = (sums.sum(axis=1) + _PRIOR_DAYS * overall) / (weights.sum(axis=1) + _PRIOR_DAYS)
    return found[_place(at_days)]


def _place(days: np.ndarray) -> np.ndarray:
    """In the year, from 0; a day of a year apart is at most one place away."""
    return (days % _YEAR_DAYS).astype(np.int64)


@dataclass(frozen=True)
class ProbabilityModel:
    """A fitted model of one horizon; `weights` of the columns of `_features`."""

    days: np.ndarray
    outcomes: np.ndarray
    weights: np.ndarray

    def probabilities(self, series: DailySeries) -> np.ndarray:
        """By day the probability of an event in the days that follow, above 0 and below 1."""
        return _logistic(_features(series, climatology(self.days, self.outcomes, series.days)) @ self.weights)


def fit(series: DailySeries, outcomes: np.ndarray) -> ProbabilityModel:
    """Fits the model by ridge-penalized maximum likelihood; the climatology itself is not drawn towards 0 but to 1.

    Args:
        series: the days.
        outcomes: of `targets`; NaN where a day is not to be learned from.

    Raises:
        ValueError: there is no known outcome.
    """
    known = ~np.isnan(outcomes)
    columns = _features(series, climatology(series.days, outcomes, series.days))[known]
    happened, prior = outcomes[known], np.zeros(columns.shape[1])
    prior[1] = 1.0
    weights = prior.copy()
    for _ in range(_STEPS):
        chance = _logistic(columns @ weights)
        slope = columns.T @ (happened - chance) - _RIDGE * (weights - prior)
        curvature = (columns.T * (chance * (1 - chance))) @ columns + _RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    return ProbabilityModel(series.days, outcomes, weights)


def _features(series: DailySeries, expected: np.ndarray) -> np.ndarray:
    """Columns: 1, log odds of the climatology, and of the last day, the last week and a forecast what is known; 0 and
    an indicator where it is not."""
    events, count = series.events, len(series.events)
    week = np.full((7, count), np.nan)
    for back in range(7):
        week[back, back:] = events[: count - back] if back else events
    measured = (~np.isnan(week)).sum(axis=0)
    share = np.where(measured > 0, np.nansum(week, axis=0) / np.maximum(measured, 1), 0.0)
    ratio, forecast = (_log_ratio(each) for each in (series.values, series.forecasts))
    unknown, unforecast = np.isnan(ratio), np.isnan(forecast)
    return np.column_stack(
        [
            np.ones(count),
            np.log(expected / (1 - expected)),
            np.nan_to_num(events),
            share,
            np.nan_to_num(ratio),
            unknown,
            np.nan_to_num(forecast),
            unforecast,
        ]
    ).astype(np.float64)


def _log_ratio(values: np.ndarray) -> np.ndarray:
    """The logarithm of a multiple of the threshold, within a factor of 20."""
    return np.log(np.clip(values, 0.05, 20.0))


def _logistic(odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(odds, -12.0, 12.0)))


def brier(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """The mean square of probability less outcome, 0 best, 1 worst; over rows where both are known (NaN: none)."""
    known = ~(np.isnan(probabilities) | np.isnan(outcomes))
    return float(np.mean((probabilities[known] - outcomes[known]) ** 2)) if known.any() else float("nan")


@dataclass(frozen=True)
class ReliabilityBin:
    """Days whose probability lies in one of equal parts of [0, 1]."""

    days: int
    mean_probability: float
    frequency: float


def reliability(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The bins that have days, from the lowest."""
    known = ~(np.isnan(probabilities) | np.isnan(outcomes))
    chance, happened = probabilities[known], outcomes[known]
    part = np.minimum((chance * bins).astype(np.int64), bins - 1)
    return tuple(
        ReliabilityBin(int(own.sum()), float(chance[own].mean()), float(happened[own].mean()))
        for own in (part == number for number in range(bins))
        if own.any()
    )


@dataclass(frozen=True)
class CrossValidation:
    """Scores of forecasts of days of years that the model was not fitted on, over the days for which all are known."""

    horizon_days: int
    days: int
    frequency: float
    brier_model: float
    brier_climatology: float
    brier_persistence: float
    reliability: tuple[ReliabilityBin, ...]


def cross_validate(series: DailySeries, years: np.ndarray, horizon_days: int) -> CrossValidation:
    """Leave-one-year-out: each year forecast by models of the others, without the days around it whose outcomes reach
    into it.

    Raises ValueError where fewer than two years have known outcomes, or lie too near to one another to leave a day.
    """
    outcomes = targets(series.events, horizon_days)
    if len(np.unique(years[~np.isnan(outcomes)])) < 2:
        raise ValueError(_TOO_FEW_YEARS)
    model, expected = np.full(len(outcomes), np.nan), np.full(len(outcomes), np.nan)
    for year in np.unique(years).tolist():
        held = years == year
        near = (series.days >= series.days[held].min() - horizon_days) & (series.days <= series.days[held].max() + 7)
        learned = np.where(near, np.nan, outcomes)
        if np.isnan(learned).all():
            continue
        model[held] = fit(series, learned).probabilities(series)[held]
        expected[held] = climatology(series.days, learned, series.days[held])
    persistence = series.events  # what is goes on
    together = np.where(np.isnan(model) | np.isnan(persistence), np.nan, outcomes)
    if np.isnan(together).all():
        raise ValueError(_TOO_FEW_YEARS)
    return CrossValidation(
        horizon_days=horizon_days,
        days=int((~np.isnan(together)).sum()),
        frequency=float(np.nanmean(together)),
        brier_model=brier(model, together),
        brier_climatology=brier(expected, together),
        brier_persistence=brier(persistence, together),
        reliability=reliability(model, together),
    )


def storm_probability(
    per_year: float, months: frozenset[int], dispersion: float, months_ahead: np.ndarray, season_days: float
) -> float:
    """That a kind of storm happens in some days, by its frequency alone.

    Args:
        per_year: how many a year has on average.
        months: in which they happen, evenly over their days.
        dispersion: variance over mean of a year's number; 1 is Poisson's, above it the rate of a year is gamma's.
        months_ahead: of each of the days its month.
        season_days: how many days those months have.
    """
    share = float(np.isin(months_ahead, list(months)).sum()) / season_days
    if dispersion <= 1:
        return float(-np.expm1(-per_year * share))
    return float(1.0 - (1.0 + share * (dispersion - 1.0)) ** (-per_year / (dispersion - 1.0)))
