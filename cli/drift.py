"""`monsoon drift`: a day's claims beside those that the model was trained on, from an output folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_EXAMPLE = """\
example:
  monsoon replay --input runs/delhi --output runs/delhi-out
  monsoon drift --output runs/delhi-out

Writes drift_reports/ into the folder, which a later replay to it removes: for each local day, over all and for each H3
cell of resolution 5, the PSI of each feature, the missing rates of sensor groups, the uniformity of the model's
p-values, and the hold rates of slices of honest-looking claims (docs/output.md). Prints the alerts.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "drift", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the folder that replay, run or live wrote"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="model folder whose training the claims are compared with (default: the one that comes along)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the reports and prints their alerts."""
    write_and_print(args.output, args.model)
    return 0


def write_and_print(output: Path, model: Path | None) -> None:
    """Writes the drift reports of an output folder and prints their alerts, a line each."""
    from monsoon.cli.printable import printable
    from monsoon.pipelines.drift import STREAM, write_drift_reports

    reports = write_drift_reports(output, model)
    alerts = [(report, alert) for report in reports for alert in report["alerts"]]
    days = len({report["day"] for report in reports})
    print(f"drift: {len(reports):,} reports on {days:,} days, {len(alerts):,} alerts, in {output / STREAM}/")
    for report, alert in alerts:
        where = f"{report['day']} {report['cell'] or 'all cells'}"
        found = f"{alert['value']:g}, limit {alert['limit']:g}, of {alert['claims']:,}"
        print("    " + printable(f"{where}: {alert['kind']} {alert['about']} {found}"))
