"""Arguments that several commands take; a type raises ArgumentTypeError with what is wrong."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.transforms.spelling import closest_name

if TYPE_CHECKING:
    from monsoon.transforms.product import Product
    from monsoon.transforms.validation.input_checks import RefusalLimit

MAX_RIDERS = 10_000_000
"""A simulation keeps a few hundred bytes of each in memory."""

MAX_ROWS = 10_000_000_000


class Parser(ArgumentParser):
    """A parser that names the choice which a word was meant to be; parsers of its commands are of the same kind."""

    def _check_value(self, action: Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except ArgumentError as error:
            if meant := closest_name(str(value), map(str, action.choices or ())):
                error.message = f"{error.message}; did you mean {meant}?"
            raise


def whole_number(min_value: int, max_value: int) -> Callable[[str], int]:
    """The type of whole numbers within bounds."""

    def number(text: str) -> int:
        return _whole(text, min_value, max_value)

    return number


def count_to(max_count: int) -> Callable[[str], int]:
    """The type of whole numbers from 1 to `max_count`."""
    return whole_number(1, max_count)


def seed(text: str) -> int:
    """A whole number from 0 to 2^32 - 1."""
    return _whole(text, 0, 2**32 - 1)


def moment_ms(text: str) -> int:
    """The type of a moment with its offset from UTC: in ms."""
    from monsoon.transforms.calendar import moment_with_offset

    moment = moment_with_offset(text)
    if moment is None:
        raise ArgumentTypeError(f"{text!r} is no moment with an offset, like 2026-04-01T00:00:00+05:30")
    if not 1970 <= moment.astimezone(UTC).year < 2100:
        raise ArgumentTypeError(f"{text!r} is not from 1970 to 2099, as the contracts' times are")
    return round(moment.timestamp() * 1000)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return number


def add_refusal_option(parser: ArgumentParser) -> None:
    """`--max-refused-share`, which `refusal_limit` reads."""
    parser.add_argument(
        "--max-refused-share",
        type=share,
        default=0.2,
        metavar="X",
        help="stop where more of a stream's records are refused, of 10,000 or more (0 to 1, default: %(default)s; "
        "1: never)",
    )


def refusal_limit(args: Namespace) -> RefusalLimit:
    """How many records of a stream may be refused."""
    from monsoon.transforms.validation.input_checks import RefusalLimit

    return RefusalLimit(args.max_refused_share)


def add_product_options(parser: ArgumentParser) -> None:
    """`--products` and `--product-file`, which `chosen_products` reads."""
    parser.add_argument("--products", metavar="NAME,...", help="products to run (default: all)")
    add_product_files(parser)


def add_product_files(parser: ArgumentParser) -> None:
    """`--product-file`, any number of times."""
    parser.add_argument(
        "--product-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another product, or another version of one: a product file, or a folder of them; may be repeated",
    )


def chosen_products(args: Namespace) -> tuple[dict[str, Product], Sequence[str]]:
    """All products that policies may name, and the names of those to run, sorted.

    Raises ProductError.
    """
    from monsoon.sources.product_files import load_products

    products = load_products(extra=args.product_file)
    if args.products is None:
        return products, sorted(products)
    return products, sorted(load_products([name.strip() for name in args.products.split(",")], args.product_file))


def product_words(args: Namespace) -> list[str]:
    """The same options as words of a command."""
    words = [] if args.products is None else ["--products", args.products]
    return words + [word for path in args.product_file for word in ("--product-file", str(path))]


def _whole(text: str, min_value: int, max_value: int) -> int:
    # A line of digits is not converted: Python refuses more than some thousand.
    if not text.isdecimal() or len(text) > len(str(max_value)) or not min_value <= int(text) <= max_value:
        raise ArgumentTypeError(f"{text!r} is not a whole number from {min_value} to {max_value}")
    return int(text)
