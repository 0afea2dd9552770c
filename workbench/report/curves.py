"""The page of a grid of what-ifs: what each value does to riders, rupees and the reserve, as curves."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from monsoon.workbench.report.packing import packed


def curves_page(table: pl.DataFrame, varied: Sequence[str]) -> str:
    """The page of a grid's table; equal tables give an equal page.

    Args:
        table: a row per point and product: columns `point`, `product`, the varied numbers (float), and measures
            (numbers; null where not known). A measure that is null throughout is not shown.
        varied: the columns that were varied, in the order of the command.

    Raises InputError where the plotting library is not installed.
    """
    others = {"point", "product", *varied}
    measures = [each.name for each in table if each.name not in others and each.null_count() < len(table)]
    data = {
        "varied": list(varied),
        "measures": measures,
        "rows": table.select("product", *varied, *measures).to_dicts(),
    }
    return packed("Monsoon: a grid of what-ifs", "curves", data)
