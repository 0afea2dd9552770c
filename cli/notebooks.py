"""`monsoon notebooks`: runs the notebooks of the checkout and writes them as pages, or removes outputs from them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

_EXAMPLE = """\
example:
  monsoon notebooks --output runs/gallery
  monsoon notebooks 1-first-storm --output runs/gallery
  monsoon notebooks --strip

Runs each notebook in a kernel of its own, which writes into a temporary folder, and makes a page of it, Markdown with
pictures. docs/gallery has the pages of the notebooks in git; after a change: --strip, then --output docs/gallery.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "notebooks", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="which, without .ipynb (default: all)")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--output", type=Path, metavar="DIR", help="write a page of each into this folder")
    task.add_argument("--strip", action="store_true", help="remove outputs from the notebooks, as git keeps them")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs or strips the notebooks, with a line for each."""
    from monsoon.sinks.durable import replace_file
    from monsoon.workbench.notebooks import execute, notebook_paths, read_notebook, stripped, write_gallery

    for path in notebook_paths(args.name):
        notebook = read_notebook(path)
        if args.strip:
            replace_file(path, stripped(notebook).encode(), path.with_name(f".{path.name}"))
            print(f"{path.stem}: without outputs", flush=True)
            continue
        started = time.monotonic()
        write_gallery(execute(notebook, path.stem), path.stem, args.output)
        print(f"{args.output / path.stem}.md: {time.monotonic() - started:.0f} s", flush=True)
    return 0
