"""`monsoon dispute`: evidence added to a claim that is disputed, and what the ordinary corrections make of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_files, moment_ms
from monsoon.cli.dlq import add_broker_options, brokers_of, one_line

if TYPE_CHECKING:
    from monsoon.pipelines.dispute import Evidence

_EXAMPLE = """\
example:
  monsoon dispute CLAIM_ID --reading gauge.json --results runs/delhi-out --input runs/delhi --output runs/delhi-disputed
  monsoon dispute CLAIM_ID --report phone.json --brokers kafka.example:9092

The evidence is added to the input folder, or sent to its topic, as known from the moment of the dispute on: a report is
received then, a reading is a correction issued then. With --input the folder is replayed to --output, and the claim's
new revisions are printed. What was published before is not touched; a report changes nothing that is decided for good.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "dispute", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("claim", metavar="CLAIM_ID", help="the claim, as claims/ names it")
    parser.add_argument(
        "--reading", type=Path, action="append", default=[], metavar="FILE", help="a provider's reading"
    )
    parser.add_argument(
        "--report", type=Path, action="append", default=[], metavar="FILE", help="a report of the phone"
    )
    parser.add_argument(
        "--at",
        type=moment_ms,
        metavar="TIME",
        help="when it became known (default: after all results; for topics, now)",
    )
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="the output folder of the claim (default: its topic)"
    )
    parser.add_argument("--input", type=Path, metavar="DIR", help="the input folder of those results (default: topics)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="with --input: where the replay with it is written")
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    add_product_files(parser)
    add_broker_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what was added, and the claim's new revisions."""
    from monsoon.sinks.folder import refuse_what_is_not_ours
    from monsoon.sources.files import InputError

    if args.output is not None:
        refuse_what_is_not_ours(args.output)
    if not (args.reading or args.report):
        raise InputError("no evidence", args.claim, "Give --reading or --report, each a file with one record")
    if args.input is None:
        return _to_topics(args)
    if args.output is None or args.results is None:
        raise InputError(
            "--input needs --results and --output", str(args.input), "Give the folder of the claim, and a new one"
        )
    _refuse_to_touch(args.output, args.results, args.input)
    return _to_folder(args)


def _refuse_to_touch(output: Path, *kept: Path) -> None:
    """What was published stays as it was, and the input has but what is added to it. Raises InputError."""
    from monsoon.sources.files import InputError

    for place in kept:
        if output.resolve().is_relative_to(place.resolve()) or place.resolve().is_relative_to(output.resolve()):
            raise InputError(f"is not apart from {place}, which stays as it is", str(output), "Give a new folder")


def _to_folder(args: argparse.Namespace) -> int:
    from monsoon.cli.progress import ProgressLine
    from monsoon.pipelines.dispute import add_to_folder, after_everything, new_revisions
    from monsoon.pipelines.local.replay import replay
    from monsoon.sources.files import InputError
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.output_folder import read_claim
    from monsoon.sources.product_files import load_products

    before = read_claim(args.results, args.claim).revisions
    earliest_ms = after_everything(args.results)
    at_ms = earliest_ms if args.at is None else args.at
    if at_ms < earliest_ms:
        raise InputError(
            "is before what those results tell of, which it would edit", "--at", "Leave it out, or give a later moment"
        )
    evidence = _evidence(args, before[-1], at_ms)
    products, scorer = load_products(extra=args.product_file), load_scorer(args.model)
    for path in add_to_folder(evidence, args.claim, args.input):
        print(f"monsoon dispute: added {path}")
    progress = ProgressLine()
    try:
        replay(args.input, args.output, products, sorted(products), scorer, progress)
    finally:
        progress.done()
    new = new_revisions(before, read_claim(args.output, args.claim).revisions)
    print(f"before {_told(before[-1])}")
    for record in new:
        print(f"new    {_told(record)}")
    if not new:
        print("no revision follows from it")
    return 0


def _to_topics(args: argparse.Namespace) -> int:
    import time

    from monsoon.pipelines.dead_letters import send_lines

    brokers = brokers_of(args)
    at_ms = time.time_ns() // 1_000_000 if args.at is None else args.at
    evidence = _evidence(args, _claim(args, brokers), at_ms)
    for _, topic in send_lines([(each.stream, each.line) for each in evidence], brokers, args.prefix, at_ms):
        print(f"monsoon dispute: sent to {topic}")
    return 0


def _claim(args: argparse.Namespace, brokers: str) -> Mapping[str, Any]:
    """The claim's last revision, of the output folder or of the topic."""
    import msgspec

    from monsoon.client import RECORD_TYPES, ClientError, Consumer
    from monsoon.sources.files import InputError
    from monsoon.sources.output_folder import read_claim

    if args.results is not None:
        return read_claim(args.results, args.claim).claim
    try:
        with Consumer(RECORD_TYPES["claims"], brokers, prefix=args.prefix, positions={}) as consumer:
            mine = [each.record for each in consumer.read_to_end() if each.key == args.claim]
    except ClientError as error:
        raise InputError(str(error), brokers, "Is it running, and reached at that address?") from error
    if not mine:
        raise InputError(f"no claim {args.claim!r}", brokers, "`monsoon consume claims` has them")
    claim: dict[str, Any] = msgspec.to_builtins(mine[-1])
    return claim


def _evidence(args: argparse.Namespace, claim: Mapping[str, Any], at_ms: int) -> list[Evidence]:
    import msgspec

    from monsoon.pipelines.dispute import Kind, evidence_for

    found = []
    kinds: tuple[tuple[Kind, list[Path]], ...] = (("reading", args.reading), ("report", args.report))
    for kind, paths in kinds:
        for path in paths:
            record = msgspec.json.decode(one_line(path))
            found.append(evidence_for(claim, kind, record, at_ms, str(path)))
    return found


def _told(record: Mapping[str, Any]) -> str:
    paid = record.get("payout_inr")
    amount = "" if paid is None else f", Rs {paid:,.2f}"
    reasons = f" ({', '.join(record['reasons'])})" if record["reasons"] else ""
    return f"revision {record['revision']}: {record['status']}{amount}{reasons}"
