"""What an output pays each rider by product, and when its disruptions lasted: read by columns, never claim by claim."""

from __future__ import annotations

import polars as pl

from monsoon.workbench.output import Output


def paid_by_rider(output: Output, within: tuple[int, int] | None = None) -> pl.DataFrame:
    """worker_id, product and paid_paise (int64) of all payouts, sorted; a payout of a claim that the output does not
    have counts for no product and is left out. `within` [start_ms, end_ms): those for disruptions that lasted in it.
    Raises InputError where the output cannot be read."""
    claims = output.polars("claims", ["claim_id", "product", "disruption_id"]).unique("claim_id", keep="first")
    if within is not None:
        inside = (pl.col("start_ms") < within[1]) & (pl.col("end_ms") > within[0])
        claims = claims.join(_disruptions(output).filter(inside), on="disruption_id", how="semi")
    payouts = output.polars("payouts", ["claim_id", "worker_id", "amount_paise"])
    paid = payouts.join(claims, on="claim_id").group_by("worker_id", "product")
    return paid.agg(pl.col("amount_paise").cast(pl.Int64).sum().alias("paid_paise")).sort("worker_id", "product")


def standing_disruptions(output: Output) -> pl.DataFrame:
    """product, trigger, start_ms and end_ms (until the condition was absent) of the disruptions that are not withdrawn;
    of one that goes on the end is that of the last revision. Raises InputError where the output cannot be read."""
    standing = _disruptions(output).filter(pl.col("state") != "withdrawn")
    return standing.select("product", "trigger", "start_ms", "end_ms")


def _disruptions(output: Output) -> pl.DataFrame:
    names = ["disruption_id", "product", "trigger", "start", "absent_since", "end", "revised_at", "state"]
    latest = output.latest("disruptions", names)
    until = pl.coalesce("absent_since", "end", "revised_at")
    return latest.with_columns(pl.col("start").dt.epoch("ms").alias("start_ms"), until.dt.epoch("ms").alias("end_ms"))
