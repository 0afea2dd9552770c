"""A premium by a model of expected payouts: gradient-boosted trees, and what each input adds to their sum.

The model is a sum over leaves, each a box of the inputs: a leaf counts where every input is within the box. What an
input adds is its Shapley value in the game that Lundberg et al. (2020, "From local explanations to global understanding
with explainable AI for trees", path-dependent TreeSHAP) define: where a set of inputs is known, a leaf counts the share
of training that goes its way at the splits on the others. With few inputs, all sets are evaluated.

Leaf values are multiples of one quantum, so that sums are exact in any order, in onnxruntime and here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import factorial

import msgspec
import numpy as np
from msgspec import Struct

from monsoon.transforms.pricing.quotes import Quotes
from monsoon.transforms.product.premium_terms import RANGE, PremiumInput, PremiumTerms
from monsoon.transforms.scoring.folder import ModelFolder, ModelFolderError
from monsoon.transforms.scoring.forest import graph_session

NAME, TERMS, LEAVES, ZONES = "premium", "terms.json", "leaves.npy", "zones.csv"
AVERAGE, EXPENSES, PLAN = "average", "expenses", "plan"
RISING = ("zone_risk", "weekly_hours", "daily_wage")
"""Inputs of which more never makes a premium smaller."""
MAX_INPUTS = 8
"""All sets of inputs are evaluated."""
GAME_QUANTUM_PAISE = 2.0**-20
"""To which a leaf's part of a game is rounded, so that its sums are exact in doubles."""
_ROWS = 128
_DAY_HOURS = 24


class ModelTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is of. `plans`: hours of cover of a period, by plan, in the order in which the input `plan` counts
    them; `cities`: in the order in which `city` counts them. `inputs`: the columns, in order. `expense_share`: of a
    premium before its range."""

    product: str
    product_version: str
    plans: dict[str, float]
    cities: tuple[str, ...]
    inputs: tuple[str, ...]
    expense_share: float


def model_inputs(terms: ModelTerms) -> dict[str, PremiumInput]:
    """What a rider has to state, by name: the inputs but the plan, which quotes have anyway."""
    cities = {city: float(number) for number, city in enumerate(terms.cities)}
    known = {
        "city": ("city of the storms", "1", 0, len(cities) - 1, cities),
        "month": ("calendar month of the cover, 1 to 12", "1", 1, 12, None),
        "zone_risk": (f"payouts of a week to the zone's average rider in the month, {ZONES}", "INR", 0, 10000, None),
        "weekly_hours": ("hours of work in a week", "h", 0, 112, None),
        "daily_wage": ("stated earnings of a day", "INR", 1, 5000, None),
    }
    return {
        name: PremiumInput(name, *known[name], default=None, optional=False) for name in terms.inputs if name in known
    }


def leaf_table(inputs: int) -> np.dtype:
    """A leaf: `paise` a day, and by input `low` < x <= `high` and the `share` of training that goes its way at the
    splits on the input."""
    return np.dtype(
        [("paise", "<f8"), ("low", "<f4", (inputs,)), ("high", "<f4", (inputs,)), ("share", "<f8", (inputs,))]
    )


class PremiumModel:
    """A model from its folder. Raises ModelFolderError where the folder is no model of premiums, or of other inputs."""

    def __init__(self, folder: ModelFolder) -> None:
        if folder.name != NAME:
            raise ModelFolderError(folder.path, f"holds the model {folder.name}, not one of premiums")
        for name in (f"{NAME}.onnx", TERMS, LEAVES):
            if name not in folder.contents:
                raise ModelFolderError(folder.path / name, "is not there")
        self.version = folder.version
        try:
            self.terms = msgspec.json.decode(folder.contents[TERMS], type=ModelTerms)
        except msgspec.DecodeError as error:
            raise ModelFolderError(folder.path / TERMS, str(error)) from error
        self.inputs = model_inputs(self.terms)
        unknown = [name for name in self.terms.inputs if name != PLAN and name not in self.inputs]
        if unknown or not 0 < len(self.terms.inputs) <= MAX_INPUTS or not 0 <= self.terms.expense_share < 1:
            raise ModelFolderError(
                folder.path / TERMS, f"has inputs or expenses that this version does not know: {unknown}"
            )
        try:
            self.leaves = np.lib.format.read_array(io.BytesIO(folder.contents[LEAVES]), allow_pickle=False)
            self._session = graph_session(folder.contents[f"{NAME}.onnx"])
            self._check()
        except ValueError as error:
            raise ModelFolderError(folder.path, str(error)) from error
        self._path = folder.path

    def _check(self) -> None:
        columns = len(self.terms.inputs)
        if self.leaves.dtype != leaf_table(columns) or self.leaves.ndim != 1:
            raise ValueError(f"{LEAVES} is of other inputs than {', '.join(self.terms.inputs)}")
        (given,), outputs = self._session.get_inputs(), self._session.get_outputs()
        if given.shape[-1] != columns or [each.name for each in outputs] != ["payout_paise_a_day"]:
            raise ValueError(f"{NAME}.onnx is of other inputs than {', '.join(self.terms.inputs)}")

    @property
    def line_meanings(self) -> dict[str, str]:
        """By line of a breakdown but the range, what it is."""
        return {
            AVERAGE: "expected payouts of the period where no input is known",
            **{name: f"what it changes to know the {name.replace('_', ' ')}" for name in self.terms.inputs},
            EXPENSES: f"{100 * self.terms.expense_share:g}% of the sum with it",
        }

    def payout_paise_a_day(self, rows: np.ndarray) -> np.ndarray:
        """Expected payouts in paise a day, float64 (n,), of float32 rows (n, inputs); sums without rounding."""
        return self._session.run(None, {"inputs": rows})[0][:, 0].astype(np.float64)

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """(n, 1 + inputs) in paise a day: the average, and what each input adds to it or takes.

        Raises ModelFolderError where leaves and graph are not of the same model.
        """
        parts = [self._contributions(rows[first : first + _ROWS]) for first in range(0, len(rows), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, 1 + rows.shape[1]))

    def _contributions(self, rows: np.ndarray) -> np.ndarray:
        game = coalition_values(self.leaves, rows)
        if not np.array_equal(game[:, -1], self.payout_paise_a_day(rows)):
            raise ModelFolderError(self._path / LEAVES, "is not of the model in the graph")
        return np.column_stack([game[:, 0], shapley_values(game)])

    def quote(self, terms: PremiumTerms, plans: Sequence[str], inputs: Mapping[str, np.ndarray]) -> Quotes:
        """Quotes whose lines are the average, the contribution of each input, expenses, and the product's range.

        Args:
            terms: of the product, for the range.
            plans: of each rider, plans of the model.
            inputs: by input a column, as `checked_riders` makes it from `model_inputs`.
        """
        order = list(self.terms.plans)
        plan = np.array([order.index(each) for each in plans], dtype=np.float64)
        columns = [plan if name == PLAN else inputs[name] for name in self.terms.inputs]
        rows = np.column_stack(columns).astype(np.float32)
        days = np.array([self.terms.plans[each] / _DAY_HOURS for each in plans])
        # Differences of rounded running sums: they add up to the rounded sum, and each is within a paisa of its own.
        running = np.cumsum(self.contributions(rows), axis=1)
        running[:, -1] = self.payout_paise_a_day(rows)
        parts = np.diff(np.rint(running * days[:, None]).astype(np.int64), axis=1, prepend=0)
        names = (AVERAGE, *self.terms.inputs)
        lines = {name: parts[:, number] for number, name in enumerate(names)}
        payouts = parts.sum(axis=1)
        share = self.terms.expense_share
        lines[EXPENSES] = np.rint(np.maximum(payouts, 0) * (share / (1 - share))).astype(np.int64)
        total = payouts + lines[EXPENSES]
        low, high = (
            np.array([limit[each] for each in plans], dtype=np.int64) for limit in (terms.min_paise, terms.max_paise)
        )
        premium = np.clip(total, low, high)
        lines[RANGE] = premium - total
        none = np.zeros(len(plans), dtype=bool)
        missing = {name: none for name in lines if name != RANGE}
        factors = {each.name: inputs[each.name] for each in self.inputs.values() if each.choices is None}
        return Quotes(lines, premium, missing, factors, np.full(len(plans), np.nan), none)


def coalition_values(leaves: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n, 2^inputs): the game's value of each set of known inputs, by its bits; the last is the model itself."""
    inputs = rows.shape[1]
    within = [
        (leaves["low"][:, i] < rows[:, i, None]) & (rows[:, i, None] <= leaves["high"][:, i]) for i in range(inputs)
    ]
    counts = [np.ones((len(rows), len(leaves)), dtype=bool)]
    weights = [leaves["paise"]]
    for i in range(inputs):  # sets without the input i, then those with it
        counts += [each & within[i] for each in counts]
        weights = [each * leaves["share"][:, i] for each in weights] + weights
    exact = (np.rint(each / GAME_QUANTUM_PAISE) * GAME_QUANTUM_PAISE for each in weights)
    return np.column_stack([which @ weight for which, weight in zip(counts, exact, strict=True)])


def shapley_values(values: np.ndarray) -> np.ndarray:
    """(n, players) of the values (n, 2^players) of a game; of each row they add up to its last value less its first."""
    players = values.shape[1].bit_length() - 1
    found = np.zeros((len(values), players))
    for known in range(2**players):
        size = known.bit_count()
        for player in range(players):
            if not known >> player & 1:
                weight = factorial(size) * factorial(players - size - 1) / factorial(players)
                found[:, player] += weight * (values[:, known | 1 << player] - values[:, known])
    return found
