"""Insured riders with what they lost and were paid: a row per rider and product, columns RIDER_SCHEMA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from monsoon.pipelines.local.candidates import coverage_of
from monsoon.pipelines.local.replay import Inputs
from monsoon.sources.files import InputError, first_line
from monsoon.sources.simulator.losses import DAY_HOURS, LOSS_COLUMNS
from monsoon.sources.simulator.write import LABELS
from monsoon.transforms.basis_risk import activity_loss, distance_band, official_stations
from monsoon.transforms.basis_risk.activity_loss import SLOT_MS, Interval
from monsoon.transforms.coverage import PolicyState
from monsoon.transforms.geo.cells import cell_name, cells_of
from monsoon.transforms.product import Product

ZONE_RESOLUTION = 7
"""Of the H3 cells by which riders are grouped and resampled: about 5 square km."""
NOT_STATED = "not stated"
RIDER_SCHEMA: Mapping[str, pl.DataType] = {
    "worker_id": pl.String(),
    "product": pl.String(),
    "zone": pl.String(),
    "lat": pl.Float64(),
    "lon": pl.Float64(),
    "distance_km": pl.Float64(),
    "distance": pl.String(),
    "device_tier": pl.String(),
    "platform": pl.String(),
    "shift": pl.String(),
    "usual_hours": pl.Float64(),
    "lost_hours": pl.Float64(),
    "lost_share": pl.Float64(),
    "lost_inr": pl.Float64(),
    "is_loss": pl.Boolean(),
    "paid_inr": pl.Float64(),
}
PAID_SCHEMA: Mapping[str, pl.DataType] = {
    "worker_id": pl.String(),
    "product": pl.String(),
    "paid_paise": pl.Int64(),
}


@dataclass(frozen=True)
class Period:
    """[start_ms, end_ms), and the intervals in it for which `activity` judges riders' work."""

    start_ms: int
    end_ms: int
    judged: Sequence[Interval]


def period_of(
    inputs: Inputs, disruptions: Sequence[Interval], stated: tuple[int | None, int | None] = (None, None)
) -> Period:
    """The period of the analysis: `stated`, where it is, else from the first reading to the last.

    What is judged is a stated period as a whole, else the time in it in which any of the disruptions lasted.
    """
    times = [reading.event_time_ms for reading in inputs.readings] or [0]
    start_ms, end_ms = (each if each is not None else given for each, given in zip(stated, _ends(times), strict=True))
    if start_ms >= end_ms:
        raise InputError("the period is empty", "--from and --until", "State a beginning before its end")
    if stated != (None, None):
        return Period(start_ms, end_ms, _joined([(start_ms, end_ms)]))
    inside = [(max(start, start_ms), min(end, end_ms)) for start, end in disruptions]
    return Period(start_ms, end_ms, _joined([each for each in inside if each[0] < each[1]]))


def _ends(times: Sequence[int]) -> tuple[int, int]:
    return min(times), max(times) + 1


def _joined(intervals: Sequence[Interval]) -> list[Interval]:
    """The intervals in whole slots, sorted and apart."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        start, end = start // SLOT_MS * SLOT_MS, -(-end // SLOT_MS) * SLOT_MS
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def insured_riders(
    inputs: Inputs,
    products: Mapping[str, Product],
    metrics: Mapping[str, str | None],
    period: Period,
    losses: pl.DataFrame,
) -> pl.DataFrame:
    """A row per rider with a policy in force in the period, and product; RIDER_SCHEMA without `is_loss` and `paid_inr`.

    The rider's place is the median of his reports in the period, latitude and longitude each; without one his home. The
    station is the nearest official one of the product's metric. `losses` is of `simulated_losses` or `activity_losses`.
    """
    rows = [
        (state.worker_id, name, state.record)
        for name, product in products.items()
        for state in _in_force(product, inputs, period)
    ]
    stated = pl.DataFrame(
        {
            "worker_id": [worker for worker, _, _ in rows],
            "product": [name for _, name, _ in rows],
            "platform": [record.get("platform") or NOT_STATED for _, _, record in rows],
            "home_lat": [float(record["home_lat"]) for _, _, record in rows],
            "home_lon": [float(record["home_lon"]) for _, _, record in rows],
            "wage_inr": [float(record["daily_wage_inr"]) for _, _, record in rows],
        },
        schema_overrides={"worker_id": pl.String, "product": pl.String, "platform": pl.String},
    )
    table = stated.join(_places(inputs, period), on="worker_id", how="left").join(losses, on="worker_id", how="left")
    table = table.with_columns(
        pl.coalesce("lat", "home_lat").alias("lat"),
        pl.coalesce("lon", "home_lon").alias("lon"),
        pl.col("device_tier").fill_null(NOT_STATED),
        pl.coalesce("lost_inr", pl.col("lost_hours") * pl.col("wage_inr") / DAY_HOURS).round(2).alias("lost_inr"),
        pl.when(pl.col("usual_hours") > 0)
        .then(pl.col("lost_hours") / pl.col("usual_hours"))
        .otherwise(0.0 * pl.col("lost_hours"))
        .alias("lost_share"),
        pl.when(pl.col("usual_hours") > 0)
        .then(pl.lit("working"))
        .when(pl.col("usual_hours") == 0)
        .then(pl.lit("not working"))
        .otherwise(pl.lit("not measured"))
        .alias("shift"),
    )
    lat, lon = table["lat"].to_numpy(), table["lon"].to_numpy()
    away = np.full(len(table), np.nan)
    stations = official_stations(inputs.readings)
    for name, metric in metrics.items():
        of_product = (table["product"] == name).to_numpy()
        if metric in stations and of_product.any():
            away[of_product] = stations[metric].nearest(lat[of_product], lon[of_product])[1]
    cells = cells_of(lat.copy(), lon.copy(), ZONE_RESOLUTION)
    table = table.with_columns(
        pl.Series("zone", [cell_name(cell) for cell in cells.tolist()], pl.String),
        pl.Series("distance_km", np.round(away, 3)).fill_nan(None),
        pl.Series("distance", [distance_band(km) for km in away.tolist()], pl.String),
    )
    known = [name for name in RIDER_SCHEMA if name in table.columns]
    return table.select(pl.col(name).cast(RIDER_SCHEMA[name]) for name in known).sort("product", "worker_id")


def _in_force(product: Product, inputs: Inputs, period: Period) -> Iterator[PolicyState]:
    """Of each rider the policy of the product that is in force last in the period."""
    latest: dict[str, tuple[tuple[int, str], PolicyState]] = {}
    for policy in coverage_of(product, inputs.subscriptions).policies.values():
        timeline = policy.timeline
        ends = [*timeline.moments_ms[1:], period.end_ms]
        for begin_ms, end_ms, state in zip(timeline.moments_ms, ends, timeline.states, strict=True):
            if state is None or begin_ms >= period.end_ms or max(end_ms, begin_ms) <= period.start_ms:
                continue
            order = begin_ms, state.policy_id
            if state.worker_id not in latest or latest[state.worker_id][0] < order:
                latest[state.worker_id] = order, state
    return (latest[worker][1] for worker in sorted(latest))


def _places(inputs: Inputs, period: Period) -> pl.DataFrame:
    """The median place of each rider who reported in the period."""
    telemetry = inputs.telemetry
    within = (telemetry.event_time_ms >= period.start_ms) & (telemetry.event_time_ms < period.end_ms)
    rows = pl.DataFrame({name: getattr(telemetry, name)[within] for name in ("worker", "lat", "lon")})
    places = rows.group_by("worker").agg(pl.col("lat").median(), pl.col("lon").median()).sort("worker")
    workers = pl.Series("worker_id", telemetry.workers, pl.String)
    return places.select(workers.gather(places["worker"]), "lat", "lon")


def has_truth(folder: Path) -> bool:
    """Whether an input has the labels of a simulation."""
    return (folder / LABELS).is_file()


def device_tiers(folder: Path) -> pl.DataFrame:
    """worker_id and device_tier of the input's labels; empty for real input, which does not say."""
    if not has_truth(folder):
        return pl.DataFrame(schema={"worker_id": pl.String, "device_tier": pl.String})
    return _labels(folder, ("worker_id", "device_tier"), "Simulate it again")


def simulated_losses(folder: Path) -> pl.DataFrame:
    """What the simulation of an input truly took: worker_id, device_tier, usual_hours, lost_hours, lost_inr; null for
    attackers. Raises InputError where the labels do not say, since an earlier version wrote them."""
    mend = "Simulate it again with this version, or state --loss activity"
    table = _labels(folder, ("worker_id", "device_tier", *LOSS_COLUMNS), mend)
    numbers = [pl.col(name).cast(pl.Float64, strict=True) for name in LOSS_COLUMNS]
    try:
        return table.with_columns(numbers).rename(
            dict(zip(LOSS_COLUMNS, ("usual_hours", "lost_hours", "lost_inr"), strict=True))
        )
    except pl.exceptions.PolarsError as error:
        raise InputError(f"not the losses of a simulation ({first_line(error)})", str(folder / LABELS), mend) from error


def _labels(folder: Path, columns: Sequence[str], mend: str) -> pl.DataFrame:
    path = folder / LABELS
    try:
        head = pl.read_csv(path, n_rows=0, infer_schema=False)
        if lacking := [name for name in columns if name not in head.columns]:
            raise InputError(f"has no column {lacking[0]}: of an earlier version", str(path), mend)
        table = pl.read_csv(path, columns=list(columns), infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"cannot be read ({first_line(error)})", str(path), mend) from error
    return table.select(columns).unique("worker_id", keep="first", maintain_order=True)


def activity_losses(inputs: Inputs, period: Period, tiers: pl.DataFrame) -> pl.DataFrame:
    """The proxy: worker_id, device_tier, usual_hours, lost_hours, lost_inr, which is null: it takes a wage to say."""
    if not period.judged:
        raise InputError(
            "no disruption, so that it is open which hours to judge", "--results", "State them: --from and --until"
        )
    found = activity_loss(inputs.telemetry, period.judged)
    table = pl.DataFrame(
        {
            "worker_id": pl.Series(inputs.telemetry.workers, dtype=pl.String),
            "usual_hours": np.round(found.usual_hours, 4),
            "lost_hours": np.round(found.lost_hours, 4),
            "lost_inr": pl.Series([None] * len(inputs.telemetry.workers), dtype=pl.Float64),
        }
    ).with_columns(pl.col("usual_hours", "lost_hours").fill_nan(None))
    return table.join(tiers, on="worker_id", how="left", maintain_order="left")


def with_payments(riders: pl.DataFrame, paid: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """`insured_riders` with `is_loss`, at least the share `threshold` of the usual hours, and `paid_inr`; `paid` has
    PAID_SCHEMA. RIDER_SCHEMA."""
    table = riders.join(paid, on=["worker_id", "product"], how="left", maintain_order="left")
    is_loss = (pl.col("lost_share") >= threshold) & (pl.col("lost_hours") > 0)
    return table.with_columns(
        is_loss.alias("is_loss"), (pl.col("paid_paise").fill_null(0) / 100).alias("paid_inr")
    ).select(list(RIDER_SCHEMA))


def paid_of(claims: Mapping[str, Mapping[str, Any]], payouts: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """What each rider is paid by each product, PAID_SCHEMA, of an outcome's payouts and its claims by id."""
    paid: Counter[tuple[str, str]] = Counter()
    for payout in payouts:
        paid[payout["worker_id"], claims[payout["claim_id"]]["product"]] += payout["amount_paise"]
    rows = [(*key, amount) for key, amount in sorted(paid.items())]
    return pl.DataFrame(rows, schema=PAID_SCHEMA, orient="row")


def refuse_other_results(
    summary: Mapping[str, Any], inputs: Inputs, paid: pl.DataFrame, results: Path, source: Path
) -> None:
    """Raises InputError where results are not those of the input: other counts of records, or payments to riders who
    have no policy."""
    mend = f"Give the results of a replay or run of {source}"
    streams = summary.get("streams")
    if not isinstance(streams, dict):
        raise InputError("does not say what was read, so that it is of another version", str(results), mend)
    for stream, counts in inputs.counts.items():
        lines_read = streams.get(stream, {}).get("read")
        if lines_read != counts["read"]:
            raise InputError(
                f"are of another input: {stream} of this one has {counts['read']:,} lines, of theirs "
                f"{'no number is stated' if lines_read is None else format(lines_read, ',')}",
                str(results),
                mend,
            )
    known = {event["worker_id"] for event in inputs.subscriptions}
    strangers = sorted(set(paid["worker_id"].to_list()) - known)
    if strangers:
        raise InputError(f"are of another input: {strangers[0]} is paid and has no policy", str(results), mend)
