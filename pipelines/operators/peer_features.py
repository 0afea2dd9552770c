"""Features that compare riders, keyed by neighborhood: pressure changes of neighbors, claims on one disruption; and
what their policies state, keyed by product and confirmation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from monsoon.pipelines.operators.neighbor_panes import NeighborPanes
from monsoon.pipelines.operators.peer_activity_tests import PeerActivityTests
from monsoon.pipelines.operators.usual_wages import AMOUNTS, ratios_of
from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import KeyedOperator, StateWriter, entries_of
from monsoon.pipelines.runtime.messages import (
    RESULTS,
    Message,
    bucket_of,
    buckets_of,
    messages_by_bucket,
    pack,
    result,
    stacked,
    unpack,
    unpack_frame,
)
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, TimePartitionedBuffer
from monsoon.transforms.adjudication.claims import ActivityResult
from monsoon.transforms.evidence.batch import Arrivals, HourlyOrders, claim_burst_rank, curve_ends_ms, peer_divergence
from monsoon.transforms.evidence.devices import DeviceDays
from monsoon.transforms.evidence.neighborhoods import neighborhoods_of
from monsoon.transforms.evidence.ragged import Ragged
from monsoon.transforms.evidence.surroundings import deviation_from_neighbors_pa
from monsoon.transforms.evidence.window import Queries
from monsoon.transforms.identifiers import claim_id
from monsoon.transforms.product import Product
from monsoon.transforms.syndicate_alerts import Linked, alerts_of, members_of

CLAIM = ["disruption_id", "confirmed_at_ms", "worker_id"]
"""The key of a claim under one confirmation."""

PHONES: dict[str, Any] = {
    "device_id": pl.String,
    "worker_id": pl.String,
    "pane_start_ms": pl.Int64,
    "known_from_ms": pl.Int64,
}
"""Riders by phone and day: the first pane of the day with both."""

_RIDERS = (*CLAIM, "decided_at_ms", "rescored", "device_id")
"""The columns of a message that asks for the riders of phones."""

_DEFERRED = ("claims", "linked", "sought", "tests", "riders", "reread-riders", "amounts", "stated")
"""Kinds of messages that are deferred until they are due."""


class PhoneBuffer(TimePartitionedBuffer):
    """Riders by phone and day (PHONES)."""

    def of_devices(self, devices: pl.Series) -> pl.DataFrame:
        """All rows of some phones, and perhaps some of others."""
        wanted = np.sort(devices.unique().hash().to_numpy())
        rows, before = [np.empty(0, dtype=np.int64)], 0
        for part in self.parts:
            hashes, order = part.by_device
            first, stop = hashes.searchsorted(wanted), hashes.searchsorted(wanted, "right")
            if (first < stop).any():
                rows.append(before + order[Ragged(first, stop).rows])
            before += len(order)
        return stacked(self.frames, PHONES)[np.concatenate(rows)]


class ComparePeers(KeyedOperator):
    """All panes of some neighborhoods, and all claims on disruptions in them; riders of some phones."""

    uid: ClassVar = "compare-neighbors"
    label: ClassVar = "panes and claims by neighborhood"
    to: ClassVar = ("adjudicate-claims", RESULTS)

    def __init__(self, key: int, state: StateWriter, config: JobConfig) -> None:
        super().__init__(key, state)
        self._config = config
        self._panes = {name: NeighborPanes(state, name, self._new_entry) for name in sorted(config.running)}
        self._activity_tests = {
            name: PeerActivityTests(
                name, state, config, TimePartitionedBuffer(state, f"peers/{name}", "at_ms", self._new_entry)
            )
            for name in sorted(config.running)
        }
        self._phones = PhoneBuffer(state, "phones", "pane_start_ms", self._new_entry, schema=PHONES)

    def process(self, message: Message) -> None:
        kind, product = message.kind.split("/")
        if kind in _DEFERRED:
            self._defer(message.kind, message, _deferred(kind, product, message.payload))
            return
        frame = unpack_frame(message.payload)
        if kind == "panes":
            self._panes[product].put(frame, message.payload)
        elif kind == "peers":
            self._activity_tests[product].peers.put(frame, message.payload)
        else:
            self._phones.put(frame, message.payload)

    def on_watermark(self, upto_ms: int) -> Iterator[Message]:
        due: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for kind, product, content in self._drop_due(upto_ms):
            due[kind, product].append(content)
        for (kind, name), contents in sorted(due.items()):
            if kind == "amounts":
                continue
            if kind == "linked":
                yield from self._detect_syndicates(name, [claim for part in contents for claim in part], upto_ms)
                continue
            frame = pl.concat(contents)
            if kind == "tests":
                yield from self._send_test_results(name, frame, upto_ms)
            elif kind in ("riders", "reread-riders"):
                yield from self._send(f"{kind}/{name}", _riders(frame, self._phones), upto_ms)
            elif kind == "stated":
                amounts = stacked(due[("amounts", name)], AMOUNTS)
                yield from self._send(f"wages/{name}", ratios_of(self._config.running[name], frame, amounts), upto_ms)
            elif kind == "sought":
                yield from self._send(f"apart/{name}", _pressure_deviations(frame, self._panes[name]), upto_ms)
            else:
                product = self._config.running[name]
                yield from self._send(f"compared/{name}", _compared(product, frame, self._panes[name]), upto_ms)

    def _detect_syndicates(self, name: str, claims: Sequence[Linked], upto_ms: int) -> Iterator[Message]:
        alerts = alerts_of(self._config.running[name], claims)
        if not alerts:
            return
        yield result("syndicate_alerts", alerts)
        by_key: dict[int, set[tuple[str, int]]] = defaultdict(set)
        members = members_of(alerts)
        for claim in claims:
            identity = (claim_id(claim.policy_id, claim.disruption_id), claim.confirmed_at_ms)
            if identity in members:
                by_key[bucket_of(claim.worker_id, self._config.buckets)].add(identity)
        for key, of_bucket in sorted(by_key.items()):
            yield Message("adjudicate-claims", key, f"members/{name}", upto_ms, pack(sorted(of_bucket)))

    @property
    def holds_expiring_state(self) -> bool:
        return bool(self._phones) or any(self._panes.values()) or any(self._activity_tests.values())

    def expire(self, upto_ms: int) -> None:
        for panes in self._panes.values():
            panes.expire(upto_ms - self._config.history_kept_ms - self._config.reports_kept_ms)
            panes.compact(upto_ms)
        for activity_tests in self._activity_tests.values():
            activity_tests.expire(upto_ms)
        # The local days of four weeks may begin a day before these do.
        self._phones.expire(upto_ms - self._config.history_kept_ms - DAY_MS - self._config.reports_kept_ms)
        self._phones.compact(upto_ms)

    def _send_test_results(self, product: str, tests: pl.DataFrame, due_ms: int) -> Iterator[Message]:
        by_bucket: dict[int, list[tuple[str, list[ActivityResult]]]] = defaultdict(list)
        for worker, results in sorted(self._activity_tests[product].results_of(tests).items()):
            by_bucket[bucket_of(worker, self._config.buckets)].append((worker, results))
        for key, of_bucket in sorted(by_bucket.items()):
            yield Message("adjudicate-claims", key, f"findings/{product}", due_ms, pack(of_bucket))

    def _send(self, kind: str, rows: pl.DataFrame, due_ms: int) -> Iterator[Message]:
        buckets = buckets_of(rows["worker_id"].to_list(), self._config.buckets)
        return messages_by_bucket("adjudicate-claims", kind, due_ms, rows, buckets)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        for panes in self._panes.values():
            panes.restore(entries)
        for activity_tests in self._activity_tests.values():
            activity_tests.restore(entries)
        self._phones.restore(entries)
        for kind in _DEFERRED:
            for name, payload in entries_of(entries, kind):
                self._restore_deferred(name, _deferred(kind, name.split("/")[1], payload))


def _deferred(kind: str, product: str, payload: bytes) -> tuple[str, str, Any]:
    if kind == "riders":
        return kind, product, with_rescored(unpack_frame(payload)).select(_RIDERS)
    return kind, product, unpack(payload, list[Linked]) if kind == "linked" else unpack_frame(payload)


def with_rescored(claims: pl.DataFrame) -> pl.DataFrame:
    """Claims to be scored with `rescored`; those of an earlier release, which did not say it, once as either."""
    if "rescored" in claims.columns:
        return claims
    return pl.concat([claims.with_columns(rescored=pl.lit(each)) for each in (False, True)])


def _riders(claims: pl.DataFrame, all_phones: PhoneBuffer) -> pl.DataFrame:
    """How many riders had used each claim's phone by its decision."""
    phones = all_phones.of_devices(claims["device_id"])
    devices = pl.concat([claims["device_id"], phones["device_id"]]).rank("dense").cast(pl.Int64).to_numpy()
    workers = phones["worker_id"].rank("dense").cast(pl.Int64).to_numpy()
    panes = (phones[name].to_numpy() for name in ("pane_start_ms", "known_from_ms"))
    days = DeviceDays.of_panes(devices[claims.height :], workers, *panes)
    riders, reports = days.riders(devices[: claims.height], claims["decided_at_ms"].to_numpy())
    return claims.drop("device_id").with_columns(riders=riders, reports=reports)


def _pressure_deviations(pressure_panes: pl.DataFrame, panes: NeighborPanes) -> pl.DataFrame:
    """How far the pressure change of these panes deviates from that of their neighbors."""
    near = panes.of_neighborhoods(pressure_panes)
    deviation_pa = deviation_from_neighbors_pa(
        near["change_pa"].to_numpy(), near["neighborhood"].to_numpy(), near["pane_start_ms"].to_numpy()
    )
    key = ["worker_id", "pane_start_ms"]
    own = near.with_columns(deviation_pa=deviation_pa).join(pressure_panes, on=key, how="semi")
    return own.select(*key, "deviation_pa")


def _compared(product: Product, claims: pl.DataFrame, panes: NeighborPanes) -> pl.DataFrame:
    """The features that compare the claims of a batch: all claims on one disruption under one confirmation."""
    claims = claims.sort(CLAIM)
    queries = Queries.of(
        product.zone_resolution,
        worker=np.arange(claims.height),
        zone=claims["zone_cell"].to_numpy(),
        confirmed_at_ms=claims["confirmed_at_ms"].to_numpy(),
        batch=claims.select(pl.struct(CLAIM[:2]).rank("dense").cast(pl.Int64)).to_series().to_numpy(),
        orders_per_hour=claims["orders_per_hour"].to_numpy(),
    )
    neighborhoods = np.unique(neighborhoods_of(queries.zone, product.zone_resolution))
    dwells = panes.dwells(neighborhoods, np.unique(curve_ends_ms(queries)), product.zone_resolution)
    arrivals = Arrivals(claims["age"].to_numpy(), claims["arrival_reports"].to_numpy())
    platform = claims["platform"].rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()
    work = HourlyOrders(claims["orders"].to_numpy(), claims["work_reports"].to_numpy(), platform)
    burst, burst_reports = claim_burst_rank(queries, arrivals, dwells)
    divergence, divergence_reports = peer_divergence(queries, work)
    return claims.select(
        *CLAIM,
        claim_burst_rank=burst,
        peer_divergence=divergence,
        **{"claim_burst_rank/reports": burst_reports, "peer_divergence/reports": divergence_reports},
    )
