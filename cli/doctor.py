"""`monsoon doctor`: what this checkout needs of its machine, what is wrong with it, and how to mend each.

Python's own library is all that is imported before a check needs more, so that it can report what a set-up lacks.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import count_to
from monsoon.cli.doctor_checks import FAULT, Finding, check
from monsoon.cli.ledger_options import LEDGER_VARIABLE, add_ledger_option
from monsoon.cli.printable import printable

ROOT = Path(__file__).resolve().parent.parent

_EXAMPLE = """\
example:
  monsoon doctor
  monsoon doctor --settings live.yaml --cluster localhost:8081
  monsoon doctor --ledger postgresql://monsoon@localhost/monsoon
  monsoon doctor --input runs/delhi --output runs/delhi-out --web-port 8081

Checks Python, .venv, the versions in it against constraints.txt, the disk, the package index, Java, the jars of Flink
and Kafka, the programs of PostgreSQL and Redis, the port of the web UI, the ledger and the folders that are named.
Installs and changes nothing, works before the first set-up, and ends with 1 if something is a fault, with 0 if there
are only warnings.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "doctor", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="also look whether this can be replayed")
    parser.add_argument("--output", type=Path, metavar="DIR", help="also look whether this can be written")
    parser.add_argument(
        "--web-port", type=count_to(65_535), default=8081, metavar="PORT", help="of `monsoon run` (default: 8081)"
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="also look whether these settings of the live job fit the brokers that run, and the cluster",
    )
    parser.add_argument("--cluster", metavar="HOST:PORT", help="Flink's REST API, with --settings")
    add_ledger_option(parser)
    parser.add_argument(
        "--format", choices=["text", "json"], default="text", help="the format of the report (default: text)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a check, and under what is wrong how to mend it; 1 if there is a fault."""
    from monsoon.cli.doctor_facts import facts

    findings = check(facts(ROOT, args.input, args.output, args.web_port))
    if args.settings is not None:
        from monsoon.cli.doctor_live import settings_findings

        findings += settings_findings(args.settings, args.cluster)
    if address := args.ledger or os.environ.get(LEDGER_VARIABLE):
        from monsoon.cli.doctor_ledger import ledger_findings

        findings += ledger_findings(address)
    if args.format == "json":
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        print("\n".join(_lines(findings)))
    return int(any(finding.state == FAULT for finding in findings))


def _lines(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield printable(f"{finding.state:<7}  {finding.what:<9}  {finding.message}")
        if finding.mend:
            yield f"{'':<20}mend: {printable(finding.mend)}"
    counts = Counter(finding.state for finding in findings)
    faults, warnings = counts["fault"], counts["warning"]
    if faults or warnings:
        yield f"{faults} fault{'s' * (faults != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    else:
        yield "all is well"
