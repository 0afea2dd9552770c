"""`monsoon bench rings`: the CPU time and the memory of the rings of one storm, and of a resource that all riders
share."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo

if TYPE_CHECKING:
    from monsoon.transforms.evidence.ragged import Ints
    from monsoon.transforms.rings.links import Links
    from monsoon.transforms.rings.resources import Claims, Stays

    Sightings = Mapping[int, Sequence[Ints]]

TARGET_S, DEFAULT_CLAIMS, MAX_CLAIMS = 5.0, 100_000, 1_000_000
STAGES = ("stays", "links", "graph", "expiry")
CONFIRMATIONS = 4
RING = 20
_HOUR_MS = 3_600_000
_NOW_MS = 1_722_438_000_000
_REPORTS = 6

_EXAMPLE = """\
example:
  monsoon bench rings
  monsoon bench rings --claims 20000

linked: all claims are in rings of twenty, confirmed at four moments; a ring has two homes (an access point, a network),
payout accounts for four and a minute of purchase, and is seen six times. shared: besides, all riders are on one phone
and one payout account, among so many other active riders that any two of them are an edge. Timed, as CPU of one
process:

  stays   sightings to stays, as each rider's bucket does
  links   who is on what, its weight, and the edges
  graph   rings and alerts at each confirmation
  expiry  alerts as evidence expires, until none is left
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `rings` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "rings",
        help="the rings of one storm, and a resource that all share",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--claims", type=count_to(MAX_CLAIMS), default=DEFAULT_CLAIMS, metavar="N", help="claims (default: 100000)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each of the two storms."""
    from monsoon.pipelines.local.collector import collector_paused

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    stages = " ".join(f"{stage:>7}" for stage in STAGES)
    print(f"{'CPU s':<8} {stages} {'all':>7} {'peak MB':>8}  found")
    for name, shared in (("linked", False), ("shared", True)):
        with collector_paused():  # as the replay does
            print(f"{name:<8} {_timed(args.claims, shared)}", flush=True)
    print(f"target: {TARGET_S:g} s for {DEFAULT_CLAIMS:,} linked claims")
    return 0


def _timed(count: int, shared: bool) -> str:
    import numpy as np

    from monsoon.transforms.rings.graph import RingGraph
    from monsoon.transforms.rings.limits import KINDS
    from monsoon.transforms.rings.links import link_claims
    from monsoon.transforms.rings.resources import Stays
    from monsoon.transforms.rings.sightings import stays_on

    claims, sightings = _storm(count, shared)
    names = [_Names()] * len(KINDS)
    moments = [_NOW_MS + index * _HOUR_MS for index in range(CONFIRMATIONS)]
    spent_s = dict.fromkeys(STAGES, 0.0)
    graph = RingGraph("gic", "rain")
    edges = members = 0
    alerts = []
    known: list[Stays] = []
    for at_ms in moments:
        now = np.flatnonzero(claims.confirmed_at_ms <= at_ms)
        new = _of_riders(sightings, claims.confirmed_at_ms, at_ms)
        clock_s = [time.process_time()]
        seen = [stays_on(kind, *columns) for kind, columns in new.items()]
        known = [Stays.concatenated([*known, *seen]).joined()]
        stays = known[0]
        clock_s.append(time.process_time())
        links: Links = link_claims(claims.take(now), stays, at_ms, names)
        clock_s.append(time.process_time())
        graph.add(links)
        alerts += graph.advance(at_ms)
        clock_s.append(time.process_time())
        for stage, (before, after) in zip(STAGES, pairwise(clock_s), strict=False):
            spent_s[stage] += after - before
        edges, members = edges + len(links.first), members + len(links.member)
    began_s = time.process_time()
    lifted = graph.advance(_NOW_MS + 40 * 24 * _HOUR_MS)
    spent_s["expiry"] = time.process_time() - began_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rings = len({alert.ring_id for alert in alerts})
    largest = max((len(alert.members) for alert in alerts), default=0)
    line = " ".join(f"{spent_s[stage]:>7.2f}" for stage in STAGES)
    found = (
        f"{edges:,} edges, {members:,} members of cliques, {rings:,} rings of up to {largest:,}, {len(lifted):,} later"
    )
    return f"{line} {sum(spent_s.values()):>7.2f} {peak_mb:>8.0f}  {found}"


def _of_riders(sightings: Sightings, confirmed_at_ms: Ints, at_ms: int) -> Sightings:
    """The sightings of riders with a claim confirmed at the moment; of others at the first."""
    import numpy as np

    riders = np.full(max(int(columns[0].max()) for columns in sightings.values()) + 1, _NOW_MS)
    riders[: len(confirmed_at_ms)] = confirmed_at_ms
    return {kind: [column[riders[columns[0]] == at_ms] for column in columns] for kind, columns in sightings.items()}


class _Names(Sequence[str]):
    """Names of resources by code."""

    def __getitem__(self, code: Any) -> Any:
        return f"{code:016x}"

    def __len__(self) -> int:
        return MAX_CLAIMS


def _storm(count: int, shared: bool) -> tuple[Claims, Sightings]:
    """Claims in rings, and what was seen of their riders up to an hour before the last confirmation: by kind, columns
    as of `stays_on`."""
    import h3.api.basic_int as h3
    import numpy as np

    from monsoon.transforms.rings.limits import ACCESS_POINT, DEVICE, NETWORK_PREFIX, SERVING_CELL
    from monsoon.transforms.rings.resources import Claims

    rng = np.random.default_rng(7)
    rider = np.arange(count)
    ring = rider // RING
    cells = np.array([h3.latlng_to_cell(28.4 + 0.01 * row, 77.0, 7) for row in range(40)], dtype=np.uint64)
    claims = Claims(
        claim_id=[f"c{number:032x}" for number in range(count)],
        worker_id=[f"w{number:015x}" for number in range(count)],
        rider=rider,
        confirmed_at_ms=_NOW_MS + rng.integers(0, CONFIRMATIONS, count) * _HOUR_MS,
        zone=cells[ring % len(cells)],
        device=np.zeros(count, dtype=np.int64) if shared else rider,
        payout_account=np.zeros(count, dtype=np.int64) if shared else rider // 4,
        purchased_at_ms=_NOW_MS - (ring % 30_000) * 60_000,
        squad=np.full(count, -1),
    )
    home, towers = rider // (RING // 2), count // 300 + 1
    columns: dict[int, list[Sequence[Ints]]] = defaultdict(list)
    for back in reversed(range(_REPORTS)):
        at_ms = _NOW_MS - back * 10 * 60_000 - rng.integers(0, 60_000, count)
        for kind, code in (
            (DEVICE, rider),
            (ACCESS_POINT, home),
            (ACCESS_POINT, home + count),
            (NETWORK_PREFIX, home),
            (SERVING_CELL, home % towers),
        ):
            columns[kind].append((rider, code, at_ms, home % towers))
    if shared:  # riders who are active, so that what 100,000 share is rare: a phone and an account weigh 3.6 each
        others = np.arange(count, 55 * count)
        none = np.full(len(others), -1)
        columns[SERVING_CELL].append((others, others, np.full(len(others), _NOW_MS), none))
    return claims, {
        kind: [np.concatenate(parts) for parts in zip(*mine, strict=True)] for kind, mine in columns.items()
    }
