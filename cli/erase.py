"""`monsoon erase`: takes location evidence of a rider, or what is past its retention, out of files and stores, and that
of a rider out of a live job."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import moment_ms
from monsoon.cli.control import add_job_options

if TYPE_CHECKING:
    from monsoon.transforms.erasure import Scope

KEY_VARIABLE = "MONSOON_ERASURE_KEY"
RETENTION_DAYS = 400
_JOB = "live job"
_DAY_MS = 86_400_000
_EXAMPLE = f"""\
example:
  export {KEY_VARIABLE}=...
  monsoon erase WORKER_ID --input runs/delhi --results runs/delhi-out --feature-store runs/features --output records
  monsoon erase WORKER_ID --brokers kafka-1:9092 --output records
  monsoon erase --older-than-days {RETENTION_DAYS} --input runs/delhi --results runs/delhi-out --output records
  monsoon erase --verify records/erasure-0123456789abcdef.json

Files are changed in place. Older reports of an erased rider that come again are refused, as `erased_worker`. With
--brokers a live job takes it over while it runs.
docs/privacy.md says what is erased, and what stays.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "erase", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("worker", nargs="?", metavar="WORKER_ID", help="the rider whose location evidence is erased")
    parser.add_argument(
        "--older-than-days",
        type=_days,
        metavar="DAYS",
        help=f"in a rider's place: of everybody, what is older (the rule is {RETENTION_DAYS})",
    )
    parser.add_argument("--verify", type=Path, metavar="FILE", help="check the signature of a record, and print it")
    parser.add_argument(
        "--before", type=moment_ms, metavar="TIME", help="what is of before this event time (default: now)"
    )
    parser.add_argument(
        "--input", type=Path, action="append", default=[], metavar="DIR", help="a folder of streams; may be repeated"
    )
    parser.add_argument(
        "--results", type=Path, action="append", default=[], metavar="DIR", help="an output folder; may be repeated"
    )
    parser.add_argument("--feature-store", type=Path, metavar="DIR", help="the offline feature store")
    parser.add_argument("--redis", metavar="URL", help="the online feature store, redis://HOST:PORT/DB")
    parser.add_argument(
        "--brokers", metavar="HOST:PORT,...", help="of a live job, which is told by its topic `control`"
    )
    add_job_options(parser)
    parser.add_argument(
        "--wait", type=float, default=30.0, metavar="S", help="for the job's decision, at most (default: %(default)g)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the signed record is written, beside others")
    parser.set_defaults(run=run)


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return int(text)


def _is_id(text: str) -> bool:
    """An empty one is in every line that is no record, and would erase all of them."""
    return bool(text.strip()) and text.isprintable()


def run(args: argparse.Namespace) -> int:
    """Erases and prints how much, or verifies a record."""
    from monsoon.sinks.writable import require_writable
    from monsoon.sources.files import InputError

    if args.output is not None:
        require_writable(args.output)
    key = os.environ.get(KEY_VARIABLE, "").encode()
    if not key:
        raise InputError("no key", KEY_VARIABLE, "Set it to the secret that signs and verifies records of erasure")
    if args.verify is not None:
        return _verify(args.verify, key)
    if args.worker is not None and not _is_id(args.worker):
        raise InputError("no id of a rider", repr(args.worker), "Give WORKER_ID as the reports have it")
    if (args.worker is None) == (args.older_than_days is None):
        raise InputError("not clear what to erase", "monsoon erase", "Give either WORKER_ID or --older-than-days")
    if args.output is None:
        raise InputError("no place for the record", "monsoon erase", "Give --output, a folder for records")
    if args.brokers is not None and args.worker is None:
        raise InputError(
            "--brokers is of a rider", "monsoon erase", "A job's state and topics have a retention by themselves"
        )
    if not (args.input or args.results or args.feature_store or args.redis or args.brokers):
        mend = "Give --input, --results, --feature-store, --redis or --brokers"
        raise InputError("nothing to erase from", "monsoon erase", mend)
    return _erase(args, key)


def _erase(args: argparse.Namespace, key: bytes) -> int:
    from monsoon.transforms.erasure import Scope

    now_ms = time.time_ns() // 1_000_000
    before_ms = now_ms if args.before is None else args.before
    if args.older_than_days is not None:
        before_ms -= args.older_than_days * _DAY_MS
    scope = Scope(args.worker, before_ms)
    _require_places(args)
    places: dict[str, list[dict[str, Any]]] = {}
    try:
        for place, entries in _places(args, scope):
            places[place] = []
            for entry in entries:
                places[place].append(entry)
    except BaseException:
        # What is gone stands in a record, whatever comes in between.
        _write_record(args, key, now_ms, before_ms, places, is_complete=False)
        raise
    _write_record(args, key, now_ms, before_ms, places, is_complete=True)
    return _report_decision(args, places.get(_JOB, ()))


def _require_places(args: argparse.Namespace) -> None:
    """What a typing error names is found before anything is erased. Raises InputError, StoreUnavailableError."""
    from monsoon.feature_store.online import OnlineStore
    from monsoon.sources.files import InputError, find_files
    from monsoon.sources.output_folder import require_complete

    for folder in args.input:
        find_files(folder / "telemetry")
    for folder in args.results:
        require_complete(folder)
    store = args.feature_store
    if store is not None and not (store.is_dir() and (any(store.glob("feature_set=*")) or not any(store.iterdir()))):
        raise InputError("no feature store here", str(store), "Give --feature-store the folder of one")
    if args.redis is not None and args.worker is not None:
        with OnlineStore(args.redis) as online:
            online.ping()


def _write_record(
    args: argparse.Namespace,
    key: bytes,
    now_ms: int,
    before_ms: int,
    places: Mapping[str, list[dict[str, Any]]],
    *,
    is_complete: bool,
) -> None:
    """Writes the signed record of what was done, and prints how much that was."""
    from monsoon.sinks.durable import replace_file
    from monsoon.transforms.erasure_record import keyed_worker, signed

    record = {
        "erased_at_ms": now_ms,
        "before_ms": before_ms,
        "worker_hmac_sha256": None if args.worker is None else keyed_worker(key, args.worker),
        "is_complete": is_complete,
        "places": places,
        "kept": "decision records without evidence, what policies and answers state, the ledger",
    }
    content = signed(record, key)
    path = args.output / f"erasure-{hashlib.sha256(content).hexdigest()[:16]}.json"
    args.output.mkdir(parents=True, exist_ok=True)
    replace_file(path, content, args.output / f".{path.name}.partial")
    for place, entries in places.items():
        for entry in entries:
            counts = {name: value for name, value in entry.items() if name.endswith("_erased")}
            if counts:
                print(f"{place}: {entry['what']}: {json.dumps(counts)}")
    how = "" if is_complete else ", of an erasure that is not complete"
    print(f"monsoon erase: the record is {path}{how}")


def _report_decision(args: argparse.Namespace, entries: Sequence[dict[str, Any]]) -> int:
    """Says what a live job decided: 0 where it has taken the erasure over, or was not asked."""
    for entry in entries:
        if entry["faults"]:
            faults = "; ".join(entry["faults"])
            print(f"monsoon erase: the job refuses the erasure: {faults}; mend it, and erase again", file=sys.stderr)
            return 1
        if entry["erased_at_event_time_ms"] is None:
            print(
                f"monsoon erase: no job of the group {args.group!r} has taken the erasure over in {args.wait:g} s. It "
                "stays in the topic, and a job takes it over once it runs and knows event time: monsoon control list "
                "shows it then",
                file=sys.stderr,
            )
            return 1
        print("live job: taken over")
    return 0


def _places(args: argparse.Namespace, scope: Scope) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    """Erases, from one place after another; yields what was done in each, which has a number: a path may name a
    person."""
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.pipelines.erasure import erase_features, erase_input, erase_results

    for number, folder in enumerate(args.input, 1):
        yield f"input {number}", erase_input(folder, scope)
    for number, folder in enumerate(args.results, 1):
        yield f"results {number}", erase_results(folder, scope)
    if args.feature_store is not None:
        yield "feature store", [erase_features(OfflineStore(args.feature_store), scope)]
    if args.brokers is not None:
        yield _JOB, [_send_erasure(args, scope)]
    if args.redis is not None and args.worker is not None:
        yield "redis", [_online(args.redis, args.worker)]


def _send_erasure(args: argparse.Namespace, scope: Scope) -> dict[str, Any]:
    from monsoon.cli.control import open_log, send
    from monsoon.sources.control_records import erasure_request

    key, request = erasure_request(args.worker, scope.before_ms)
    log = open_log(args.brokers, args.prefix)
    try:
        offset, decision = send(log, args.group, key, request, args.wait)
    finally:
        log.close()
    return {
        "what": "control record",
        "offset": offset,
        "faults": [] if decision is None else list(decision.faults),
        "erased_at_event_time_ms": None if decision is None else decision.in_force_from_ms,
    }


def _online(url: str, worker_id: str) -> dict[str, Any]:
    from monsoon.feature_store.online import OnlineStore
    from monsoon.pipelines.erasure import erase_online

    with OnlineStore(url) as store:
        return erase_online(store, worker_id)


def _verify(path: Path, key: bytes) -> int:
    from monsoon.sources.files import InputError
    from monsoon.transforms.erasure_record import verified

    try:
        record = verified(path.read_bytes(), key)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path), "Give --verify a record of erasure") from error
    except ValueError as error:
        raise InputError(str(error), str(path), f"Is {KEY_VARIABLE} the key that it was signed with?") from error
    print(json.dumps(record, indent=1))
    return 0
