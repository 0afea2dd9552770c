"""`monsoon`: parses the command and runs it; an error that a user can meet is printed in one line, never as a stack
trace."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from monsoon.cli.arguments import Parser
from monsoon.cli.printable import printable

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for every process that a command starts, too: Flink's JVM and its workers

COMMANDS = (
    "demo",
    "simulate",
    "feed",
    "replay",
    "run",
    "live",
    "chaos",
    "explain",
    "report",
    "drift",
    "whatif",
    "season",
    "basis-risk",
    "notebooks",
    "diff",
    "premium",
    "forecast",
    "features",
    "dlq",
    "erase",
    "dispute",
    "products",
    "schema",
    "train",
    "evaluate",
    "bench",
    "jars",
    "up",
    "down",
    "status",
    "produce",
    "consume",
    "control",
    "ledger",
    "dispatch",
    "reconcile",
    "provider-simulator",
    "doctor",
    "test",
    "lint",
)
"""One module of `monsoon.cli` each, with underscores for hyphens, in the order of the help."""

_COLLECTOR_THRESHOLD = 50_000
"""Of the cycle collector: imports make objects by the hundred thousand and hardly any cycles, and to scan these at
Python's default of every 700 takes a tenth of a start."""

PLACES = ("output", "folder", "checkpoints", "stack")
"""The options of any command that name a folder to be written."""

_WORDS = {
    "demo": "simulate the storm of 28 June 2024 in Delhi, replay it and report on it",
    "simulate": "write a storm's telemetry, readings and subscriptions",
    "feed": "turn a provider's raw feed into oracle readings",
    "replay": "turn a folder of streams into disruptions, claims and payouts",
    "run": "decide on a folder of streams as event time goes on: the streaming job, on Flink",
    "live": "decide on a folder of streams through Kafka and Flink: the live job, on a stack of its own",
    "chaos": "kill parts of a stack at random while the live job runs, and compare its records with a replay's",
    "explain": "explain one claim of an output: what it rests on, how it was decided, what was paid",
    "report": "write a page that shows an output: a map in time, the funnel, money, what was held and why",
    "drift": "compare an output's claims with those that the model was trained on, by day and cell",
    "whatif": "try other numbers in a product file on one input, which is read once",
    "notebooks": "run the notebooks of the checkout and write them as pages",
    "season": "replay thousands of storm-years: loss exceedance, premiums, reserve, reinsurance",
    "basis-risk": "hold what riders lost against what they were paid, and try other stations, providers and zones",
    "diff": "compare two outputs decision by decision: who gains, who loses, by which input",
    "premium": "quote what a product costs each rider, line by line",
    "forecast": "how probable a trigger's threshold is within 72 hours and 7 days",
    "features": "the feature store: what was known at each moment, joined to rows, or loaded into Redis",
    "dlq": "dead letters: list, show, mend and send them again",
    "erase": "take a rider's location evidence, or what is past its retention, out of files and stores",
    "dispute": "add evidence to a disputed claim, and show what the ordinary corrections make of it",
    "products": "list, show, check and explain product files",
    "schema": "print the JSON Schema of product, storm or provider files",
    "train": "train and evaluate a model: claim_anomaly, outage, syndicate or premium",
    "evaluate": "measure what decisions do to honest riders and attackers",
    "bench": "measure speed, as ratios within one run",
    "jars": "fetch the jars of Kafka, with Maven",
    "up": "start Kafka, Flink and the live job on this machine, as processes of their own",
    "down": "end what monsoon up started",
    "status": "show what monsoon up started",
    "produce": "send a folder's streams to Kafka's topics, in event-time order",
    "consume": "print what the live job has committed to a topic",
    "control": "give a product or a model to the live job while it runs, and show what became of it",
    "ledger": "make the ledger of payments in PostgreSQL, and show its book",
    "dispatch": "pay what the live job has instructed, through a payment provider",
    "reconcile": "hold the ledger against the payment provider's statement",
    "provider-simulator": "serve a payment provider on this machine that misbehaves by a seeded script",
    "doctor": "report what this machine lacks, and how to mend it",
    "test": "run the test suite",
    "lint": "check style and types",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code (0 fine, 1 an error that was printed, 2 wrong usage, 130 interrupted by
    Ctrl-C, 143 by SIGTERM).

    After an interruption Ctrl-C is ignored: the process is about to end.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    gc.set_threshold(_COLLECTOR_THRESHOLD)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the locale cannot write is no error
    interrupts = _Interrupts()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return _run(words)
    except BaseException as error:
        # Whatever an interrupted import or native call makes of it: after Ctrl-C the cause is Ctrl-C.
        if not interrupts.came and not isinstance(error, KeyboardInterrupt):
            raise
        interrupts.ignore()
        _print_error(f"monsoon: {_stopped(error)}")
        return 128 + (interrupts.came or signal.SIGINT)
    finally:
        interrupts.restore()


def _stopped(error: BaseException) -> str:
    """The message of a command about its interruption, else the general one."""
    message = str(error) if isinstance(error, KeyboardInterrupt) else ""
    return message or "interrupted; nothing half-written was left"


class _Interrupts:
    """Remembers whether Ctrl-C was pressed, or the process was asked to end (SIGTERM): either raises
    KeyboardInterrupt."""

    def __init__(self) -> None:
        self.came = 0
        """The number of the signal; 0: none came."""
        # Ctrl-C is ignored in a shell's background; only the main thread may set a handler.
        self._before: dict[int, Any] = {}
        for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is default and threading.current_thread() is threading.main_thread():
                self._before[number] = default
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = number
        logging.disable()  # py4j logs the traceback of an interrupted call
        raise KeyboardInterrupt

    def ignore(self) -> None:
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        logging.disable(logging.NOTSET)
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, before)


def _run(words: Sequence[str]) -> int:
    command = "monsoon"
    try:
        try:
            parser = _parser(words)
            args = parser.parse_args(words)
            if args.command is None:
                parser.print_help()
                return 0
            command = f"monsoon {args.command}"
            _require_places(args)
            return int(args.run(args))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk can be reported
    except BrokenPipeError:
        _drop_output()
        return 0
    except Exception as error:
        if not isinstance(error, _user_errors()):
            raise
        _drop_output()
        _print_error(f"{command}: {_message_of(error)}")
        return 1


def _require_places(args: argparse.Namespace) -> None:
    """A place that is not of this machine, or cannot be written, is reported before the work, not after it.

    Raises InputError and OutputError.
    """
    if any(":" in str(value) for value in vars(args).values()):  # nothing to load for, as a rule
        from monsoon.sources.locations import require_local

        require_local(vars(args))
    # doctor reports it among its findings, explain reads its output, report and drift write into one that is there
    for name in PLACES if args.command not in ("doctor", "explain", "report", "drift") else ():
        if isinstance(path := getattr(args, name, None), Path):
            from monsoon.sinks.writable import require_writable

            require_writable(path, f"--{name}")


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="monsoon",
        description="Pays delivery riders within minutes when rain, heat, smog, a curfew or an app outage takes "
        "their day's income, and not the syndicate at home with a fake GPS.",
        epilog="`monsoon COMMAND --help` shows a command's options and an example. Start with: monsoon demo",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    command = next((word for word in words if not word.startswith("-")), None)
    for name in COMMANDS:
        # Only the command that runs is imported: --help stays quick, and no command needs another's packages.
        if name == command:
            import_module(f"monsoon.cli.{name.replace('-', '_')}").add_parser(subparsers, help=_WORDS[name])
        else:
            subparsers.add_parser(name, help=_WORDS[name])
    return parser


class _Version(argparse.Action):
    """Looks the version up only when needed: that takes as long as all the rest of the start."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: Any) -> None:
        from importlib.metadata import version

        print(f"monsoon {version('monsoon')}")
        parser.exit()


def _user_errors() -> tuple[type[Exception], ...]:
    """Errors whose message says what is wrong, where, and what to do; and what the operating system refused."""
    from monsoon.pipelines.flink.errors import ClusterError
    from monsoon.pipelines.season.errors import SeasonError
    from monsoon.pipelines.stack.errors import StackError
    from monsoon.sinks.folder import OutputError
    from monsoon.sinks.ledger.errors import LedgerError
    from monsoon.sources.files import InputError
    from monsoon.transforms.product import ProductError
    from monsoon.transforms.scoring import ModelFolderError

    ours = (InputError, OutputError, ProductError, ModelFolderError, ClusterError, SeasonError, StackError, LedgerError)
    return (*ours, OSError, MemoryError)


def _message_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        advice = {28: "; free some space, or give --output a folder on another disk"}.get(error.errno or 0, "")
        return f"{where}{error.strerror}{advice}"
    if isinstance(error, MemoryError):
        return "not enough memory; try with less input, or fewer riders"
    return str(error)


def _print_error(text: str) -> None:
    """One line on standard error, whatever a path or a quoted file has in it."""
    if sys.stderr is not None:  # print would take standard output instead
        print(printable(text), file=sys.stderr)


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as what it is to a user: a line, and not the place in the code that gave it."""
    _print_error(f"monsoon: warning: {message}")


def _drop_output() -> None:
    """What standard output did not take is not tried again at the interpreter's end."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
