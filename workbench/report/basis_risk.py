"""The page of basis risk: riders by loss and payment, each measure with its bounds by group and by what was tried."""

from __future__ import annotations

import polars as pl

from monsoon.workbench.report.packing import packed

MAX_POINTS = 4_000
"""Riders of a product that are drawn, of more every so many: all are in the measures."""


def basis_risk_page(
    table: pl.DataFrame, riders: pl.DataFrame, comparison: pl.DataFrame | None, threshold: float, loss: str
) -> str:
    """The page of the tables that `monsoon basis-risk` writes (docs/basis-risk.md); equal tables give an equal page.

    Args:
        table: measures by product, dimension and group, with bounds.
        riders: a row per rider and product.
        comparison: measures by what was tried and product; None: nothing was.
        threshold: the share of a shift's income from which on a loss counts.
        loss: what the loss is, in words.

    Raises InputError where the plotting library is not installed.
    """
    known = riders.filter(pl.col("lost_inr").is_not_null())
    points = {}
    for (product,), members in known.group_by("product", maintain_order=True):
        drawn = members.gather_every(-(-len(members) // MAX_POINTS))
        points[str(product)] = {
            "of": len(members),
            **{name: drawn[name].to_list() for name in ("lost_inr", "paid_inr", "is_loss")},
        }
    shown = table.filter(pl.col("riders") > 0)
    data = {
        "threshold": threshold,
        "loss": loss,
        "groups": shown.to_dicts(),
        "tried": [] if comparison is None else comparison.to_dicts(),
        "riders": points,
    }
    return packed("Monsoon: basis risk", "basis_risk", data)
