"""``monsoon lint``: ruff (rules and format) over the whole checkout, mypy over packages and over names in tests."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LINKS = Path("build/typing/monsoon")


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "lint",
        help=help,
        description="Check every file with ruff (rules, then format) and mypy (of tests, whether names are there).",
        epilog="example: monsoon lint --fix",
    )
    parser.add_argument("--fix", action="store_true", help="let ruff mend and format what it can, first")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs all checks, whatever the first ones return; 0 if all pass, else 1."""
    if args.fix:
        _call("ruff", "check", "--fix", "--quiet", ".")
        _call("ruff", "format", "--quiet", ".")
    link_folders()
    passed = [
        _call("ruff", "check", "."),
        _call("ruff", "format", "--check", "."),
        _types("pyproject.toml"),
        _types("tests/mypy.ini"),
    ]
    return 0 if all(passed) else 1


def _call(tool: str, *arguments: str) -> bool:
    print(f"lint: {tool} {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT).returncode == 0


def _types(config: str) -> bool:
    """mypy with one of its configurations; messages name the real files, not the links."""
    arguments = ["mypy", "--no-error-summary", "--config-file", config]
    print(f"lint: mypy, as {config} says", flush=True)
    result = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    print((result.stdout + result.stderr).replace(f"{LINKS.as_posix()}/", ""), end="", flush=True)
    return result.returncode == 0


def link_folders() -> None:
    """Makes ``build/typing/monsoon/<folder>`` for each package folder of the checkout.

    The folders have no parent named ``monsoon``; the links show mypy that ``transforms/panes.py`` is
    ``monsoon.transforms.panes`` (docs/adr/0002-package-layout.md).
    """
    links = ROOT / LINKS
    links.mkdir(parents=True, exist_ok=True)
    wanted = {init.parent.name for init in ROOT.glob("*/__init__.py") if init.parent.name != "tests"}
    for stale in {link.name for link in links.iterdir()} - wanted:
        (links / stale).unlink()
    for name in wanted:
        if not (links / name).is_symlink():
            (links / name).symlink_to(Path("../../..") / name)
