"""``monsoon lint``: ruff (rules and format) and mypy over the whole checkout."""

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
        description="Check every file with ruff (rules, then format) and mypy.",
        epilog="example: monsoon lint --fix",
    )
    parser.add_argument("--fix", action="store_true", help="let ruff mend and format what it can, first")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs all three checks, whatever the first ones return; 0 if all pass, else 1."""
    if args.fix:
        _call("ruff", "check", "--fix", "--quiet", ".")
        _call("ruff", "format", "--quiet", ".")
    passed = [_call("ruff", "check", "."), _call("ruff", "format", "--check", "."), _types()]
    return 0 if all(passed) else 1


def _call(tool: str, *arguments: str) -> bool:
    print(f"lint: {tool} {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", tool, *arguments], cwd=ROOT).returncode == 0


def _types() -> bool:
    """mypy on the folders under their import names; messages name the real files."""
    link_folders()
    print("lint: mypy", flush=True)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary"], cwd=ROOT, capture_output=True, text=True
    )
    print((result.stdout + result.stderr).replace(f"{LINKS.as_posix()}/", ""), end="", flush=True)
    return result.returncode == 0


def link_folders() -> None:
    """Makes ``build/typing/monsoon/<folder>`` for each package folder of the checkout.

    The folders have no parent named ``monsoon``, which shows mypy that ``transforms/trail.py`` is
    ``monsoon.transforms.telemetry_table`` (docs/adr/0002-package-layout.md).
    """
    links = ROOT / LINKS
    links.mkdir(parents=True, exist_ok=True)
    wanted = {init.parent.name for init in ROOT.glob("*/__init__.py") if init.parent.name != "tests"}
    for stale in {link.name for link in links.iterdir()} - wanted:
        (links / stale).unlink()
    for name in wanted:
        if not (links / name).is_symlink():
            (links / name).symlink_to(Path("../../..") / name)
