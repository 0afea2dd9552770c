"""`monsoon chaos`: a live run of which parts are killed at random, compared with an undisturbed replay."""

from __future__ import annotations

import argparse
import filecmp
import shutil
import tempfile
from pathlib import Path
from typing import Any

from monsoon.cli.arguments import add_product_options, add_refusal_option, chosen_products, count_to, refusal_limit
from monsoon.cli.progress import ProgressLine
from monsoon.cli.stack_options import prepare_kafka

_EXAMPLE = """\
example:
  monsoon simulate --storm delhi-2024-06-28 --riders 50 --seed 1 --output runs/delhi
  monsoon chaos --input runs/delhi --kills 10 --seed 7

Plays the folder through a stack of its own and kills, one after another as the job recovers, a TaskManager, the
JobManager, a Python worker or the broker. In the end the committed records must be those of `monsoon replay`, to the
byte. The seed decides which parts are killed and the pauses between; not what they are doing then.
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
    add_product_options(parser)
    add_refusal_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a kill, and whether the records are equal; 1 if not, or if the input ended before the last kill."""
    from monsoon.pipelines.flink.chaos import Kill, RandomKills
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
        print(f"{len(kills.done)}: {kill.part} killed; {effect}", flush=True)

    if args.stack is not None:
        Stack(args.stack).require_usable()
    kills = RandomKills(args.kills, args.seed, show)
    with History(args.input) as history:
        speed = history.span_ms / (1000 * _SECONDS_A_KILL * args.kills)
    folder = Path(tempfile.mkdtemp(prefix="monsoon-chaos-"))
    options = LiveOptions(
        args.stack or folder / "stack",
        product_files=tuple(args.product_file),
        speed=max(speed, 1.0),
        limit=refusal_limit(args),
        disturb=kills,
    )
    try:
        prepare_kafka(progress)
        replay(args.input, folder / "replay", products, selected, load_scorer(None), progress, limit=options.limit)
        live(args.input, folder / "live", products, selected, options, None, progress)
    finally:
        progress.done()
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


_SECONDS_A_KILL = 25
"""Of wall-clock time, for which the input is stretched."""


def _same(expected: Path, found: Path) -> bool:
    names = sorted(file.name for file in expected.iterdir())
    if names != sorted(file.name for file in found.iterdir()):
        return False
    return all(filecmp.cmp(expected / name, found / name, shallow=False) for name in names)
