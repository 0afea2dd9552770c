"""`monsoon products`: products in a table, as terms, in plain English; and the check of a product file."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files
from monsoon.cli.printable import printable

if TYPE_CHECKING:
    from monsoon.transforms.product import Product

_EXAMPLE = """\
example:
  monsoon products list
  monsoon products explain jugaad
  monsoon products check my-product.yaml
  monsoon products explain cyclone --product-file my-product.yaml
"""

_WIDTHS = (60, 110)
"""Text is as wide as the terminal, within reason."""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "products", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name, action, words in (
        ("list", _list, "name, version, in force, triggers and plans of each"),
        ("show", _show, "a product's terms as they are read, defaults included"),
        ("check", _check, "whether product files are right; every fault with file, line and field"),
        ("explain", _explain, "a product in plain English, as a policy's wording would be"),
    ):
        each = actions.add_parser(name, help=words, description=words)
        if name == "check":
            each.add_argument("files", nargs="+", type=Path, metavar="FILE", help="product files, or folders of them")
        else:
            add_product_files(each)
        if name in ("show", "explain"):
            each.add_argument("name", metavar="NAME", help="the product")
            each.add_argument("--version", metavar="HASH", help="one version of it (default: the newest)")
        if name == "show":
            each.add_argument("--format", choices=["yaml", "json"], default="yaml", help="how (default: yaml)")
        each.set_defaults(run=action)


def _list(args: argparse.Namespace) -> int:
    from monsoon.sources.product_files import load_products

    versions = [each for product in load_products(extra=args.product_file).values() for each in product.versions]
    head = ("name", "version", "in force", "title")
    rows = [head, *[(each.name, each.version, _in_force(each), printable(each.title)) for each in versions]]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row, version in zip(rows, (None, *versions), strict=True):
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]))
        if version is not None:
            triggers = ", ".join(trigger.name for trigger in version.triggers)
            print("\n".join(_wrapped([f"triggers: {triggers}", f"plans: {', '.join(version.plans)}"])))
    return 0


def _in_force(version: Product) -> str:
    from monsoon.transforms.product import ALWAYS_MS, NEVER_MS
    from monsoon.transforms.product.versions import day

    if version.from_ms == ALWAYS_MS and version.until_ms == NEVER_MS:
        return "always"
    first = "" if version.from_ms == ALWAYS_MS else f"from {day(version.from_ms)}"
    last = "" if version.until_ms == NEVER_MS else f"until {day(version.until_ms)}"
    return f"{first} {last}".strip()


def _show(args: argparse.Namespace) -> int:
    from monsoon.transforms.product.plain import plain_terms

    terms = plain_terms(_selected(args))
    if args.format == "json":
        import json

        print(json.dumps(terms, indent=1, ensure_ascii=False))
    else:
        import yaml

        print(yaml.safe_dump(terms, sort_keys=False, allow_unicode=True, width=110), end="")
    return 0


def _check(args: argparse.Namespace) -> int:
    from monsoon.sources.product_files import load_product_file, product_paths
    from monsoon.transforms.product import ProductError

    faults = 0
    for path in product_paths(args.files):
        try:
            product = load_product_file(path)
        except ProductError as error:
            faults += len(error.faults)
            for line in error.faults:
                print(printable(line), file=sys.stderr)
        else:
            print(printable(f"{path}: ok: {product.name}, version {product.version}"))
    if faults:
        print(f"monsoon products: {faults} fault{'' if faults == 1 else 's'}", file=sys.stderr)
    return 1 if faults else 0


def _explain(args: argparse.Namespace) -> int:
    from monsoon.transforms.product.wording import policy_wording

    for number, section in enumerate(policy_wording(_selected(args))):
        print(("" if number == 0 else "\n") + printable(section.title))
        for line in _wrapped(map(printable, section.points)):
            print(line)
    return 0


def _selected(args: argparse.Namespace) -> Product:
    """The product and version that the arguments name; raises ProductError."""
    from monsoon.sources.product_files import load_products
    from monsoon.transforms.product import ProductError

    product = load_products([args.name], args.product_file)[args.name]
    if args.version is None:
        return product
    known = {version.version: version for version in product.versions}
    if args.version not in known:
        raise ProductError(f"no version {args.version!r} of {args.name}; there are: {', '.join(known)}")
    return known[args.version]


def _wrapped(points: Iterable[str]) -> list[str]:
    return [
        line
        for point in points
        for line in textwrap.wrap(point, _width(), initial_indent="  - ", subsequent_indent="    ")
    ]


def _width() -> int:
    min_width, max_width = _WIDTHS
    return max(min_width, min(max_width, shutil.get_terminal_size().columns))
