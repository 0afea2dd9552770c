"""The riders to quote: from a file, from the policies of an input folder, or from both, checked column by column."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.local.candidates import coverage_of
from monsoon.sources.files import InputError
from monsoon.sources.output_folder import read_records
from monsoon.sources.streams import read_stream
from monsoon.sources.table_files import read_table
from monsoon.transforms.pricing.history import HISTORY_INPUTS, histories
from monsoon.transforms.product import Product, did_you_mean
from monsoon.transforms.product.premium_terms import PremiumInput, PremiumTerms
from monsoon.transforms.validation.catalogue import Catalogue

WORKER, PLAN, PROBLEM = "worker_id", "plan", "problem"


@dataclass(frozen=True)
class Riders:
    """Riders fit for a quote, sorted by (worker_id, plan), one of each; with a column per input as what it counts.

    `refused`: worker_id, plan and the problem of those who are not, sorted too.
    """

    plans: list[str]
    workers: list[str]
    inputs: Mapping[str, np.ndarray]
    refused: pl.DataFrame


def read_riders(path: Path, terms: PremiumTerms) -> pl.DataFrame:
    """The rows of a file of riders, CSV, Parquet or JSON Lines by its suffix: worker_id, perhaps plan, and inputs.

    Raises InputError where it cannot be read, has no worker_id, or has a column that the product does not know.
    """
    mend = (
        f"Give --riders a file of .csv, .parquet or .jsonl with columns worker_id, plan and {', '.join(terms.inputs)}"
    )
    rows = read_table(path, "riders", mend)
    known = (WORKER, PLAN, *terms.inputs)
    for name in rows.columns:
        if name not in known:
            hint = did_you_mean(name, [each for each in known if each not in rows.columns])
            raise InputError(f'no input "{name}"{hint}', str(path), mend)
    if WORKER not in rows.columns:
        raise InputError(f"there is no column {WORKER}", str(path), mend)
    return rows


def history_rows(
    product: Product, input_dir: Path, results: Path | None, refuted: Path | None, at_ms: int
) -> pl.DataFrame:
    """A row per rider with a policy in force at a moment: worker_id, plan and what is counted of the history.

    `results`: the output folder of a replay, whose claims count (None: there are none). `refuted`: a file of the ids of
    claims that a person found fraudulent, one a line. Raises InputError.
    """
    catalogue = Catalogue({product.name: product.accepts_plan})
    events = read_stream("subscriptions", input_dir, catalogue).records
    claims = [] if results is None else read_records(results, "claims")
    found = histories(product.name, coverage_of(product, events), claims, _lines_of(refuted), at_ms)
    rows = [{WORKER: worker, **values} for worker, values in sorted(found.items())]
    texts = {WORKER: pl.String(), PLAN: pl.String(), "platform": pl.String()}
    numbers = {name: pl.Float64() for name in HISTORY_INPUTS if name not in texts}
    return pl.DataFrame(rows, schema={**texts, **numbers})


def _lines_of(path: Path | None) -> Collection[str]:
    if path is None:
        return ()
    try:
        return {line.strip() for line in path.read_text(encoding="utf-8").splitlines()}
    except (OSError, UnicodeDecodeError) as error:
        mend = "Give --refuted-claims a text file with the id of a claim on each line"
        raise InputError(f"cannot be read ({error})", str(path), mend) from error


def joined(rows: pl.DataFrame | None, history: pl.DataFrame | None, terms: PremiumTerms) -> pl.DataFrame:
    """The riders of a file with what their history says where the file says nothing; of a history alone, all of it.

    A rider of the file who has no policy in force has no history, and needs what the product requires in the file.
    """
    if history is None:
        assert rows is not None
        return rows
    history = history.select(
        WORKER, PLAN, *(_counted(terms.inputs[name]) for name in HISTORY_INPUTS if name in terms.inputs)
    )
    if rows is None:
        return history
    rows = rows.with_columns(pl.col(WORKER).cast(pl.String))
    both = rows.join(history, on=WORKER, how="left", suffix="@history")
    for name in history.columns[1:]:
        if f"{name}@history" in both.columns:
            text = both[name].dtype == pl.String or both[f"{name}@history"].dtype == pl.String
            kind = pl.String if text else pl.Float64
            stated, counted = (pl.col(each).cast(kind) for each in (name, f"{name}@history"))
            both = both.with_columns(pl.coalesce(stated, counted).alias(name)).drop(f"{name}@history")
    return both


def _counted(each: PremiumInput) -> pl.Expr:
    """A column of a history; of what a policy states freely, such as its platform, only choices that there are."""
    column = pl.col(each.name)
    return column if each.choices is None else pl.when(column.is_in(list(each.choices))).then(column)


def checked_riders(rows: pl.DataFrame, terms: PremiumTerms, default_plan: str | None) -> Riders:
    """The rows as columns of numbers; a row with a value that is missing, no number, out of range, no choice or no plan
    is refused, with the first such problem."""
    plans = list(terms.plan_terms)
    if default_plan is None and len(plans) == 1:
        default_plan = plans[0]
    stated = pl.col(PLAN).cast(pl.String) if PLAN in rows.columns else pl.lit(None, pl.String)
    table = rows.with_columns(
        pl.col(WORKER).cast(pl.String),
        stated.str.split(":").list.first().fill_null(pl.lit(default_plan, pl.String)).alias(PLAN),
    )
    table = table.with_columns(_numbers(table, each).alias(_value(each)) for each in terms.inputs.values())
    none_of = pl.format("plan {} is none of {}", PLAN, pl.lit(", ".join(plans)))
    problems = [
        pl.when(pl.col(WORKER).fill_null("").str.strip_chars() == "").then(pl.lit("worker_id is missing")),
        pl.when(pl.col(PLAN).is_null()).then(pl.lit(f"plan is missing; there are: {', '.join(plans)}")),
        pl.when(~pl.col(PLAN).is_in(plans)).then(none_of),
        *(problem for each in terms.inputs.values() for problem in _problems(table, each)),
    ]
    table = table.with_columns(pl.coalesce(problems).alias(PROBLEM))
    table = table.select(WORKER, PLAN, PROBLEM, *map(_value, terms.inputs.values())).unique()
    repeated = pl.lit("is there twice with different values; leave one row of this worker_id and plan")
    twice = pl.when(pl.len().over(WORKER, PLAN) > 1).then(repeated)
    table = table.with_columns(pl.coalesce(PROBLEM, twice).alias(PROBLEM))
    fit = table.filter(pl.col(PROBLEM).is_null()).sort(WORKER, PLAN)
    refused = table.filter(pl.col(PROBLEM).is_not_null()).select(WORKER, PLAN, PROBLEM).unique()
    return Riders(
        plans=fit[PLAN].to_list(),
        workers=fit[WORKER].to_list(),
        inputs={name: fit[_value(each)].fill_null(float("nan")).to_numpy() for name, each in terms.inputs.items()},
        refused=refused.sort(WORKER, PLAN, PROBLEM),
    )


def _value(each: PremiumInput) -> str:
    return f"{each.name}@value"


def _problems(table: pl.DataFrame, each: PremiumInput) -> list[pl.Expr]:
    """What can be wrong with an input; each is null where it is not."""
    text = pl.col(each.name).cast(pl.String) if each.name in table.columns else pl.lit(None, pl.String)
    number = pl.col(_value(each))
    unread = pl.when(text.is_not_null() & number.is_null())
    found: list[pl.Expr] = []
    if each.choices is not None:
        found.append(unread.then(pl.format("{} {} is none of {}", *_texts(each.name, text, ", ".join(each.choices)))))
    else:
        found.append(unread.then(pl.format("{} {} is no number", *_texts(each.name, text))))
        limits = f"{each.min:g} to {each.max:g}"
        beyond = pl.when(~number.is_between(each.min, each.max))
        found.append(beyond.then(pl.format("{} {} is not from {}", *_texts(each.name, text, limits))))
    if each.required:
        found.append(pl.when(number.is_null()).then(pl.lit(f"{each.name} is missing ({each.meaning})")))
    return found


def _texts(*parts: str | pl.Expr) -> list[pl.Expr]:
    return [pl.lit(part) if isinstance(part, str) else part for part in parts]


def _numbers(table: pl.DataFrame, each: PremiumInput) -> pl.Expr:
    """An input's column as what it counts; null where it is missing or makes no number."""
    if each.name not in table.columns:
        return pl.lit(None, pl.Float64)
    column: Any = pl.col(each.name)
    if each.choices is not None:
        return (
            column.cast(pl.String)
            .str.strip_chars()
            .replace_strict(dict(each.choices), default=None, return_dtype=pl.Float64)
        )
    if table[each.name].dtype == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Float64, strict=False).fill_nan(None)
