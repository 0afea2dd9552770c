"""`monsoon report`: one HTML file that shows an output: a map in time, the funnel, money, what was held and why."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monsoon.transforms.product import Product

_EXAMPLE = """\
example:
  monsoon replay --input runs/delhi --output runs/delhi-out
  monsoon report --output runs/delhi-out --input runs/delhi

writes runs/delhi-out/report.html, which needs no network. With --input it also shows stations, their readings,
where riders were, and reserves.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "report", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the folder that replay, run or live wrote"
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="the folder of streams that it was made of")
    add_product_files(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the page into the output folder."""
    from monsoon.sources.product_files import load_products

    path = write_page(args.output, args.input, load_products(extra=args.product_file))
    print(f"look into {path}: {path.stat().st_size / 1e6:.1f} MB, for any browser, without network")
    return 0


def write_page(output: Path, source: Path | None, products: Mapping[str, Product]) -> Path:
    """Writes the page of the output folder into it; `source` is the folder of streams that it was made of, for
    stations, readings, riders and reserves. Returns the page's path."""
    from monsoon.sinks.durable import replace_file
    from monsoon.sinks.folder import REPORT
    from monsoon.workbench import load
    from monsoon.workbench.report.page import report_page

    tables = load(output)
    page = report_page(tables, _levels(products), _metrics(tables, products), **_streams(source, products))
    replace_file(output / REPORT, page.encode(), output / f".{REPORT}")
    return output / REPORT


def _levels(products: Mapping[str, Product]) -> dict[str, list[str]]:
    """What a disruption of each product may be, over all versions, the mildest of a trigger first."""
    return {
        name: list(
            dict.fromkeys(
                " ".join(filter(None, (trigger.name, level.name)))
                for version in product.versions
                for trigger in version.triggers
                for level in trigger.levels
            )
        )
        for name, product in products.items()
    }


def _metrics(output: Any, products: Mapping[str, Product]) -> dict[str, str]:
    """The metric of the trigger that each product confirmed most disruptions by."""
    counts: dict[str, Counter[str]] = {}
    for product, trigger in output.polars("disruptions", ["product", "trigger"]).iter_rows():
        counts.setdefault(product, Counter())[trigger] += 1
    metrics = {}
    for name, of_product in counts.items():
        known = (
            {each.name: each.metric for version in products[name].versions for each in version.triggers}
            if name in products
            else {}
        )
        trigger = of_product.most_common(1)[0][0]
        if trigger in known:
            metrics[name] = known[trigger]
    return metrics


def _streams(source: Path | None, products: Mapping[str, Product]) -> dict[str, Any]:
    """The readings and reserves of an input, and its telemetry, without that of riders who had withdrawn consent."""
    from monsoon.sources.files import streams_in
    from monsoon.sources.streams import read_stream
    from monsoon.sources.telemetry_table import with_consent
    from monsoon.transforms.consents import Withdrawals, consent_events
    from monsoon.transforms.validation.catalogue import Catalogue

    if source is None:
        return {}
    catalogue = Catalogue({name: product.accepts_plan for name, product in products.items()})
    policies = read_stream("subscriptions", source, catalogue).records
    telemetry = with_consent(read_stream("telemetry", source, catalogue).frame, Withdrawals(consent_events(policies)))
    return {
        "telemetry": telemetry,
        "readings": read_stream("oracle_readings", source, catalogue).records,
        "reserves": read_stream("reserves", source, catalogue).records if "reserves" in streams_in(source) else (),
    }
