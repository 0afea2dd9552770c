"""An evaluation as one HTML page without anything from elsewhere: tables, and curves as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from monsoon.cli.evaluation_table import share, value_text

_STYLE = """
:root { color-scheme: light dark; --line: #8888; --met: #1a7f37; --missed: #cf222e; --curve: #0969da; }
@media (prefers-color-scheme: dark) { :root { --met: #3fb950; --missed: #ff7b72; --curve: #58a6ff; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 2rem; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .7rem; text-align: left; vertical-align: top; }
td.met { color: var(--met); } td.missed { color: var(--missed); font-weight: 600; }
figure { display: inline-block; margin: 0 1.5rem 1.5rem 0; } svg { border: 1px solid var(--line); }
svg text { fill: currentColor; font: 11px system-ui, sans-serif; }
.curve { fill: none; stroke: var(--curve); stroke-width: 2; } .grid { stroke: var(--line); }
"""
_SIZE, _MARGIN = 260, 34
_MAX_HONEST = 0.05
"""The right edge of a curve: more of the honest flagged is of no use."""


def page(document: Mapping[str, Any]) -> str:
    """The page of a document that `monsoon evaluate` wrote."""
    measures = [
        (
            row["product"],
            row["measure"],
            value_text(row),
            f"{share(row['low'])} to {share(row['high'])}" if row["total"] else "",
            f"{row['count']:,} of {row['total']:,}" if row["total"] else "",
            row["target"] or "",
            row["verdict"],
            row["detail"],
        )
        for row in document["measures"]
    ]
    slices = [
        (row["product"], row["dimension"], row["value"], share(row["share"]), share(row["low"]), share(row["high"]),
         f"{row['count']:,} of {row['total']:,}")
        for row in document["slices"]
        if row["total"] >= document["min_slice"]
    ]  # fmt: skip
    body = [
        "<h1>What decisions do to honest riders and to attackers</h1>",
        f"<p>{escape(document['model'])}; {escape(document['summary'])}. Riders and attackers are simulated.</p>",
        "<h2>Measured and target</h2>",
        _table(("product", "measure", "measured", "95% bounds", "of", "target", "verdict", ""), measures),
        "<h2>Rupees and hours</h2>",
        _rows(document["amounts"]),
        "<h2>Attackers flagged against honest claims flagged, as the cut-off of a score moves</h2>",
        f"<p>Of first scores alone; honest up to {_MAX_HONEST:.0%}. A claim without a score is never flagged.</p>",
        *(_curve(row) for row in document["curves"]),
        "<h2>Floors: what each part would flag alone</h2>",
        _table(
            ("product", "detector", "measured", "honest flagged", "attackers flagged", "by kind"),
            [
                (
                    row["product"],
                    row["detector"],
                    *(share(row[name]["share"]) for name in ("measured", "honest", "attackers")),
                    ", ".join(f"{kind} {share(rate['share'])}" for kind, rate in row["kinds"].items()),
                )
                for row in document["floors"]
            ],
        ),
        f"<h2>Honest riders held or escalated, slices of {document['min_slice']} and more</h2>",
        _table(("product", "by", "value", "share", "low", "high", "of"), slices),
        "<h2>Scenarios</h2>",
        _rows(document["scenarios"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>monsoon evaluate</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>none</p>"
    return _table(tuple(name.replace("_", " ") for name in rows[0]), [tuple(map(_cell, row.values())) for row in rows])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    for row in rows:
        cells = (f'<td class="{cell}">' if cell in ("met", "missed") else "<td>" for cell in row)
        lines.append(
            "<tr>" + "".join(f"{tag}{escape(cell)}</td>" for tag, cell in zip(cells, row, strict=True)) + "</tr>"
        )
    return "\n".join([*lines, "</table>"])


def _curve(row: Mapping[str, Any]) -> str:
    """A step curve: honest from 0 to _MAX_HONEST to the right, attackers from 0 to 1 upwards."""
    inner = _SIZE - 2 * _MARGIN

    def at(honest: float, attackers: float) -> str:
        return f"{_MARGIN + inner * min(honest / _MAX_HONEST, 1):.1f},{_SIZE - _MARGIN - inner * attackers:.1f}"

    points: list[str] = []
    before = (0.0, 0.0)
    for honest, attackers in row["points"]:
        points += (at(honest, before[1]), at(honest, attackers))
        before = (honest, attackers)
        if honest > _MAX_HONEST:
            break
    right, bottom = _SIZE - _MARGIN, _SIZE - _MARGIN
    grid = "".join(
        f'<line class="grid" x1="{_MARGIN}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="4" y="{y + 4:.1f}">{part:.0%}</text>'
        for part in (0, 0.5, 1)
        for y in (bottom - inner * part,)
    )
    marks = "".join(
        f'<text x="{_MARGIN + inner * part - 8:.1f}" y="{bottom + 16}">{part * _MAX_HONEST:.1%}</text>'
        for part in (0, 0.5, 1)
    )
    title = escape(f"{row['product']}: {row['score']}")
    return (
        f'<figure><figcaption>{title}</figcaption><svg width="{_SIZE}" height="{_SIZE}" role="img" '
        f'aria-label="{title}">{grid}{marks}<polyline class="curve" points="{" ".join(points)}"/></svg></figure>'
    )
