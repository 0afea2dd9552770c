"""`monsoon bench state`: what a streaming job keeps of each policy after four weeks with a storm in each."""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo
from monsoon.bench.processes import measure
from monsoon.bench.replay import MAX_ROWS, SEED, folder_for, monsoon

if TYPE_CHECKING:
    from monsoon.transforms.product import Product

TARGET_BYTES = 4096
WEEKS, WEEK_MS, HOUR_MS = 4, 7 * 24 * 3_600_000, 3_600_000
STORMS = ("delhi-2024-06-28", "delhi-2024-07-31-cloudburst")
DEFAULT_ROWS, BUCKETS = 40_000, 4

_EXAMPLE = """\
example:
  monsoon bench state
  monsoon bench state --rows 100000 --storm delhi-2024-06-28

Simulates each storm, repeats it week by week, gives every rider a policy of each product, and plays four weeks through
the keyed operators in one process, hour by hour. Then counts what they keep of each policy, names included: its events,
its claims with their evidence, and its share of what is kept of disruptions.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `state` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "state",
        help="what a streaming job keeps of a policy",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=count_to(MAX_ROWS), default=DEFAULT_ROWS, metavar="N", help="telemetry rows a week"
    )
    parser.add_argument("--storm", nargs="+", default=list(STORMS), metavar="NAME", help="storms, each by itself")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep inputs here and use them again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line a product, and one of all."""
    from monsoon.sources.product_files import load_products

    products = load_products()
    with folder_for(args.folder) as folder:
        for storm in args.storm:
            source = folder / f"{storm}-{args.rows}"
            if not (source / "weeks").exists():
                simulate = ("simulate", "--storm", storm, "--rows", args.rows, "--seed", SEED, "--output", source)
                measure(monsoon(*simulate), 1)
                repeat_weekly(source, products)
            print(storm)
            _print(kept_of_policies(source, products))
    print(f"target: {TARGET_BYTES:,} bytes at the median")
    return 0


def repeat_weekly(source: Path, products: Mapping[str, Product]) -> None:
    """Below `weeks` in a simulated folder the same storm in each of four weeks, and policies of every product."""
    weeks = source / "weeks"
    for week in range(WEEKS):
        for stream, name in (("telemetry", "event_id"), ("oracle_readings", "reading_id")):
            (weeks / stream).mkdir(parents=True, exist_ok=True)
            lines = (json.dumps(_earlier(record, name, week)) for record in _records(source / stream))
            (weeks / stream / f"{WEEKS - week}.jsonl").write_text("\n".join(lines) + "\n")
    (weeks / "subscriptions").mkdir()
    events = (json.dumps(event) for event in of_every_product(_records(source / "subscriptions"), products))
    (weeks / "subscriptions" / "all.jsonl").write_text("\n".join(events) + "\n")


def _earlier(record: dict[str, Any], name: str, week: int) -> dict[str, Any]:
    """The record as it was so many weeks ago."""
    times = ("event_time", "issued_time", "gnss_time", "network_time")
    moved = {each: record[each] - week * WEEK_MS for each in times if record.get(each) is not None}
    return {**record, **moved, name: f"{record[name]}-{week}"}


def of_every_product(events: Iterator[dict[str, Any]], products: Mapping[str, Product]) -> Iterator[dict[str, Any]]:
    """Subscription events, and for each product that a rider lacks a policy like the first one, in the last plan."""
    by_rider: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_rider[event["worker_id"]].append(event)
    for mine in by_rider.values():
        yield from mine
        for name in products.keys() - {event["product"] for event in mine}:
            for event in mine:
                if event["policy_id"] == mine[0]["policy_id"]:
                    ids = {key: f"{event[key]}-{name}" for key in ("event_id", "policy_id")}
                    yield {**event, **ids, "product": name, "plan": list(products[name].plans)[-1]}


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.iterdir()):
        yield from map(json.loads, file.read_text().splitlines())


BytesByPolicy = dict[tuple[str, str], Counter[str]]
"""By product and policy_id: bytes by what is kept."""


def kept_of_policies(source: Path, products: Mapping[str, Product]) -> BytesByPolicy:
    """What is kept of each policy when four weeks have gone by since the first storm began."""
    from monsoon.pipelines.runtime.intervals import FixedIntervals
    from monsoon.pipelines.runtime.job_config import JobConfig
    from monsoon.sources.files import FilePart
    from monsoon.testing.operator_harness import OperatorTestHarness

    weeks = source / "weeks"
    harness = OperatorTestHarness(
        JobConfig(products, products, source / "reference", None, BUCKETS, intervals=FixedIntervals(HOUR_MS))
    )
    first_ms = min(record["event_time"] for record in _records(weeks / "telemetry"))
    harness.read("subscriptions", FilePart(weeks / "subscriptions" / "all.jsonl"))
    for week in range(WEEKS):
        for stream in ("oracle_readings", "telemetry"):
            harness.read(stream, FilePart(weeks / stream / f"{week + 1}.jsonl"))
        start_ms = first_ms + week * WEEK_MS
        for now_ms in range(start_ms, start_ms + WEEK_MS, HOUR_MS):
            harness.advance(now_ms)
    return attributed(harness.entries(), harness.settings)


def attributed(entries: Any, settings: Any) -> BytesByPolicy:
    """Entries (`operator_harness.Entry`) by the policies to which they belong, names counted with them. What
    belongs to riders, phones, places or readings is no policy's, and left out."""
    from monsoon.pipelines.operators.disruption_state import unpack_disruption
    from monsoon.pipelines.runtime.messages import unpack
    from monsoon.pipelines.runtime.state_codec import unpack_small
    from monsoon.sources.record_store import record_id
    from monsoon.testing.operator_harness import COLD
    from monsoon.transforms.adjudication.claims import Claim

    kept: BytesByPolicy = defaultdict(Counter)
    entries = [entry._replace(name=entry.name.removeprefix(COLD)) for entry in entries]
    policies = (unpack_small(entry.payload) for entry in entries if entry.kind == "policy")
    policy_of = {repr(record_id(each)): (each["product"], each["policy_id"]) for events in policies for each in events}
    speaking: dict[tuple[str, str, str], str] = {}
    """The policy with which a rider claims, by product, disruption and rider."""
    claiming: dict[str, tuple[str, str]] = {}
    """The product and policy of a claim."""
    for entry in entries:
        size = len(entry.name) + len(entry.payload)
        parts = entry.name.split("/")
        if entry.kind == "policy":
            kept[parts[1], parts[2]]["events"] += size
        elif entry.kind == "claim":
            claim = unpack_small(entry.payload, Claim)
            claiming[claim.claim_id] = (parts[1], claim.terms.policy_id)
            kept[claiming[claim.claim_id]]["claims"] += size
        elif entry.kind == "memory" and parts[1] == "subscriptions":
            kept[policy_of[unpack(entry.payload)[0]]]["events"] += size
        elif entry.kind == "disruption":
            present = unpack_disruption(parts[2], entry.payload, settings.triggers).present().values()
            spoke = {worker: terms.policy_id for riders in present for worker, terms in riders.items()}
            speaking.update({(parts[1], parts[2], worker): policy for worker, policy in spoke.items()})
            for policy in spoke.values():
                kept[parts[1], policy]["disruptions"] += size // len(spoke)
    for entry in entries:
        size = len(entry.name) + len(entry.payload)
        parts = entry.name.split("/")
        if entry.kind == "found":
            claims = [(parts[2], rider) for rider in unpack_small(entry.payload)]
        elif entry.kind == "met":
            claims = [(parts[2], rider) for _, rider, _ in unpack(entry.payload)]
        elif entry.kind == "compared":
            columns = unpack_small(entry.payload)
            claims = list(zip(columns["disruption_id"], columns["worker_id"], strict=True))
        elif entry.kind == "settled":
            settled = unpack(entry.payload)
            for claim_id in settled:
                kept[claiming[claim_id]]["claims"] += size // len(settled)
            continue
        else:
            continue
        for identity, rider in claims:
            policy_id = speaking.get((parts[1], identity, rider))
            if policy_id is not None:
                kept[parts[1], policy_id]["others"] += size // len(claims)
    return kept


def _print(state: BytesByPolicy) -> None:
    parts = ("events", "claims", "disruptions", "others")
    print(
        f"{'product':<10} {'policies':>8} " + " ".join(f"{part:>11}" for part in parts) + f" {'median':>8} {'p95':>8}"
    )
    for product in (*sorted({product for product, _ in state}), None):
        mine = [sizes for (name, _), sizes in state.items() if product in (None, name)]
        totals = sorted(sizes.total() for sizes in mine)
        medians = [statistics.median(sizes[part] for sizes in mine) for part in parts]
        p95 = totals[-(-95 * len(totals) // 100) - 1]
        print(
            f"{product or 'all':<10} {len(mine):>8,} "
            + " ".join(f"{median:>11,.0f}" for median in medians)
            + f" {statistics.median(totals):>8,.0f} {p95:>8,}"
        )
