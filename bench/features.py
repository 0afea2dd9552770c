"""`monsoon bench features`: reads and writes of the online feature store, against a Redis of this machine."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monsoon.bench import CountTo

if TYPE_CHECKING:
    from monsoon.feature_store.online import OnlineStore
    from monsoon.feature_store.versions import FeatureVersions

READ_TARGET_MS, WRITE_TARGET = 2.0, 50_000
DEFAULT_RIDERS, MAX_RIDERS = 50_000, 5_000_000
DEFAULT_READS, MAX_READS = 20_000, 10_000_000
_NOW_MS = 1_719_570_000_000
_WARM_UP = 200

_EXAMPLE = """\
example:
  monsoon bench features
  monsoon bench features --redis redis://127.0.0.1:6379/0 --riders 1000000

Writes two versions of a baseline of six features for each rider, the newer first, so that the second is compared and
refused; reads a rider's baseline of one phone, one a call. Then both at once: reads while a writer goes on. Without
--redis it starts a server of its own, which must be installed. Times are of the client, by the wall clock; a ping that
does nothing, in turn with the reads, says what of them is the machine's.
"""


def add_parser(subparsers: Any, count_to: CountTo) -> None:
    """Adds `features` to `monsoon bench`."""
    parser = subparsers.add_parser(
        "features",
        help="reads and writes of the online feature store",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--riders", type=count_to(MAX_RIDERS), default=DEFAULT_RIDERS, metavar="N", help="riders (default: 50000)"
    )
    parser.add_argument(
        "--reads", type=count_to(MAX_READS), default=DEFAULT_READS, metavar="N", help="reads (default: 20000)"
    )
    parser.add_argument("--redis", metavar="URL", help="a Redis that runs already; the bench's keys begin with bench:")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints what was measured."""
    from monsoon.feature_store.online import KEYS_A_CALL, OnlineStore

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with _server(args.redis) as url, OnlineStore(url, "bench:") as store:
        newer, older = _versions(args.riders, _NOW_MS), _versions(args.riders, _NOW_MS - 300_000)
        rates = [_features_per_s(store, versions) for versions in (newer, older)]
        alone_ms = _read_ms(store, url, newer, args.reads)
        beside_ms = _read_ms_beside_writer(store, url, newer, args.reads)
        store.remove(newer.feature_set, newer.entity_id)
        script_us, mget_us = _server_us(url)
    for name, rate in zip(("new", "refused"), rates, strict=True):
        print(f"write, {name:<7} {rate:>9,.0f} features/s (target {WRITE_TARGET:,})")
    for name, reads_ms, pings_ms in (("alone", *alone_ms), ("beside a writer", *beside_ms)):
        read, ping = _quantiles(reads_ms), _quantiles(pings_ms)
        print(f"read, {name:<15} {read} (target {READ_TARGET_MS:g} ms p99); a ping {ping}")
    a_version_us = script_us / KEYS_A_CALL
    print(f"Redis itself: {mget_us:.0f} us a read, {a_version_us:.1f} us a version written")
    return 0


def _server_us(url: str) -> tuple[float, float]:
    """What Redis says of its own time for a call of the script and for a read, us."""
    from redis import Redis

    with Redis.from_url(url) as plain:
        found = plain.info("commandstats")
    script_us, mget_us = (float(found[f"cmdstat_{name}"]["usec_per_call"]) for name in ("evalsha", "mget"))
    return script_us, mget_us


def _quantiles(times_ms: list[float]) -> str:
    median, p99 = (times_ms[int(share * (len(times_ms) - 1))] for share in (0.5, 0.99))
    return f"{median:.2f} ms median, {p99:.2f} ms p99"


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """The address of a Redis: the one given, or one of its own."""
    from monsoon.pipelines.stack.ports import free_ports
    from monsoon.pipelines.stack.redis_server import RedisServer

    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), free_ports(1)[0])
        server.start()
        try:
            yield server.url
        finally:
            server.stop(0)


def _versions(riders: int, at_ms: int) -> FeatureVersions:
    import numpy as np

    from monsoon.feature_store.definitions import feature_set
    from monsoon.feature_store.versions import FeatureVersions

    about, rng = feature_set("device_baseline"), np.random.default_rng(7)
    columns = {name: rng.normal(40, 4, riders) for name in about.names}
    ids = [f"w{number:015x}/d{number:015x}" for number in range(riders)]
    times = np.full(riders, at_ms, dtype=np.int64)
    return FeatureVersions.of(about, ids, times, times, columns)


def _features_per_s(store: OnlineStore, versions: FeatureVersions) -> float:
    began_s = time.perf_counter()
    store.write(versions)
    return versions.values.size / (time.perf_counter() - began_s)


def _read_ms(store: OnlineStore, url: str, versions: FeatureVersions, reads: int) -> tuple[list[float], list[float]]:
    """How long each read and each ping took, in order of length."""
    from redis import Redis

    names, ids = versions.feature_set.names, versions.entity_id
    reads_ms, pings_ms = [], []
    with Redis.from_url(url) as plain:
        for number in range(_WARM_UP + reads):
            entity_id = ids[number * 7919 % len(ids)]
            began_s = time.perf_counter()
            (found,) = store.get("rider_device", [entity_id], names, _NOW_MS)
            read_s = time.perf_counter()
            plain.ping()
            reads_ms.append(1_000 * (read_s - began_s))
            pings_ms.append(1_000 * (time.perf_counter() - read_s))
            assert found.event_time_ms, "a read found nothing"
    return sorted(reads_ms[_WARM_UP:]), sorted(pings_ms[_WARM_UP:])


def _read_ms_beside_writer(
    store: OnlineStore, url: str, versions: FeatureVersions, reads: int
) -> tuple[list[float], list[float]]:
    """The same while another process writes without a pause."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_on, args=(url, len(versions)), daemon=True)
    writer.start()
    try:
        return _read_ms(store, url, versions, reads)
    finally:
        writer.kill()
        writer.join()


def _write_on(url: str, riders: int) -> None:
    from monsoon.feature_store.online import OnlineStore

    with OnlineStore(url, "bench:") as store:
        for step in range(1_000_000):
            store.write(_versions(riders, _NOW_MS - 10**9 + step))
