"""`monsoon dlq`: refused records, listed, shown, mended and sent again."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, moment_ms
from monsoon.cli.stack_options import add_stack_option, quiet_kafka

if TYPE_CHECKING:
    from monsoon.pipelines.dead_letters import Letter

_EXAMPLE = """\
example:
  monsoon dlq list --results runs/delhi-out
  monsoon dlq show 1f0c2a9b --results runs/delhi-out
  monsoon dlq fix 1f0c2a9b --results runs/delhi-out --set lat=28.61 --mended runs/mended
  monsoon dlq redrive --mended runs/mended --input runs/delhi

Without --results the letters are those of the topic, of a stack or at --brokers. A mended record is received when it is
sent again: what was decided before stays, as with any late record (docs/state.md).
"""
_WIDTH = 100


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser, with one for each of its verbs."""
    parser = subparsers.add_parser(
        "dlq", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", metavar="WHAT", required=True, title="what to do")
    listing = verbs.add_parser("list", help="a line for each letter, and how many have each reason")
    _add_source(listing)
    _add_filters(listing)
    listing.set_defaults(run=_list)
    show = verbs.add_parser("show", help="one letter: the reason, what is wrong, the line")
    show.add_argument("letters", nargs="+", metavar="ID", help="a letter's id, or what only it begins with")
    _add_source(show)
    show.set_defaults(run=_show)
    fix = verbs.add_parser("fix", help="mend letters, check them as the job would, and keep them until they are sent")
    fix.add_argument("letters", nargs="*", metavar="ID", help="letters (default: all of --reason or --stream)")
    _add_source(fix)
    _add_filters(fix)
    fix.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="a field, its value as JSON or text"
    )
    fix.add_argument("--unset", action="append", default=[], metavar="FIELD", help="a field to leave out")
    fix.add_argument("--record", type=Path, metavar="FILE", help="the whole mended record, of one letter")
    fix.add_argument("--mended", type=Path, required=True, metavar="DIR", help="where mended records wait")
    add_product_files(fix)
    fix.set_defaults(run=_fix)
    redrive = verbs.add_parser("redrive", help="send mended records again, to an input folder or to their topics")
    redrive.add_argument("--mended", type=Path, required=True, metavar="DIR", help="what fix wrote")
    redrive.add_argument("--input", type=Path, metavar="DIR", help="the input folder to add them to (default: topics)")
    add_broker_options(redrive)
    redrive.add_argument("--at", type=moment_ms, metavar="TIME", help="when they are received (default: now)")
    redrive.add_argument(
        "--in-time", action="store_true", help="with --input: as if they had not been refused; a replay decides anew"
    )
    redrive.add_argument("--again", action="store_true", help="also what was sent already")
    redrive.set_defaults(run=_redrive)


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """`--stack`, `--brokers`, `--prefix`."""
    add_stack_option(parser)
    parser.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
    parser.add_argument("--prefix", default="", help="before every topic's name (default: none)")


def brokers_of(args: argparse.Namespace) -> str:
    """The brokers that the options name."""
    from monsoon.pipelines.stack.stack import Stack

    quiet_kafka()
    return args.brokers or Stack(args.stack).broker.address


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="the output folder of the letters (default: the topic)"
    )
    add_broker_options(parser)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="REASON", help="only letters of this reason, such as missing_field:lat")
    parser.add_argument("--stream", metavar="STREAM", help="only letters of this stream")


def _letters(args: argparse.Namespace) -> list[Letter]:
    from monsoon.pipelines.dead_letters import letters_of_folder, letters_of_topic

    return letters_of_folder(args.results) if args.results else letters_of_topic(brokers_of(args), args.prefix)


def _list(args: argparse.Namespace) -> int:
    from monsoon.cli.printable import printable
    from monsoon.pipelines.dead_letters import chosen

    letters = chosen(_letters(args), reason=args.reason, stream=args.stream)
    for letter in letters:
        print(printable(f"{letter.letter_id} {letter.stream} {letter.reason}: {letter.detail}"[:_WIDTH]))
    for (stream, reason), count in sorted(Counter((each.stream, each.reason) for each in letters).items()):
        print(printable(f"{count:,} {stream} {reason}"))
    print(f"monsoon dlq: {len(letters):,} dead letters")
    return 0


def _show(args: argparse.Namespace) -> int:
    from monsoon.cli.printable import printable
    from monsoon.pipelines.dead_letters import chosen

    for letter in chosen(_letters(args), args.letters):
        for name in ("letter_id", "stream", "reason", "detail", "seen_at_ms", "raw"):
            print(printable(f"{name:<10} {getattr(letter, name)}"))
    return 0


def _fix(args: argparse.Namespace) -> int:
    from monsoon.pipelines.dead_letters import chosen, mended_line, put_mended, require_valid
    from monsoon.sinks.writable import require_writable
    from monsoon.sources.files import InputError
    from monsoon.sources.product_files import load_products
    from monsoon.transforms.validation.catalogue import Catalogue

    if not (args.letters or args.reason or args.stream):
        raise InputError("which letters?", "monsoon dlq fix", "Name their ids, or --reason or --stream")
    require_writable(args.mended, "--mended")
    products = load_products(extra=args.product_file)
    catalogue = Catalogue({name: product.accepts_plan for name, product in products.items()})
    letters = chosen(_letters(args), args.letters, args.reason, args.stream)
    if args.record is not None and len(letters) != 1:
        raise InputError(f"one record for {len(letters)} letters", str(args.record), "Name one letter by its id")
    mended = 0
    for letter in letters:
        try:
            if args.record is not None:
                line = one_line(args.record)
                require_valid(letter.stream, line, catalogue, str(args.record))
            else:
                line = mended_line(letter, _fields(args.set), args.unset, catalogue)
        except InputError as error:
            if len(letters) == 1:
                raise
            _warn(f"not mended: {error}")
            continue
        put_mended(args.mended, letter, line)
        mended += 1
    print(f"monsoon dlq: {mended:,} of {len(letters):,} letters mended, in {args.mended}")
    return 0 if mended == len(letters) else 1


def _redrive(args: argparse.Namespace) -> int:
    import time

    from monsoon.pipelines.dead_letters import mended_in, send_to_folder, send_to_topics

    waiting = [each for each in mended_in(args.mended) if args.again or not each.is_sent]
    at_ms = time.time_ns() // 1_000_000 if args.at is None else args.at
    if args.input is not None:
        place = str(args.input)
        sent = sum(1 for _ in send_to_folder(waiting, args.mended, args.input, None if args.in_time else at_ms))
    else:
        place = brokers_of(args)
        sent = sum(1 for _ in send_to_topics(waiting, args.mended, place, args.prefix, at_ms))
    print(f"monsoon dlq: {sent:,} records sent again to {place}")
    return 0


def one_line(path: Path) -> bytes:
    """The content of a file with one record, as one line. Raises InputError."""
    import msgspec

    from monsoon.sources.files import InputError

    mend = "Give a file with one record as a JSON object"
    try:
        return msgspec.json.encode(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", str(path), mend) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"no record ({error})", str(path), mend) from error


def _fields(words: list[str]) -> dict[str, Any]:
    import json

    from monsoon.sources.files import InputError

    fields: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals):
            raise InputError("no field and value", word, "Write --set FIELD=VALUE")
        try:
            fields[name] = json.loads(text)
        except ValueError:
            fields[name] = text
    return fields


def _warn(text: str) -> None:
    import sys

    from monsoon.cli.printable import printable

    print(printable(f"monsoon dlq: {text}"), file=sys.stderr)
