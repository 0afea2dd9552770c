"""`monsoon explain`: one claim of an output folder, explained from its records."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, whole_number

if TYPE_CHECKING:
    from monsoon.transforms.explanation import ClaimRecords
    from monsoon.transforms.product import Product

_EXAMPLE = """\
example:
  monsoon replay --input runs/delhi --output runs/delhi-out
  monsoon explain --output runs/delhi-out CLAIM_ID
"""

_MAX_REVISION = 1_000_000


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "explain",
        help=help,
        description="Explain one claim of an output folder from its records: what it rests on, how it was decided, "
        "what was paid.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("claim", metavar="CLAIM_ID", help="the claim, as claims/ names it")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the folder that replay, run or live wrote"
    )
    parser.add_argument(
        "--revision",
        type=whole_number(0, _MAX_REVISION),
        metavar="N",
        help="explain the claim as of this revision (default: the last)",
    )
    parser.add_argument("--json", action="store_true", help="the explanation and its records as JSON")
    add_product_files(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the explanation."""
    from monsoon.sources.output_folder import read_claim
    from monsoon.transforms.explanation import explain_claim, laid_out

    records = _as_of(read_claim(args.output, args.claim), args)
    sections = explain_claim(records, _product(records, args))
    if args.json:
        import json
        from dataclasses import asdict

        print(json.dumps({"sections": [asdict(each) for each in sections], "records": asdict(records)}, indent=1))
    else:
        print("\n".join(laid_out(sections)))
    return 0


def _as_of(records: ClaimRecords, args: argparse.Namespace) -> ClaimRecords:
    """The records as of the revision that the arguments name; raises InputError where there is none."""
    from monsoon.sources.files import InputError

    if args.revision is None:
        return records
    known = [each["revision"] for each in records.revisions]
    if args.revision not in known:
        words = ", ".join(map(str, known))
        raise InputError(f"no revision {args.revision} of {args.claim}", str(args.output), f"It has {words}")
    return records.until(args.revision)


def _product(records: ClaimRecords, args: argparse.Namespace) -> Product | None:
    """The version of the product that decided the claim; None where no file has it."""
    from monsoon.sources.product_files import load_products

    product = load_products(extra=args.product_file).get(records.claim["product"])
    version = records.claim["product_version"]
    return next((each for each in product.versions if each.version == version), None) if product else None
