"""`monsoon`: parses the command and runs it; an error a user can meet is told in one line, never as a stack trace."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

COMMANDS = ("demo", "simulate", "replay", "train", "evaluate", "bench", "test", "lint")
"""One module of `monsoon.cli` each, in the order of the help."""

_WORDS = {
    "demo": "simulate the storm of 28 June 2024 in Delhi, replay it and tell its story",
    "simulate": "write a storm's telemetry, readings and subscriptions",
    "replay": "turn a folder of streams into disruptions, claims and payouts",
    "train": "train and calibrate the model claim_anomaly",
    "evaluate": "measure the model on storms it was not trained on",
    "bench": "measure speed, as ratios within one run",
    "test": "run the test suite",
    "lint": "check style and types",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 fine, 1 a fault that was told, 2 wrong usage, 130 interrupted)."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words)
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("\nmonsoon: interrupted; nothing half-written was left", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not isinstance(error, _told_errors()):
            raise
        print(f"monsoon {args.command}: {_told(error)}", file=sys.stderr)
        return 1


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monsoon",
        description="Pays delivery riders within minutes when rain, heat, smog, a curfew or an app outage takes "
        "their day's income, and not the syndicate at home with a fake GPS.",
        epilog="`monsoon COMMAND --help` shows a command's options and an example. Start with: monsoon demo",
    )
    parser.add_argument("--version", action="version", version=f"monsoon {version('monsoon')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    asked = next((word for word in words if not word.startswith("-")), None)
    for name in COMMANDS:
        # Only the command asked for is imported: --help stays quick, and no command needs another's packages.
        if name == asked:
            import_module(f"monsoon.cli.{name}").add_parser(subparsers, help=_WORDS[name])
        else:
            subparsers.add_parser(name, help=_WORDS[name])
    return parser


def _told_errors() -> tuple[type[Exception], ...]:
    """Errors whose message says what is wrong, where, and what to do; and what the operating system refused."""
    from monsoon.sinks.folder import OutputError
    from monsoon.sources.files import InputError
    from monsoon.transforms.product import ProductError
    from monsoon.transforms.scoring import ModelFolderError

    return (InputError, OutputError, ProductError, ModelFolderError, OSError)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        advice = {28: "; free some space, or give --output a folder on another disk"}.get(error.errno or 0, "")
        return f"{where}{error.strerror}{advice}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
