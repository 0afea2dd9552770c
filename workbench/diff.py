"""Two outputs decision by decision: whose claims were decided differently, who gained, who lost, and by which input.

Claims are compared by claim_id. A claim that only one output has is compared with one that only the other has, of the
same rider, product and peril, in the order of their first decisions: under another threshold a disruption begins at
another moment, and its claims have other ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
import polars as pl

from monsoon.workbench.output import Output

Record = Mapping[str, Any]

_DECISION = ("status", "decided_at", "reasons", "payout_inr", "answer_by")
_DISRUPTION = (
    "start",
    "confirmed_at",
    "level",
    "severity",
    "providers",
    "reading_ids",
    "oracle_modes",
    "absent_since",
    "end",
    "state",
    "revised_at",
)
_INPUTS = (
    "policy_id",
    "plan",
    "zone",
    "features",
    "feature_reports",
    "ring_id",
    "guard",
    "reread",
    "model_version",
    "anomaly_score",
    "trust_score",
    "ring_score",
    "payout_terms",
)
"""The fields of a claim from what goes in to what comes out, but for `_DECISION`."""
_TERMS = ("product_version",)
"""What differs wherever a product file does, and is the cause where no input differs and the decision does."""

SCHEMA: Mapping[str, pl.DataType] = {
    "worker_id": pl.String(),
    "product": pl.String(),
    "claim_a": pl.String(),
    "claim_b": pl.String(),
    "status_a": pl.String(),
    "status_b": pl.String(),
    "paid_a_inr": pl.Float64(),
    "paid_b_inr": pl.Float64(),
    "change_inr": pl.Float64(),
    "first_difference": pl.String(),
    "value_a": pl.String(),
    "value_b": pl.String(),
}
"""Columns of `differences`: `change_inr` is what B pays more, values are JSON text; of a claim that an output does not
have they are null."""


class _Claim(NamedTuple):
    """A claim of one output: its revisions in order, its disruption's revisions, its payouts."""

    revisions: Sequence[Record]
    disruption: Sequence[Record]
    payouts: Sequence[Record]

    @property
    def paid_paise(self) -> int:
        return sum(payout["amount_paise"] for payout in self.payouts)


def differences(a: Output, b: Output) -> pl.DataFrame:
    """A row for each claim that the outputs decide or pay differently, columns SCHEMA; the largest changes first.

    Raises InputError where an output cannot be read.
    """
    both = _decisions(a).join(_decisions(b), on="claim_id", how="full", coalesce=True, suffix="_b")
    ids = both.filter(pl.col("decided").ne_missing(pl.col("decided_b")))["claim_id"]
    claims_a, claims_b = _claims(a, ids), _claims(b, ids)
    confirmed = [set(each.polars("disruptions", ["disruption_id"])["disruption_id"]) for each in (a, b)]
    rows = [_row(*pair, confirmed) for pair in _pairs(claims_a, claims_b)]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    order = [pl.col("change_inr").abs(), "worker_id", pl.coalesce("claim_a", "claim_b")]
    return table.sort(order, descending=[True, False, False])


def riders(table: pl.DataFrame) -> pl.DataFrame:
    """Of `differences`: what each rider gains with B over A, columns worker_id and change_inr, the most first; riders
    who get the same in all are left out."""
    changes = table.group_by("worker_id").agg(pl.col("change_inr").sum().round(2))
    return changes.filter(pl.col("change_inr") != 0).sort(["change_inr", "worker_id"], descending=[True, False])


def _decisions(output: Output) -> pl.DataFrame:
    """Of each claim all that was decided and paid, as a text."""
    claims = output.polars("claims", ["claim_id", "revision", *_DECISION])
    payouts = output.polars("payouts", ["claim_id", "instalment", "amount_paise", "created_at"])
    decided = _texts(claims.with_columns(pl.col("reasons").list.join(",")).sort("claim_id", "revision"))
    paid = _texts(payouts.sort("claim_id", "instalment")).rename({"text": "paid"})
    return decided.join(paid, on="claim_id", how="left").select("claim_id", decided=pl.struct("text", "paid"))


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    """By claim_id the other columns of its rows, in their order, as one text."""
    values = pl.exclude("claim_id").cast(pl.String).fill_null("null")
    each = rows.select("claim_id", pl.concat_str(values, separator=" ").alias("text"))
    return each.group_by("claim_id").agg(pl.col("text").str.join("; "))


def _claims(output: Output, ids: pl.Series) -> dict[str, _Claim]:
    """The claims with these ids that the output has."""
    revisions = _by(output.polars("claims").filter(pl.col("claim_id").is_in(ids.implode())), "claim_id")
    wanted = pl.Series([mine[0]["disruption_id"] for mine in revisions.values()], dtype=pl.String)
    disruptions = _by(
        output.polars("disruptions").filter(pl.col("disruption_id").is_in(wanted.implode())), "disruption_id"
    )
    payouts = _by(output.polars("payouts").filter(pl.col("claim_id").is_in(ids.implode())), "claim_id", "instalment")
    return {
        claim_id: _Claim(mine, disruptions.get(mine[0]["disruption_id"], []), payouts.get(claim_id, []))
        for claim_id, mine in revisions.items()
    }


def _by(table: pl.DataFrame, identity: str, order: str = "revision") -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table.sort(identity, order).iter_rows(named=True):
        found[row[identity]].append(row)
    return found


def _pairs(a: Mapping[str, _Claim], b: Mapping[str, _Claim]) -> Iterator[tuple[_Claim | None, _Claim | None]]:
    """Claims with their counterparts; None where there is none."""
    for claim_id in sorted(a.keys() & b.keys()):
        yield a[claim_id], b[claim_id]
    alone: dict[tuple[str, ...], tuple[list[_Claim], list[_Claim]]] = defaultdict(lambda: ([], []))
    for side, (mine, others) in enumerate(((a, b), (b, a))):
        for claim_id in mine.keys() - others.keys():
            first = mine[claim_id].revisions[0]
            alone[first["worker_id"], first["product"], first["peril"] or ""][side].append(mine[claim_id])
    for _, sides in sorted(alone.items()):
        yield from zip_longest(*(sorted(side, key=_first_decision) for side in sides))


def _first_decision(claim: _Claim) -> tuple[Any, ...]:
    return claim.revisions[0]["decided_at"], claim.revisions[0]["claim_id"]


def _row(a: _Claim | None, b: _Claim | None, confirmed: Sequence[Set[str]]) -> tuple[Any, ...]:
    some = a or b
    assert some is not None
    first = some.revisions[0]
    paid_a, paid_b = (0 if claim is None else claim.paid_paise for claim in (a, b))
    name, values = _alone(a, b, confirmed) if a is None or b is None else _first_difference(a, b)
    return (
        first["worker_id"],
        first["product"],
        *(None if claim is None else claim.revisions[0]["claim_id"] for claim in (a, b)),
        *(None if claim is None else claim.revisions[-1]["status"] for claim in (a, b)),
        paid_a / 100,
        paid_b / 100,
        (paid_b - paid_a) / 100,
        name,
        *(None if value is None else msgspec.json.encode(value).decode() for value in values),
    )


def _alone(a: _Claim | None, b: _Claim | None, confirmed: Sequence[Set[str]]) -> tuple[str, tuple[Any, Any]]:
    """Why one output has no such claim: it confirmed no such disruption, or the rider was no candidate."""
    present = [None if claim is None else claim.revisions[0]["disruption_id"] for claim in (a, b)]
    some = present[0] or present[1]
    if all(some in ids for ids in confirmed):
        return "candidate", (a is not None, b is not None)
    return "disruption", (present[0], present[1])


def _first_difference(a: _Claim, b: _Claim) -> tuple[str, tuple[Any, Any]]:
    """The first thing that differs: in the order of time, and of one decision from what goes in to what comes out."""
    for one, other in zip_longest(a.revisions, b.revisions):
        until = max(each["decided_at"] for each in (one, other) if each is not None)
        before = [[each for each in claim.disruption if each["revised_at"] <= until] for claim in (a, b)]
        for mine, others in zip_longest(*before):
            if found := _differing(mine, others, _DISRUPTION):
                return f"disruption.{found[0]}", found[1]
        if found := _differing(one, other, _INPUTS):
            return found
        if found := _differing(one, other, _DECISION):
            return _differing(one, other, _TERMS) or found
    return "payouts", ([each["amount_paise"] for each in a.payouts], [each["amount_paise"] for each in b.payouts])


def _differing(one: Record | None, other: Record | None, names: Sequence[str]) -> tuple[str, tuple[Any, Any]] | None:
    """The first field of two revisions that differs, and its values; of an object the first of its fields."""
    if one is None or other is None:
        return "revision", tuple(None if each is None else each["revision"] for each in (one, other))  # type: ignore[return-value]
    for name in names:
        if (path := _path(one[name], other[name], name)) is not None:
            return path
    return None


def _path(one: Any, other: Any, name: str) -> tuple[str, tuple[Any, Any]] | None:
    if one == other:
        return None
    one, other = _plain(one), _plain(other)
    if isinstance(one, dict) and isinstance(other, dict):
        for inner in [*one, *(other.keys() - one.keys())]:
            if (found := _path(one.get(inner), other.get(inner), f"{name}.{inner}")) is not None:
                return found
    return name, (one, other)


def _plain(value: Any) -> Any:
    """The text of an object as the object."""
    return msgspec.json.decode(value) if isinstance(value, str) and value.startswith("{") else value
