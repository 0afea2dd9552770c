"""Activity tests of claims: sums the peers of all buckets, disruption by disruption, and evaluates the tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from monsoon.pipelines.runtime.job_config import JobConfig
from monsoon.pipelines.runtime.keyed_operator import StateWriter, entries_of
from monsoon.pipelines.runtime.messages import stacked, unpack
from monsoon.pipelines.runtime.time_partitioned_buffer import DAY_MS, TimePartitionedBuffer
from monsoon.transforms.activity.activity_test import PeerCounts, compare_with_threshold
from monsoon.transforms.adjudication.claims import ActivityResult

PEERS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "at_ms": pl.Int64,
    "t_ms": pl.Int64,
    "platform": pl.String,
    "peers": pl.Int64,
    "severe": pl.Int64,
}
"""How many of a bucket's riders were in a disruption's zone at an evaluation time, by platform."""

TESTS: dict[str, Any] = {
    "disruption_id": pl.String,
    "confirmed_at_ms": pl.Int64,
    "worker_id": pl.String,
    "trigger": pl.String,
    "at_ms": pl.Int64,
    "t_ms": pl.Int64,
    "platform": pl.String,
    "sigma": pl.Float64,
    "drop": pl.Float64,
    "value": pl.Float64,
    "own_peers": pl.Int64,
    "own_severe": pl.Int64,
    "measured": pl.Boolean,
}
"""Tests that may pass; and, with `measured` not null, ends of disruptions, for claims none of whose tests may have
passed: `measured` says whether any of their tests could be measured."""

ROWS = {"peers": PEERS, "tests": TESTS}
"""By kind of rows (`RiderActivityTests.rows_of`)."""

_TEST_KEY = ["disruption_id", "confirmed_at_ms", "t_ms", "platform"]
_ClaimOfDisruption = tuple[int, str]
"""The confirmation (ms) and the rider of a claim."""


class PeerActivityTests:
    """Counts of peers, and the claims that have passed their test, for some disruptions of one product."""

    def __init__(self, product: str, state: StateWriter, config: JobConfig, peers: TimePartitionedBuffer) -> None:
        self._product, self._state, self._config = product, state, config
        self.peers = peers
        self._passed: dict[str, dict[_ClaimOfDisruption, int]] = defaultdict(dict)
        """By disruption_id: the claims that have passed their test, and when (ms)."""

    def results_of(self, tests: pl.DataFrame) -> dict[str, list[ActivityResult]]:
        """The results of tests (TESTS) by worker_id: of each claim the first test that passes, or, where none does, the
        end of its disruption."""
        counted = stacked(self.peers.frames, PEERS).group_by(_TEST_KEY).agg(pl.col("peers", "severe").sum())
        # At one moment a test comes before the end of its disruption.
        tests = tests.join(counted, on=_TEST_KEY, how="left").sort("at_ms", pl.col("measured").is_not_null(), "t_ms")
        results: dict[str, list[ActivityResult]] = defaultdict(list)
        changed = set()
        for row in self._with_verdicts(tests).iter_rows(named=True):
            claim = (row["confirmed_at_ms"], row["worker_id"])
            passed_claims = self._passed[row["disruption_id"]]
            if claim in passed_claims or not (row["passed"] or row["measured"] is not None):
                continue
            if row["measured"] is None:
                passed_claims[claim] = row["at_ms"]
                changed.add(row["disruption_id"])
            results[row["worker_id"]].append(_result_of(row))
        for identity in changed:
            self._keep(identity)
        return results

    def _with_verdicts(self, tests: pl.DataFrame) -> pl.DataFrame:
        """Each test with its counts of peers, without the claimant, and whether it passes."""
        tests = tests.with_columns(
            peers=(pl.col("peers").fill_null(0) - pl.col("own_peers")).fill_null(0),
            severe=(pl.col("severe").fill_null(0) - pl.col("own_severe")).fill_null(0),
        )
        parts = [tests.head(0).with_columns(passed=pl.lit(False), share=pl.lit(0.0), threshold=pl.lit(0.0))]
        for (name,), part in tests.partition_by("trigger", as_dict=True, maintain_order=True).items():
            test = self._config.triggers[str(name)][1].activity
            assert test is not None
            counts = PeerCounts(part["peers"].to_numpy(), part["severe"].to_numpy())
            is_passed, share, threshold = compare_with_threshold(
                test, part["sigma"].fill_null(float("nan")).to_numpy(), counts
            )
            parts.append(
                part.with_columns(passed=pl.Series(is_passed), share=pl.Series(share), threshold=pl.Series(threshold))
            )
        return pl.concat(parts)

    def expire(self, upto_ms: int) -> None:
        """Drops expired counts and claims."""
        # Counts are needed only for tests of the same moment, and those have come by then.
        self.peers.expire(upto_ms - DAY_MS)
        before_ms = upto_ms - self._config.remembered_ms
        for identity, claims in list(self._passed.items()):
            if all(at_ms < before_ms for at_ms in claims.values()):
                del self._passed[identity]
                self._state.drop(self._entry(identity))

    def __bool__(self) -> bool:
        return bool(self.peers or self._passed)

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Restores from state entries."""
        self.peers.restore(entries)
        for name, payload in entries_of(entries, f"met/{self._product}"):
            for confirmed_ms, worker, at_ms in unpack(payload, list[tuple[int, str, int]]):
                self._passed[name.rpartition("/")[2]][confirmed_ms, worker] = at_ms

    def _keep(self, identity: str) -> None:
        rows = [(confirmed, worker, at_ms) for (confirmed, worker), at_ms in sorted(self._passed[identity].items())]
        self._state.put_packed(self._entry(identity), rows)

    def _entry(self, identity: str) -> str:
        return f"met/{self._product}/{identity}"


def _result_of(row: Mapping[str, Any]) -> ActivityResult:
    values: dict[str, float | None] = {}
    if row["measured"] is None:
        measured = {name: float(row[name]) for name in ("sigma", "drop", "threshold", "share", "peers")}
        values = {"at": float(row["t_ms"]), "rain": float(row["value"]), **measured}
    elif row["measured"]:
        values = {"measured": 1.0}
    return ActivityResult(
        at_ms=row["at_ms"],
        disruption_id=row["disruption_id"],
        confirmed_at_ms=row["confirmed_at_ms"],
        kind="activity",
        passed=row["measured"] is None,
        values=values,
    )
