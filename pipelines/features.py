"""The feature store of a folder of streams: what was known at each moment of it, from telemetry and from a replay's
claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h3.api.basic_str as h3
import polars as pl

from monsoon.feature_store.claims import rider_claims
from monsoon.feature_store.definitions import pair_id
from monsoon.feature_store.measured import measured_versions
from monsoon.feature_store.offline import OfflineStore
from monsoon.feature_store.versions import FeatureVersions
from monsoon.pipelines.progress import Progress, no_progress
from monsoon.sources.files import InputError, first_line
from monsoon.sources.output_folder import read_records
from monsoon.sources.streams import read_stream
from monsoon.sources.table_files import read_table
from monsoon.sources.telemetry_table import to_telemetry_table, with_consent
from monsoon.transforms.consents import Withdrawals, consent_events
from monsoon.transforms.evidence.limits import NEIGHBORHOOD_RESOLUTION
from monsoon.transforms.pane_aggregation import panes_of
from monsoon.transforms.validation.catalogue import AnyProduct


def feature_versions(
    input_dir: Path, results: Path | None, progress: Progress = no_progress
) -> Iterator[FeatureVersions]:
    """Set by set the versions of an input folder's telemetry, and of the claims in the output folder that a replay of
    it wrote (None: without claims). Raises InputError."""
    if results is not None:  # first: a wrong folder is told before the work
        yield rider_claims(read_records(results, "claims"), read_records(results, "disruptions"))
    read = read_stream(
        "telemetry", input_dir, progress=lambda _, rows, share: progress(f"reading {rows:,} reports", share)
    )
    stated = read_stream("subscriptions", input_dir, AnyProduct()).records if _has_policies(input_dir) else []
    telemetry = to_telemetry_table(with_consent(read.frame, Withdrawals(consent_events(stated))))
    progress("measuring features", None)
    yield from measured_versions(telemetry, panes_of(telemetry))


def _has_policies(input_dir: Path) -> bool:
    return (input_dir / "subscriptions").is_dir()


def write_features(
    input_dir: Path, results: Path | None, store: OfflineStore, progress: Progress = no_progress
) -> dict[str, int]:
    """Adds a folder's versions to the offline store; returns how many there are, by set. Raises InputError, OSError."""
    counts = {}
    for versions in feature_versions(input_dir, results, progress):
        store.write(versions)
        counts[versions.feature_set.name] = len(versions)
    return counts


def rows_of(path: Path) -> pl.DataFrame:
    """The rows of a file to which features are joined: columns entity_id and as_of_ms, and any others.

    CSV, Parquet or JSON Lines, by its suffix. Raises InputError.
    """
    mend = "Give --rows a file of .csv, .parquet or .jsonl with columns entity_id and as_of_ms (ms since epoch)"
    rows = read_table(path, "rows", mend, infer=True, values=("entity_id", "as_of_ms"))
    try:
        rows = rows.with_columns(pl.col("entity_id").cast(pl.String), pl.col("as_of_ms").cast(pl.Int64))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"no such rows ({first_line(error)})", str(path), mend) from error
    for name in ("entity_id", "as_of_ms"):
        if (absent := rows[name].null_count()) > 0:
            raise InputError(f"{absent:,} rows state no {name}", str(path), mend)
    return rows


def rows_of_claims(results: Path, entity: str) -> pl.DataFrame:
    """A row for each claim of an output folder: its rider, product, zone or neighborhood as `entity_id`, and the moment
    before it was first decided as `as_of_ms`, so that nothing of the decision is in its features; claim_id, worker_id,
    product, the status first decided and the last. Raises InputError, also for an entity that claims do not name."""
    name_of = _OF_CLAIMS.get(entity)
    if name_of is None:
        raise InputError(f"claims do not name a {entity}", "--entity", f"They name {', '.join(_OF_CLAIMS)}")
    claims: dict[str, list[dict[str, Any]]] = {}
    for record in read_records(results, "claims"):
        claims.setdefault(record["claim_id"], []).append(record)
    rows = []
    for claim_id, revisions in sorted(claims.items()):
        first, last = (choose(revisions, key=lambda each: each["revision"]) for choose in (min, max))
        about = (claim_id, first["worker_id"], first["product"], first["status"], last["status"])
        rows.append((name_of(first), first["decided_at"] - 1, *about))
    return pl.DataFrame(rows, schema=_ROWS_OF_CLAIMS, orient="row")


def _neighborhood(claim: Mapping[str, Any]) -> str:
    zone: str = claim["zone"]
    return h3.cell_to_parent(zone, min(NEIGHBORHOOD_RESOLUTION, h3.get_resolution(zone)))


_OF_CLAIMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "rider": lambda claim: claim["worker_id"],
    "rider_product": lambda claim: pair_id(claim["worker_id"], claim["product"]),
    "zone": lambda claim: claim["zone"],
    "neighborhood": _neighborhood,
}
_ROWS_OF_CLAIMS = {
    "entity_id": pl.String,
    "as_of_ms": pl.Int64,
    "claim_id": pl.String,
    "worker_id": pl.String,
    "product": pl.String,
    "first_status": pl.String,
    "last_status": pl.String,
}
