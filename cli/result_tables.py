"""Tables of results for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_MAX_WIDTH = 40


def aligned(table: pl.DataFrame) -> list[str]:
    """The rows under their column names, numbers to the right; a null is a dash, a long text is cut."""
    rows = [tuple(name.replace("_", " ") for name in table.columns)]
    rows += [tuple(_cell(name, row[name]) for name in table.columns) for row in table.iter_rows(named=True)]
    numeric = [table[name].dtype.is_numeric() for name in table.columns]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name.endswith("_share"):
        return f"{value:.1%}"
    if name.endswith("_inr"):
        return f"{value:,.2f}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 3]}..."
