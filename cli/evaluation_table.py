"""The measures of an evaluation as a table for the terminal, or for a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_HEAD = ("product", "measure", "measured", "95% bounds", "of", "target", "verdict")


def table_text(document: Mapping[str, Any]) -> str:
    """Measures with a target or a value, target beside measured; then rupees and hours, and the floors."""
    measures = [_measure_cells(row) for row in document["measures"]]
    amounts = [
        (
            "product",
            "Rs delayed",
            "hours delayed",
            "never approved",
            "of honest claims",
            "Rs to attackers",
            "their claims",
        ),
        *(
            (
                row["product"],
                f"{row['delayed_inr_per_1000_honest_claims']:,.0f}",
                f"{row['delayed_hours_per_1000_honest_claims']:,.1f}",
                f"{row['honest_not_approved_by_the_end']:,}",
                f"{row['honest_claims']:,}",
                f"{row['attackers_paid_inr']:,.0f}",
                f"{row['attackers_claims_paid']:,}",
            )
            for row in document["amounts"]
        ),
    ]
    floors = [
        ("product", "detector", "measured", "honest flagged", "attackers flagged", "by kind"),
        *(
            (
                row["product"],
                row["detector"],
                share(row["measured"]["share"]),
                share(row["honest"]["share"]),
                share(row["attackers"]["share"]),
                ", ".join(f"{kind} {share(rate['share'])}" for kind, rate in row["kinds"].items()),
            )
            for row in document["floors"]
        ),
    ]
    return "\n".join(
        (
            *columns([_HEAD, *measures]),
            "",
            "Rupees and hours, delayed ones per 1,000 honest claims",
            *columns(amounts),
            "",
            "Floors: claims that each part would flag alone, by its first score",
            *columns(floors),
        )
    )


def share(value: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "-" if value is None else f"{value:.2%}"


def value_text(row: Mapping[str, Any]) -> str:
    """What was measured: a share in percent, a ratio as it is."""
    if row["value"] is None:
        return "-"
    return share(row["value"]) if row["unit"] == "share" else f"{row['value']:.2f} x"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with two spaces between columns, each as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _measure_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    of = f"{row['count']:,} of {row['total']:,}" if row["total"] else ""
    return (
        row["product"],
        row["measure"],
        value_text(row),
        f"{share(row['low'])} to {share(row['high'])}" if row["total"] else "",
        " ".join(filter(None, (of, f"({row['detail']})" if row["detail"] else ""))),
        row["target"] or "",
        "" if row["verdict"] == "no target" else row["verdict"],
    )
