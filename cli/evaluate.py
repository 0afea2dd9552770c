"""`monsoon evaluate`: what decisions do to honest riders and to attackers, on storms no model was trained on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import count_to, seed
from monsoon.cli.progress import ProgressLine

if TYPE_CHECKING:
    from monsoon.pipelines.evaluation.evaluate import Evaluation

DEFAULT_RIDERS, QUICK_RIDERS = 2_000, 300
MAX_RIDERS = 1_000_000
_EXAMPLE = """\
example:
  monsoon evaluate --quick
  monsoon evaluate --riders 5000 --seed 5 --output runs/evaluation
  monsoon evaluate --quick --check

Simulates each storm of the test set, with many attackers, replays it, lets every rider answer who is
asked, attackers too, replays it with the answers, and measures the claims by what became of them. Each measure stands
beside its target. --output writes evaluation.json and evaluation.html. --check compares with models/evaluation_met.json
and exits with 1 where a target that was met there is lost. docs/evaluation.md has the measures and a full run.
"""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser."""
    parser = subparsers.add_parser(
        "evaluate", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write evaluation.json and evaluation.html here")
    parser.add_argument("--quick", action="store_true", help=f"few riders ({QUICK_RIDERS}) in each storm")
    parser.add_argument(
        "--riders", type=count_to(MAX_RIDERS), metavar="N", help=f"in each storm (default: {DEFAULT_RIDERS})"
    )
    parser.add_argument("--seed", type=seed, default=1_000, metavar="S", help="of the simulations (default: 1000)")
    parser.add_argument("--product", action="append", metavar="NAME", help="only this product; may be repeated")
    parser.add_argument("--generator", action="append", metavar="NAME", help="only this generator; may be repeated")
    parser.add_argument("--model", type=Path, metavar="DIR", help="model folder (default: the one that comes along)")
    checks = parser.add_mutually_exclusive_group()
    checks.add_argument("--check", action="store_true", help="exit with 1 where a target that was met is lost")
    checks.add_argument("--write-met", action="store_true", help="write models/evaluation_met.json: the targets met")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluates, prints the table, writes what is asked for."""
    from monsoon.cli.evaluation_page import page
    from monsoon.cli.evaluation_table import table_text
    from monsoon.models.evaluation.document import lost_targets, met_targets
    from monsoon.pipelines.evaluation.evaluate import evaluate
    from monsoon.pipelines.evaluation.scenarios import GENERATORS, scenarios
    from monsoon.sources.model_files import load_scorer
    from monsoon.sources.product_files import load_products

    products = load_products()
    chosen = sorted(load_products(args.product)) if args.product else sorted(products)
    generators = _known(args.generator, tuple(GENERATORS))
    riders = args.riders or (QUICK_RIDERS if args.quick else DEFAULT_RIDERS)
    before = _read_met() if args.check else {}
    progress = ProgressLine()
    try:
        found = evaluate(scenarios(riders, args.seed, generators, chosen), products, load_scorer(args.model), progress)
    finally:
        progress.done()
    document = document_of(found)
    print(f"{found.model}; {document['summary']}\n\n{table_text(document)}")
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        (args.output / "evaluation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (args.output / "evaluation.html").write_text(page(document), encoding="utf-8")
        print(f"\n{args.output}: evaluation.json, evaluation.html")
    if args.write_met:
        _met_file().write_text(json.dumps(met_targets(found.measures), indent=1) + "\n", encoding="utf-8")
    lost = lost_targets(before, found.measures, chosen)
    if lost:
        print("\nLost, of the targets that were met:\n" + "\n".join(f"  {line}" for line in lost))
    return 1 if lost else 0


def document_of(found: Evaluation) -> dict[str, Any]:
    """An evaluation as it is written; the same findings give the same document."""
    from monsoon.models.evaluation import document as rows
    from monsoon.models.evaluation.measures import MIN_SLICE

    riders = sum(scenario["riders"] for scenario in found.scenarios)
    attackers = sum(scenario["attackers"] for scenario in found.scenarios)
    storms = len({scenario["storm"] for scenario in found.scenarios})
    generators = sorted({scenario["generator"] for scenario in found.scenarios})
    return {
        "model": found.model,
        "summary": f"{riders:,} riders, {attackers:,} of them attackers, in {storms} storms of {', '.join(generators)}",
        "min_slice": MIN_SLICE,
        "scenarios": found.scenarios,
        "measures": [rows.measure_row(each) for each in found.measures],
        "amounts": [rows.amounts_row(each) for each in found.amounts],
        "floors": [rows.floor_row(each) for each in found.floors],
        "slices": [rows.slice_row(each) for each in found.slices],
        "curves": [rows.curve_row(each) for each in found.curves],
    }


def _known(names: list[str] | None, generators: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen generators, all by default. Raises InputError for one that is none."""
    from monsoon.sources.files import InputError
    from monsoon.transforms.spelling import closest_name

    for name in names or ():
        if name not in generators:
            meant = closest_name(name, generators)
            raise InputError(
                "no such generator", name, f"did you mean {meant}?" if meant else f"there are: {', '.join(generators)}"
            )
    return tuple(dict.fromkeys(names or generators))


def _met_file() -> Path:
    import monsoon.models

    return Path(monsoon.models.__path__[0]) / "evaluation_met.json"


def _read_met() -> Mapping[str, list[str]]:
    found: Mapping[str, list[str]] = json.loads(_met_file().read_text(encoding="utf-8"))
    return found
