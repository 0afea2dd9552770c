"""`monsoon chaos`: a live run of which parts are killed at random, compared with an undisturbed replay."""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import add_product_options, add_refusal_option, chosen_products, count_to, refusal_limit
from monsoon.cli.progress import ProgressLine
from monsoon.cli.stack_options import prepare_kafka

if TYPE_CHECKING:
    from monsoon.pipelines.flink.chaos import RandomKills
    from monsoon.pipelines.flink.live import LiveOptions
    from monsoon.pipelines.stack.stack import Stack

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 50 --seed 1 --output runs/delhi
  monsoon chaos --input runs/delhi --kills 10 --seed 7
  monsoon chaos --input runs/delhi --kills 20 --seed 7 --payments 2 --features

Plays the folder through a stack of its own and kills, one after another as the job recovers, a TaskManager, the
JobManager, a Python worker or the broker. In the end the committed records must be those of `monsoon replay`, to the
byte. The seed decides which parts are killed and the pauses between; not what they are doing then.

With --payments so many instances of the dispatcher pay what is instructed, through a simulated provider that
misbehaves. Each instance is killed too, at one of its steps, as are PostgreSQL and the provider, and PostgreSQL's disk
is filled where one can be mounted (by root). In the end every instruction is paid once, and the ledger, the provider's
statement and its own book agree to the paisa.

With --features Redis, which comes back empty, and the consumer that fills it are killed, too. In the end Redis and the
offline store hold what `monsoon features build` measures of the folder, key by key.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "chaos", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="folder of input streams")
    parser.add_argument("--kills", type=count_to(1000), default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the kills (default: 1)")
    parser.add_argument(
        "--stack", type=Path, metavar="DIR", help="new or empty folder for the stack (default: a temporary one)"
    )
    parser.add_argument(
        "--payments",
        nargs="?",
        type=count_to(_MAX_DISPATCHERS),
        const=2,
        metavar="N",
        help="pay too, with N dispatchers, and kill what pays (default: not; without N: 2)",
    )
    parser.add_argument(
        "--features", action="store_true", help="keep features too, and kill what keeps them (default: not)"
    )
    add_product_options(parser)
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a kill, and whether the records are equal; 1 if not, or if the input ended before the last kill."""
    from monsoon.pipelines.flink.chaos import JOB_PARTS, Kill, RandomKills
    from monsoon.pipelines.flink.live import LiveOptions, live
    from monsoon.pipelines.local.replay import replay
    from monsoon.pipelines.stack.stack import Stack
    from monsoon.sinks.folder import STREAMS
    from monsoon.sources.kafka.history import History
    from monsoon.sources.model_files import load_scorer

    products, selected = chosen_products(args)
    progress = ProgressLine()

    def show(kill: Kill) -> None:
        progress.done()
        after_s = kill.recovered_after_s
        effect = "no task stopped" if after_s is None else f"all tasks run again after {after_s:.1f} s"
        print(f"{len(kills.done)}: {kill.what}; {effect}", flush=True)

    if args.stack is not None:
        Stack(args.stack).require_usable()
    kills = RandomKills(args.kills, args.seed, JOB_PARTS, show)
    folder = Path(tempfile.mkdtemp(prefix="monsoon-chaos-"))
    options = LiveOptions(
        args.stack or folder / "stack",
        product_files=tuple(args.product_file),
        limit=refusal_limit(args),
        disturb=kills,
        hurried=lambda: kills.is_over,
    )
    with ExitStack() as closing:
        closing.callback(progress.done)
        if args.payments is not None:
            options = _with_payments(options, args, folder, kills, closing)
        if args.features:
            options = _with_features(options, args, folder, kills)
        with History(args.input) as history:
            options = replace(options, speed=max(1.0, history.span_ms / (1000 * kills.duration_s)))
        prepare_kafka(progress)
        replay(args.input, folder / "replay", products, selected, load_scorer(None), progress, limit=options.limit)
        live(args.input, folder / "live", products, selected, options, None, progress)
    different = [stream for stream in STREAMS if not _same(folder / "replay" / stream, folder / "live" / stream)]
    if different:
        print(f"monsoon chaos: the records differ: {', '.join(different)}; see {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"monsoon chaos: {len(kills.done)} kills, seed {args.seed}: the committed records are those of a replay")
    if len(kills.done) < args.kills:
        print(f"monsoon chaos: the input ended before {args.kills} kills; give a longer one")
        return 1
    return 0


def _with_payments(
    options: LiveOptions, args: argparse.Namespace, folder: Path, kills: RandomKills, closing: ExitStack
) -> LiveOptions:
    """Has the stack pay, lets the kills kill what pays, and holds the books against each other in the end."""
    from monsoon.pipelines.payments.chaos import payment_parts, settled, small_disk
    from monsoon.pipelines.stack.payments import PaymentOptions

    disk = closing.enter_context(small_disk(folder / "disk"))
    if disk is None:
        print("monsoon chaos: no disk of its own could be mounted here (it takes root): none is filled")
    kills.parts = {**kills.parts, **payment_parts(disk)}
    settings = folder / "dispatch.yaml"
    settings.write_text(_DISPATCH_SETTINGS)
    words = (*_PROVIDER_OPTIONS, "--seed", str(args.seed))

    def finish(stack: Stack) -> None:
        payouts = folder / "replay" / "payouts"
        lines = [line for file in sorted(payouts.iterdir()) for line in file.read_text().splitlines()]
        instructed = {payout["reference_id"]: payout["amount_paise"] for payout in map(json.loads, lines)}
        report = settled(stack, instructed)
        print(
            f"monsoon chaos: {len(instructed)} payouts of Rs {-report.ledger_paise / 100:,.2f}, each paid once: "
            "ledger, statement and the provider's book agree to the paisa",
            flush=True,
        )

    payments = PaymentOptions(
        args.payments, settings, tuple(str(file) for file in args.product_file), words, postgres_home=disk
    )
    return replace(options, payments=payments, finish=finish)


def _with_features(options: LiveOptions, args: argparse.Namespace, folder: Path, kills: RandomKills) -> LiveOptions:
    """Has the stack keep features, lets the kills kill what keeps them, and holds both stores in the end against what
    is measured of the folder; then does what is done in the end anyway."""
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.pipelines.feature_chaos import feature_parts, require_kept
    from monsoon.pipelines.features import write_features

    kills.parts = {**kills.parts, **feature_parts()}

    def finish(stack: Stack) -> None:
        built = OfflineStore(folder / "features")
        write_features(args.input, None, built)
        versions, keys = require_kept(stack, built)
        print(
            f"monsoon chaos: {versions:,} versions of features, {keys:,} keys that still count: Redis and the offline "
            "store have what is measured of the folder",
            flush=True,
        )
        options.finish(stack)

    return replace(options, features=True, finish=finish)


_MAX_DISPATCHERS = 16
_DISPATCH_SETTINGS = """\
limits: {requests_per_s: 2, burst: 2}
patience: {lease_s: 3, first_retry_s: 0.5, max_retry_s: 5, first_fetch_s: 1, max_fetch_s: 10}
"""
"""So slow that payments are under way while parts are killed; what a killed instance was at is soon taken over."""
_PROVIDER_OPTIONS = (
    *("--latency-ms", "200", "--settle-ms", "1000", "--faults", "0.2"),
    *("--webhook-faults", "0.2", "--failed", "0.05", "--slow", "0.1"),
)


def _same(expected: Path, found: Path) -> bool:
    names = sorted(file.name for file in expected.iterdir())
    if names != sorted(file.name for file in found.iterdir()):
        return False
    return all(filecmp.cmp(expected / name, found / name, shallow=False) for name in names)
