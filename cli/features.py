"""`monsoon features`: the feature store of a folder of streams, its point-in-time joins, and the online store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.cli.arguments import moment_ms
from monsoon.cli.features_consume import add_consume_options

if TYPE_CHECKING:
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.feature_store.online import OnlineStore

_EXAMPLE = """\
example:
  monsoon replay --input runs/delhi --output runs/delhi-out
  monsoon features build --input runs/delhi --results runs/delhi-out --output runs/features
  monsoon features export --store runs/features --rows rows.csv --entity rider --features shift_pattern --output out
  monsoon features load --store runs/features --redis redis://127.0.0.1:6379/0
  monsoon features consume --follow --redis redis://127.0.0.1:6379/0 --store runs/features

What was known of riders, phones, zones and neighborhoods at each moment: docs/features.md.
"""
_PART = "part-00000.parquet"
_LOOK_S = 1.0
"""How often the store is looked at for what has come."""


def add_parser(subparsers: Any, help: str) -> None:  # noqa: A002
    """Adds the command's parser, with one for each of its verbs."""
    parser = subparsers.add_parser(
        "features", help=help, description=help, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", metavar="WHAT", required=True, title="what to do")
    listing = verbs.add_parser("list", help="the features: entity, unit, meaning, when null, how long they count")
    listing.set_defaults(run=_list)
    build = verbs.add_parser("build", help="measure the features of a folder of streams, at each moment, into a store")
    build.add_argument("--input", type=Path, required=True, metavar="DIR", help="the folder of streams")
    build.add_argument("--results", type=Path, metavar="DIR", help="what a replay of it wrote, for features of claims")
    build.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the offline store, new or to be added to"
    )
    build.set_defaults(run=_build)
    export = verbs.add_parser("export", help="join features to rows, each as known at the row's moment")
    _add_store(export)
    rows = export.add_mutually_exclusive_group(required=True)
    rows.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="CSV, Parquet or JSON Lines with columns entity_id and as_of_ms, and any others",
    )
    rows.add_argument(
        "--claims", type=Path, metavar="DIR", help="the claims of an output folder, just before each decision"
    )
    export.add_argument("--entity", required=True, metavar="NAME", help="what entity_id identifies")
    export.add_argument(
        "--features", required=True, metavar="NAME,...", help="NAME, or NAME@VERSION for an earlier definition"
    )
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help=f"a new or empty folder, for {_PART}")
    export.set_defaults(run=_export)
    load = verbs.add_parser("load", help="fill the online store in Redis with what counts at a moment")
    _add_store(load)
    load.add_argument("--redis", required=True, metavar="URL", help="redis://HOST:PORT/DB")
    load.add_argument("--as-of", type=moment_ms, metavar="TIME", help="of when (default: the last moment in the store)")
    load.add_argument(
        "--follow", action="store_true", help="go on with what comes into the store, whatever becomes of Redis"
    )
    load.set_defaults(run=_load)
    consume = verbs.add_parser("consume", help="write what a live job emits, the topic features, to the stores")
    add_consume_options(consume)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", type=Path, required=True, metavar="DIR", help="the offline store")


def _list(args: argparse.Namespace) -> int:
    from monsoon.feature_store.definitions import ENTITIES, FEATURE_SETS

    for about in FEATURE_SETS:
        counts = f"counts for {_duration(about.ttl_ms)}"
        print(f"{about.name}@{about.version}, of {about.entity} ({ENTITIES[about.entity]}), {counts}")
        for feature in about.features:
            print(f"    {feature.name}, {feature.unit}: {feature.meaning}; null: {feature.null}")
    return 0


def _duration(length_ms: int) -> str:
    """In days, else in minutes."""
    days, rest_ms = divmod(length_ms, 86_400_000)
    return f"{length_ms // 60_000} min" if rest_ms else f"{days} days"


def _build(args: argparse.Namespace) -> int:
    build_and_print(args.input, args.results, args.output)
    return 0


def build_and_print(source: Path, results: Path | None, store: Path) -> None:
    """Adds the features of a folder of streams, and of what a replay of it wrote, to a store; prints how many."""
    from monsoon.cli.progress import ProgressLine
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.pipelines.features import write_features

    progress = ProgressLine()
    try:
        counts = write_features(source, results, OfflineStore(store), progress)
    finally:
        progress.done()
    for name, count in counts.items():
        print(f"{name}: {count:,} versions")


def _export(args: argparse.Namespace) -> int:
    from monsoon.feature_store.definitions import FeatureError
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.pipelines.features import rows_of, rows_of_claims
    from monsoon.sinks.durable import replace_file
    from monsoon.sinks.folder import OutputError

    if args.output.is_dir() and any(each.name != _PART for each in args.output.iterdir()):
        raise OutputError(f"{args.output}: holds something that is no export; give --output a new or empty folder")
    _require_store(args.store)
    rows = rows_of(args.rows) if args.claims is None else rows_of_claims(args.claims, args.entity)
    try:
        joined = OfflineStore(args.store).get(rows, args.entity, args.features.split(","))
    except FeatureError as error:
        raise _input_error(str(error), "--features") from error
    args.output.mkdir(parents=True, exist_ok=True)
    replace_file(args.output / _PART, _parquet(joined), args.output / f".{_PART}")
    print(f"{len(joined):,} rows in {args.output / _PART}")
    for name in joined.columns[len(rows.columns) :]:
        print(f"    {name}: {len(joined) - joined[name].null_count():,} with a value")
    return 0


def _load(args: argparse.Namespace) -> int:
    from monsoon.feature_store.offline import OfflineStore
    from monsoon.feature_store.online import OnlineStore
    from monsoon.pipelines.online_features import fill_online

    _require_store(args.store)
    offline = OfflineStore(args.store)
    with OnlineStore(args.redis) as online:
        if args.follow:
            _follow(offline, online)
        for name, count in fill_online(offline, online, args.as_of).items():
            print(f"{name}: {count:,} entities with a version that still counts")
    return 0


def _follow(offline: OfflineStore, online: OnlineStore) -> None:
    import time

    from monsoon.pipelines.online_features import keep_online

    refills = 0
    for writer in keep_online(offline, online, lambda: time.monotonic_ns() // 1_000_000):
        if writer.refills > refills:
            refills = writer.refills
            print(f"monsoon features: {online.url} is filled", flush=True)
        time.sleep(_LOOK_S)


def _parquet(frame: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3)
    return buffer.getvalue()


def _require_store(path: Path) -> None:
    if not any(path.glob("feature_set=*")):
        raise _input_error("no feature store here", str(path), "Give --store what `monsoon features build` wrote")


def _input_error(fault: str, where: str, mend: str = "`monsoon features list` shows what there is") -> Exception:
    from monsoon.sources.files import InputError

    return InputError(fault, where, mend)
