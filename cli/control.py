"""`monsoon control`: gives a product or a model to the live job while it runs, and shows what became of it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import moment_ms
from monsoon.cli.printable import printable
from monsoon.cli.stack_options import add_stack_option, quiet_kafka

if TYPE_CHECKING:
    from monsoon.sources.control_records import Decision, Update
    from monsoon.sources.kafka.control_log import ControlLog

_EXAMPLE = """\
example:
  monsoon control put products/cyclone.yaml
  monsoon control put models/claim_anomaly --in-force-from 2026-12-01T00:00:00+05:30
  monsoon control list

`put` checks a product file or a model folder, sends it to the topic `control`, and waits for what the live job decides:
it is taken over, without a restart, or refused with its faults. docs/live.md says from when it counts.
"""
_PAUSE_S = 0.3


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "control", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    put = actions.add_parser("put", help="send a product file or a model folder")
    put.add_argument("path", type=Path, metavar="PATH", help="a product file (YAML) or a model folder")
    put.add_argument(
        "--in-force-from",
        type=moment_ms,
        metavar="MOMENT",
        help="of a model, a moment with its offset (default: as soon as it is taken over); a product's file states it",
    )
    put.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help="for the decision, at most (default: %(default)g)"
    )
    put.set_defaults(run=_put)
    listed = actions.add_parser("list", help="show what was sent, and what was decided on it")
    listed.set_defaults(run=_list)
    for action in (put, listed):
        add_stack_option(action)
        action.add_argument("--brokers", metavar="HOST:PORT,...", help="brokers elsewhere, in the place of a stack's")
        add_job_options(action)


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Adds --prefix and --group: which job is meant."""
    parser.add_argument("--prefix", default="", help="before the topic's name (default: none)")
    parser.add_argument("--group", default="monsoon", help="the job's kafka.group (default: %(default)s)")


def _log(args: argparse.Namespace) -> ControlLog:
    from monsoon.pipelines.stack.stack import Stack

    return open_log(args.brokers or Stack(args.stack).broker.address, args.prefix)


def open_log(brokers: str, prefix: str) -> ControlLog:
    """The control topic of an installation. Raises InputError."""
    from monsoon.contracts.topics import topic_name
    from monsoon.sources.kafka.control_log import ControlLog

    quiet_kafka()
    return ControlLog(brokers, topic_name("control", prefix))


def _put(args: argparse.Namespace) -> int:
    """0 for what was taken over, 1 for what was refused or not decided in time."""
    from monsoon.sources.control_records import model_update, product_update
    from monsoon.sources.files import InputError

    update: Update
    if args.path.is_dir():
        key, update = model_update(args.path, args.in_force_from)
    elif args.in_force_from is not None:
        raise InputError(
            "--in-force-from is of models", args.path, "A product's file states it: in_force_from (docs/products.md)."
        )
    else:
        key, update = product_update(args.path)
    log = _log(args)
    try:
        _, decision = send(log, args.group, key, update, args.wait)
    finally:
        log.close()
    if decision is None:
        print(
            f"monsoon control: {key} was sent; no decision of the group {args.group!r} in {args.wait:g} s. Does the "
            "job run (monsoon status)? On versions and models it decides once it knows event time: monsoon control "
            "list shows it then",
            file=sys.stderr,
        )
        return 1
    for line in decision.faults:
        print(printable(f"monsoon control: {line}"), file=sys.stderr)
    print(f"monsoon control: {key}: {_words(decision)}")
    return 1 if decision.faults else 0


def send(log: ControlLog, group: str, key: str, update: Update, wait_s: float) -> tuple[int, Decision | None]:
    """Sends a record and waits for what the job of a group decides on it (None: not decided in time); gives the
    record's offset, too. Raises InputError."""
    from monsoon.sources.control_records import encode_control_record

    offset = log.append(key, encode_control_record(update))
    until_s = time.monotonic() + wait_s
    while (decision := _told(log, group)[1].get(offset)) is None and time.monotonic() <= until_s:
        time.sleep(_PAUSE_S)
    return offset, decision


def _list(args: argparse.Namespace) -> int:
    log = _log(args)
    try:
        names, decisions = _told(log, args.group)
    finally:
        log.close()
    for offset, name in names.items():
        decision = decisions.get(offset)
        print(printable(f"{offset:>6}  {name}: {'not decided' if decision is None else _words(decision)}"))
        for fault in () if decision is None else decision.faults:
            print(printable(f"        {fault}"))
    return 0


def _told(log: ControlLog, group: str) -> tuple[dict[int, str], dict[int, Decision]]:
    """What was added since the last call: what each record is, by its offset, and the first decision of the group on
    each."""
    from monsoon.sources.control_records import (
        ControlRecordError,
        ErasureRequest,
        ModelUpdate,
        ProductUpdate,
        decode_control_record,
    )

    names: dict[int, str] = {}
    decisions: dict[int, Decision] = {}
    for offset, value in log.read():
        try:
            record = decode_control_record(value)
        except ControlRecordError as error:
            names[offset] = str(error)
            continue
        if isinstance(record, ModelUpdate):
            names[offset] = f"model {record.name}"
        elif isinstance(record, ErasureRequest):
            names[offset] = f"erasure of the rider {record.worker_hash[:12]}..."
        elif isinstance(record, ProductUpdate):
            names[offset] = f"product file {record.file}"
        elif record.group == group:
            decisions.setdefault(record.offset, record)
    return names, decisions


def _words(decision: Decision) -> str:
    from monsoon.transforms.product.versions import since

    if decision.faults:
        return "refused"
    return "taken over" if decision.in_force_from_ms is None else f"in force {since(decision.in_force_from_ms)}"
