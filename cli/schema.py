"""``monsoon schema``: the JSON Schema of the files that people write, made of the models that check them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

FORMATS = ("dispatch", "product", "provider", "settings", "storm")
"""Those of `monsoon.sources.file_formats`; named here, since help may need nothing but Python."""

_WIDTH = 120
_EXAMPLE = """\
example:
  monsoon schema product > product.schema.json

Editors with a YAML language server check and complete a file that begins with
  # yaml-language-server: $schema=product.schema.json
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "schema",
        help=help,
        description="Print the JSON Schema (draft 2020-12) of product, storm or provider files.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=FORMATS, nargs="?", help="whose schema to print")
    parser.add_argument("--write", metavar="DIR", type=Path, help="write FORMAT.schema.json of every format into DIR")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Prints one schema, or writes all."""
    if (args.format is None) == (args.write is None):
        args.parser.error("give either a format or --write DIR")
    if args.write is None:
        print(schema_text(args.format), end="")
        return 0
    for name in FORMATS:
        (args.write / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")
    return 0


def schema_text(name: str) -> str:
    """The file of a format's schema, as contracts/ has it."""
    from monsoon.sources.file_formats import schema_of

    return _laid_out(schema_of(name), 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    """JSON with what fits on one line on one line, so that a change is a line of a diff."""
    line = json.dumps(value, ensure_ascii=False)
    if depth + len(line) <= _WIDTH or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_laid_out(each, depth + 1)}" for key, each in value.items()]
    else:
        parts = [_laid_out(each, depth + 1) for each in value]
    indent = ",\n" + " " * (depth + 1)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{indent[1:]}{indent.join(parts)}\n{' ' * depth}{closing}"
